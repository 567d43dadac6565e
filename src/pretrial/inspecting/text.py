"""Text from outside, made fit to be shown: on a terminal and in Markdown.

Guarantees: nothing that a document, a file name or a licence field holds can move the cursor, change colours, reverse
the direction of reading or hide itself; in Markdown it can neither make markup, HTML, a link nor leave its table cell.
What was spelled out can be seen. Does not: judge what the text says.
"""

from __future__ import annotations

import re
import unicodedata

_ODD = re.compile(r"[^\x20-\x7e]")
_UNSEEN = ("Cc", "Cf", "Cs", "Cn", "Zl", "Zp")
# Needed to write Persian, Hindi and many emoji; they move nothing.
_JOINERS = "\u200c\u200d"
_MARKUP = re.compile(r"[\\`*_\[\]~$]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}
_LINKS = (("://", "&#58;//"), ("www.", "www&#46;"))


def shown(text: str, *, lines: bool = False) -> str:
    """The text with characters that are not seen spelled out (`\\x1b`, `\\u202e`).

    `lines`: line ends stay (a CR before one is left out), and a tab is four spaces.
    """
    if lines:
        text = text.replace("\r\n", "\n").replace("\t", "    ")

    def spelled(match: re.Match[str]) -> str:
        one = match[0]
        if (lines and one == "\n") or one in _JOINERS or unicodedata.category(one) not in _UNSEEN:
            return one
        if one in "\n\r\t":
            return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[one]
        code = ord(one)
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

    return _ODD.sub(spelled, text)


def brief(text: str, most: int = 80) -> str:
    """One line of at most `most` characters."""
    line = shown(" ".join(text.split()))
    return line if len(line) <= most else line[: most - 1] + "…"


def markdown(text: str) -> str:
    """Text that stands in Markdown as itself, on one line that something else begins, also in a table's cell."""
    plain = _MARKUP.sub(lambda match: "\\" + match[0], shown(" ".join(text.split())))
    for character, entity in _ENTITIES.items():
        plain = plain.replace(character, entity)
    for start, broken in _LINKS:
        plain = plain.replace(start, broken)
    return plain


def fenced(text: str, language: str = "") -> str:
    """A code block of Markdown that the text cannot end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{shown(text, lines=True).rstrip()}\n{fence}"
