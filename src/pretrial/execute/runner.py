"""Runs planned steps in this process, their sub-steps in a pool: what is needed and not there, one lock per artefact.

The runner knows nothing of what a step does. It starts from the wanted steps and goes upstream only as far as
something is missing. An input is hashed when a step reads it; a damaged one is made again, and that is said. A
step that fails takes down what depends on it and nothing else. A failure that would repeat (a diverged run)
is remembered, so that a finished study stays finished. What a step cost counts all its attempts.
"""

from __future__ import annotations

import contextlib
import json
import resource
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pretrial.errors import DivergedError, Interrupted, RunError
from pretrial.execute.pool import LocalPool, LostWorkerError, Pool
from pretrial.execute.worker import Substep, load_function
from pretrial.plan.steps import Step
from pretrial.store.artefacts import (
    Artefact,
    DamagedError,
    Store,
    payload_of,
    read_json,
    where_writable,
    write_atomically,
)
from pretrial.store.identity import fingerprint

Json = dict[str, Any]
_SECONDS = "seconds"
_KEEP_SECONDS = 5.0


class Observer(Protocol):
    """Who watches a run: a terminal, a log, a notebook."""

    def started(self, step: Step) -> None:
        """A step begins (it is not cached)."""

    def progress(self, step: Step, done: float, total: float, facts: Mapping[str, float | str]) -> None:
        """A running step reports."""

    def finished(self, step: Step, seconds: float) -> None:
        """A step was made."""

    def failed(self, step: Step, error: RunError) -> None:
        """A step failed."""

    def log(self, message: str) -> None:
        """A line for the log."""

    def warn(self, message: str) -> None:
        """A warning."""


class FailedInputError(RunError):
    """A step could not run since one of its inputs failed; `origin` is the step that did."""

    def __init__(self, what: str, *, where: str | None = None, remedy: str | None = None) -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.origin = ""


@dataclass(frozen=True)
class Took:
    """What making a step took.

    Attributes:
        seconds: of the attempt that finished it.
        total: of all attempts, those that were stopped or killed included.
        units: what the last attempt had to do, as the step itself counted it; `None` where it did not.
    """

    seconds: float
    total: float
    units: float | None


class Clock:
    """Seconds spent on a step; those of an attempt that does not end it are kept in its work folder."""

    def __init__(self, work: Path) -> None:
        self._file = work / _SECONDS
        try:
            self._before = max(0.0, float(self._file.read_text()))
        except (FileNotFoundError, ValueError):
            self._before = 0.0
        self._started = self._kept = time.monotonic()

    @property
    def seconds(self) -> float:
        """Of this attempt."""
        return time.monotonic() - self._started

    @property
    def total(self) -> float:
        """Of all attempts."""
        return self._before + self.seconds

    def keep(self, every: float = 0.0) -> None:
        """Remember them, unless that was done in the last `every` seconds."""
        if time.monotonic() - self._kept >= every:
            self._kept = time.monotonic()
            # A kill in the middle of this costs a number in a report.
            with contextlib.suppress(FileNotFoundError), where_writable():
                self._file.write_text(f"{self.total:.3f}")


