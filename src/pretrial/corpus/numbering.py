"""Names and digests as numbers over all sources, through sorted files: neither is held in memory.

Guarantees: equal names, or digests, have equal numbers, which count up from 0 in the order of the names' SHA-256, or of
the digests themselves; the numbers depend on what there is, not on where it stands. Memory is `MEMORY` and 8 bytes a
row. Names are told apart by 128 bits of their SHA-256.
Does not: give a name back (read it where it stands).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from pretrial.corpus.sorting import Columns, Sorter

MEMORY = 64_000_000
"""Bytes that sorting works in."""
_KEY = 16


def name_keys(names: Any) -> Columns:
    """The keys of an Arrow array of names, shape [2, names]: the first 16 bytes of the SHA-256 of each.

    A name that is there several times is hashed once.
    """
    encoded = pc.dictionary_encode(names)
    digests = [hashlib.sha256(name.encode()).digest()[:_KEY] for name in encoded.dictionary.to_pylist()]
    return _keys(b"".join(digests))[:, encoded.indices.to_numpy()]


def digest_keys(digests: Any) -> Columns:
    """The keys of an Arrow array of 16-byte digests, shape [2, digests]: these themselves."""
    return _keys(b"".join(digests.to_pylist()))


def numbered(keys: Iterable[Columns], rows: int, folder: Path) -> tuple[npt.NDArray[np.int64], int]:
    """The number of each row, and how many different ones there are.

    Args:
        keys: as `name_keys` and `digest_keys` give them, in the order of the rows.
        rows: how many there are in all.
        folder: where sorted files may be written; they are gone afterwards.
    """
    sorter = Sorter(folder, 3, MEMORY)
    at = 0
    for high, low in keys:
        sorter.add(high, low, np.arange(at, at + len(high), dtype=np.uint64))
        at += len(high)
    if at != rows:
        raise ValueError(f"{at} keys for {rows} rows")
    numbers = np.empty(rows, np.int64)
    count = 0
    for fresh, row in _changes(sorter.sorted()):
        numbers[row.astype(np.int64)] = np.cumsum(fresh) + (count - 1)
        count += int(fresh.sum())
    return numbers, count


def distinct(keys: Iterable[Columns], folder: Path) -> int:
    """How many different keys there are; `folder` as above."""
    sorter = Sorter(folder, 2, MEMORY)
    for high, low in keys:
        sorter.add(high, low)
    return sum(piece.shape[1] for piece in sorter.sorted())


def _changes(pieces: Iterable[Columns]) -> Iterator[tuple[npt.NDArray[np.bool_], npt.NDArray[np.uint64]]]:
    """For rows of (high, low, row): whether each differs from the key before it, and its last column."""
    before: tuple[int, int] | None = None
    for high, low, row in pieces:
        fresh = np.empty(len(row), bool)
        fresh[0] = before != (int(high[0]), int(low[0]))
        fresh[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
        before = int(high[-1]), int(low[-1])
        yield fresh, row


def _keys(data: bytes) -> Columns:
    # Big-endian, so that numbers stand in the order of the bytes.
    return np.ascontiguousarray(np.frombuffer(data, ">u8").reshape(-1, 2).T.astype(np.uint64))
