"""What the corpus tests share: sources as a study has them, and reading one without a store."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pretrial.corpus import spec
from pretrial.corpus.kinds import KINDS
from pretrial.study.schema import Read, Source


class Hashes:
    """A hash cache that keeps nothing."""

    def hash(self, path: Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def recall(self, name: str) -> list[Any] | None:
        return None

    def remember(self, name: str, value: list[Any]) -> None:
        pass


class Corpus:
    """A corpus artefact with its rows in memory."""

    def __init__(self, artefact: Any) -> None:
        self.artefact = artefact
        self.facts = artefact.facts
        self.rows: list[dict[str, Any]] = [
            row
            for shard in self.facts["shards"]
            for row in pq.ParquetFile(artefact.file(shard["file"])).read().to_pylist()
        ]
        self.rejects: list[dict[str, Any]] = [
            row for file in self.facts["rejects"] for row in pq.ParquetFile(artefact.file(file)).read().to_pylist()
        ]
        self.quarantine = pq.ParquetFile(artefact.file("quarantine.parquet")).read().to_pylist()

    @property
    def texts(self) -> list[str]:
        return [row["text"] for row in self.rows]


def source(kind: str, location: str | tuple[str, ...], **options: Any) -> Source:
    """A study's source; options of its reader and of itself by name."""
    reading = {key: options.pop(key) for key in list(options) if any(key in kind.options for kind in KINDS.values())}
    return Source(Read(kind, location, reading), **options)


@pytest.fixture
def make_source() -> Callable[..., Source]:
    return source


@pytest.fixture
def hashes() -> Hashes:
    return Hashes()


@pytest.fixture
def read(tmp_path: Path, step: Callable[..., Any]) -> Callable[..., Corpus]:
    """`read("jsonl", "x.jsonl", …)` reads a source beside the test's folder and gives its corpus."""
    numbers = itertools.count()

    def reading(kind: str, location: str | tuple[str, ...], *, data: Path | None = None, **options: Any) -> Corpus:
        wanted = source(kind, location, **options)
        config = spec.source_config(wanted)
        settings = spec.source_settings(wanted, data, tmp_path, name="these")
        out = tmp_path / f"out-{next(numbers)}"
        inputs = {}
        if (snapshot := spec.snapshot_config(config)) is not None:
            inputs["snapshot"] = step("pretrial.corpus.snapshot:take_snapshot", out / "snapshot", config=snapshot)
        files = spec.input_fingerprint(config, settings, Hashes())
        return Corpus(
            step(
                "pretrial.corpus.read:read_corpus",
                out / "corpus",
                config=spec.corpus_config(config, files),
                settings=settings,
                inputs=inputs,
            )
        )

    return reading
