"""The rules that FineWeb added (Penedo et al., *The FineWeb Datasets*, arXiv 2406.17557, section 3.6).

Guarantees: the published thresholds as defaults. FineWeb applied them after Gopher's quality and repetition rules and
C4's without the rule of terminal punctuation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pretrial.corpus.rules.result import Result, Rule
from pretrial.corpus.rules.words import repeated_lines, words_of

_TERMINAL = (".", "!", "?", '"', "'", "”", "’", "…", ":", ";", "。", "！", "？")


@dataclass(frozen=True)
class FineWeb:
    """Drops pages that are lists.

    At least `min_terminal` of the lines end in punctuation; at most `max_short` of them have `short` characters or
    fewer; characters in lines that came before are at most `max_repeated`; at most `max_newlines` line ends a word.
    Lines that are blank do not count as lines, their line ends do.
    """

    name: ClassVar[str] = "fineweb-quality"
    version: ClassVar[int] = 1

    min_terminal: float = 0.12
    short: int = 30
    max_short: float = 0.67
    max_repeated: float = 0.01
    max_newlines: float = 0.3

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        lines = [line.strip() for line in text.split("\n") if line and not line.isspace()]
        if not lines:
            return Result(text, reason="min-terminal", value=0.0)
        terminal = sum(line.endswith(_TERMINAL) for line in lines) / len(lines)
        if terminal < self.min_terminal:
            return Result(text, reason="min-terminal", value=terminal)
        short = sum(len(line) <= self.short for line in lines) / len(lines)
        if short > self.max_short:
            return Result(text, reason="max-short", value=short)
        repeated = repeated_lines(lines)[1]
        if repeated > self.max_repeated:
            return Result(text, reason="max-repeated", value=repeated)
        newlines = text.count("\n") / len(words_of(text))
        return Result(text, reason="max-newlines", value=newlines) if newlines > self.max_newlines else Result(text)


RULES: tuple[type[Rule], ...] = (FineWeb,)
FAMILY = {
    "fineweb": (
        "gopher-repetition",
        "gopher-quality",
        "c4-page",
        ("c4-lines", {"terminal": False}),
        "fineweb-quality",
    )
}
