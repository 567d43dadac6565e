"""How a text is taken for comparison: as words, or as characters without white space.

Guarantees: both forms follow from the text alone; the k-th word of `spelled` is the k-th match of `WORD`, so a place in
either form leads back to characters of the text. Does not: know benchmarks.

A word is a run of letters and digits. Compatibility forms and accents are removed and case is folded; apostrophes,
underscores and combining accents inside a word are dropped; all else is a boundary. White space is what Python counts
as such, and the characters of no width.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

Symbols = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]

WORD = re.compile(r"[^\W_][\w'’\u0300-\u036f]*")
"""A word as it stands in a text."""

_DROPPED = "'_’"
_SPACE = 32
_RARE_SPACE = re.compile("[\x85\xa0\u1680\u180e\u2000-\u200d\u2028\u2029\u202f\u205f\u2060\u3000\ufeff]+")
_ASCII_SPACE = bytes(byte for byte in range(128) if chr(byte).isspace())
_ASCII_WORDS = bytes(
    ord(chr(byte).lower()) if byte >= 128 or chr(byte).isalnum() else _SPACE for byte in range(128)
) + bytes(range(128, 256))

_BASE = 0x2545F4914F6CDD1D
_BLOCK = 1 << 16
_POWERS: Keys = np.cumprod(np.full(_BLOCK, _BASE, np.uint64), dtype=np.uint64)
_INVERSES: Keys = np.cumprod(np.full(_BLOCK, pow(_BASE, -1, 1 << 64), np.uint64), dtype=np.uint64)


class _Folded(dict[int, str]):
    """What becomes of each character beyond ASCII."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if character in _DROPPED or 0x300 <= code <= 0x36F:
            folded = ""
        elif not character.isalnum():
            folded = " "
        else:
            plain = unicodedata.normalize("NFKD", character).casefold()
            folded = "".join(filter(str.isalnum, plain)) or character
        self[code] = folded
        return folded


_FOLDED = _Folded()


def _folded(error: UnicodeError) -> tuple[bytes, int]:
    assert isinstance(error, UnicodeEncodeError)
    return error.object[error.start : error.end].translate(_FOLDED).encode(), error.end


def _unspaced(error: UnicodeError) -> tuple[bytes, int]:
    assert isinstance(error, UnicodeEncodeError)
    return _RARE_SPACE.sub("", error.object[error.start : error.end]).encode(), error.end


# The encoder of ASCII hands over runs of what it cannot encode: the rest of a text is never looked at in Python.
codecs.register_error("pretrial.folded", _folded)
codecs.register_error("pretrial.unspaced", _unspaced)


def spelled(text: str) -> bytes:
    """The words of a text as they are compared, in UTF-8, with one space or more between them."""
    return text.encode("ascii", "pretrial.folded").translate(_ASCII_WORDS, b"'_")


def characters_of(text: str) -> bytes:
    """The bytes of a text as code is compared: without white space of any kind, ASCII letters in lower case."""
    return text.encode("ascii", "pretrial.unspaced").translate(None, _ASCII_SPACE).lower()


def word_places(text: str, wanted: Ints) -> Ints:
    """(begin, end) of some of a text's words in its characters; `wanted` are their numbers, sorted, each once."""
    spans = np.zeros((len(wanted), 2), np.int64)
    matches = WORD.finditer(text)
    at = 0
    for row, number in enumerate(wanted.tolist()):
        spans[row] = next(islice(matches, number - at, None)).span()
        at = number + 1
    return spans


def character_places(text: str, wanted: Ints) -> Ints:
    """(begin, end) of the characters that some bytes of `characters_of` come from; `wanted` as in `word_places`."""
    begins = np.zeros(len(wanted), np.int64)
    at = row = 0
    for start in range(0, len(text), _BLOCK):
        origins = _origins(text[start : start + _BLOCK])
        end = int(np.searchsorted(wanted, at + len(origins)))
        begins[row:end] = origins[wanted[row:end] - at] + start
        at, row = at + len(origins), end
        if row == len(wanted):
            break
    return np.stack([begins, begins + 1], axis=1)


def _origins(text: str) -> Ints:
    """Which character each byte of `characters_of` comes from."""
    codes = np.frombuffer(text.encode("utf-32-le"), "<u4")
    left_out = np.isin(codes, np.frombuffer(_ASCII_SPACE, np.uint8))
    for match in _RARE_SPACE.finditer(text):
        left_out[match.start() : match.end()] = True
    kept = np.flatnonzero(~left_out)
    codes = codes[kept]
    return np.repeat(kept, 1 + (codes >= 0x80) + (codes >= 0x800) + (codes >= 0x10000))


def hash_words(text: bytes) -> tuple[Keys, Symbols, Symbols]:
    """(hash, begin, end) of each word of a `spelled` text: Σ byte_j · base^j modulo 2⁶⁴, by sums over blocks.

    A word of more than a block (64 KB) has the hash 0. Places take 32 bits where the text's length does.
    """
    symbols = np.frombuffer(text, np.uint8)
    place = np.int32 if len(text) < 1 << 31 else np.int64
    hashes: list[Keys] = [np.zeros(0, np.uint64)]
    begins: list[Symbols] = [np.zeros(0, place)]
    ends: list[Symbols] = [np.zeros(0, place)]
    for low, high in _blocks(text):
        if high - low > _BLOCK:
            hashes.append(np.zeros(1, np.uint64))
            begins.append(np.array([low], place))
            ends.append(np.array([high], place))
            continue
        block = symbols[low:high]
        sums = np.zeros(len(block) + 1, np.uint64)
        np.cumsum(block * _POWERS[: len(block)], out=sums[1:])
        inside = np.zeros(len(block) + 2, bool)
        np.not_equal(block, _SPACE, out=inside[1:-1])
        edges = np.flatnonzero(inside[1:] != inside[:-1])
        begin, end = edges[::2], edges[1::2]
        hashes.append((sums[end] - sums[begin]) * _INVERSES[begin])
        begins.append((begin + low).astype(place))
        ends.append((end + low).astype(place))
    return _emptied(hashes), _emptied(begins), _emptied(ends)


def _emptied(parts: list[Any]) -> Any:
    """The parts as one array, and the list empty: of a long text, not all columns are held twice at once."""
    whole = np.concatenate(parts)
    parts.clear()
    return whole


def _blocks(text: bytes) -> Iterator[tuple[int, int]]:
    """Stretches that no word crosses: of a block at most, or one longer word alone."""
    low = 0
    while low < len(text):
        high = low + _BLOCK
        if high < len(text):
            space = text.rfind(b" ", low, high)
            if space < 0:
                space = text.find(b" ", high)
                high = len(text) if space < 0 else space
            else:
                high = space + 1
        yield low, min(high, len(text))
        low = high
