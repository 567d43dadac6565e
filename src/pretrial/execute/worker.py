"""Processes that run sub-steps beside the main one.

They are spawned, never forked, ignore Ctrl-C (the main process decides), and die with their parent: on Linux the
kernel kills them when it goes, however it goes.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any

from pretrial.store.artefacts import Artefact, Store

Json = dict[str, Any]
_PR_SET_PDEATHSIG = 1


@dataclass
class WorkerContext:
    """What a sub-step sees; see `StepContext`. Its warnings travel back with its result."""

    config: Json
    settings: Json
    inputs: Mapping[str, Artefact]
    out: Path
    work: Path
    warnings: list[str]

    def progress(self, done: float, total: float, **facts: float | str) -> None:
        """Sub-steps are counted whole."""

    def log(self, message: str) -> None:
        """Sub-steps keep no log."""

    def warn(self, message: str) -> None:
        """Keep a warning for the main process."""
        self.warnings.append(message)

    def stop_requested(self) -> bool:
        """The main process stops between sub-steps."""
        return False

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
        """Not available: a sub-step has no sub-steps."""
        raise RuntimeError("a sub-step cannot start sub-steps")


def load_function(path: str) -> Callable[[Any], Json]:
    """The function named `package.module:name`."""
    module, _, name = path.partition(":")
    function: Callable[[Any], Json] = getattr(importlib.import_module(module), name)
    return function


def make_pool(workers: int) -> ProcessPoolExecutor:
    """A pool of spawned processes that die with this one."""
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_start, initargs=(os.getpid(),))


def submit(
    pool: ProcessPoolExecutor, function: Callable[..., Any], calls: Sequence[tuple[Any, ...]]
) -> list[Future[Any]]:
    """Submit one call of a function per tuple of arguments.

    Submitting starts processes. Until one has said that it ignores Ctrl-C it must not get any, so they are born with
    the signal held back. And a spawned process would first run the main script again, which a script that does not
    expect it takes for another run; workers need nothing of it, so they are shown an empty one.
    """
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        return [pool.submit(function, *call) for call in calls]
    finally:
        sys.modules["__main__"] = script
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


def kill_workers(pool: ProcessPoolExecutor) -> None:
    """End a pool's processes at once, whatever they are doing."""
    for process in list((pool._processes or {}).values()):
        process.kill()


def run_substep(
    root: Path,
    kind: str,
    key: str,
    payload: Json,
    function: str,
    config: Json,
    settings: Json,
    inputs: Mapping[str, Artefact],
) -> tuple[str, list[str], bool]:
    """Make one sub-step's artefact unless it is there: its key, its warnings, whether it was made now."""
    store = Store(root)
    with store.lock(key, f"{kind} {key[:8]}"):
        found = store.find(kind, key)
        if found is not None:
            return key, list(found.manifest["cost"].get("warnings", [])), False
        context = WorkerContext(config, settings, inputs, store.scratch(key), store.work(key), [])
        started = time.monotonic()
        try:
            facts = load_function(function)(context)
            cost = {"seconds": time.monotonic() - started, "warnings": context.warnings}
            store.commit(kind, key, payload, facts, context.out, cost)
        except BaseException:
            shutil.rmtree(context.out, ignore_errors=True)
            raise
        return key, context.warnings, True


def _start(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # The parent may have died before the request above took effect.
        if os.getppid() != parent:
            os._exit(1)
