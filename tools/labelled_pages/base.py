"""What a labelled page is, and what all parts of the tool use."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "tests" / "corpus" / "rules" / "labelled"
LEAST, MOST = 900, 4000


PROSE, CODE, MARK, BLANK, EITHER = "pcm-x"
"""Labels of a line: prose, code, a mark (a fence, a directive), blank, and both or arguable (left out of scores)."""


@dataclass(frozen=True)
class Document:
    """A whole text with where it comes from."""

    id: str
    text: str
    source: str
    license: str
    origin: str


@dataclass(frozen=True)
class Page:
    """A cut of a document with a label for each line (`text.split("\\n")`)."""

    id: str
    kind: str
    how: str
    source: str
    license: str
    origin: str
    text: str
    labels: str


def digest(text: str) -> str:
    """SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def page(document: Document, kind: str, how: str, text: str, labels: str) -> Page:
    """A page, checked: one label a line, and blank exactly where the line is."""
    lines = text.split("\n")
    if len(lines) != len(labels):
        raise ValueError(f"{document.id}: {len(lines)} lines, {len(labels)} labels")
    fixed = "".join(BLANK if not line.strip() else label for line, label in zip(lines, labels, strict=True))
    return Page(f"{kind}/{document.id}", kind, how, document.source, document.license, document.origin, text, fixed)


def prose_labels(text: str) -> str:
    """Labels of a text without code."""
    return "".join(PROSE if line.strip() else BLANK for line in text.split("\n"))


def windows(document: Document, good: Callable[[list[str]], bool], least: int, most: int) -> str | None:
    """The first run of paragraphs of a document, from a place its id decides, that has the wanted form."""
    lines = document.text.split("\n")
    starts = [at for at in range(len(lines)) if lines[at].strip() and (at == 0 or not lines[at - 1].strip())]
    if not starts:
        return None
    first = int(digest(document.id)[:8], 16) % len(starts)
    for start in starts[first:] + starts[:first]:
        end, size = start, 0
        while end < len(lines) and size + len(lines[end]) < most:
            size += len(lines[end]) + 1
            end += 1
            if size >= least and (end == len(lines) or not lines[end].strip()) and good(lines[start:end]):
                return "\n".join(lines[start:end]).strip("\n")
    return None


def share(lines: list[str], pattern: str) -> float:
    """Share of the lines with text in which a pattern is found."""
    filled = [line for line in lines if line.strip()]
    return sum(bool(re.search(pattern, line)) for line in filled) / max(1, len(filled))
