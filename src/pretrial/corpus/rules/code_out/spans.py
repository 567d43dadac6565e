"""Spans of a text: from lines and elements that are code to the characters that go.

Guarantees: spans do not overlap, lie inside the text and come in order; time is linear in the text.
Does not: decide what is code.
"""

from __future__ import annotations

import re
from bisect import bisect_left

from pretrial.corpus.rules.code_out.page import Page

Span = tuple[int, int, str]
"""Start and end in characters, and the kind of code."""

_FILL = "\x1a"
"""Stands for a character that went; if a text has it itself, a score may differ, nothing else."""


def without(page: Page, spans: list[Span]) -> tuple[Page, list[Span]]:
    """A page with its fences marked, less the spans that start outside them, and those spans.

    Lines that held nothing else are marked `html`. The lines keep their numbers.
    """
    starts = _starts(page.lines)
    spans = [span for span in spans if not page.kinds[bisect_left(starts, span[0] + 1) - 1]]
    if not spans:
        return page, []
    pieces, at = [], 0
    for start, end, _ in spans:
        pieces += [page.text[at:start], re.sub(r"[^\n]+", _FILL, page.text[start:end])]
        at = end
    filled = "".join([*pieces, page.text[at:]])
    cleaned = Page(filled.replace(_FILL, ""))
    for number, line in enumerate(filled.split("\n")):
        if page.kinds[number]:
            cleaned.kinds[number] = page.kinds[number]
        elif cleaned.blank[number] and _FILL in line:
            cleaned.kinds[number] = "html"
    return cleaned, spans


def _starts(lines: list[str]) -> list[int]:
    """Where each line starts, in characters."""
    starts, at = [], 0
    for line in lines:
        starts.append(at)
        at += len(line) + 1
    return starts


def joined(text: str, kinds: list[str], inner: list[Span], announced: dict[int, int]) -> list[Span]:
    """All that goes, in order: whole lines with the blank lines beside them, `::`, and elements inside lines.

    `kinds`: for each line of the text the kind of code that it is, or nothing; blank lines that go are added to it.
    """
    lines = text.split("\n")
    starts = _starts(lines)
    tail = _blank_lines(lines, kinds)
    spans: list[Span] = []
    for number, kind in enumerate(kinds):
        start, line = starts[number], lines[number]
        if kind:
            spans.append((start, min(len(text), start + len(line) + 1), kind))
        elif number in announced and number + 1 < len(lines) and kinds[number + 1]:
            end = start + announced[number]
            before = text[start : end - 2]
            spaced = before[-1:].isspace()  # `word::` keeps a colon, `word ::` none.
            spans.append((start + len(before.rstrip()) if spaced else end - 1, end, "literal"))
    for start, end, kind in inner:
        for number in range(bisect_left(starts, start + 1) - 1, len(lines)):
            if starts[number] >= end:
                break
            first, last = max(start, starts[number]), min(end, starts[number] + len(lines[number]))
            if not kinds[number] and last > first:
                spans.append((first, last, kind))
    if tail is not None:
        number, kind = tail
        end = starts[number] + len(lines[number].rstrip()) if number >= 0 else 0
        spans = [(start, min(stop, end), what) for start, stop, what in spans if start < end]
        spans.append((end, len(text), kind))
    merged: list[Span] = []
    for start, end, kind in sorted(spans):
        if merged and merged[-1][1] == start and merged[-1][2] == kind:
            merged[-1] = (merged[-1][0], end, kind)
        elif end > start:
            merged.append((start, end, kind))
    return merged


def _blank_lines(lines: list[str], kinds: list[str]) -> tuple[int, str] | None:
    """Give blank lines behind a block, but for one, to the block. The last line kept, where blocks end the text."""
    kind, spaced, last = "", True, -1
    for at, line in enumerate(lines):
        if kinds[at]:
            kind = kinds[at]
        elif line and not line.isspace():
            kind, spaced, last = "", False, at
        elif kind and spaced:
            kinds[at] = kind
        else:
            spaced = True
    return (last, kind) if kind else None
