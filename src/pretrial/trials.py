"""A trial: one study, its places on disk, and everything that can be asked of it.

This is what the command line and `import pretrial` share. It composes the rooms: the study gives a graph of steps,
the runner makes what is missing, the findings are computed from the finished evaluations, the report is written.
Importing it loads neither torch nor pyarrow, so a plan is instant and a finished trial is recognised at once.
"""

from __future__ import annotations

import csv
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrial.errors import RequestError, RunError
from pretrial.execute.progress import Progress, Quiet, Timer
from pretrial.execute.runner import FailedInputError, Observer, Runner
from pretrial.plan import cost
from pretrial.plan.graph import Graph, Options, build_graph, recipe_json
from pretrial.plan.registration import History, history, keep_copy, register
from pretrial.plan.view import describe, epochs, warnings
from pretrial.store.artefacts import DamagedError, FileHashes, Store, read_json, write_atomically
from pretrial.store.identity import differences, fingerprint
from pretrial.store.locks import HeldError, locked
from pretrial.store.locks import describe as describe_holder
from pretrial.study.load import load_study, parse_study
from pretrial.study.schema import Study
from pretrial.train.record import make_record, remembered
from pretrial.train.threads import spin_briefly

if TYPE_CHECKING:
    import pandas as pd

    from pretrial.findings import Findings

Json = dict[str, Any]
REPORT_VERSION = 1


@dataclass(frozen=True)
class Places:
    """Where a trial keeps things. `data` may be absent."""

    workspace: Path
    store: Path
    data: Path | None


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    places: Places
    failures: Mapping[str, str]
    made: int
    seconds: float
    report: Path
    new: bool

    @property
    def complete(self) -> bool:
        """Whether every arm has its results."""
        return not self.failures


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


