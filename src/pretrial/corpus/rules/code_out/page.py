"""The lines of a page, and what is known of them before any is scored.

Guarantees: all of it follows from the text and from `kinds`, what has been found so far; time is linear in the text.
Does not: decide what is code.
"""

from __future__ import annotations

import re
from functools import cached_property

from pretrial.corpus.rules.measures import deeper_end

TAGS = re.compile(
    r"</?(?:p|a|li|ul|ol|div|span|b|i|em|strong|h[1-6]|t[drh]|table|tbody|thead|dl|dt|dd|br|hr|img|blockquote|section"
    r"|sup|sub|small|font|center|body|html|head|title|meta|link|cite|abbr|var|figure|main|nav|header|footer|article"
    r"|button|input|details|summary)\b[^<>]*>",
    re.I,
)
"""HTML tags of prose: on a page of HTML they are no sign of code."""
_MARKUP = re.compile(r"</(?:p|a|li|h[1-6]|td|em|b|i|div)>|<br\s?/?>|<p>|<p\s[a-z]+=", re.I)
_OPENS_BODY = re.compile(r"(?:async\s+)?(?:def|class)\s+\w+.*:$|\)\s*(?:->.*)?:$")
_LOOK = 400
"""Characters at the end of a line that are searched for the head of a function."""
_LONGEST_STRING = 60
"""Lines of a comment or a string over several lines: one that is longer is taken for a stray mark."""

BESIDE, SHIFTED, APART = 0, 1, 2
"""What stands between two lines with text: nothing, another indentation, or a blank line (or lines that went)."""


class Page:
    """A text as lines.

    Attributes:
        text: the text.
        lines: its lines.
        kinds: for each line the kind of code that it was found to be, `-` for one that is known to be none, or nothing.
        blank: whether each line is blank.
        indents: columns before each line's text, a tab as up to four; 0 for a blank one.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = lines = text.split("\n")
        self.kinds = [""] * len(lines)
        self.blank = [not line or line.isspace() for line in lines]
        self.indents = [
            0 if blank or line[0] not in " \t" else _indent(line) for line, blank in zip(lines, self.blank, strict=True)
        ]

    def mark(self, start: int, end: int, kind: str) -> None:
        """Say of which kind the lines from `start` to before `end` are."""
        self.kinds[start:end] = [kind] * (end - start)

    @cached_property
    def markup(self) -> bool:
        """Whether the page is HTML."""
        return "<" in self.text and bool(_MARKUP.search(self.text))

    @cached_property
    def base(self) -> int:
        """The page's own indentation: the smallest that at least an eighth of its lines have."""
        counts: dict[int, int] = {}
        for indent, blank in zip(self.indents, self.blank, strict=True):
            if not blank:
                counts[indent] = counts.get(indent, 0) + 1
        enough = sum(counts.values()) / 8
        return min((indent for indent, count in counts.items() if count >= enough), default=0)

    @cached_property
    def inside(self) -> set[int]:
        """Lines of a string in three quotes, or of a comment, that opens in code and closes soon enough."""
        found: set[int] = set()
        for mark, close in (('"""', '"""'), ("'''", "'''"), ("/*", "*/")):
            if mark not in self.text:
                continue
            opened = -1
            for at, line in enumerate(self.lines):
                if opened >= 0:
                    if close in line:
                        if at - opened <= _LONGEST_STRING:
                            found.update(range(opened, at + 1))
                        opened = -1
                elif mark in line and self._opens_text(at, mark, close):
                    opened = at
        return found

    def _opens_text(self, at: int, mark: str, close: str) -> bool:
        """Whether a line opens a comment, or a string behind `=`, `(` or a definition, and does not close it."""
        body = self.lines[at].strip()
        if mark == "/*":
            return body.startswith(mark) and close not in body
        before = body[: body.index(mark)].rstrip("rbfu")
        above = self.above(at) if not before else -1
        starts = before.rstrip(" ").endswith("=") or before.endswith("(") or self._opens_body(above)
        return starts and body.count(mark) == 1 and bool(body.strip(mark[0]) or len(body) == 3)

    def _opens_body(self, at: int) -> bool:
        return at >= 0 and bool(_OPENS_BODY.search(self.lines[at].strip()[-_LOOK:]))

    def above(self, at: int) -> int:
        """The line with text above a line, -1 where there is none or it went."""
        at -= 1
        while at >= 0 and self.blank[at] and not self.kinds[at]:
            at -= 1
        return at if at >= 0 and not self.kinds[at] else -1

    def border(self, above: int, at: int) -> int:
        """What stands between two lines: `BESIDE`, `SHIFTED` or `APART`."""
        if above != at - 1:
            return APART
        return SHIFTED if abs(self.indents[at] - self.indents[above]) >= 2 else BESIDE

    def deeper_end(self, start: int, indent: int) -> int:
        """End of the run of blank and deeper lines from `start`, without its last blank lines."""
        return deeper_end(self.blank, self.indents, start, indent)


def _indent(line: str) -> int:
    head = line[: len(line) - len(line.lstrip())]
    return len(head.expandtabs(4)) if "\t" in head else len(head)