@dataclass
class Context:
    """What a step's function sees; see `StepContext`."""

    config: Json
    settings: Json
    inputs: Mapping[str, Artefact]
    out: Path
    work: Path
    step: Step
    runner: Runner
    clock: Clock
    warnings: list[str] = field(default_factory=list)
    units: float | None = None

    def progress(self, done: float, total: float, **facts: float | str) -> None:
        """Pass live progress on."""
        self.units = total
        self.clock.keep(every=_KEEP_SECONDS)
        self.runner.observer.progress(self.step, done, total, facts)

    def log(self, message: str) -> None:
        """Pass a log line on."""
        self.runner.observer.log(message)

    def warn(self, message: str) -> None:
        """Show a warning and keep it with the artefact."""
        self.warnings.append(message)
        self.runner.observer.warn(message)

    def stop_requested(self) -> bool:
        """Whether the user asked to stop."""
        return self.runner.stop()

    def map(
        self,
        kind: str,
        version: int,
        configs: Sequence[Json],
        function: str,
        *,
        inputs: Mapping[str, Any] | None = None,
        settings: Sequence[Json] | None = None,
        labels: Sequence[str] | None = None,
    ) -> list[Any]:
        """Run sub-steps in the worker pool; see `StepContext.map`."""
        given: Mapping[str, Artefact] = inputs or {}
        contents = {name: artefact.content for name, artefact in given.items()}
        payloads = [payload_of(kind, version, config, contents) for config in configs]
        keys = [fingerprint(payload) for payload in payloads]
        store = self.runner.store
        made = [self.runner.intact(store.find(kind, key)) for key in keys]
        for artefact in made:
            self.warnings += artefact.manifest["cost"].get("warnings", []) if artefact is not None else []
        missing = [i for i, artefact in enumerate(made) if artefact is None]
        settings = settings or [{}] * len(configs)
        calls = [
            Substep(store.root, kind, keys[i], payloads[i], function, configs[i], settings[i], given) for i in missing
        ]
        done = len(configs) - len(missing)
        for i, warnings in zip(missing, self._in_pool(calls), strict=True):
            done += 1
            for message in warnings:
                self.warn(message)
            self.progress(done, len(configs), doing=labels[i] if labels else kind)
            made[i] = self.runner.intact(store.find(kind, keys[i]))
        lost = [keys[i][:12] for i, artefact in enumerate(made) if artefact is None]
        if lost:
            raise RunError(
                f"{self.step.name}: {kind} {', '.join(lost)} cannot be read again as it was written",
                remedy="Check the disk, then run the same command again.",
            )
        return made

    def _in_pool(self, calls: Sequence[Substep]) -> Iterator[list[str]]:
        """Warnings of each sub-step, in order, as they are done; Ctrl-C is heard between and during them."""
        if not calls:
            return
        pool = self.runner.pool()
        try:
            yield from pool.results(pool.submit(calls), self.stop_requested)
        except LostWorkerError as error:
            raise RunError(f"{self.step.name}: {error.what}", remedy=error.remedy) from None


