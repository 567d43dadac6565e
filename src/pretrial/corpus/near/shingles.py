"""What a shingle is: the one definition that signatures and verification share.

Guarantees: two texts that differ in case, punctuation, white space or canonically equivalent characters have the same
words; time is linear in the text; a text is worked on alone, so batches and shards change nothing.
Does not: stem, transliterate, or drop digits (in code they matter).

Definition, version `spec.SHINGLES`:

1. The text in Unicode's normal form C, then fully case-folded.
2. A word is a longest run of letters, digits, marks and underscores (`str.isalnum`, general category M, `_`). In the
   scripts written without spaces (Thai, Lao, Burmese, Khmer, kana, Han) each such character is a word. All else
   parts words and is dropped.
3. A shingle is a run of n words, joined by single spaces. A document of fewer words is one shingle, all its words; one
   without words has none, and is near to nothing.

Which characters are letters follows the Unicode version of the running Python; it is part of what identifies signatures
(`spec.versions`).
"""

from __future__ import annotations

import functools
import hashlib
import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]

_WORD = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_")
_ASCII = bytes(range(128))
_TO_WORDS = bytes(
    byte if byte > 127 else lower if (lower := ord(chr(byte).lower())) in _WORD else 32 for byte in range(256)
)
_ALONE = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # ideographic iteration and closing marks, zero
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),  # half-width Katakana
    (0x1AFF0, 0x1B16F),
    (0x20000, 0x3FFFD),
)
_FEW = 24
_PIECE = 1_000_000
_CACHED_WORDS = 100_000
_CACHED_LENGTH = 64


def normalise(text: str) -> bytes:
    """A text's words, joined by single spaces, in UTF-8."""
    data = text.encode() if text.isascii() else _folded(unicodedata.normalize("NFC", text))
    words = (b" ".join(piece.split()) for piece in _pieces(data.translate(_TO_WORDS)))
    return b" ".join(piece for piece in words if piece)


def windows(normal: bytes, words: int) -> int:
    """Number of shingles of a normalised text, repeated ones counted each time; 0 for a text without words."""
    return max(1, normal.count(b" ") + 2 - words) if normal else 0


def digest(normal: bytes) -> bytes:
    """16 bytes that two normalised texts share when they are equal, and otherwise do not."""
    return hashlib.blake2b(normal, digest_size=16).digest()


def shingle_keys(normal: bytes, words: int) -> Keys:
    """The set of a normalised text's shingles: sorted 64-bit keys, each once.

    A key stands for its shingle. Two different shingles share one with a probability of about 2^-64: among all shingles
    of two documents of a million words each that happens once in ten million pairs of documents.
    """
    if not normal:
        return np.zeros(0, np.uint64)
    parts = (piece.split() for piece in _pieces(normal))
    values = np.concatenate([np.fromiter(map(_VALUES.__getitem__, part), np.uint64, len(part)) for part in parts])
    width = min(words, len(values))
    count = len(values) - width + 1
    keys = np.zeros(count, np.uint64)
    for place in range(width):
        keys += values[place : place + count] * _factor(place)
    keys.sort()
    fresh = np.ones(count, bool)
    np.not_equal(keys[1:], keys[:-1], out=fresh[1:])
    return keys[fresh]


def common(first: Keys, second: Keys) -> int:
    """How many shingles two documents share, from their `shingle_keys`."""
    both = np.concatenate([first, second])
    both.sort()
    return int(np.count_nonzero(both[1:] == both[:-1]))


def common_with_each(one: Keys, others: Sequence[Keys]) -> npt.NDArray[np.int64]:
    """How many shingles one document shares with each of others: `common`, several times faster for many small ones."""
    if len(others) == 1 or not len(one):
        return np.array([common(one, other) for other in others], np.int64)
    keys = np.concatenate(others)
    place = np.searchsorted(one, keys)
    # What is larger than all is compared with the first, which it is not.
    place[place == len(one)] = 0
    count = np.concatenate([[0], np.cumsum(one[place] == keys)])
    shared: npt.NDArray[np.int64] = np.diff(count[np.cumsum([0, *map(len, others)])])
    return shared


class _Folding(dict[int, str]):
    """What each character beyond ASCII becomes, found when it is first met."""

    def __missing__(self, code: int) -> str:
        folded = "".join(map(_spaced, chr(code).casefold())) if code > 127 else chr(code)
        self[code] = folded
        return folded


class _Values(dict[bytes, int]):
    """A number of 64 bits for each word; those met lately are kept."""

    def __missing__(self, word: bytes) -> int:
        value = int.from_bytes(hashlib.blake2b(word, digest_size=8).digest(), "little")
        if len(word) <= _CACHED_LENGTH:
            if len(self) >= _CACHED_WORDS:
                self.clear()
            self[word] = value
        return value


_FOLDING = _Folding()
_VALUES = _Values()


def _folded(text: str) -> bytes:
    """Case-folded, with spaces for what is in no word and around characters that are words: beyond ASCII."""
    data = text.encode()
    beyond = set(data.translate(None, _ASCII).decode())
    changed = sorted(character for character in beyond if _FOLDING[ord(character)] != character)
    if len(changed) > _FEW:
        return text.translate(_FOLDING).encode()
    # English with its dashes and quotes: several times faster than a look at each character.
    for character in changed:
        data = data.replace(character.encode(), _FOLDING[ord(character)].encode())
    return data


def _pieces(data: bytes) -> Iterator[bytes]:
    """The bytes in pieces cut at spaces: the words of a large document never all exist at once."""
    start = 0
    while len(data) - start > _PIECE:
        # A word longer than a piece is kept whole.
        end = data.find(b" ", start + _PIECE)
        if end < 0:
            break
        yield data[start:end]
        start = end + 1
    yield data[start:] if start else data


def _spaced(character: str) -> str:
    if not (character.isalnum() or character == "_" or unicodedata.category(character)[0] == "M"):
        return " "
    code = ord(character)
    return f" {character} " if any(first <= code <= last for first, last in _ALONE) else character


@functools.cache
def _factor(place: int) -> np.uint64:
    # Odd, so that no place loses a bit of its word.
    drawn = hashlib.blake2b(f"place {place}".encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(drawn, "little") | 1)
