"""Precision and recall of rules that take code out, on the labelled pages of this folder.

A page's line is prose, code, a mark, blank, or arguable; only the first two count. What a rule takes of a line is
counted in bytes: of a code line it is found, of a prose line it is lost, where the tags of HTML elements, what stands
in inline code elements of a prose line, and the `::` that announces a block count as neither (taking them is what the
rule is for).

    python tests/corpus/rules/labelled/score.py            # the tables of docs/results/code-out.md
"""

from __future__ import annotations

import difflib
import io
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import zstandard

from pretrial.corpus.rules.code_out import CodeOut
from pretrial.corpus.rules.no_code import no_code

FOLDER = Path(__file__).parent
Spans = list[tuple[int, int]]


@dataclass(frozen=True)
class Page:
    """A labelled page; one of `pcm-x` for each line of its text."""

    id: str
    kind: str
    how: str
    source: str
    license: str
    origin: str
    text: str
    labels: str
    half: str

    @property
    def pure(self) -> bool:
        """Whether nothing on the page is code, a mark or arguable."""
        return set(self.labels) <= {"p", "-"}


def pages(half: str | None = None) -> list[Page]:
    """The labelled pages, or those of one half (`fit`, `test`)."""
    with (FOLDER / "pages.jsonl.zst").open("rb") as file:
        stream = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), encoding="utf-8")
        rows = [Page(**json.loads(line)) for line in stream]
    return [page for page in rows if half in (None, page.half)]


@dataclass
class Count:
    """Bytes and lines, summed over pages."""

    pages: int = 0
    found: int = 0
    missed: int = 0
    lost: int = 0
    kept: int = 0
    found_lines: int = 0
    missed_lines: int = 0
    lost_lines: int = 0
    kept_lines: int = 0

    def __iadd__(self, other: Count) -> Count:
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self

    @property
    def precision(self) -> float:
        """Share of the bytes taken that are code."""
        return self.found / max(1, self.found + self.lost)

    @property
    def recall(self) -> float:
        """Share of the code's bytes that are taken."""
        return self.found / max(1, self.found + self.missed)

    @property
    def line_precision(self) -> float:
        """Share of the lines taken that are code; a line is taken when more than half of it is."""
        return self.found_lines / max(1, self.found_lines + self.lost_lines)

    @property
    def line_recall(self) -> float:
        """Share of the lines of code that are taken."""
        return self.found_lines / max(1, self.found_lines + self.missed_lines)

    @property
    def loss(self) -> float:
        """Share of the prose's bytes that are taken."""
        return self.lost / max(1, self.lost + self.kept)


_NEUTRAL = re.compile(r"<(code|tt|samp|kbd)\b[^<>]*>.*?</\1>|<[^<>]*>", re.S)


def count(page: Page, taken: Spans) -> Count:
    """What taking these spans of a page's text finds, misses and loses."""
    gone = bytearray(len(page.text))
    for start, end in taken:
        gone[start:end] = b"\1" * (end - start)
    neutral = bytearray(len(page.text))
    if "</" in page.text:
        for found in _NEUTRAL.finditer(page.text):
            neutral[found.start() : found.end()] = b"\1" * (found.end() - found.start())
    result, at = Count(1), 0
    for line, label in zip(page.text.split("\n"), page.labels, strict=True):
        if label == "p" and line.rstrip().endswith("::"):
            end = at + len(line.rstrip())
            neutral[end - 2 : end] = b"\1\1"
        if label in "pc":
            inside = out = 0
            for offset, character in enumerate(line, at):
                if character.isspace() or (label == "p" and neutral[offset]):
                    continue
                size = len(character.encode())
                if gone[offset]:
                    out += size
                else:
                    inside += size
            if label == "c":
                result.found += out
                result.missed += inside
                result.found_lines += out > inside
                result.missed_lines += out <= inside
            else:
                result.lost += out
                result.kept += inside
                result.lost_lines += out > inside
                result.kept_lines += out <= inside
        at += len(line) + 1
    return result


def code_out(text: str, rule: CodeOut = CodeOut()) -> Spans:  # noqa: B008
    """What `code-out` takes."""
    return [(start, end) for start, end, _ in rule.spans(text)]


def older(text: str) -> Spans:
    """What `no-code` takes: it gives a text without spans, so lines are compared."""
    before, after = text.split("\n"), no_code(text).text.split("\n")
    starts = [0]
    for line in before:
        starts.append(starts[-1] + len(line) + 1)
    spans: Spans = []
    for what, first, last, low, high in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if what == "delete" or (what == "replace" and last - first > high - low):
            spans.append((starts[first], min(len(text), starts[last])))
    return spans


def total(some: Iterable[Page], taking: Callable[[str], Spans]) -> dict[str, Count]:
    """Counts by kind of page; `all`, and `prose only` for the pages without code."""
    counts: dict[str, Count] = {}
    for page in some:
        one = count(page, taking(page.text))
        for name in (page.kind, "all", *(["prose only"] if page.pure else [])):
            counts.setdefault(name, Count()).__iadd__(one)
    return counts


def table(half: str) -> str:
    """Precision and recall on one half by kind of page, as a Markdown table; last, the older rule `no-code`."""
    new = total(pages(half), code_out)
    rows = [
        "| kind of page | pages | code, kB | prose, kB | precision | recall | by line | prose lost |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    names = sorted(name for name in new if name not in ("all", "prose only"))
    for name in [*names, "prose only", "all"]:
        rows.append(_row(name, new[name]))
    rows.append(_row("all, by `no-code`", total(pages(half), older)["all"]))
    return "\n".join(rows)


def _row(name: str, one: Count) -> str:
    coded = one.found + one.missed > 0
    taken = one.found + one.lost > 0
    cells = [name, f"{one.pages}", f"{(one.found + one.missed) / 1000:.1f}", f"{(one.lost + one.kept) / 1000:.1f}"]
    cells += [f"{one.precision:.3f}" if coded and taken else "", f"{one.recall:.3f}" if coded else ""]
    cells += [f"{one.line_precision:.3f} / {one.line_recall:.3f}" if coded and taken else "", f"{one.loss:.2%}"]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    for half in ("test", "fit"):
        print(f"{half}\n\n{table(half)}\n")
