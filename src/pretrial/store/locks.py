"""Exclusive locks between processes, by `flock`.

The kernel releases a lock when its holder dies, however it dies. Python opens files close-on-exec, so a
spawned worker does not inherit the lock; a forked one would hold it after its parent's death, which is why
Pretrial never forks. Who holds a lock is written into it for messages only.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pretrial.errors import Interrupted

_EVERY = 0.1


class HeldError(RuntimeError):
    """Another process holds the lock; `holder` is what it wrote about itself."""

    def __init__(self, path: Path, holder: dict[str, str]) -> None:
        super().__init__(f"{path} is held by {describe(holder)}")
        self.path = path
        self.holder = holder


def describe(holder: dict[str, str]) -> str:
    """Who holds a lock, in words."""
    if not holder:
        return "another process"
    what = f" ({holder['what']})" if holder.get("what") else ""
    return f"process {holder.get('pid', '?')}{what}, since {holder.get('since', '?')}"


@contextmanager
def locked(
    path: Path,
    what: str,
    *,
    wait: bool,
    waiting: Callable[[str], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[None]:
    """Hold the lock at `path` while the block runs.

    With `wait`, waits until it is free or `stop()` is true, calling `waiting(holder in words)` once before.

    Raises:
        HeldError: when it is held and `wait` is false.
        Interrupted: when `stop()` became true while waiting.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Read-write without truncation: a waiting process must not wipe the holder's note.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        # Asked again and again rather than blocking in the kernel, where Ctrl-C would have to wait too.
        while not _taken(descriptor):
            if not wait:
                raise HeldError(path, _note(descriptor))
            if waiting is not None:
                waiting(describe(_note(descriptor)))
                waiting = None
            if stop():
                raise Interrupted(f"stopped while waiting for {describe(_note(descriptor))}")
            time.sleep(_EVERY)
        note = {"pid": str(os.getpid()), "what": what, "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(note).encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _note(descriptor: int) -> dict[str, str]:
    try:
        note = json.loads(os.pread(descriptor, 4096, 0) or b"{}")
    except ValueError:
        return {}
    return {str(key): str(value) for key, value in note.items()} if isinstance(note, dict) else {}
