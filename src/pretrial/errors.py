"""Errors that a user can act on.

Every message says what was wrong, where, and what to do. The command line prints it without a traceback and
exits with the class's code. Anything else that escapes is a defect of Pretrial and keeps its traceback.
"""

from __future__ import annotations

import re

_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class PretrialError(Exception):
    """What went wrong, where (file:line and key), and the remedy, each kept apart for machines."""

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, remedy: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments would be lost when a worker process sends the error to its parent.
        return (_rebuild, (type(self), self.what, self.where, self.remedy))

    def __str__(self) -> str:
        # Names and paths may hold anything, and what is wrong is one line; a remedy may be several.
        text = _UNSEEN.sub(_spell, f"{self.where}: {self.what}" if self.where else self.what)
        return f"{text}\n  {self.remedy}" if self.remedy else text


def _spell(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def _rebuild(kind: type[PretrialError], what: str, where: str | None, remedy: str | None) -> PretrialError:
    return kind(what, where=where, remedy=remedy)


class RequestError(PretrialError):
    """The request was wrong: a study file, an option, or something it names. Nothing was spent."""

    exit_code = 2


class RunError(PretrialError):
    """The request was fine and the run failed."""

    exit_code = 1


class Interrupted(PretrialError):
    """Stopped on request; what was done is kept."""

    exit_code = 130


class DivergedError(RunError):
    """A training run met a loss that is not finite. It would do so again, so the failure is remembered."""
