"""Where a trial keeps things, and what its workspace remembers of the last run."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pretrial.errors import RequestError
from pretrial.store.artefacts import read_json, write_atomically
from pretrial.store.locks import HeldError, locked
from pretrial.store.locks import describe as describe_holder
from pretrial.study.schema import Study

Json = dict[str, Any]
_REPORT = ("index.html", "report.json", "results.csv", "comparisons.csv", "ledger.csv", "items.parquet")


@dataclass(frozen=True)
class Places:
    """Where a trial keeps things. `data` may be absent."""

    workspace: Path
    store: Path
    data: Path | None


def places(study: Study, workspace: Path | None = None, store: Path | None = None, data: Path | None = None) -> Places:
    """Places of a trial: what is given, else the environment, else `pretrial-runs` beside the study file.

    Raises:
        RequestError: when the data folder that was named is none.
    """
    beside = Path(study.folder) if study.folder else Path.cwd()
    runs = beside / "pretrial-runs"
    if store is None:
        named = os.environ.get("PRETRIAL_STORE")
        store = Path(named) if named else runs / ".store"
    if data is None and (named := os.environ.get("PRETRIAL_DATA")):
        data = Path(named)
    if data is not None and not data.is_dir():
        raise RequestError(f"the data folder {data} is not there", remedy="Check --data or PRETRIAL_DATA.")
    return Places(
        workspace=(workspace or runs / study.name).absolute(),
        store=store.absolute(),
        data=data.absolute() if data is not None else None,
    )


class Workspace:
    """A study's folder: its log, its report, and what the last run was (`run.json`, `plan.json`)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def log(self) -> Path:
        """A line for every event of every run."""
        return self.folder / "log.jsonl"

    @property
    def report(self) -> Path:
        """The report's page."""
        return self.folder / "report" / "index.html"

    @property
    def reported(self) -> bool:
        """Whether the report is there, tables and all."""
        return all(self.report.with_name(name).exists() for name in _REPORT)

    @contextmanager
    def held(self, what: str) -> Iterator[None]:
        """The workspace to ourselves."""
        try:
            with locked(self.folder / ".lock", what, wait=False):
                yield
        except HeldError as error:
            raise RequestError(
                f"the workspace {self.folder} is in use by {describe_holder(error.holder)}",
                remedy="Wait for it, or name another workspace with --workspace.",
            ) from None

    def prepare(self) -> None:
        """Make the folder; raises `RequestError` where it cannot be written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            problem = None if os.access(self.folder, os.W_OK | os.X_OK) else "it is read-only"
        except OSError as error:
            problem = error.strerror
        if problem:
            raise RequestError(
                f"the workspace {self.folder} cannot be used: {problem}", remedy="Name another with --workspace."
            )

    def last(self) -> Json:
        """What the last run was; empty before the first."""
        with suppress(FileNotFoundError, NotADirectoryError, ValueError):
            return read_json(self.folder / "run.json")
        return {}

    def recipes(self) -> Json | None:
        """What the last run planned (`recipe_json`); `None` before the first."""
        with suppress(FileNotFoundError, NotADirectoryError, ValueError):
            return read_json(self.folder / "plan.json")
        return None

    def records(self) -> list[Json]:
        """Every execution record that runs here had or accepted, the last run's first."""
        run = self.last()
        found = [run.get("record"), *run.get("records", []), *_listed(run.get("accepted"))]
        return [dict(r) for i, r in enumerate(found) if r and r not in found[:i]]

    def accepted(self, record: Mapping[str, Any] | None) -> list[Json]:
        """The other records that the last run accepted, where it ran under this one."""
        run = self.last()
        return _listed(run.get("accepted")) if run.get("record") == record else []

    def save(
        self,
        recipes: Json,
        *,
        record: Mapping[str, Any] | None,
        accepted: Sequence[Json],
        stamp: str | None,
        failures: Mapping[str, str],
    ) -> None:
        """Keep what a run is: written when it begins, without a stamp, and when it has ended."""
        run = {
            "record": record,
            "records": [record, *(kept for kept in self.records() if kept != record)],
            "accepted": list(accepted),
            "stamp": stamp,
            "failures": dict(failures),
        }
        write_atomically(self.folder / "plan.json", json.dumps(recipes, ensure_ascii=False, indent=1))
        write_atomically(self.folder / "run.json", json.dumps(run, ensure_ascii=False, indent=1))

    def shown(self) -> list[str]:
        """Variants with results in the report that stands here."""
        path = self.report.with_name("results.csv")
        if not path.exists():
            return []
        with path.open(encoding="utf-8", newline="") as file:
            return list(dict.fromkeys(row["variant"] for row in csv.DictReader(file)))


def folder_bytes(path: Path) -> int:
    """Bytes of all files below a folder, each once under however many names; 0 where there is none."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            # A run may be going on that deletes what it has finished.
            with suppress(FileNotFoundError, NotADirectoryError):
                stat = Path(folder, name).lstat()
                if (stat.st_dev, stat.st_ino) not in seen:
                    seen.add((stat.st_dev, stat.st_ino))
                    total += stat.st_size
    return total


def _listed(accepted: Any) -> list[Json]:
    """Accepted records as a list; an earlier version kept one or none."""
    if not accepted:
        return []
    return [dict(accepted)] if isinstance(accepted, Mapping) else [dict(record) for record in accepted]
