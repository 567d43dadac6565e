"""Encoded data in files: base64, hexadecimal pairs, `\\uXXXX` escapes, as The Stack v2 knows them (section 2.1).

Guarantees: the spans are those that `ENCODED` finds; they are looked for in C-level primitives, linear in the text,
since most files hold none and every file is asked.
"""

from __future__ import annotations

import re
from itertools import pairwise

# The paper's three forms. A run of the first is tried where it starts only, so that scanning stays linear.
_BASE64 = r"(?<![A-Za-z0-9+/\n=])[A-Za-z0-9+/\n=]{64,}+"
_OTHERS = r"(?:\b(?:0x|\\x)?[0-9a-fA-F]{2}(?:,|\b\s*)){8,}+|(?:\\u[0-9a-fA-F]{4}){8,}+"
ENCODED = re.compile(f"{_BASE64}|{_OTHERS}")
_PAIRS_OR_ESCAPES = re.compile(_OTHERS)

_SHORTEST_BASE64 = 64
_SHORTEST_PAIRS = 23
"""Characters of eight pairs and what parts them; escapes take more."""


def _class(characters: bytes) -> bytes:
    """A table for `bytes.translate`: one for these characters, zero for all others."""
    return bytes(int(code in characters) for code in range(256))


_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_HEXADECIMAL = b"0123456789abcdefABCDEFxu\\"
# In one byte a character, `?` stands for every character above 255, white space too.
_BETWEEN = bytes(code for code in range(256) if chr(code).isspace()) + b",?"
_IN_BASE64 = _class(_LETTERS + b"0123456789+/\n=")
_IN_HEXADECIMAL = _class(_HEXADECIMAL)
_IN_PAIRS = _class(_HEXADECIMAL + _BETWEEN)
_EIGHT_PAIRS = b"\1" * 16


def encoded_spans(text: str) -> list[tuple[int, int]]:
    """Where encoded data begins and ends, in order: the matches of `ENCODED`."""
    data = text.encode("latin-1", "replace")
    spans = _runs(data.translate(_IN_BASE64), _SHORTEST_BASE64)
    # Without what may part them, the digits of eight pairs stand side by side.
    if _EIGHT_PAIRS not in data.translate(_IN_HEXADECIMAL, _BETWEEN):
        return spans
    for start, end in _runs(data.translate(_IN_PAIRS), _SHORTEST_PAIRS):
        # One character more: the expression looks at what follows.
        spans += (match.span() for match in _PAIRS_OR_ESCAPES.finditer(text, start, end + 1))
    spans.sort()
    if any(end > start for (_, end), (start, _) in pairwise(spans)):
        # Forms that overlap: which one is found depends on the other.
        return [match.span() for match in ENCODED.finditer(text)]
    return spans


def _runs(ones: bytes, least: int) -> list[tuple[int, int]]:
    """Runs of at least so many ones, whole: the bytes before and after each are no ones."""
    found: list[tuple[int, int]] = []
    at, size = 0, len(ones)
    while at + least <= size:
        zero = ones.rfind(b"\0", at, at + least)
        if zero < 0:
            end = ones.find(b"\0", at + least)
            found.append((at, end if end >= 0 else size))
            at = found[-1][1]
        else:
            at = zero + 1
    return found