class Trial:
    """One study and its places.

    >>> trial = pretrial.trial("studies/quickstart.yaml")   # doctest: +SKIP
    >>> trial.plan()                                        # doctest: +SKIP
    >>> trial.run()                                         # doctest: +SKIP
    >>> trial.comparisons()                                 # doctest: +SKIP
    """

    def __init__(self, study: Study, where: Places) -> None:
        self.study = study
        self.places = where
        self.store = Store(where.store)

    @classmethod
    def of(
        cls,
        study: str | Path | Mapping[str, Any] | Study,
        *,
        workspace: str | Path | None = None,
        store: str | Path | None = None,
        data: str | Path | None = None,
    ) -> Trial:
        """From a study file, a mapping of the same shape, or a study."""
        if isinstance(study, Mapping):
            study = parse_study(study)
        elif not isinstance(study, Study):
            study = load_study(Path(study))
        given = [Path(p).expanduser() if p is not None else None for p in (workspace, store, data)]
        return cls(study, places(study, *given))

    # -- looking ---------------------------------------------------------------------------------------------

    def record(self, *, choose: bool = False) -> Json | None:
        """The execution record of this machine; `None` while nothing was tried here, unless it is to be chosen."""
        if not choose and not remembered(self._cache()):
            return None
        return make_record(self._cache(), self.study.training.precision).values

    def last_record(self) -> Json | None:
        """This machine's record, else the one of the workspace's last run: for looking, not for running."""
        return self.record() or self._run_file().get("record")

    def graph(
        self,
        record: Json | None,
        *,
        only: Sequence[str] = (),
    ) -> Graph:
        """All steps of the study under a record, or of some of its variants."""
        self._check_asked(only, ())
        self.store.check_layout()
        hashes = FileHashes(self.places.store / "fingerprints.json")
        chosen = tuple(only)
        if chosen and self.study.baseline not in chosen:
            # A variant alone cannot be compared; its baseline is part of what was asked for.
            chosen = (self.study.baseline, *chosen)
        graph = build_graph(
            self.study,
            Options(
                data=self.places.data,
                record=record,
                hashes=hashes,
                only=chosen,
                cache=self._cache(),
            ),
        )
        if self.places.store.exists():
            hashes.save()
        return graph

    def plan(self, *, only: Sequence[str] = (), probe: bool = False) -> Json:
        """What a run would do and cost, as data; nothing is made and torch is not imported.

        With `probe`, the training speed is measured in a process of its own and remembered.
        """
        record = self.record(choose=True) if probe else self.last_record()
        graph = self.graph(record, only=only)
        if probe:
            self._probe(graph)
        watching = Quiet()
        runner = Runner(self.store, graph.steps.values(), watching, holder=self.study.name)
        cached = self._cached(runner)
        forecast = cost.forecast(graph, cost.Speeds(self.store))
        said = describe(graph, forecast, cached, windows(graph, runner))
        return {**said, "warnings": [*watching.warnings, *said["warnings"]]}

    def status(self, *, verify: bool = False) -> Json:
        """What is there, what is missing, how large the store is and what of it may be freed."""
        damaged: list[str] = []
        self.store.warn = damaged.append
        whole = []
        for stored in self.store.all():
            try:
                if verify:
                    self.store.verify(stored)
                whole.append(stored)
            except DamagedError as error:
                damaged.append(f"{error}; it was set aside and is made again when it is needed")
        graph = self.graph(self.last_record())
        runner = Runner(self.store, graph.steps.values(), Quiet(), holder=self.study.name)
        cached = self._cached(runner)
        mine = {artefact.key for name in cached if (artefact := runner.find(name)) is not None}
        sizes: dict[str, int] = {}
        free = 0
        for stored in whole:
            sizes[stored.kind] = sizes.get(stored.kind, 0) + stored.bytes
            if stored.key not in mine and stored.kind not in ("corpus-shard", "tokens-shard"):
                free += stored.bytes
        beside = {name: folder_bytes(self.store.root / name) for name in ("quarantine", "compiled", "work")}
        done: dict[str, list[int]] = {}
        for name, step in graph.steps.items():
            count = done.setdefault(step.group, [0, 0])
            count[0] += name in cached
            count[1] += 1
        failed = {name: str(e) for name in graph.steps if name not in cached and (e := runner.failure(name))}
        return {
            "study": self.study.name,
            "workspace": str(self.places.workspace),
            "store": str(self.places.store),
            "steps": {group: {"done": d, "all": n} for group, (d, n) in done.items()},
            "failed": failed,
            "report": str(self._report()) if self._report().exists() else None,
            "store_bytes": sizes,
            "not_in_this_study_bytes": free,
            "beside_bytes": beside,
            "damaged": damaged,
            "verified": verify,
        }

    def explain(self) -> Json:
        """Why steps would run: the fields of the study and of the steps that differ from the last run's."""
        record = self.last_record()
        graph = self.graph(record)
        runner = Runner(self.store, graph.steps.values(), Quiet(), holder=self.study.name)
        missing = sorted(set(graph.steps) - self._cached(runner), key=list(graph.steps).index)
        path = self.places.workspace / "plan.json"
        if not path.exists():
            return {"first_run": True, "missing": missing, "study": [], "record": [], "steps": []}
        before = read_json(path)
        now = json.loads(json.dumps(recipe_json(graph)))
        changed = []
        for name in missing:
            old = before["steps"].get(name)
            if old is None:
                why: list[Json] = [{"field": "(new step)", "before": None, "now": None}]
            else:
                why = [{"field": field, "before": a, "now": b} for field, a, b in differences(old, now["steps"][name])]
            upstream = [s for s in graph.steps[name].inputs.values() if s in missing]
            changed.append({"step": name, "differs": why, "because_of": upstream})
        return {
            "first_run": False,
            "missing": missing,
            "study": [
                {"field": field, "before": a, "now": b, "where": self.study.where(_dotted(field))}
                for field, a, b in differences(before["study"], now["study"])
            ],
            "record": [
                {"field": field, "before": a, "now": b}
                for field, a, b in differences(self._run_file().get("record") or {}, record or {})
            ],
            "steps": changed,
        }

    # -- running ---------------------------------------------------------------------------------------------

    def run(
        self,
        *,
        only: Sequence[str] = (),
        seeds: Sequence[int] | None = None,
        workers: int | None = None,
        refresh: bool = False,
        retry: bool = False,
        accept_record: bool = False,
        quiet: bool = False,
    ) -> Outcome:
        """Make everything that is missing, then the report.

        Raises:
            RequestError: when the request is wrong or the workspace is in use.
            Interrupted: after Ctrl-C, at the next safe point.
        """
        started = time.monotonic()
        self._check_asked(only, seeds or ())
        self._check_workspace()
        with self._held(f"study {self.study.name}"):
            return self._run(
                started,
                tuple(only),
                tuple(seeds or ()),
                workers or default_workers(),
                refresh,
                retry,
                accept_record,
                quiet,
            )

    def _run(
        self,
        started: float,
        only: tuple[str, ...],
        seeds: tuple[int, ...],
        workers: int,
        refresh: bool,
        retry: bool,
        accept: bool,
        quiet: bool,
    ) -> Outcome:
        spin_briefly()
        self.store.prepare()
        self.store.clean()
        if self.record() is None:
            # Whatever is wrong with the request shows before time is spent on trying out the machine.
            self.graph(None)
        machine = make_record(self._cache(), self.study.training.precision)
        record = machine.values
        graph = self.graph(record)
        wanted = graph.wanted(only, seeds)
        accepted = self._accepted(record) if accept else None
        speeds = cost.Speeds(self.store)
        forecast = cost.forecast(graph, speeds)
        with _stopping() as stop:
            before = Quiet()
            runner = Runner(
                self.store,
                graph.steps.values(),
                before,
                workers=workers,
                what=f"study {self.study.name}",
                holder=self.study.name,
                stop=stop,
                retry=retry,
                accepted=self._looking(self.graph(accepted)) if accepted else None,
            )
            if refresh:
                for step in graph.steps.values():
                    if step.changeable:
                        runner.forget(step.name)
            runner.keep()
            missing = needed(graph, runner, wanted)
            stamp = self._stamp(graph, runner)
            if not missing and stamp is not None and stamp == self._run_file().get("stamp"):
                return self._outcome(runner, started, new=False)
            self._check_disk(graph, forecast, missing)
            keep_copy(self.store, self.study.name, self.places.workspace)
            registered = register(self.store, self.study, self._known(graph, runner))
            keep_copy(self.store, self.study.name, self.places.workspace)
            timer = Timer(
                {name: forecast.seconds[name].value for name in missing},
                {name: step.group for name, step in graph.steps.items()},
            )
            with Progress(self.places.workspace / "log.jsonl", timer, quiet=quiet) as watching:
                runner.observer = watching
                if machine.note:
                    watching.log(machine.note)
                self._warn_of_changes(graph, runner, watching)
                for warning in (*before.warnings, *warnings(graph, {})):
                    watching.warn(warning)
                self._check_epochs(graph, runner, only)
                runner.run(tuple(dict.fromkeys([*missing, *wanted])))
                for name, seconds in runner.made.items():
                    cost.measure(graph.steps[name], seconds, graph, speeds)
                speeds.save()
                if not any(runner.find(evaluated.step) for evaluated in graph.evaluations):
                    self._save(graph, runner, record, accepted, reported=False)
                    raise self._nothing(runner)
                watching.log("analysis and report")
                self._write_report(graph, runner, registered, record, accepted=runner.used_accepted)
        self._save(graph, runner, record, accepted, reported=True)
        return self._outcome(runner, started, new=True)

    def _outcome(self, runner: Runner, started: float, *, new: bool) -> Outcome:
        failures = {
            name: str(error) for name, error in runner.failures.items() if not isinstance(error, FailedInputError)
        }
        if not new:
            failures = dict(self._run_file().get("failures", {}))
        return Outcome(
            places=self.places,
            failures=failures,
            made=len(runner.made),
            seconds=time.monotonic() - started,
            report=self._report(),
            new=new,
        )

    # -- results ---------------------------------------------------------------------------------------------

    def findings(self) -> Findings:
        """Everything the report is made of, from the finished evaluations.

        Raises:
            RequestError: when nothing was evaluated yet.
        """
        graph, runner, record = self._kept()
        registered = history(self.store, self.study.name)
        return self._findings(graph, runner, registered, record, accepted=runner.used_accepted)

    def report(self) -> Path:
        """Write the report again from what is in the store; the page's path.

        Raises:
            RequestError: when nothing was evaluated yet, or the workspace is in use.
        """
        self._check_workspace()
        with self._held(f"report of {self.study.name}"):
            graph, runner, record = self._kept()
            registered = history(self.store, self.study.name)
            self._write_report(graph, runner, registered, record, accepted=runner.used_accepted)
        return self._report()

    def results(self) -> pd.DataFrame:
        """The rows of results.csv."""
        return self._table("results.csv")

    def comparisons(self) -> pd.DataFrame:
        """The rows of comparisons.csv."""
        return self._table("comparisons.csv")

    def ledger(self) -> pd.DataFrame:
        """The rows of ledger.csv."""
        return self._table("ledger.csv")

    def checkpoint(self, variant: str, *, seed: int | None = None, tokens: int | None = None) -> Path:
        """Folder of a checkpoint: of a variant's end, unless `tokens` names another point.

        Raises:
            RequestError: when it does not exist.
        """
        if variant not in self.study.variants:
            raise RequestError(
                f"there is no variant {variant!r}", remedy=f"The study has {', '.join(self.study.variants)}."
            )
        graph, runner, _ = self._kept()
        seed = seed if seed is not None else self.study.seeds[0]
        tokens = tokens if tokens is not None else graph.courses[variant].end
        name = graph.checkpoints.get((variant, seed, tokens))
        points = sorted({t for (v, _, t) in graph.checkpoints if v == variant})
        if name is None:
            raise RequestError(
                f"{variant} has no checkpoint at {tokens:,} tokens under seed {seed}",
                remedy=f"Seeds: {list(self.study.seeds)}; tokens: {', '.join(f'{t:,}' for t in points)}.",
            )
        artefact = runner.find(name)
        if artefact is None:
            raise RequestError(f"{name} has not been trained yet", remedy="Run the study first.")
        return artefact.path

    def _repr_html_(self) -> str:
        from pretrial.notebook import trial_html

        return trial_html(self)

    def __repr__(self) -> str:
        s = self.study
        done = "with a report" if self._report().exists() else "not run yet"
        return f"<Trial {s.name}: {len(s.variants)} variants × {len(s.seeds)} seeds, {done}>"

    # -- inside ----------------------------------------------------------------------------------------------

    @contextmanager
    def _held(self, what: str) -> Iterator[None]:
        """The workspace to ourselves."""
        try:
            with locked(self.places.workspace / ".lock", what, wait=False):
                yield
        except HeldError as error:
            raise RequestError(
                f"the workspace {self.places.workspace} is in use by {describe_holder(error.holder)}",
                remedy="Wait for it, or name another workspace with --workspace.",
            ) from None

    def _check_asked(self, only: Sequence[str], seeds: Sequence[int]) -> None:
        for name in only:
            if name not in self.study.variants:
                raise RequestError(
                    f"there is no variant {name!r}", remedy=f"The study has {', '.join(self.study.variants)}."
                )
        for seed in seeds:
            if seed not in self.study.seeds:
                raise RequestError(
                    f"the study has no seed {seed}", remedy=f"It has {', '.join(map(str, self.study.seeds))}."
                )

    def _check_workspace(self) -> None:
        folder = self.places.workspace
        try:
            folder.mkdir(parents=True, exist_ok=True)
            problem = None if os.access(folder, os.W_OK | os.X_OK) else "it is read-only"
        except OSError as error:
            problem = error.strerror
        if problem:
            raise RequestError(
                f"the workspace {folder} cannot be used: {problem}", remedy="Name another with --workspace."
            )

    def _check_epochs(self, graph: Graph, runner: Runner, only: Sequence[str]) -> None:
        """Read the capped sources and see, before anything is trained, that no variant passes its cap."""
        caps = self.study.epochs_cap
        if not caps:
            return
        runner.run([name for source in caps if (name := f"tokens of {source} (train)") in graph.steps])
        for variant in (self.study.baseline, *only) if only else self.study.variants:
            passes = epochs(graph, graph.courses[variant], windows(graph, runner))
            for source, count in passes.items():
                if source in caps and count > caps[source]:
                    raise RequestError(
                        f"{variant} passes {count:.2f} times over {source}, which is capped at {caps[source]:g} epochs",
                        where=self.study.where(f"sources.{source}.max-epochs"),
                        remedy="Give the source more text, lower its share or the budget, or raise the cap.",
                    )

    def _accepted(self, record: Json) -> Json | None:
        """The other record whose checkpoints `--accept-record` takes: that of the workspace's last run."""
        run = self._run_file()
        return next((dict(kept) for kept in (run.get("record"), run.get("accepted")) if kept and kept != record), None)

    def _looking(self, graph: Graph, accepted: Runner | None = None) -> Runner:
        """A runner that is only asked what is there."""
        return Runner(self.store, graph.steps.values(), Quiet(), holder=self.study.name, accepted=accepted)

    def _kept(self) -> tuple[Graph, Runner, Json | None]:
        """The study under the record of its last run, which is what its results were made under."""
        run = self._run_file()
        record = run.get("record") or self.record()
        graph = self.graph(record)
        accepted = self._looking(self.graph(run["accepted"])) if run.get("accepted") else None
        return graph, self._looking(graph, accepted), record

    def _nothing(self, runner: Runner) -> RunError:
        """What to raise when not one evaluation could be made: the first failure that is not another's consequence."""
        for name, error in runner.failures.items():
            if not isinstance(error, FailedInputError):
                return RunError(f"{name} failed: {error.what}", where=error.where, remedy=error.remedy)
        return RunError(f"{self.study.name} has no results", remedy="See log.jsonl in its workspace.")

    def _table(self, name: str) -> pd.DataFrame:
        import pandas as pd

        path = self.places.workspace / "report" / name
        if not path.exists():
            raise RequestError(f"{self.study.name} has no results yet", remedy="Run the study first.")
        # A variant or source may be called NA or null; only an empty cell is missing.
        return pd.read_csv(path, keep_default_na=False, na_values=[""])

    def _findings(
        self, graph: Graph, runner: Runner, registered: History, record: Json | None, *, accepted: bool
    ) -> Findings:
        from pretrial.findings import find

        return find(
            self.study,
            graph,
            runner,
            registered,
            windows=windows(graph, runner),
            record=record or {},
            accepted=accepted,
        )

    def _write_report(
        self, graph: Graph, runner: Runner, registered: History, record: Json | None, *, accepted: bool
    ) -> None:
        from pretrial.report.write import write_report

        findings = self._findings(graph, runner, registered, record, accepted=accepted)
        write_report(self.places.workspace / "report", findings.data, findings.items)

    def _report(self) -> Path:
        return self.places.workspace / "report" / "index.html"

    def _cache(self) -> Path:
        return self.places.store / "compiled"

    def _run_file(self) -> Json:
        try:
            return read_json(self.places.workspace / "run.json")
        except (FileNotFoundError, ValueError):
            return {}

    def _save(
        self, graph: Graph, runner: Runner, record: Json | None, accepted: Json | None, *, reported: bool
    ) -> None:
        write_atomically(
            self.places.workspace / "plan.json", json.dumps(recipe_json(graph), ensure_ascii=False, indent=1)
        )
        failures = {
            name: str(error) for name, error in runner.failures.items() if not isinstance(error, FailedInputError)
        }
        run = {
            "record": record,
            "accepted": accepted,
            "stamp": self._stamp(graph, runner) if reported else None,
            "failures": failures,
        }
        write_atomically(self.places.workspace / "run.json", json.dumps(run, ensure_ascii=False, indent=1))

    def _stamp(self, graph: Graph, runner: Runner) -> str | None:
        """What the report was made from; `None` when it is not there."""
        if not self._report().exists():
            return None
        contents = {}
        for name in graph.wanted():
            artefact = runner.find(name)
            contents[name] = artefact.content if artefact is not None else "failed"
        entries = [vars(entry) for entry in history(self.store, self.study.name).entries]
        return fingerprint(
            {
                "version": REPORT_VERSION,
                "study": json.loads(json.dumps(self.study.resolved())),
                "contents": contents,
                "registered": json.loads(json.dumps(entries)),
                "accepted": runner.used_accepted,
            }
        )

    def _cached(self, runner: Runner) -> frozenset[str]:
        return frozenset(name for name in runner.steps if runner.find(name) is not None)

    def _known(self, graph: Graph, runner: Runner) -> list[str]:
        """Variants whose results were there to be seen: in the store, or in the report that stands in the workspace.

        The report counts also where the recipe has changed since, or the store is gone: it was there to be read.
        """
        known = [name for name in self._reported() if name in self.study.variants]
        for evaluated in graph.evaluations:
            mark = evaluated.mark
            if mark.ends_variant and mark.variant not in known and runner.find(evaluated.step) is not None:
                known.append(mark.variant)
        return known

    def _reported(self) -> list[str]:
        """Variants with results in the workspace's report."""
        path = self._report().with_name("results.csv")
        if not path.exists():
            return []
        with path.open(encoding="utf-8", newline="") as file:
            return list(dict.fromkeys(row["variant"] for row in csv.DictReader(file)))

    def _check_disk(self, graph: Graph, forecast: cost.Forecast, missing: Sequence[str]) -> None:
        from pretrial.train.spec import checkpoint_bytes

        training = sum(graph.steps[name].kind == "train" for name in missing)
        need = (training + 1) * checkpoint_bytes(self.study.model, graph.vocabulary)
        need += 100_000_000 if training < len(missing) else 0
        free = cost.disk_free(self.places.store)
        if need > free:
            raise RequestError(
                f"the study needs about {need / 1e9:.1f} GB of disk and {free / 1e9:.1f} GB are free "
                f"at {self.places.store}",
                remedy="Free some, or name a store elsewhere with --store or PRETRIAL_STORE.",
            )

    def _warn_of_changes(self, graph: Graph, runner: Runner, observer: Observer) -> None:
        for step in graph.steps.values():
            if step.changeable and (kept := runner.find(step.name)) is not None:
                changed = differences(kept.manifest["payload"].get("state"), step.settings["state"])
                if changed:
                    names = ", ".join(field for field, _, _ in changed[:5])
                    observer.warn(
                        f"what is installed has changed since it was read ({names}"
                        f"{' and more' if len(changed) > 5 else ''}); the study keeps what was read first. "
                        "--refresh reads it again"
                    )

    def _probe(self, graph: Graph) -> None:
        from pretrial.train.probe import probe_speed

        spin_briefly()
        self.store.prepare()
        speeds = cost.Speeds(self.store)
        speed = probe_speed(
            model=self.study.model,
            vocabulary=graph.vocabulary,
            context=self.study.context,
            batch_sequences=self.study.training.batch_tokens // self.study.context,
            record=graph.options.record or {},
            cache_dir=self._cache(),
        )
        speeds.add("train", cost.speed_key(self.study, graph.vocabulary, graph.options.record), speed)
        speeds.save()


