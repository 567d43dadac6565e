"""Making one sub-step, in whichever process a pool runs it.

Guarantees. The sub-step is there when `run_substep` returns, and was written whole: into a folder of its own in the
store, hashed, renamed. Of two processes that are asked for the same one, on this machine or another, the second waits
for the lock and finds it made. A process that is killed leaves an unfinished folder, which the next run deletes.
"""

from __future__ import annotations

import importlib
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pretrial.store.artefacts import Artefact, Store

Json = dict[str, Any]


@dataclass(frozen=True)
class Substep:
    """A sub-step to be made: all that its process has to know.

    Attributes:
        root: of the store.
        kind: of artefact.
        key: its identity, the hash of `payload`.
        payload: the recipe.
        function: what makes it, `"package.module:function"`.
        config: what it is made by.
        settings: paths and the like, without identity.
        inputs: finished artefacts.
    """

    root: Path
    kind: str
    key: str
    payload: Json
    function: str
    config: Json
    settings: Json
    inputs: Mapping[str, Artefact]


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


def run_substep(call: Substep) -> list[str]:
    """Make a sub-step's artefact unless it is there; its warnings."""
    store = Store(call.root)
    with store.lock(call.key, f"{call.kind} {call.key[:8]}"):
        found = store.find(call.kind, call.key)
        if found is not None:
            return list(found.manifest["cost"].get("warnings", []))
        out, work = store.scratch(call.key), store.work(call.key)
        context = WorkerContext(call.config, call.settings, call.inputs, out, work, [])
        started = time.monotonic()
        try:
            facts = load_function(call.function)(context)
            cost = {"seconds": time.monotonic() - started, "warnings": context.warnings}
            store.commit(call.kind, call.key, call.payload, facts, out, cost)
        except BaseException:
            shutil.rmtree(out, ignore_errors=True)
            raise
        return context.warnings
