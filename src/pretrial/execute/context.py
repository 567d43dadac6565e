"""What a step's function sees: its configuration, its inputs, a place to write, a way to report.

Rooms that do work take a `StepContext` and return *facts*: a JSON map, deterministic, kept in the manifest.
What they write to `out` must be the same bytes on every run and for every number of workers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

Json = dict[str, Any]


class ArtefactLike(Protocol):
    """A finished output of a step, as its consumers see it."""

    @property
    def key(self) -> str:
        """Identity of the step that made it."""

    @property
    def content(self) -> str:
        """Hash over files and facts; equal content means equal downstream results."""

    @property
    def path(self) -> Path:
        """Folder of its files."""

    @property
    def facts(self) -> Json:
        """What the step's function returned."""

    def file(self, name: str) -> Path:
        """Path of one of its files; raises `KeyError` when it has none of that name."""


class StepContext(Protocol):
    """The world of a running step."""

    config: Json
    settings: Json
    inputs: Mapping[str, ArtefactLike]
    out: Path
    work: Path

    def progress(self, done: float, total: float, **facts: float | str) -> None:
        """Live progress in units of the step's own choosing."""

    def log(self, message: str) -> None:
        """One line for the run's log."""

    def warn(self, message: str) -> None:
        """A warning: shown now, and kept for the report."""

    def stop_requested(self) -> bool:
        """True once the user pressed Ctrl-C: stop at the next safe point by raising `Interrupted`."""

    def map(
        self,
        kind: str,
        version: int,
        configs: Sequence[Json],
        function: str,
        *,
        inputs: Mapping[str, ArtefactLike] | None = None,
        settings: Sequence[Json] | None = None,
        labels: Sequence[str] | None = None,
    ) -> list[ArtefactLike]:
        """Run sub-steps, each an artefact of its own, in the worker pool; results in the order of `configs`.

        `function` is `"package.module:function"`. Settings carry paths and bear no identity.
        """
