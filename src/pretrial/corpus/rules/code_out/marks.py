"""Code that is marked as such: fences, elements of HTML, blocks of reStructuredText, doctests, shell sessions.

Guarantees: marks are read as their formats define them, as far as a line's place tells; time is linear in the text.
Does not: parse the formats. What is in doubt (an open fence, an open element) is no mark.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from typing import NamedTuple

from pretrial.corpus.rules.code_out.model import Model
from pretrial.corpus.rules.code_out.page import TAGS, Page

_FENCE = re.compile(r"(?:[>\s]|[-*+]\s|\d{1,3}[.)]\s)*(?P<mark>`{3,}+|~{3,}+)(?P<info>[^`]*)$")
_PYTHON = re.compile(r"\s*(?:>>>(?:\s|$)|(?:In|Out) ?\[\d+\]:)")
_CONTINUED = re.compile(r"\s*(?:>>>|\.\.\.)(?:\s|$)|\s*(?:In|Out) ?\[\d+\]:")
_ITEM = re.compile(r"\s*(?:[-*+•]|\(?(?:\d{1,3}|[a-zA-Z]|#)[.)])\s+(?=\S)")
"""A list mark: what belongs to its item is at least as deep as the item's text."""
QUOTED_MAIL = re.compile(r"(?m)^>{1,2} ?[^>\s]")
"""Lines of mail that quote: there `>>>` is a third quotation."""
_PROMPT = re.compile(
    r"\s*(?:(?:\([\w.-]+\)\s)?\$\s+(?![\d.,]|(?:million|billion|thousand|amount|value|in|per|each|USD?)s?\b)[\w./~\"'({<$-]"
    r"|[\w.-]+@[\w.-]+[:\s][^\s$#%]{0,80}\s?[$#%]\s+\S|[A-Z]:\\[^\s>]{0,80}>\s?\S|PS [A-Z]:\\[^>]{0,80}>"
    r"|(?:mysql|sqlite|psql|ghci|Prelude|scala|julia|irb|node|deno|redis|mongo|lua|iex|spark-sql)"
    r"(?:\([^)\s]{0,20}\))?[\w:*]{0,12}>\s+\S|\w{1,30}[=-]#\s+[\w\\]|\(gdb\)\s|\(Pdb\)\s)"
)
_PROMPT_SIGNS = ("$ ", "> ", "# ", "% ", "(gdb)", "(Pdb)", ":\\")
"""One of these is in each prompt: to look for them is quicker than to match."""
_FORMULA = re.compile(r"\s*\$[^$]*\$(?:[\s.,;:)]|$)|.*\\[a-z]{2,}")
_DIRECTIVES = re.compile(
    r"\s*\.\.\s(?:code-block|code|sourcecode|highlight|ipython|doctest|testcode|testsetup|testcleanup|testoutput|plot"
    r"|parsed-literal|jupyter-execute|literalinclude|productionlist|prompt|graphviz|digraph|command-output)::"
)
_MATHS = re.compile(r"\s*\.\.\s(?:math|rubric|image|figure|table|list-table|csv-table)::")
_TAG = re.compile(r"<(/?)(pre|script|style|code|tt|samp|kbd)\b[^<>]*>", re.I)
_NAMELIKE = re.compile(r"(?:</?[\w-]+>|[\w'’][\w.'’/:-]*(?:\(\))?|--?[\w-]+)$")


def fences(page: Page) -> None:
    """Mark fenced blocks (CommonMark 0.31, section 4.5)."""
    for character in "`~":
        if 3 * character in page.text:
            _fences_of(page, character)


def _fences_of(page: Page, character: str) -> None:
    """Mark the blocks with fences of one character. A pass from the end finds how long a bare one follows each line."""
    lines = page.lines
    longest = [0] * (len(lines) + 1)
    bare = [0] * len(lines)
    for at in range(len(lines) - 1, -1, -1):
        if 3 * character in lines[at]:
            body = lines[at].lstrip("> \t").rstrip()
            bare[at] = len(body) if not body.strip(character) else 0
        longest[at] = max(longest[at + 1], bare[at])
    at = -1
    while longest[at + 1]:
        at += 1
        found = None if page.kinds[at] or 3 * character not in lines[at] else _FENCE.match(lines[at])
        if not found or found["mark"][0] != character or longest[at + 1] < len(found["mark"]):
            continue
        size, end, plain = len(found["mark"]), at + 1, not found["info"].strip()
        above = lines[at - 1].strip() if at else ""
        if plain and above and size >= len(above):
            continue  # It underlines a title.
        while bare[end] < size:
            end += 1
        if plain and end == at + 2 and size > 3 and len(lines[at + 1].strip()) <= size:
            continue  # It overlines one.
        page.mark(at, end + 1, "fence")
        at = end


