"""Filler: documents without content, as a placebo for "any other tokens".

Guarantees: a document follows from the kind, the seed and its number alone, on every machine (SHA-256 in counter mode);
sizes are bytes of ASCII text.
Does not: imitate any real distribution. `dyck` has structure and no meaning: balanced brackets of four kinds, after
the nested language of Papadimitriou and Jurafsky (*Learning music helps you read*, EMNLP 2020). `words` has neither:
4,096 pronounceable words drawn one independently of the other, each as often as any.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from pretrial.corpus.readers.record import Item, Record

KINDS = ("dyck", "words")
DOCUMENT_BYTES = 4096
PART_DOCUMENTS = 1024
"""Documents of one shard."""

_OPEN, _CLOSE = "([{<", ")]}>"
_DEEPEST = 64
_CONSONANTS, _VOWELS = "bdfgklmnprstvwxz", "aeio"
_LINE = 12


def parts_of(size: int) -> int:
    """Shards that hold about `size` bytes."""
    return -(-documents_of(size) // PART_DOCUMENTS)


def documents_of(size: int) -> int:
    """Documents that hold about `size` bytes (each ends some bytes below `DOCUMENT_BYTES`)."""
    return -(-size // DOCUMENT_BYTES)


def read_filler(kind: str, seed: int, first: int, count: int) -> Iterator[Item]:
    """Documents `first` … `first + count − 1` of a kind; raises `KeyError` for a kind that is not one of `KINDS`."""
    write = {"dyck": _dyck, "words": _words}[kind]
    for number in range(first, first + count):
        name = f"{kind}/{seed}/{number}"
        yield Record(name, write(_bytes(name)), name, {"kind": kind})


def _bytes(name: str) -> Iterator[int]:
    """An endless stream of bytes that follows from the name."""
    block = 0
    while True:
        yield from hashlib.sha256(f"pretrial filler {name} {block}".encode()).digest()
        block += 1


def _dyck(stream: Iterator[int]) -> str:
    """A balanced string of `DOCUMENT_BYTES` − 1 brackets and spaces, at most `_DEEPEST` deep, and a line end."""
    room = DOCUMENT_BYTES - 2 - DOCUMENT_BYTES % 2
    out: list[str] = []
    stack: list[int] = []
    while len(out) < room:
        byte = next(stream)
        must_close = len(stack) >= min(room - len(out), _DEEPEST)
        if stack and (must_close or byte & 1):
            out.append(_CLOSE[stack.pop()])
        else:
            stack.append(byte >> 1 & 3)
            out.append(_OPEN[stack[-1]])
    return "".join(out) + "\n"


def _words(stream: Iterator[int]) -> str:
    out: list[str] = []
    size = 0
    while True:
        number = next(stream) | (next(stream) & 15) << 8
        word = "".join(_CONSONANTS[number >> shift & 15] + _VOWELS[number >> (shift + 4) & 3] for shift in (0, 6))
        size += len(word) + 1
        if size > DOCUMENT_BYTES:
            return "".join(out).rstrip() + "\n"
        out.append(word + ("\n" if len(out) % _LINE == _LINE - 1 else " "))