def folder_bytes(path: Path) -> int:
    """Bytes of all files below a folder; 0 where there is none."""
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())


def default_workers() -> int:
    """Worker processes: as many as processors that we may use, at most 8."""
    return max(1, min(8, len(os.sched_getaffinity(0))))


def needed(graph: Graph, runner: Runner, wanted: Sequence[str]) -> list[str]:
    """Steps that have to run for what is wanted, upstream first; those known to fail are left out.

    What lies between is looked at too, since the report reads it; a snapshot only where something reads it again,
    since taking it anew could find another installation.
    """
    seen: set[str] = set()
    order: list[str] = []

    def visit(name: str) -> None:
        if name in seen:
            return
        seen.add(name)
        step = graph.steps[name]
        missing = runner.find(name) is None and runner.failure(name) is None
        for upstream in step.inputs.values():
            if missing or not graph.steps[upstream].changeable:
                visit(upstream)
        if missing:
            order.append(name)

    for name in wanted:
        visit(name)
    return order


def windows(graph: Graph, runner: Runner) -> dict[str, cost.Figure]:
    """Training windows of each source: measured where its tokens exist."""
    found = {}
    for source in graph.study.trained_sources:
        artefact = runner.find(f"tokens of {source} (train)")
        if artefact is not None:
            count = max(0, (int(artefact.facts["tokens"]) - 1) // graph.study.context)
            found[source] = cost.Figure(count, "measured")
    return found


def _dotted(field: str) -> str:
    """`stages[1].tokens` as a study file's marks spell it: `stages.1.tokens`."""
    return field.replace("[", ".").replace("]", "")


@contextmanager
def _stopping() -> Iterator[Callable[[], bool]]:
    """Ctrl-C asks to stop at the next safe point; a second one stops at once. Only the main thread can listen."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def on_interrupt(_signal: int, _frame: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        os.write(2, b"\nStopping at the next checkpoint; press Ctrl-C again to stop at once.\n")

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)
