"""The rules of C4 (Raffel et al., *Exploring the Limits of Transfer Learning*, JMLR 21, 2020, section 2.2).

Guarantees: the paper's thresholds as defaults, which are datatrove's, too: 3 words a line, 5 sentences a page. (The
released pipeline, `c4_utils.py` of TensorFlow Datasets, has 5 words and 3 sentences.) What a line is asked, and that
marks of citation go before it is asked, is as in that pipeline; sentences, which it counts by a trained model, are
counted by their ends. Its language filter is the rule `language`, its deduplication that of the study, its list of bad
words is left out: it is not a measure of quality.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any, ClassVar

from pretrial.corpus.rules.result import Result, Rule

_CITATION = re.compile(r"\[(?:\d*+|edit|citation needed)\]")
_SENTENCE_END = re.compile(r"[.!?][\"'”’)\]]*+(?=\s+\S)")
_LINE_END = re.compile(r"(\r\n|\r|\n)")


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

    A line goes that has a word above `max_word` characters. From what is left go Wikipedia's marks `[1]`, `[]`,
    `[edit]` and `[citation needed]`; then a line goes that does not end in `.`, `!`, `?` or `"`, or ends in `...` (with
    `terminal`); that has fewer than `min_words` words; that speaks of JavaScript or holds a phrase of `policy`. A
    sentence ends at `.`, `!` or `?` before white space, and with its line whether that is marked or not.
    """

    name: ClassVar[str] = "c4-lines"
    version: ClassVar[int] = 2
    edits: ClassVar[bool] = True

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
        reason = ""
        for line, end in _lines(text):
            bare = line.strip()
            clean = line
            if "[" in bare:
                bare, clean = _CITATION.sub("", bare), _CITATION.sub("", line)
            reason = self._why_not(line, bare)
            if reason:
                removed[reason] += _size(line) + len(end)
                continue
            if clean != line:
                removed["citation"] += _size(line) - _size(clean)
            kept += (clean, end)
            sentences += 1 + sum(1 for _ in _SENTENCE_END.finditer(bare))
        if sentences < self.min_sentences:
            return Result(text, reason="min-sentences", value=sentences)
        if kept and (end := kept.pop()):
            # What stays ends without a line end, as it would have if nothing had stood below.
            removed[reason] += len(end)
        result = "".join(kept)
        return Result(result, {kind: removed[kind] for kind in sorted(removed) if removed[kind]})

    def _why_not(self, line: str, bare: str) -> str:
        """Why a line goes that is `bare` without white space at its ends and without citations; empty: it stays."""
        if not line or line.isspace():
            return "blank"
        if len(line) > self.max_word and max(map(len, line.split())) > self.max_word:
            return "long-word"
        if self.terminal and (not bare.endswith((".", "!", "?", '"')) or bare.endswith("...")):
            return "no-terminal"
        if len(bare.split()) < self.min_words:
            return "short"
        lower = bare.lower()
        if "javascript" in lower:
            return "javascript"
        return "policy" if any(phrase in lower for phrase in self.policy) else ""


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Each line and its end: a line feed, a carriage return, both, or nothing behind the last line."""
    if "\r" in text:
        pieces = [*_LINE_END.split(text), ""]
        return zip(pieces[::2], pieces[1::2], strict=True)
    lines = text.split("\n")
    return zip(lines, chain(repeat("\n", len(lines) - 1), ("",)), strict=True)


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


RULES: tuple[type[Rule], ...] = (C4Page, C4Lines)
FAMILY = {"c4": tuple(rule.name for rule in RULES)}
