"""A trial: one study, its places on disk, and everything that can be asked of it.

This is what the command line and `import pretrial` share. It composes the rooms: the study gives a graph of steps,
the runner makes what is missing, the findings are computed from the finished evaluations, the report is written.
Importing it loads neither torch nor pyarrow, so a plan is instant and a finished trial is recognised at once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrial.errors import RequestError
from pretrial.execute.progress import Progress, Quiet
from pretrial.execute.runner import Observer, Runner
from pretrial.places import Places, Workspace, folder_bytes, places
from pretrial.plan import cost
from pretrial.plan.graph import Graph, Options, build_graph, recipe_json
from pretrial.plan.registration import History, files_of, history, register
from pretrial.plan.sizes import sizes, windows
from pretrial.plan.view import describe, untestable, warnings
from pretrial.running import (
    Manner,
    check_epochs,
    data_steps,
    maker,
    needed,
    nothing,
    outstanding,
    own_failures,
    stopping,
    timer,
    warn_of_changes,
)
from pretrial.store.artefacts import DamagedError, Store, where_writable
from pretrial.store.identity import differences, fingerprint
from pretrial.study.load import load_study, parse_study
from pretrial.study.schema import Study
from pretrial.train.record import make_record, remembered
from pretrial.train.spec import checkpoint_seconds
from pretrial.train.threads import spin_briefly

if TYPE_CHECKING:
    import pandas as pd

    from pretrial.findings import Findings
    from pretrial.inspecting.build import Built
    from pretrial.inspecting.corpora import Corpora

Json = dict[str, Any]
REPORT_VERSION = 3
__all__ = ["Outcome", "Places", "Trial", "places"]


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
        self.workspace = Workspace(where.workspace)

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
        return self.record() or self.workspace.last().get("record")

    def graph(
        self,
        record: Json | None,
        *,
        only: Sequence[str] = (),
    ) -> Graph:
        """All steps of the study under a record, or of some of its variants."""
        self._check_asked(only, ())
        self.store.check_layout()
        chosen = tuple(only)
        if chosen and self.study.baseline not in chosen:
            # A variant alone cannot be compared; its baseline is part of what was asked for.
            chosen = (self.study.baseline, *chosen)
        graph = build_graph(
            self.study,
            Options(
                data=self.places.data,
                record=record,
                hashes=self.store.hashes,
                only=chosen,
                cache=self._cache(),
            ),
        )
        self.store.hashes.save()
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
        runner = self._looking(graph, self._standing_in(self.workspace.accepted(record)), watching)
        cached = self._cached(runner)
        accepted = frozenset(name for name in cached if runner.foreign(name))
        known = sizes(graph, runner.find)
        forecast = cost.forecast(graph, cost.Speeds(self.store), known)
        free = cost.disk_free(self.places.store)
        said = describe(graph, forecast, cached, windows(graph, runner.find, known), accepted=accepted, free=free)
        found = [*watching.warnings, *said["warnings"]]
        if accepted:
            found.append(
                f"{len(accepted)} steps are those of another execution record, which the last run accepted; "
                "a run without --accept-record makes them again"
            )
        try:
            cost.check_disk(forecast.room(set(graph.steps) - cached), self.places.store)
        except RequestError as error:
            found.append(error.what)
        return {**said, "warnings": found}

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
        record = self.last_record()
        graph = self.graph(record)
        runner = self._looking(graph, self._standing_in(self.workspace.accepted(record)))
        cached = self._cached(runner)
        mine = {artefact.key for name in cached if (artefact := runner.find(name)) is not None}
        kinds: dict[str, int] = {}
        free = 0
        for stored in whole:
            kinds[stored.kind] = kinds.get(stored.kind, 0) + stored.bytes
            if stored.key not in mine and not stored.kind.endswith("-shard"):
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
            "accepted": sorted(name for name in cached if runner.foreign(name)),
            "failed": failed,
            "report": str(self.workspace.report) if self.workspace.report.exists() else None,
            "store_bytes": kinds,
            "store_total_bytes": folder_bytes(self.store.root),
            "not_in_this_study_bytes": free,
            "beside_bytes": beside,
            "damaged": damaged,
            "verified": verify,
        }

    def explain(self) -> Json:
        """Why steps would run: the fields of the study and of the steps that differ from the last run's.

        What another execution record left counts as missing, also where the last run accepted it.
        """
        record = self.last_record()
        graph = self.graph(record)
        cached = self._cached(self._looking(graph))
        missing = [name for name in graph.steps if name not in cached]
        before = self.workspace.recipes()
        if before is None:
            return {"first_run": True, "missing": missing, "study": [], "record": [], "steps": []}
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
                for field, a, b in differences(self.workspace.last().get("record") or {}, record or {})
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
        cluster: str | None = None,
        refresh: bool = False,
        retry: bool = False,
        accept_record: bool = False,
        quiet: bool = False,
    ) -> Outcome:
        """Make everything that is missing, then the report.

        Args:
            only: these variants and the baseline.
            seeds: these of the study's seeds.
            workers: processes for corpora on this machine.
            cluster: address of a Ray cluster that makes corpora instead: `HOST:PORT`, `auto` or `local`; by default
                `PRETRIAL_CLUSTER`. Output depends on neither.
            refresh: read installed packages again.
            retry: try again what failed for good before.
            accept_record: use checkpoints of the workspace's earlier execution records.
            quiet: show no progress.

        Raises:
            RequestError: when the request is wrong, the workspace is in use, the cluster cannot be used, or another
                execution record is to be accepted and none is known here.
            Interrupted: after Ctrl-C, at the next safe point.
        """
        started = time.monotonic()
        self._check_asked(only, seeds or ())
        self.workspace.prepare()
        with self._on_disk(), self.workspace.held(f"study {self.study.name}"):
            manner = Manner.asked(workers, cluster, refresh=refresh, retry=retry, quiet=quiet)
            return self._run(started, tuple(only), tuple(seeds or ()), manner, accept_record)

    def _run(
        self, started: float, only: tuple[str, ...], seeds: tuple[int, ...], manner: Manner, accept: bool
    ) -> Outcome:
        spin_briefly()
        checkpoint_seconds()
        self.store.prepare()
        self.store.clean()
        speeds = cost.Speeds(self.store)
        if self.record() is None:
            # Whatever is wrong with the request shows before time is spent on trying out the machine.
            self._check_request(only, seeds, accept, speeds)
        machine = make_record(self._cache(), self.study.training.precision)
        record = machine.values
        accepted = self._others(record) if accept else []
        graph = self.graph(record)
        wanted = graph.wanted(only, seeds)
        with stopping() as stop:
            before = Quiet()
            runner = maker(
                self.store,
                graph,
                manner,
                speeds,
                before,
                what=f"study {self.study.name}",
                stop=stop,
                accepted=self._standing_in(accepted),
            )
            missing = outstanding(graph, runner, wanted, refresh=manner.refresh)
            stamp = self._stamp(graph, runner)
            if not missing and stamp is not None and stamp == self.workspace.last().get("stamp"):
                return self._outcome(runner, started, new=False)
            forecast = cost.forecast(graph, speeds, sizes(graph, runner.find))
            cost.check_disk(forecast.room(missing), self.places.store)
            registered = self._register(graph, runner)
            # From here on something may be made that a later run has to know of, however this one ends.
            self._save(graph, runner, record, accepted, reported=False)
            with Progress(self.workspace.log, timer(graph, forecast, missing), quiet=manner.quiet) as watching:
                runner.observer = watching
                if machine.note:
                    watching.log(machine.note)
                warn_of_changes(graph, runner, watching)
                try:
                    self._make(graph, runner, missing, wanted, only, before.warnings)
                finally:
                    # What was made is there to be seen from now on, under whichever recipe it was made.
                    with where_writable():
                        self._register(graph, runner)
                    from pretrial.inspecting.looking import remember

                    remember(self.workspace.folder, graph, runner.find)
                if not any(runner.find(evaluated.step) for evaluated in graph.evaluations):
                    self._save(graph, runner, record, accepted, reported=False)
                    raise nothing(self.study.name, runner)
                watching.log("analysis and report")
                found = self._findings(graph, runner, registered, record, accepted=runner.used_accepted, make=True)
                self._write_report(found)
        self._save(graph, runner, record, accepted, reported=True)
        return self._outcome(runner, started, new=True)

    def build_corpora(
        self,
        sources: Sequence[str] = (),
        *,
        workers: int | None = None,
        cluster: str | None = None,
        refresh: bool = False,
        retry: bool = False,
        quiet: bool = False,
    ) -> Built:
        """Make the corpora, up to the decision which documents train, and nothing after them.

        Args:
            sources: read only these; which documents train is then decided later.
            workers, cluster, refresh, retry, quiet: as in `run`.

        Raises:
            RequestError: as `run`.
            Interrupted: after Ctrl-C, at the next safe point.
        """
        from pretrial.inspecting.build import build

        with self._on_disk():
            return build(self, sources, Manner.asked(workers, cluster, refresh=refresh, retry=retry, quiet=quiet))

    def corpora(self) -> Corpora:
        """The corpora as far as they were made, to look at."""
        from pretrial.inspecting.looking import look

        return look(self)

    def _make(
        self,
        graph: Graph,
        runner: Runner,
        missing: Sequence[str],
        wanted: Sequence[str],
        only: Sequence[str],
        said: Sequence[str],
    ) -> None:
        """Make what is missing: first the data, of which more is known then than any plan knew, then the rest."""
        warned: dict[str, None] = {}

        def warn(messages: Sequence[str]) -> None:
            for message in messages:
                if message not in warned:
                    warned[message] = None
                    runner.observer.warn(message)

        cannot = [f"the claim “{claim}” cannot be tested: {why}" for claim, why in untestable(graph).items()]
        warn([*said, *warnings(graph, {}), *cannot])
        data = data_steps(graph, missing)
        if data and runner.cluster:
            # What is wrong with the cluster shows before anything is made; training needs none.
            runner.pool()
        runner.run(data)
        known = windows(graph, runner.find)
        warn(warnings(graph, known))
        check_epochs(graph, known, only)
        runner.run(tuple(dict.fromkeys([*missing, *wanted])))

    def _outcome(self, runner: Runner, started: float, *, new: bool) -> Outcome:
        failures = own_failures(runner) if new else dict(self.workspace.last().get("failures", {}))
        return Outcome(
            places=self.places,
            failures=failures,
            made=len(runner.made),
            seconds=time.monotonic() - started,
            report=self.workspace.report,
            new=new,
        )

    # -- results ---------------------------------------------------------------------------------------------

    def findings(self) -> Findings:
        """Everything the report is made of, from the finished evaluations.

        Raises:
            RequestError: when nothing was evaluated yet.
        """
        graph, runner, record = self._kept()
        return self._findings(graph, runner, self._registered(graph), record, accepted=runner.used_accepted)

    def report(self) -> Path:
        """Write the report again from what is in the store; the page's path.

        Raises:
            RequestError: when nothing was evaluated yet, or the workspace is in use.
        """
        self.workspace.prepare()
        with self._on_disk(), self.workspace.held(f"report of {self.study.name}"):
            self._write_report(self.findings())
        return self.workspace.report

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
        done = "with a report" if self.workspace.report.exists() else "not run yet"
        return f"<Trial {s.name}: {len(s.variants)} variants × {len(s.seeds)} seeds, {done}>"

    # -- inside ----------------------------------------------------------------------------------------------

    @contextmanager
    def _on_disk(self) -> Iterator[None]:
        """Name the place in an error of the disk that names none: of store and workspace, the one with less room."""
        try:
            yield
        except OSError as error:
            if error.errno is not None and error.filename is None and not isinstance(error, BrokenPipeError):
                with suppress(OSError):
                    error.filename = str(min(self.places.store, self.places.workspace, key=cost.disk_free))
            raise

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

    def _check_request(self, only: Sequence[str], seeds: Sequence[int], accept: bool, speeds: cost.Speeds) -> None:
        """Everything that can be wrong before an execution record is known, as far as the last one tells."""
        if accept:
            self._others(None)
        last = self.workspace.last().get("record")
        graph = self.graph(last)
        runner = self._looking(graph, self._standing_in(self.workspace.accepted(last)))
        forecast = cost.forecast(graph, speeds, sizes(graph, runner.find))
        cost.check_disk(forecast.room(needed(graph, runner, graph.wanted(only, seeds))), self.places.store)

    def _others(self, record: Json | None) -> list[Json]:
        """The other records whose checkpoints `--accept-record` takes: those that runs here had, the last one first."""
        found = [kept for kept in self.workspace.records() if kept != record]
        if not found:
            raise RequestError(
                f"no other execution record is known to the workspace {self.places.workspace}",
                remedy="Leave --accept-record out, or name the workspace that ran under the other record.",
            )
        return found

    def _standing_in(self, records: Sequence[Json]) -> Runner | None:
        """A runner that knows the study's steps under other records, the first of them first."""
        runner = None
        for record in reversed(records):
            runner = self._looking(self.graph(record), runner)
        return runner

    def _looking(self, graph: Graph, accepted: Runner | None = None, watching: Observer | None = None) -> Runner:
        """A runner that is only asked what is there."""
        return Runner(self.store, graph.steps.values(), watching or Quiet(), holder=self.study.name, accepted=accepted)

    def _kept(self) -> tuple[Graph, Runner, Json | None]:
        """The study under the record of its last run, which is what its results were made under."""
        record = self.workspace.last().get("record") or self.record()
        graph = self.graph(record)
        return graph, self._looking(graph, self._standing_in(self.workspace.accepted(record))), record

    def _registered(self, graph: Graph) -> History:
        """What was registered so far, beside what the study says now."""
        return history(self.store, self.study, files=files_of(graph), copy=self.places.workspace)

    def _register(self, graph: Graph, runner: Runner) -> History:
        """Register what the study says and what there is to be seen of it."""
        return register(
            self.store, self.study, self._known(graph, runner), files=files_of(graph), copy=self.places.workspace
        )

    def _table(self, name: str) -> pd.DataFrame:
        import pandas as pd

        path = self.places.workspace / "report" / name
        if not path.exists():
            raise RequestError(f"{self.study.name} has no results yet", remedy="Run the study first.")
        # A variant or source may be called NA or null; only an empty cell is missing.
        return pd.read_csv(path, keep_default_na=False, na_values=[""])

    def _findings(
        self,
        graph: Graph,
        runner: Runner,
        registered: History,
        record: Json | None,
        *,
        accepted: bool,
        make: bool = False,
    ) -> Findings:
        from pretrial.findings import find

        return find(
            self.study,
            graph,
            runner,
            registered,
            windows=windows(graph, runner.find),
            record=record or {},
            accepted=accepted,
            make=make,
            failures=self.workspace.last().get("failures", {}),
        )

    def _write_report(self, findings: Findings) -> None:
        from pretrial.report.write import write_report

        write_report(self.places.workspace / "report", findings.data, findings.items)

    def _cache(self) -> Path:
        return self.places.store / "compiled"

    def _save(
        self, graph: Graph, runner: Runner, record: Json | None, accepted: Sequence[Json], *, reported: bool
    ) -> None:
        self.workspace.save(
            recipe_json(graph),
            record=record,
            accepted=accepted,
            stamp=self._stamp(graph, runner) if reported else None,
            failures=own_failures(runner),
        )

    def _stamp(self, graph: Graph, runner: Runner) -> str | None:
        """What the report was made from; `None` when it is not there, or not whole."""
        if not self.workspace.reported:
            return None
        contents = {}
        for name in graph.wanted():
            artefact = runner.find(name)
            contents[name] = artefact.content if artefact is not None else "failed"
        entries = [vars(entry) for entry in self._registered(graph).entries]
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
        found = frozenset(name for name in runner.steps if runner.find(name) is not None)
        self.store.hashes.save()
        return found

    def _known(self, graph: Graph, runner: Runner) -> list[str]:
        """Variants whose results were there to be seen: in the store, or in the report that stands in the workspace.

        The report counts also where the recipe has changed since, or the store is gone: it was there to be read.
        """
        known = [name for name in self.workspace.shown() if name in self.study.variants]
        for evaluated in graph.evaluations:
            mark = evaluated.mark
            if mark.ends_variant and mark.variant not in known and runner.find(evaluated.step) is not None:
                known.append(mark.variant)
        return known

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


def _dotted(field: str) -> str:
    """`stages[1].tokens` as a study file's marks spell it: `stages.1.tokens`."""
    return field.replace("[", ".").replace("]", "")
