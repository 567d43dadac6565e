"""What a rule says about a document."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from pretrial.corpus.languages import canonical


@dataclass(frozen=True)
class Result:
    """A rule's verdict on one document.

    Attributes:
        text: what stays of the text; of a document that is dropped, the text as it came.
        removed: UTF-8 bytes taken out of a document that stays, by kind; they and what stays add up to what came in,
            unless the rule also writes (a transform).
        reason: why the document is dropped, by the name of the threshold that failed; empty: it stays.
        value: what was measured, for a document that is dropped.
    """

    text: str
    removed: dict[str, int] = field(default_factory=dict)
    reason: str = ""
    value: float | int | str | None = None

    @property
    def dropped(self) -> bool:
        """Whether the document goes."""
        return bool(self.reason)


class Rule(Protocol):
    """A rule or transform: a frozen dataclass whose fields are its thresholds, with the published defaults.

    Calling it is pure: the result follows from the text, the document's fields and the thresholds. `version` is raised
    whenever the result changes for some document. A rule that passes on what a library says names it in `libraries`
    (a class variable; "python" for the language's own parser): its version bears identity, too. A rule that may give
    another text than it got says so with the class variable `edits`; transforms need not.
    """

    name: ClassVar[str]
    version: ClassVar[int]

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        """The verdict on a document with this text and these fields (language, path, licence, …)."""


Check = tuple[str, float | int | str, bool]
"""What a threshold is called, what was measured, and whether that fails it."""


class Measured(ABC):
    """A rule that changes no text: it measures, and a document goes by the first threshold that fails."""

    @abstractmethod
    def checks(self, text: str, fields: Mapping[str, Any]) -> Iterator[Check]:
        """The thresholds in order; what comes after one that fails is not measured."""

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        """The verdict, as every rule gives it."""
        for reason, value, fails in self.checks(text, fields):
            if fails:
                return Result(text, reason=reason, value=value)
        return Result(text)


def language(fields: Mapping[str, Any]) -> str:
    """A document's language as `pretrial.corpus.languages` spells it; empty where it is unknown."""
    return canonical(str(fields.get("language") or ""))
