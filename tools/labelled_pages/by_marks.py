"""Labels that follow from the marks of a page, by parsers that share nothing with the rule."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

from markdown_it import MarkdownIt

from labelled_pages.base import BLANK, CODE, EITHER, MARK, PROSE


def markdown_labels(text: str) -> str:
    """Labels by CommonMark: fences and indented code blocks, wherever they are nested."""
    lines = text.split("\n")
    labels = [PROSE if line.strip() else BLANK for line in lines]
    for token in MarkdownIt("commonmark").parse(text):
        if token.map is None or token.type not in ("fence", "code_block"):
            continue
        start, end = token.map
        for at in range(start, min(end, len(lines))):
            labels[at] = CODE if lines[at].strip() else BLANK
        if token.type == "fence":
            labels[start] = MARK
            last = lines[min(end, len(lines)) - 1].strip().lstrip("> ")
            if end - 1 > start and last and not last.strip(token.markup[0]):
                labels[end - 1] = MARK
    return "".join(labels)


DIRECTIVES = ("code-block", "code", "sourcecode", "ipython", "doctest", "testcode", "testsetup", "testoutput", "plot",
              "parsed-literal", "jupyter-execute", "highlight", "literalinclude", "productionlist")  # fmt: skip


def rest_labels(text: str) -> str:
    """Labels by reStructuredText: literal blocks, directives that hold code, doctest blocks."""
    lines = text.split("\n")
    labels = [PROSE if line.strip() else BLANK for line in lines]

    def deep(start: int, indent: int) -> int:
        end = start
        for at in range(start, len(lines)):
            if lines[at].strip():
                if len(lines[at]) - len(lines[at].lstrip()) <= indent:
                    break
                end = at + 1
        return end

    at = 0
    while at < len(lines):
        line = lines[at].rstrip()
        indent = len(line) - len(line.lstrip())
        mark = re.match(r"\s*(?:[-*+]|\(?(?:\d{1,3}|[a-zA-Z]|#)[.)])\s+(?=\S)", line)
        if mark:  # What belongs to an item is as deep as its text.
            indent = len(mark[0])
        found = re.match(r"\s*\.\. ([\w-]+)::", line)
        if found and found[1] in DIRECTIVES:
            end, inside = deep(at + 1, indent), False
            labels[at] = MARK
            for one in range(at + 1, end):
                if lines[one].strip():
                    inside = inside or not lines[one].strip().startswith(":")
                    labels[one] = CODE if inside else MARK
            at = max(end, at + 1)
        elif (
            line.endswith("::")
            and not line.lstrip().startswith(".. ")
            and at + 1 < len(lines)
            and not lines[at + 1].strip()
        ):
            end = deep(at + 1, indent)
            if line.strip() == "::":
                labels[at] = MARK
            for one in range(at + 1, end):
                labels[one] = CODE if lines[one].strip() else BLANK
            at = max(end, at + 1)
        elif line.lstrip().startswith(">>>"):
            while at < len(lines) and lines[at].strip() and len(lines[at]) - len(lines[at].lstrip()) >= indent:
                labels[at] = CODE
                at += 1
        else:
            at += 1
    return "".join(labels)


class _Elements(HTMLParser):
    """Where `<pre>`, `<script>` and `<style>` start and end, and where text lies, as (line, column)."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.open: list[str] = []
        self.code: list[tuple[tuple[int, int], tuple[int, int]]] = []
        self.words: list[tuple[int, int]] = []
        self.inline: list[tuple[int, int]] = []
        self.names = 0
        self.start = (0, 0)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.names += tag == "code"
        if tag in ("pre", "script", "style"):
            if not self.open:
                self.start = self.getpos()
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.names -= tag == "code"
        if self.open and tag == self.open[-1]:
            self.open.pop()
            if not self.open:
                line, column = self.getpos()
                self.code.append((self.start, (line, column + len(tag) + 3)))

    def handle_data(self, data: str) -> None:
        line, column = self.getpos()
        for row, part in enumerate(data.split("\n")):
            if part.strip():
                place = (line + row, column if row == 0 else 0)
                self.words.append(place)
                if self.names > 0:
                    self.inline.append(place)


def html_labels(text: str) -> str:
    """Labels by HTML: inside `<pre>`, `<script>` and `<style>`.

    A line with text inside and outside, or with nothing but inline code, is arguable.
    """
    parser = _Elements()
    parser.feed(text)
    parser.close()
    lines = text.split("\n")
    labels = []
    for number, line in enumerate(lines, 1):
        starts = [place for place in parser.words if place[0] == number]
        inside = [any(start <= place < end for start, end in parser.code) for place in starts]
        touched = any(start[0] <= number <= end[0] for start, end in parser.code)
        if not line.strip():
            labels.append(BLANK)
        elif not starts:
            labels.append(MARK if touched else PROSE)
        else:
            named = set(parser.inline).issuperset(starts)  # nothing but inline code: a heading that names a function
            labels.append(CODE if all(inside) else EITHER if any(inside) or named else PROSE)
    return "".join(labels)


def fenced(text: str, labels: str) -> bool:
    """Whether all code of a page is inside fences."""
    inside = False
    for label in labels:
        inside ^= label == MARK
        if label == CODE and not inside:
            return False
    return not inside


def only_fences(text: str) -> str:
    """Labels by CommonMark's fences alone: in this source four columns are the remains of lists."""
    labels = markdown_labels(text)
    inside, found = False, []
    for label in labels:
        inside ^= label == MARK
        found.append(label if inside or label != CODE else PROSE)
    return "".join(found)


def tagged(text: str, labels: str) -> bool:
    """Whether each fence names a language that is one (so that what it holds is code)."""
    opened, inside = [], False
    for line, label in zip(text.split("\n"), labels, strict=True):
        if label == MARK:
            inside = not inside
            if inside:
                opened.append(line.strip().strip("`~").strip().lower())
    other = re.compile(r"text|txt|plain|ignore|none|md|markdown|output|mermaid")
    return bool(opened) and all(name and not other.match(name) for name in opened)
