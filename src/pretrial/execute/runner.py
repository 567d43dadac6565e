"""Runs planned steps on this machine: only what is needed, only what is not there, one lock per artefact.

The runner knows nothing of what a step does. It starts from the wanted steps and goes upstream only as far as
something is missing. An input is hashed when a step reads it; a damaged one is made again, and that is said. A
step that fails takes down what depends on it and nothing else. A failure that would repeat (a diverged run)
is remembered, so that a finished study stays finished.
"""

from __future__ import annotations

import json
import resource
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pretrial.errors import DivergedError, Interrupted, RunError
from pretrial.execute.worker import kill_workers, load_function, make_pool, run_substep, submit
from pretrial.plan.steps import Step
from pretrial.store.artefacts import Artefact, DamagedError, Store, payload_of, read_json, write_atomically
from pretrial.store.identity import fingerprint

Json = dict[str, Any]
_LOOK_SECONDS = 0.2


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
    warnings: list[str] = field(default_factory=list)

    def progress(self, done: float, total: float, **facts: float | str) -> None:
        """Pass live progress on."""
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
        calls = [
            (store.root, kind, keys[i], payloads[i], function, configs[i], settings[i] if settings else {}, given)
            for i in missing
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

    def _in_pool(self, calls: Sequence[tuple[Any, ...]]) -> Iterator[list[str]]:
        """Warnings of each sub-step, in order, as they are done; Ctrl-C is heard between and during them."""
        if not calls:
            return
        futures = submit(self.runner.pool(), run_substep, calls)
        try:
            for future in futures:
                while not future.done():
                    if self.stop_requested():
                        raise Interrupted("stopped on request")
                    wait([future], timeout=_LOOK_SECONDS)
                _, warnings, _ = future.result()
                yield warnings
        except BrokenProcessPool:
            self.runner.drop_pool()
            if self.stop_requested():
                raise Interrupted("stopped on request") from None
            raise RunError(
                f"{self.step.name}: a worker process died",
                remedy="Often that is the system's memory running out; try --workers 1.",
            ) from None
        finally:
            for future in futures:
                future.cancel()


class Runner:
    """Makes artefacts of planned steps in this process and a pool beside it.

    Args:
        store: where artefacts are.
        steps: all steps of the plan; inputs refer to them by name.
        observer: who is told.
        workers: processes for sub-steps.
        what: who we are, for others who wait for us.
        holder: whose kept readings of what can change outside are meant; what nobody of that name has read yet is
            taken as others of the store last read it.
        stop: whether to stop at the next safe point.
        retry: try again what failed for good before.
        accepted: knows the same steps under another execution record, whose artefacts stand in for missing ones.
    """

    def __init__(
        self,
        store: Store,
        steps: Iterable[Step],
        observer: Observer,
        *,
        workers: int = 2,
        what: str = "",
        holder: str = "",
        stop: Callable[[], bool] = lambda: False,
        retry: bool = False,
        accepted: Runner | None = None,
    ) -> None:
        self.store = store
        self.steps = {step.name: step for step in steps}
        self.observer = observer
        store.warn = lambda message: self.observer.warn(message)
        self.workers = workers
        self.what = what
        self.holder = holder
        self.stop = stop
        self.retry = retry
        self.accepted = accepted
        self.failures: dict[str, RunError] = {}
        self.made: dict[str, float] = {}
        self._found: dict[str, Artefact] = {}
        # Absent as far as was looked; what is made may let a step downstream be found.
        self._absent: set[str] = set()
        self._requests: dict[str, str] = {}
        # To be read again although something is kept.
        self._stale: set[str] = set()
        # Keys of artefacts that rest on the accepted record. Requests must not lead to them without acceptance.
        self._foreign: set[str] = set()
        self._pool: ProcessPoolExecutor | None = None

    # -- looking ---------------------------------------------------------------------------------------------

    def request(self, name: str) -> str:
        """Identity of a step as far as it is known without running anything."""
        if name not in self._requests:
            step = self.steps[name]
            known = {i: self.request(s) for i, s in step.inputs.items() if i not in step.unkeyed}
            request = fingerprint(step.payload(known))
            if step.changeable:
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
            self._remember(step, artefact.key, foreign=self._rests_on_foreign(known))
        return artefact

    @property
    def used_accepted(self) -> bool:
        """Whether anything that was found or made rests on the accepted record."""
        return any(artefact.key in self._foreign for artefact in self._found.values())

    def failure(self, name: str) -> RunError | None:
        """What is known to make this step fail, from this run or an earlier one."""
        if name in self.failures:
            return self.failures[name]
        if self.retry:
            return None
        step = self.steps[name]
        for upstream in step.inputs.values():
            if self.find(upstream) is None and (error := self.failure(upstream)) is not None:
                return _failed_input(step, upstream, error)
        try:
            record = read_json(self._failure_path(self.request(name)))
        except (FileNotFoundError, ValueError):
            return None
        return DivergedError(record["what"], where=record["where"], remedy=record["remedy"])

    def keep(self) -> None:
        """Hold on to what is kept of all that can change outside: others may read it again for themselves."""
        for step in self.steps.values():
            if step.changeable and (key := self._kept(step)) is not None:
                self.store.remember(self._own_pointer(step), key)

    def forget(self, name: str) -> None:
        """Read a step whose outside input can change again; what others keep of it stays theirs."""
        self._stale.add(name)
        self._found.clear()
        self._absent.clear()
        self._requests.clear()

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
            self._kill_pool()
            raise
        finally:
            self.drop_pool()

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
        self._absent.clear()
        self._found[name] = artefact
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

    def _lose(self, name: str) -> None:
        self._found.pop(name, None)
        if self.accepted is not None:
            self.accepted._lose(name)

    def pool(self) -> ProcessPoolExecutor:
        """The worker pool, started at first use."""
        if self._pool is None:
            self._pool = make_pool(self.workers)
        return self._pool

    def drop_pool(self) -> None:
        """Stop the workers, once each is done with what it has at hand."""
        try:
            if self._pool is not None:
                self._pool.shutdown(cancel_futures=True)
        except KeyboardInterrupt:
            self._kill_pool()
            raise
        finally:
            self._pool = None

    def _kill_pool(self) -> None:
        # A second Ctrl-C means now: not once the workers are done.
        if self._pool is not None:
            kill_workers(self._pool)

    def _make(self, step: Step, inputs: Mapping[str, Artefact]) -> Artefact:
        payload = step.payload(step.identities(inputs))
        if step.changeable:
            payload["state"] = step.settings["state"]
        foreign = self._rests_on_foreign(inputs)
        mixed = {name: inputs[name].key for name in sorted(step.unkeyed) if name in inputs} if foreign else {}
        if mixed:
            # Going on from another record's checkpoint leads elsewhere than this record alone would.
            payload["accepted"] = mixed
        key = fingerprint(payload)

        def waiting(holder: str) -> None:
            self.observer.log(f"{step.name}: waiting for {holder}, which is making it")

        with self.store.lock(key, f"{self.what}: {step.name}", waiting, self.stop):
            artefact = self.store.find(step.kind, key)
            if artefact is None or step.name in self._stale:
                artefact = self._run(step, key, payload, inputs)
        self._remember(step, key, foreign=foreign)
        if step.changeable:
            self._stale.discard(step.name)
            self.store.remember(self._own_pointer(step), key)
            # Everything downstream is identified through what was kept.
            self._requests.clear()
        return artefact

    def _run(self, step: Step, key: str, payload: Json, inputs: Mapping[str, Artefact]) -> Artefact:
        out = self.store.scratch(key)
        context = Context(
            json.loads(json.dumps(payload["config"])),
            dict(step.settings),
            inputs,
            out,
            self.store.work(key),
            step,
            self,
        )
        self.observer.started(step)
        started = time.monotonic()
        try:
            facts = load_function(step.function)(context)
            seconds = time.monotonic() - started
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            cost = {"seconds": seconds, "peak_bytes": peak, "warnings": context.warnings}
            artefact = self.store.commit(step.kind, key, payload, facts, out, cost)
        except RunError as error:
            shutil.rmtree(out, ignore_errors=True)
            if isinstance(error, DivergedError):
                # Going on from before it would only diverge again.
                shutil.rmtree(context.work, ignore_errors=True)
                record = {"what": error.what, "where": error.where, "remedy": error.remedy}
                write_atomically(self._failure_path(self.request(step.name)), json.dumps(record))
            self._fail(step.name, error)
            raise
        except BaseException:
            shutil.rmtree(out, ignore_errors=True)
            raise
        self._failure_path(self.request(step.name)).unlink(missing_ok=True)
        self.made[step.name] = seconds
        self.observer.finished(step, seconds)
        return artefact

    def _fail(self, name: str, error: RunError) -> None:
        """Keep why a step failed, and say it once; what only follows from it is kept unsaid."""
        if name in self.failures:
            return
        self.failures[name] = error
        if not isinstance(error, FailedInputError):
            self.observer.failed(self.steps[name], error)

    def _rests_on_foreign(self, inputs: Mapping[str, Artefact]) -> bool:
        return any(artefact.key in self._foreign for artefact in inputs.values())

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
        request = self.request(step.name)
        return fingerprint({"request": request, "accepted": True}) if foreign else request

    def _failure_path(self, request: str) -> Path:
        return self.store.root / "failures" / f"{request}.json"


def _failed_input(step: Step, upstream: str, error: RunError) -> FailedInputError:
    failed = FailedInputError(f"{step.name} was not run: {upstream} failed ({error.what})")
    failed.origin = error.origin if isinstance(error, FailedInputError) else upstream
    return failed
