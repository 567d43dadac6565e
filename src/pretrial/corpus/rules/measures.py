"""What several rules measure of a text: lines, letters, runs. All in C-level primitives, linear in the text."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

_ASCII = bytes(range(128))
_BEYOND_ASCII = bytes(range(128, 256))
_ASCII_NOT_ALPHABETIC = bytes(code for code in range(128) if not chr(code).isalpha())
_ASCII_NOT_ALPHANUMERIC = bytes(code for code in range(128) if not chr(code).isalnum())


def plain_line_ends(text: str) -> str:
    """The text with a line feed for each of its line ends: `\\n`, `\\r\\n`, or `\\r` alone."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


@lru_cache(maxsize=1)
def line_lengths(text: str) -> tuple[int, ...]:
    """Characters of each line, without line ends of any kind; the empty piece behind a last line end is no line.

    The last text asked for is remembered: rules of one family ask for the same text one after the other.
    """
    lengths = tuple(map(len, plain_line_ends(text).split("\n")))
    return lengths[:-1] if len(lengths) > 1 and not lengths[-1] else lengths


def mean_line(text: str) -> float:
    """Mean characters a line."""
    lengths = line_lengths(text)
    return sum(lengths) / len(lengths)


def alphabetic_share(text: str) -> float:
    """Characters that are letters (of any script) over all characters; 0 for an empty text."""
    return _share(text, _ASCII_NOT_ALPHABETIC, str.isalpha)


def alphanumeric_share(text: str) -> float:
    """Characters that are letters or digits over all characters; 0 for an empty text."""
    return _share(text, _ASCII_NOT_ALPHANUMERIC, str.isalnum)


def _share(text: str, others: bytes, counts: Callable[[str], bool]) -> float:
    if not text:
        return 0.0
    if text.isascii():
        return len(text.encode().translate(None, others)) / len(text)
    data = text.encode(errors="surrogatepass")
    # The few characters beyond ASCII are asked one by one, the others counted.
    rare = data.translate(None, _ASCII).decode(errors="surrogatepass")
    common = len(data.translate(None, others + _BEYOND_ASCII))
    return (common + sum(map(counts, rare))) / len(text)


def first_lines(text: str, count: int) -> str:
    """The first `count` lines, found without splitting the whole text; a line feed for each of their line ends."""
    text = plain_line_ends(text)
    at = 0
    for _ in range(count):
        end = text.find("\n", at)
        if end < 0:
            return text
        at = end + 1
    return text[:at]


def deeper_end(blank: Sequence[bool], indents: Sequence[int], start: int, indent: int) -> int:
    """End of the run of blank and deeper-indented lines from `start`, without its last blank lines.

    Args:
        blank: whether each line is blank.
        indents: columns before each line's text.
        start: the first line that may belong to the run.
        indent: what its lines with text have to exceed.
    """
    end = at = start
    while at < len(blank) and (blank[at] or indents[at] > indent):
        at += 1
        if not blank[at - 1]:
            end = at
    return end


_TAG = re.compile(r"<[^<>]*>")
# Both end at the text's end where nothing closes them, and a closing tag ends where the next tag begins: once begun, a
# match never fails, so that no text is read twice.
_UNSEEN = re.compile(r"<(script|style|head|template)\b[^<>]*>(?:[^<]|<(?!/\1))*+(?:</\1[^<>]*>?|\Z)", re.IGNORECASE)
_COMMENT = re.compile(r"<!--(?:[^-]|-(?!->))*+(?:-->|\Z)")


def visible_characters(html: str) -> int:
    """Characters of a page that a browser would show: outside tags, comments, scripts, styles and the head.

    Runs of white space count as one character. An estimate by regular expressions; nothing is parsed.
    """
    shown = _TAG.sub(" ", _UNSEEN.sub(" ", _COMMENT.sub(" ", html)))
    return len(" ".join(shown.split()))
