"""Finished artefacts as a report reads them: what it reads of their files was hashed first.

Facts come from manifests. A file whose hash is wrong is never read: its artefact is set aside, and made again or
counted as missing, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pretrial.errors import RunError
from pretrial.execute.runner import FailedInputError, Runner
from pretrial.store.artefacts import Artefact
from pretrial.store.identity import hash_file

DAMAGED = "its files were not what was written, and were set aside: run the study again"


class Shelf:
    """What is there of a plan's steps.

    Args:
        runner: knows where it is.
        make: make what is damaged again, as a run does; else it counts as missing.
        failures: why steps failed, by name, as far as an earlier run said so.
    """

    def __init__(self, runner: Runner, *, make: bool = False, failures: Mapping[str, str] | None = None) -> None:
        self.runner = runner
        self._make = make
        self._failures = dict(failures or {})
        self._sound: dict[str, Artefact] = {}
        self._broken: dict[str, str] = {}

    @property
    def broken(self) -> Mapping[str, str]:
        """Steps whose artefact could not be read as it was written, and why."""
        return self._broken

    def find(self, name: str) -> Artefact | None:
        """The artefact of a step, for its facts."""
        return None if name in self._broken else self.runner.find(name)

    def whole(self, name: str) -> Artefact | None:
        """The artefact of a step with all its files hashed."""
        artefact = self.find(name)
        if artefact is None or name in self._sound:
            return artefact
        try:
            sound = self.runner.verified(artefact, name) if self._make else self.runner.intact(artefact)
        except RunError as error:
            self._broken[name] = error.what
            return None
        if sound is None:
            self._broken[name] = DAMAGED
            return None
        self._sound[name] = sound
        return sound

    def file(self, name: str, file: str) -> Path | None:
        """One file of a step's artefact, hashed alone: a checkpoint is large, and its curve is not."""
        artefact = self.find(name)
        if artefact is None or _is_right(artefact, file):
            return artefact.file(file) if artefact is not None else None
        artefact = self.whole(name)
        if artefact is None or not _is_right(artefact, file):
            self._broken.setdefault(name, DAMAGED)
            return None
        return artefact.file(file)

    def why_not(self, name: str) -> str:
        """Why a step has no artefact, in the words of what failed first; "" where nothing is known to have failed."""
        if name in self._broken:
            return self._broken[name]
        error = self.runner.failure(name)
        if isinstance(error, FailedInputError):
            error = self.runner.failure(error.origin) or error
        return error.what if error is not None else self._failed(name, set())

    def _failed(self, name: str, seen: set[str]) -> str:
        """What an earlier run said of a step, or of what it needs."""
        seen.add(name)
        if name in self._failures:
            return self._failures[name]
        for upstream in self.runner.steps[name].inputs.values():
            if upstream not in seen and self.find(upstream) is None and (why := self._failed(upstream, seen)):
                return why
        return ""


def _is_right(artefact: Artefact, file: str) -> bool:
    try:
        return bool(hash_file(artefact.file(file)) == artefact.manifest["files"][file]["sha256"])
    except FileNotFoundError:
        return False
