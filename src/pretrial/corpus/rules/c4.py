"""The rules of C4 (Raffel et al., *Exploring the Limits of Transfer Learning*, JMLR 21, 2020, section 2.2).

Guarantees: thresholds of the released pipeline as defaults (a line has 3 words, a page 5 sentences; the paper's text
says 5 and 3). Its language filter is the rule `language`, its deduplication that of the study, its list of bad words is
left out: it is not a measure of quality.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pretrial.corpus.rules.result import Result, Rule

_CITATION = re.compile(r"\[(?:\d{1,4}|edit|citation needed)\]")
_SENTENCE = re.compile(r"[.!?][\"'”’)\]]*(?=\s|$)")


@dataclass(frozen=True)
class C4Page:
    """Drops pages that hold `brace` (code) or `filler` (place-holder text, in any case)."""

    name: ClassVar[str] = "c4-page"
    version: ClassVar[int] = 1

    brace: str = "{"
    filler: str = "lorem ipsum"

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        if self.brace and (at := text.find(self.brace)) >= 0:
            return Result(text, reason="brace", value=at)
        if self.filler and (at := text.lower().find(self.filler)) >= 0:
            return Result(text, reason="filler", value=at)
        return Result(text)


@dataclass(frozen=True)
class C4Lines:
    """Keeps the lines that are sentences, and pages with at least `min_sentences` of them.

    A line goes that does not end in `.`, `!`, `?` or `"`, or ends in `...` (with `terminal`); that has
    fewer than `min_words` words or
    one above `max_word` characters; that speaks of JavaScript or holds a phrase of `policy`. Wikipedia's marks `[1]`,
    `[edit]`, `[citation needed]` go from the lines that stay. A sentence ends at `.`, `!` or `?` before white space.
    """

    name: ClassVar[str] = "c4-lines"
    version: ClassVar[int] = 1

    terminal: bool = True
    min_words: int = 3
    max_word: int = 1_000
    min_sentences: int = 5
    policy: tuple[str, ...] = (
        "terms of use",
        "privacy policy",
        "cookie policy",
        "uses cookies",
        "use of cookies",
        "use cookies",
    )

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        kept: list[str] = []
        removed: Counter[str] = Counter()
        sentences = 0
        for line in text.split("\n"):
            reason = self._why_not(line.strip())
            if reason:
                removed[reason] += _size(line) + 1
                continue
            clean = _CITATION.sub("", line) if "[" in line else line
            if clean != line:
                removed["citation"] += _size(line) - _size(clean)
            kept.append(clean)
            sentences += sum(1 for _ in _SENTENCE.finditer(clean))
        if sentences < self.min_sentences:
            return Result(text, reason="min-sentences", value=sentences)
        result = "\n".join(kept)
        if removed:
            # The line end that the last line never had.
            most = max(sorted(removed), key=lambda kind: removed[kind])
            removed[most] += _size(text) - _size(result) - sum(removed.values())
        return Result(result, {kind: removed[kind] for kind in sorted(removed) if removed[kind]})

    def _why_not(self, line: str) -> str:
        if not line:
            return "blank"
        if self.terminal and (not line.endswith((".", "!", "?", '"')) or line.endswith("...")):
            return "no-terminal"
        words = line.split()
        if len(words) < self.min_words:
            return "short"
        if len(line) > self.max_word and max(map(len, words)) > self.max_word:
            return "long-word"
        lower = line.lower()
        if "javascript" in lower:
            return "javascript"
        return "policy" if any(phrase in lower for phrase in self.policy) else ""


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


RULES: tuple[type[Rule], ...] = (C4Page, C4Lines)
FAMILY = {"c4": tuple(rule.name for rule in RULES)}
