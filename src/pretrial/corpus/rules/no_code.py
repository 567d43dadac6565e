"""`no-code`: takes code out of prose, so that a text mixture holds none.

Guarantees: works line by line on the text alone; lines that stay are unchanged, but for the `::` that
announced a removed block (`:` in its place) and blank lines beside a removed block; removed bytes add up.
Does not: find code inside a sentence, code without any mark or indentation, or prose that stands in a literal
block (it goes with the block).

What is code, in this order:

- `fence`: from a line of three or more backticks (or three or more tildes with a language behind them) to the
  line that closes it (CommonMark 0.31, section 4.5), at any indentation. A fence that is never closed is not
  one: in a document joined from docstrings it would take all that follows. A bare run of backticks at least
  as long as the line above underlines a title.
- `doctest`: from a line that starts with `>>>` (or IPython's `In [1]:`, `Out[1]:`) to a blank line or a line
  indented less than the prompt (doctest's own end of an example is the blank line).
- `directive`: `.. code-block::`, `code`, `sourcecode`, `ipython`, `doctest`, `testcode`, `testsetup`,
  `testoutput`, `plot`, `parsed-literal`, `jupyter-execute`, `literalinclude`, with the lines indented deeper
  than it.
- `literal`: after a line that ends in `::` and a blank line, the lines indented deeper than it
  (reStructuredText, literal blocks).
- `indented`: after a blank line, paragraphs indented by four columns or more and deeper than the line before
  (CommonMark 4.4), as long as at least half of each paragraph's lines look like code (`_CODE_LINE`).

Time is linear in the text: a hostile document costs what its length costs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pretrial.corpus.rules.measures import deeper_end
from pretrial.corpus.rules.result import Result, Rule

_FENCE = re.compile(r"\s*(?P<mark>`{3,}|~{3,})(?P<info>[^`]*)$")
_PROMPT = re.compile(r"\s*(?:>>>(?:\s|$)|(?:In|Out) ?\[\d+\]:)")
_DIRECTIVE = re.compile(
    r"\s*\.\. (?:code-block|code|sourcecode|ipython|doctest|testcode|testsetup|testoutput|plot|parsed-literal"
    r"|jupyter-execute|literalinclude)::"
)
_CODE_LINE = re.compile(
    r"""
      (?:def|class|if|elif|else|for|while|try|except|finally|with|async|switch|case)\b.*[:{]\s*(?:[#/].*)?$
    | (?:from\s+[\w.]+\s+import\b|import\s+[\w.]+(?:\s+as\s+\w+)?;?$)
    | (?:return|raise|yield|assert|del|await|global|nonlocal)\b[^.]*$
    | (?:pass|break|continue|else:|try:|finally:)$
    | @\w[\w.]*(?:\(.*\))?$
    | [\w.\[\]'"*,\ ]*[\w\])'"]\s?(?:[-+*/%|&^@]|//|\*\*|<<|>>|:)?=(?!=)\s*\S
    | [\w.]+\(
    | .*[;{}]$
    | [\])}]+,?$
    | (?:\$|%|>|\#!|//|/\*|\*/)\s?\S
    | </?\w[^>]*>
    | (?:pip|python3?|git|cd|make|npm|sudo|apt|docker|conda)\s+\S+.*[^.]$
    """,
    re.VERBOSE,
)
_INDENT = 4
_LOOK = 1000


def no_code(text: str) -> Result:
    """Take code out of a text; see the module for what counts.

    Args:
        text: any text; lines end in `\\n`.

    Returns:
        The text that is left, without white space at its ends where something was removed, and the UTF-8
        bytes removed by kind (`fence`, `doctest`, `directive`, `literal`, `indented`). A text without code
        comes back as it is.
    """
    if not any(mark in text for mark in ("```", "~~~", ">>>", "::", "]:", "\n    ", "\n\t")):
        return Result(text)
    page = _Page(text)
    lines = page.lines
    kept: list[str] = []
    removed: Counter[str] = Counter()
    at, before = 0, -1  # `before` is the last line with text that was kept.
    while at < len(lines):
        kind, end = page.block(at, before)
        if not kind:
            kept.append(lines[at])
            if lines[at].strip():
                before = at
            at += 1
            continue
        removed[kind] += sum(_size(line) for line in lines[at:end])
        if kind == "literal":
            removed[kind] += _unannounce(kept)
        # One blank line is enough where a block went.
        if not kept or not kept[-1].strip():
            while end < len(lines) and not lines[end].strip():
                removed[kind] += _size(lines[end])
                end += 1
        at = end
    if not removed:
        return Result(text)
    result = "\n".join(kept).strip()
    # What is stripped from the ends goes to the kind that took most, so that it all adds up.
    most = max(removed, key=lambda kind: (removed[kind], kind))
    removed[most] += _size(text) - _size(result) - sum(removed.values())
    return Result(result, {kind: removed[kind] for kind in sorted(removed)})


class _Page:
    """The lines of a text with what the search for blocks asks of them again and again."""

    def __init__(self, text: str) -> None:
        self.lines = text.split("\n")
        self.indents = [_indent(line) for line in self.lines]
        self.blank = [not line.strip() for line in self.lines]
        # Length of the longest bare fence after each line: an opening that nothing closes is known at once.
        self.closing: dict[str, list[int]] = {}
        for character in "`~":
            longest = [0] * (len(self.lines) + 1)
            for at in range(len(self.lines) - 1, -1, -1) if 3 * character in text else ():
                bare = self.lines[at].strip()
                length = len(bare) if bare and not bare.strip(character) else 0
                longest[at] = max(longest[at + 1], length)
            self.closing[character] = longest

    def block(self, at: int, before: int) -> tuple[str, int]:
        """Kind of the block of code that starts at a line, and its end; `("", at)` where none does."""
        if self.blank[at]:
            return self._after_blank(at, before)
        line = self.lines[at]
        if end := self._fence_end(at):
            return "fence", end
        if _PROMPT.match(line):
            return "doctest", self._paragraph_end(at, self.indents[at])
        if _DIRECTIVE.match(line):
            return "directive", deeper_end(self.blank, self.indents, at + 1, self.indents[at])
        return "", at

    def _after_blank(self, at: int, before: int) -> tuple[str, int]:
        """The indented block behind the blank lines that start at `at`; it includes them."""
        if at == 0 or self.blank[at - 1]:
            return "", at
        start = at
        while start < len(self.lines) and self.blank[start]:
            start += 1
        outer = self.indents[before] if before >= 0 else -1
        if start == len(self.lines) or self.indents[start] <= outer:
            return "", at
        if before == at - 1 and self._announces(before):
            return "literal", deeper_end(self.blank, self.indents, start, outer)
        end, indent = at, self.indents[start]
        while indent >= _INDENT and start < len(self.lines) and self.indents[start] >= indent:
            stop = self._paragraph_end(start, indent)
            if not self._is_code(start, stop):
                break
            end = start = stop
            while start < len(self.lines) and self.blank[start]:
                start += 1
        return ("indented", end) if end > at else ("", at)

    def _announces(self, at: int) -> bool:
        line = self.lines[at].strip()
        return line.endswith("::") and not line.startswith(".. ")

    def _is_code(self, start: int, stop: int) -> bool:
        block = [line.strip()[:_LOOK] for line in self.lines[start:stop]]
        # A prompt, fence or directive has a rule of its own, which knows better where it ends.
        if any(_PROMPT.match(line) or _FENCE.match(line) or _DIRECTIVE.match(line) for line in block):
            return False
        return 2 * sum(bool(_CODE_LINE.match(line)) for line in block) >= len(block)

    def _fence_end(self, at: int) -> int:
        """Line after the one that closes the fence opened at `at`; 0 where there is no fence."""
        opened = _FENCE.match(self.lines[at])
        if not opened:
            return 0
        mark, info = opened["mark"], opened["info"].strip()
        if not info:
            above = self.lines[at - 1].strip() if at else ""
            if mark[0] == "~" or (above and len(mark) >= len(above)):
                return 0
        if self.closing[mark[0]][at + 1] < len(mark):
            return 0
        end = at + 1
        while (bare := self.lines[end].strip()).strip(mark[0]) or len(bare) < len(mark):
            end += 1
        return end + 1

    def _paragraph_end(self, start: int, indent: int) -> int:
        """End of the lines from `start` that are not blank and indented at least so much."""
        end = start + 1
        while end < len(self.lines) and not self.blank[end] and self.indents[end] >= indent:
            end += 1
        return end


def _unannounce(kept: list[str]) -> int:
    """Turn the `::` at the end of the last kept line into what readers are shown; bytes removed."""
    line = kept.pop()
    shown = line.rstrip()[:-1]
    if shown.strip() == ":":
        return _size(line)
    if shown.endswith(" :"):
        shown = shown[:-1].rstrip()
    kept.append(shown)
    return _size(line) - _size(shown)


def _indent(line: str) -> int:
    head = line[: len(line) - len(line.lstrip())]
    return len(head.expandtabs(_INDENT))


def _size(line: str) -> int:
    """UTF-8 bytes of a line with its line end."""
    return len(line.encode(errors="surrogatepass")) + 1


@dataclass(frozen=True)
class NoCode:
    """Takes code out of prose by its marks: doctests, fenced code, code directives, literal and indented blocks."""

    name: ClassVar[str] = "no-code"
    version: ClassVar[int] = 1
    edits: ClassVar[bool] = True

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        return no_code(text)


RULES: tuple[type[Rule], ...] = (NoCode,)