class Runner:
    """Makes artefacts of planned steps in this process, and their sub-steps in a pool.

    Args:
        store: where artefacts are.
        steps: all steps of the plan; inputs refer to them by name.
        observer: who is told.
        workers: processes for sub-steps, on this machine.
        cluster: address of the Ray cluster that makes sub-steps instead; see `RayPool`.
        what: who we are, for others who wait for us.
        holder: whose kept readings of what can change outside are meant; what nobody of that name has read yet is
            taken as others of the store last read it.
        stop: whether to stop at the next safe point.
        retry: try again what failed for good before.
        accepted: knows the same steps under another execution record, whose artefacts stand in for missing ones.
        on_made: told of each step that was made, and what that took.
    """

    def __init__(
        self,
        store: Store,
        steps: Iterable[Step],
        observer: Observer,
        *,
        workers: int = 2,
        cluster: str = "",
        what: str = "",
        holder: str = "",
        stop: Callable[[], bool] = lambda: False,
        retry: bool = False,
        accepted: Runner | None = None,
        on_made: Callable[[Step, Took], None] = lambda step, took: None,
    ) -> None:
        self.store = store
        self.steps = {step.name: step for step in steps}
        self.observer = observer
        store.warn = lambda message: self.observer.warn(message)
        self.workers = workers
        self.cluster = cluster
        self.what = what
        self.holder = holder
        self.stop = stop
        self.retry = retry
        self.accepted = accepted
        self.on_made = on_made
        self.failures: dict[str, RunError] = {}
        self.made: dict[str, float] = {}
        self._found: dict[str, Artefact] = {}
        # Absent as far as was looked; what is made may let a step downstream be found.
        self._absent: set[str] = set()
        self._requests: dict[str, str] = {}
        # What is known to fail, and what will rest on the accepted record, as far as was asked.
        self._known_failures: dict[str, RunError | None] = {}
        self._foreign_ahead: dict[str, bool] = {}
        # To be read again although something is kept.
        self._stale: set[str] = set()
        # Keys of artefacts that rest on the accepted record. Requests must not lead to them without acceptance.
        self._foreign: set[str] = set()
        self._pool: Pool | None = None

    # -- looking ---------------------------------------------------------------------------------------------

    def request(self, name: str) -> str:
        """Identity of a step as far as it is known without running anything."""
        if name not in self._requests:
            step = self.steps[name]
            known = {i: self.request(s) for i, s in step.inputs.items() if i not in step.unkeyed}
            request = fingerprint(step.payload(known))
            if step.changeable:
                # Its key follows from what was really read, and is known also where that has been lost since.
                request = fingerprint({"request": request, "kept": self._kept(step)})
            self._requests[name] = request
        return self._requests[name]

    def find(self, name: str) -> Artefact | None:
        """The artefact of a step when it is there, looking neither upstream nor into its files."""
        if name in self._found:
            return self._found[name]
        if name in self._absent:
            return None
        artefact = self._look(self.steps[name])
        if artefact is None and self.accepted is not None:
            artefact = self.accepted.find(name)
            if artefact is not None:
                self._foreign.add(artefact.key)
        if artefact is not None:
            self._found[name] = artefact
        else:
            self._absent.add(name)
        return artefact

    def _look(self, step: Step) -> Artefact | None:
        if step.changeable:
            kept = self._kept(step)
            return self.store.find(step.kind, kept) if kept else None
        for foreign in (False, True) if self.accepted is not None else (False,):
            key = self.store.resolve(self._pointer(step, foreign=foreign))
            artefact = self.store.find(step.kind, key) if key else None
            if artefact is not None:
                if foreign:
                    self._foreign.add(artefact.key)
                return artefact
        inputs = [(i, self.find(s)) for i, s in step.inputs.items() if i not in step.unkeyed]
        known = {i: artefact for i, artefact in inputs if artefact is not None}
        if len(known) < len(inputs):
            return None
        artefact = self.store.find(step.kind, step.key(step.identities(known)))
        if artefact is not None:
            with where_writable():
                self._remember(step, artefact.key, foreign=self._rests_on_foreign(known))
        return artefact

    def foreign(self, name: str) -> bool:
        """Whether what was found or made of a step rests on the accepted record."""
        return name in self._found and self._found[name].key in self._foreign

    @property
    def used_accepted(self) -> bool:
        """Whether anything that was found or made rests on the accepted record."""
        return any(self.foreign(name) for name in self._found)

    def failure(self, name: str) -> RunError | None:
        """What is known to make this step fail, from this run or an earlier one."""
        if name in self.failures:
            return self.failures[name]
        if self.retry:
            return None
        if name not in self._known_failures:
            self._known_failures[name] = self._known_failure(self.steps[name])
        return self._known_failures[name]

    def _known_failure(self, step: Step) -> RunError | None:
        for upstream in step.inputs.values():
            if self.find(upstream) is None and (error := self.failure(upstream)) is not None:
                return _failed_input(step, upstream, error)
        try:
            record = read_json(self._failure_path(step, foreign=self._will_rest_on_foreign(step.name)))
            return DivergedError(record["what"], where=record["where"], remedy=record["remedy"])
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError):
            return None

    def keep(self) -> None:
        """Hold on to what is kept of all that can change outside: others may read it again for themselves."""
        for step in self.steps.values():
            if step.changeable and (key := self._kept(step)) is not None:
                self.store.remember(self._own_pointer(step), key)

    def forget(self, name: str) -> None:
        """Read a step whose outside input can change again; what others keep of it stays theirs."""
        self._stale.add(name)
        self._found.clear()
        self._requests.clear()
        self._look_again()

    # -- making ----------------------------------------------------------------------------------------------

    def run(self, wanted: Sequence[str]) -> None:
        """Make all wanted steps; failures are collected in `failures`, by step name."""
        try:
            for name in wanted:
                if self.stop():
                    raise Interrupted("stopped on request")
                try:
                    self.ensure(name)
                except RunError as error:
                    self.failures.setdefault(name, error)
        except KeyboardInterrupt:
            # A second Ctrl-C means now: not once the workers are done.
            self._close_pool(now=True)
            raise
        finally:
            self._close_pool()

    def ensure(self, name: str) -> Artefact:
        """The artefact of a step, made if it is not there.

        Raises:
            RunError: when the step, or one that it needs, fails.
        """
        artefact = self.find(name)
        if artefact is not None:
            return artefact
        step = self.steps[name]
        if (known := self.failure(name)) is not None:
            if isinstance(known, FailedInputError):
                self._fail(known.origin, self.failure(known.origin) or known)
            self._fail(name, known)
            raise known
        inputs = {}
        for given, upstream in step.inputs.items():
            try:
                inputs[given] = self.verified(self.ensure(upstream), upstream)
            except RunError as error:
                failed = _failed_input(step, upstream, error)
                self._fail(name, failed)
                raise failed from error
        artefact = self._make(step, inputs)
        self._found[name] = artefact
        self._look_again()
        if step.changeable:
            # Everything downstream is identified through what was read.
            self._requests.clear()
        return artefact

    def verified(self, artefact: Artefact, name: str) -> Artefact:
        """The artefact of a step with its hashes checked; a damaged one is made again."""
        if self.intact(artefact) is None:
            self._lose(name)
            artefact = self.ensure(name)
        return artefact

    def intact(self, artefact: Artefact | None) -> Artefact | None:
        """The artefact where its hashes are right; `None` for none, and for a damaged one, which is said."""
        if artefact is None:
            return None
        try:
            self.store.verify(artefact)
        except DamagedError as error:
            self.observer.warn(f"{error}; it was set aside and is made again")
            return None
        return artefact

    def _look_again(self) -> None:
        """What was made, failed or is to be read again may let others be found, or fail."""
        self._absent.clear()
        self._known_failures.clear()
        self._foreign_ahead.clear()

    def _lose(self, name: str) -> None:
        self._found.pop(name, None)
        if self.accepted is not None:
            self.accepted._lose(name)

    def pool(self) -> Pool:
        """The pool for sub-steps, opened at first use; `run` closes it.

        Raises:
            RequestError: when the cluster cannot be used.
        """
        if self._pool is None and self.cluster:
            from pretrial.execute.cluster import RayPool

            self._pool = RayPool(
                self.cluster,
                self.store,
                workers=self.workers,
                say=lambda message: self.observer.log(message),
                stop=self.stop,
            )
        elif self._pool is None:
            self._pool = LocalPool(self.workers)
        return self._pool

    def _close_pool(self, *, now: bool = False) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close(now=now)

    def _make(self, step: Step, inputs: Mapping[str, Artefact]) -> Artefact:
        payload = step.payload(step.identities(inputs))
        if step.changeable:
            payload["state"] = step.settings["state"]
        foreign = self._rests_on_foreign(inputs)
        mixed = {name: inputs[name].key for name in sorted(step.unkeyed) if name in inputs} if foreign else {}
        if mixed:
            # Going on from another record's checkpoint leads elsewhere than this record alone would.
            payload["accepted"] = mixed
        # What is read outside has no address before it was read; who reads the same at the same time waits.
        key = self._pointer(step) if step.changeable else fingerprint(payload)

        def waiting(holder: str) -> None:
            self.observer.log(f"{step.name}: waiting for {holder}, which is making it")

        with self.store.lock(key, f"{self.what}: {step.name}", waiting, self.stop):
            before = self._kept(step) if step.changeable else key
            artefact = self.store.find(step.kind, before) if before else None
            if artefact is None:
                artefact = self._run(step, key, payload, inputs, foreign=foreign)
                if step.changeable and before and artefact.key != before:
                    self.observer.warn(
                        f"{step.name}: what was read before is lost, and what is installed has changed since; "
                        "what follows from it is made again"
                    )
        self._remember(step, artefact.key, foreign=foreign)
        if step.changeable:
            self._stale.discard(step.name)
            self.store.remember(self._own_pointer(step), artefact.key)
        return artefact

    def _run(self, step: Step, key: str, payload: Json, inputs: Mapping[str, Artefact], *, foreign: bool) -> Artefact:
        out, work = self.store.scratch(key), self.store.work(key)
        clock = Clock(work)
        context = Context(
            json.loads(json.dumps(payload["config"])), dict(step.settings), inputs, out, work, step, self, clock
        )
        self.observer.started(step)
        try:
            facts = load_function(step.function)(context)
            took = Took(clock.seconds, clock.total, context.units)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            cost = {"seconds": took.total, "peak_bytes": peak, "warnings": context.warnings}
            artefact = self.store.commit(step.kind, key, payload, facts, out, cost, outside=step.changeable)
        except RunError as error:
            shutil.rmtree(out, ignore_errors=True)
            if isinstance(error, DivergedError):
                # Going on from before it would only diverge again.
                shutil.rmtree(work, ignore_errors=True)
                record = {"what": error.what, "where": error.where, "remedy": error.remedy}
                write_atomically(self._failure_path(step, foreign=foreign), json.dumps(record))
            else:
                clock.keep()
            self._fail(step.name, error)
            raise
        except BaseException:
            shutil.rmtree(out, ignore_errors=True)
            clock.keep()
            raise
        self._failure_path(step, foreign=foreign).unlink(missing_ok=True)
        self.made[step.name] = took.seconds
        self.on_made(step, took)
        self.observer.finished(step, took.seconds)
        return artefact

    def _fail(self, name: str, error: RunError) -> None:
        """Keep why a step failed, and say it once; what only follows from it is kept unsaid."""
        if name in self.failures:
            return
        self.failures[name] = error
        self._look_again()
        if not isinstance(error, FailedInputError):
            self.observer.failed(self.steps[name], error)

    def _rests_on_foreign(self, inputs: Mapping[str, Artefact]) -> bool:
        return any(artefact.key in self._foreign for artefact in inputs.values())

    def _will_rest_on_foreign(self, name: str) -> bool:
        """Whether a step that is not there yet will be made from something of the accepted record."""
        if self.accepted is None:
            return False
        if name not in self._foreign_ahead:
            self._foreign_ahead[name] = any(
                self.foreign(upstream) if self.find(upstream) is not None else self._will_rest_on_foreign(upstream)
                for upstream in self.steps[name].inputs.values()
            )
        return self._foreign_ahead[name]

    def _remember(self, step: Step, key: str, *, foreign: bool) -> None:
        if foreign:
            self._foreign.add(key)
        self.store.remember(self._pointer(step, foreign=foreign), key)

    def _kept(self, step: Step) -> str | None:
        """Key of the reading we keep of a step whose outside input can change, else of the store's latest."""
        if step.name in self._stale:
            return None
        return self.store.resolve(self._own_pointer(step)) or self.store.resolve(self._pointer(step))

    def _own_pointer(self, step: Step) -> str:
        return fingerprint({"holder": self.holder, "kept": step.payload({})})

    def _pointer(self, step: Step, *, foreign: bool = False) -> str:
        if step.changeable:
            return fingerprint(step.payload({}))
        return self._request_for(step, foreign=foreign)

    def _request_for(self, step: Step, *, foreign: bool) -> str:
        request = self.request(step.name)
        return fingerprint({"request": request, "accepted": True}) if foreign else request

    def _failure_path(self, step: Step, *, foreign: bool) -> Path:
        return self.store.root / "failures" / f"{self._request_for(step, foreign=foreign)}.json"


def _failed_input(step: Step, upstream: str, error: RunError) -> FailedInputError:
    failed = FailedInputError(f"{step.name} was not run: {upstream} failed ({error.what})")
    failed.origin = error.origin if isinstance(error, FailedInputError) else upstream
    return failed