def rest_blocks(page: Page, model: Model) -> dict[int, int]:
    """Mark doctests, directives and literal blocks.

    Returns:
        lines that end in the `::` of a literal block and say more, with the character where the `::` ends.
    """
    announced: dict[int, int] = {}
    quoted = ">>" in page.text and bool(QUOTED_MAIL.search(page.text))
    dense = 20 * sum(page.blank) < len(page.lines)
    at = 0
    while at < len(page.lines):
        line, start = page.lines[at], at
        at += 1
        if page.blank[start] or page.kinds[start]:
            continue
        indent = page.indents[start]
        if not quoted and _PYTHON.match(line):
            while at < len(page.lines) and not page.blank[at] and page.indents[at] >= indent:
                # Where a page has no blank lines to end an example, a sentence does.
                if (
                    dense
                    and not _CONTINUED.match(page.lines[at])
                    and model.score(page, at) <= -3
                    and page.lines[at].count(" ") > 3
                ):
                    break
                at += 1
            page.mark(start, at, "doctest")
        elif "::" not in line:
            continue
        elif _DIRECTIVES.match(line):
            at = page.deeper_end(at, indent)
            page.mark(start, at, "directive")
        elif _MATHS.match(line):
            at = page.deeper_end(at, indent)
            page.mark(start, at, "-")
        elif line.rstrip().endswith("::") and not line.lstrip().startswith(".. "):
            if at == len(page.lines) or not page.blank[at]:
                continue
            item = _ITEM.match(line)
            end = page.deeper_end(at, len(item[0]) if item else indent)
            if end > at:
                page.mark(at, end, "literal")
                if line.strip() == "::":
                    page.kinds[start] = "literal"  # It says nothing any more.
                else:
                    announced[start] = len(line.rstrip())
                at = end
    return announced


def sessions(page: Page, model: Model) -> None:
    """Mark lines with a shell's prompt and the output below them."""
    at = 0
    while at < len(page.lines):
        if not _prompts(page, at):
            at += 1
            continue
        page.kinds[at] = "shell"
        at += 1
        while at < len(page.lines) and not page.blank[at] and not page.kinds[at]:
            if not (page.lines[at - 1].rstrip().endswith("\\") or _prompts(page, at) or model.score(page, at) > -1.0):
                break
            page.kinds[at] = "shell"
            at += 1


def _prompts(page: Page, at: int) -> bool:
    """Whether a line starts with a shell's prompt; `$x$` is a formula."""
    line = page.lines[at]
    if not any(sign in line for sign in _PROMPT_SIGNS):
        return False
    return not page.kinds[at] and bool(_PROMPT.match(line)) and not _FORMULA.match(line[:240])


class Elements(NamedTuple):
    """What of HTML elements goes: spans (start, end, kind) of a text, none overlapping another."""

    model: Model
    inline_chars: int
    inline_words: int

    def spans(self, text: str) -> list[tuple[int, int, str]]:
        """Spans of the elements that hold code, and of the marks of those inside a line."""
        tags = [(found.start(), found.end(), found[1] == "/", found[2].lower()) for found in _TAG.finditer(text)]
        closing, opening = _places(tags, True), _places(tags, False)
        spans: list[tuple[int, int, str]] = []
        number = 0
        while number < len(tags):
            start, inner, closes, name = tags[number]
            last = _next(closing.get(name, []), number)
            number += 1
            if closes or last is None:
                continue
            again = _next(opening[name], number - 1)
            if again is not None and again < last:
                continue  # It is never closed: the next one of its name is.
            stop, end = tags[last][:2]
            coded = _next(opening.get("code", []), number - 1) or last
            spans += self._element(name, (start, inner, stop, end), text[inner:stop], coded < last)
            number = last + 1
        return spans

    def _element(
        self, name: str, places: tuple[int, int, int, int], body: str, coded: bool
    ) -> list[tuple[int, int, str]]:
        """What of one element goes; `places`: where its tags start and end; `coded`: whether `<code>` is in it."""
        start, inner, stop, end = places
        if name == "pre" and not coded and "<span" not in body and self._is_prose(body):
            return []
        if name in ("script", "style", "pre") or (name == "code" and "\n" in body.strip()):
            return [(start, end, "html")]
        if self._is_name(body):
            return [(start, inner, "inline"), (stop, end, "inline")]
        return [(start, end, "inline")]

    def _is_name(self, body: str) -> bool:
        """Whether what an inline element holds reads as words of the sentence."""
        shown = html.unescape(_TAG.sub("", TAGS.sub("", body[: 20 * self.inline_chars + 400])))
        words = shown.split()
        return len(shown) <= self.inline_chars and len(words) <= self.inline_words and all(map(_NAMELIKE.match, words))

    def _is_prose(self, body: str) -> bool:
        """Whether no line of a text scores as code, and on average e² to one are in favour of prose."""
        page = Page(html.unescape(TAGS.sub("", body)))
        filled = [at for at, blank in enumerate(page.blank) if not blank]
        page.base = min((page.indents[at] for at in filled), default=0)
        scores = [self.model.score(page, at) for at in filled]
        return all(score < 0 for score in scores) and sum(scores) <= -2 * len(scores)


_Tag = tuple[int, int, bool, str]


def _places(tags: list[_Tag], closes: bool) -> dict[str, list[int]]:
    """The numbers of the tags that close, or open, by name."""
    places: dict[str, list[int]] = {}
    for number, tag in enumerate(tags):
        if tag[2] == closes:
            places.setdefault(tag[3], []).append(number)
    return places


def _next(places: list[int], number: int) -> int | None:
    """The first of the places behind one."""
    after = bisect_right(places, number)
    return places[after] if after < len(places) else None
