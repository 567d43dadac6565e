"""Where sub-steps run: what a pool is, and the pool of processes on this machine.

Guarantees. A pool runs `run_substep` and nothing else, so what a sub-step writes does not depend on where it ran or
beside how many others. Results come in the order of the calls. Whoever stops taking results leaves nothing in the
queue; what is being made then is finished, unless the pool is closed at once.

Processes of this machine are spawned, never forked, ignore Ctrl-C (the main process decides), and die with their
parent: on Linux the kernel kills them when it goes, however it goes.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any, Protocol

from pretrial.errors import Interrupted, RunError
from pretrial.execute.worker import Substep, run_substep

LOOK_SECONDS = 0.2
"""How long Ctrl-C may go unheard while a sub-step runs."""
_PR_SET_PDEATHSIG = 1


class LostWorkerError(RunError):
    """A process that made a sub-step died, again and again where the pool tries again."""


class Pool(Protocol):
    """Makes sub-steps in other processes."""

    def submit(self, calls: Sequence[Substep]) -> Sequence[Any]:
        """Have sub-steps made; a ticket for each, for `results`."""

    def results(self, tickets: Sequence[Any], stop: Callable[[], bool]) -> Iterator[list[str]]:
        """Warnings of each sub-step, in order, as they are done. Those not begun when the iteration ends are dropped.

        Raises:
            Interrupted: when `stop()` became true while waiting.
            LostWorkerError: when a process died.
            Exception: what a sub-step raised.
        """

    def close(self, *, now: bool = False) -> None:
        """Stop the processes, once each is done with what it has at hand, or `now`."""


class LocalPool:
    """So many processes of this machine, started at first use. Where one dies, all are started anew at the next."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._processes: ProcessPoolExecutor | None = None

    def submit(self, calls: Sequence[Substep]) -> Sequence[Future[list[str]]]:
        """See `Pool`."""
        arguments = [(call,) for call in calls]
        try:
            return submit(self._started(), run_substep, arguments)
        except BrokenProcessPool:
            # One died with nothing to do.
            self.close()
            return submit(self._started(), run_substep, arguments)

    def results(self, tickets: Sequence[Future[list[str]]], stop: Callable[[], bool]) -> Iterator[list[str]]:
        """See `Pool`."""
        try:
            for future in tickets:
                while not future.done():
                    if stop():
                        raise Interrupted("stopped on request")
                    wait([future], timeout=LOOK_SECONDS)
                yield future.result()
        except BrokenProcessPool:
            self.close()
            if stop():
                raise Interrupted("stopped on request") from None
            raise LostWorkerError(
                "a worker process died",
                remedy="Often that is the system's memory running out; try --workers 1.",
            ) from None
        finally:
            for future in tickets:
                future.cancel()

    def close(self, *, now: bool = False) -> None:
        """See `Pool`."""
        processes, self._processes = self._processes, None
        if processes is None:
            return
        shut_down(processes, now=now)

    def _started(self) -> ProcessPoolExecutor:
        if self._processes is None:
            self._processes = make_processes(self._workers)
        return self._processes


def make_processes(workers: int) -> ProcessPoolExecutor:
    """Spawned processes that die with this one."""
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


def shut_down(pool: ProcessPoolExecutor, *, now: bool = False) -> None:
    """Stop a pool's processes, once each is done with what it has at hand, or `now`; Ctrl-C stops them at once.

    The pool's own thread has ended when this returns, also by an exception: else it and the end of the interpreter both
    close one pipe, and one of them complains. Waiting for it must not be `Thread.join`, which takes a thread for
    stopped when Ctrl-C interrupts it (`threading.py`, bpo-45274).
    """
    inside: Any = pool
    thread = inside._executor_manager_thread
    workers = list((pool._processes or {}).values())
    if now:
        _kill(workers)
    pool.shutdown(wait=False, cancel_futures=True)
    if thread is None:
        return
    try:
        while thread.is_alive():
            time.sleep(LOOK_SECONDS / 10)
    except KeyboardInterrupt:
        _kill(workers)
        held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            thread.join()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
        raise


def _kill(workers: Sequence[BaseProcess]) -> None:
    for process in workers:
        process.kill()


def _start(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # The parent may have died before the request above took effect.
        if os.getppid() != parent:
            os._exit(1)
