"""Parts of a run: what has to be made, what is checked and said on the way, and how Ctrl-C is heard."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pretrial.errors import RequestError, RunError
from pretrial.execute.progress import Timer
from pretrial.execute.runner import FailedInputError, Observer, Runner, Took
from pretrial.plan import cost
from pretrial.plan.graph import Graph
from pretrial.plan.sizes import Figure
from pretrial.plan.steps import Step
from pretrial.plan.view import passes
from pretrial.store.artefacts import Store
from pretrial.store.identity import differences
from pretrial.study.problems import join
from pretrial.train.record import processors

_MOST_WORKERS = 8
_NAMED = 5


def default_workers() -> int:
    """Worker processes: as many as processors that we may use, at most 8."""
    return max(1, min(_MOST_WORKERS, processors()))


@dataclass(frozen=True)
class Manner:
    """How missing steps are made.

    Attributes:
        workers: processes for corpora on this machine.
        cluster: address of a Ray cluster that makes corpora instead; empty for none.
        refresh: whether installed packages are read again.
        retry: whether what failed for good before is tried again.
        quiet: whether no progress is shown.
    """

    workers: int
    cluster: str
    refresh: bool
    retry: bool
    quiet: bool

    @classmethod
    def asked(cls, workers: int | None, cluster: str | None, *, refresh: bool, retry: bool, quiet: bool) -> Manner:
        """What was asked for; workers and cluster have defaults of the machine and of its environment."""
        named = os.environ.get("PRETRIAL_CLUSTER", "") if cluster is None else cluster
        return cls(workers or default_workers(), named, refresh, retry, quiet)


def maker(
    store: Store,
    graph: Graph,
    manner: Manner,
    speeds: cost.Speeds,
    observer: Observer,
    *,
    what: str,
    stop: Callable[[], bool],
    accepted: Runner | None = None,
) -> Runner:
    """A runner that makes steps in this manner, and keeps how long each took for later forecasts."""

    def made(step: Step, took: Took) -> None:
        cost.measure(step, took.seconds, graph, speeds, total=took.total, done=took.units)
        speeds.save()

    return Runner(
        store,
        graph.steps.values(),
        observer,
        workers=manner.workers,
        cluster=manner.cluster,
        what=what,
        holder=graph.study.name,
        stop=stop,
        retry=manner.retry,
        accepted=accepted,
        on_made=made,
    )


def outstanding(graph: Graph, runner: Runner, wanted: Sequence[str], *, refresh: bool) -> list[str]:
    """What is `needed`, once what is installed is held on to as it was read, or with `refresh` to be read again."""
    if refresh:
        for step in graph.steps.values():
            if step.changeable:
                runner.forget(step.name)
    runner.keep()
    missing = needed(graph, runner, wanted)
    runner.store.hashes.save()
    return missing


def timer(graph: Graph, forecast: cost.Forecast, missing: Sequence[str]) -> Timer:
    """Time left for the missing steps."""
    return Timer(
        {name: forecast.seconds[name].value for name in missing},
        {name: step.group for name, step in graph.steps.items()},
    )


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


def data_steps(graph: Graph, missing: Sequence[str]) -> list[str]:
    """Those of the missing steps that come before any training, and the tokens of sources with a cap on epochs.

    With a capped source come all that have its documents: passes over them add up.
    """
    study = graph.study
    roots = {study.root(source) for source in study.epochs_cap}
    tokens = [f"tokens of {source} (train)" for source in study.sources if study.root(source) in roots]
    capped = [name for name in tokens if name in graph.steps]
    early = [name for name in missing if graph.steps[name].group in ("corpora", "tokens")]
    return list(dict.fromkeys([*early, *capped]))


def check_epochs(graph: Graph, windows: Mapping[str, Figure], only: Sequence[str]) -> None:
    """Raise `RequestError` when a variant passes its cap over a source, counting what is drawn under other names."""
    study = graph.study
    caps = study.epochs_cap
    for variant in (study.baseline, *only) if only else study.variants:
        for source, count in passes(graph, graph.courses[variant], windows).items():
            if source in caps and count.line > caps[source]:
                also = f" (its documents are also drawn as {join(count.also)})" if count.line > count.own else ""
                # A part of a split source has its cap from there.
                said = study.sources[source].parent if source in study.named else source
                raise RequestError(
                    f"{variant} passes {count.line:.2f} times over {source}, which is capped at {caps[source]:g} "
                    f"epochs{also}",
                    where=study.where(f"sources.{said}.max-epochs"),
                    remedy="Give the source more text, lower its share or the budget, or raise the cap.",
                )


def warn_of_changes(graph: Graph, runner: Runner, observer: Observer) -> None:
    """Say, once, that what is installed is no longer what the study keeps of it."""
    changed: dict[str, None] = {}
    for step in graph.steps.values():
        if step.changeable and (kept := runner.find(step.name)) is not None:
            before = kept.manifest["payload"].get("state")
            changed.update((field, None) for field, _, _ in differences(before, step.settings["state"]))
    if changed:
        names = ", ".join(list(changed)[:_NAMED])
        observer.warn(
            f"what is installed has changed since it was read ({names}"
            f"{' and more' if len(changed) > _NAMED else ''}); the study keeps what was read first. "
            "--refresh reads it again"
        )


def own_failures(runner: Runner) -> dict[str, str]:
    """Why steps failed, without those that only follow from another."""
    return {name: str(error) for name, error in runner.failures.items() if not isinstance(error, FailedInputError)}


def nothing(study: str, runner: Runner) -> RunError:
    """What to raise when not one evaluation could be made: the first failure that is not another's consequence."""
    for name, error in runner.failures.items():
        if not isinstance(error, FailedInputError):
            return RunError(f"{name} failed: {error.what}", where=error.where, remedy=error.remedy)
    return RunError(f"{study} has no results", remedy="See log.jsonl in its workspace.")


@contextmanager
def stopping(when: str = "at the next checkpoint") -> Iterator[Callable[[], bool]]:
    """Ctrl-C asks to stop at the next safe point; a second one stops at once. Only the main thread can listen.

    `when` says where that point is.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def on_interrupt(_signal: int, _frame: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        os.write(2, f"\nStopping {when}; press Ctrl-C again to stop at once.\n".encode())

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)
