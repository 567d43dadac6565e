"""Rows of unsigned integers, sorted on disk within a budget of memory.

Guarantees: the order is that of the rows as tuples, so it does not depend on how they came in; each row is given once;
memory stays within the budget (and a few hundred kilobytes), whatever the number of rows; files are deleted as they are
read to their end.
Does not: keep rows that were added twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

Columns = npt.NDArray[np.uint64]
"""Rows as columns: shape [columns, rows], each column in one piece."""

_LEAST_ROWS = 1024
_OPEN_FILES = 128


class Sorter:
    """Takes rows in any order, then gives them sorted, each once.

    Args:
        folder: where runs are written; made when needed.
        columns: numbers in a row.
        memory: bytes that may be used, at least about 50 KB a column.
    """

    def __init__(self, folder: Path, columns: int, memory: int) -> None:
        self._folder = folder
        self._columns = columns
        # A row is in the buffer, sorted, and once more without what is repeated; its place in the order, with copies.
        self._capacity = max(_LEAST_ROWS, memory // (8 * (3 * columns + 3)))
        self._block = max(_LEAST_ROWS, self._capacity // (2 * _OPEN_FILES))
        self._fan = max(2, min(_OPEN_FILES, self._capacity // (2 * self._block)))
        self._buffer = np.empty((columns, 0), np.uint64)
        self._filled = 0
        self._runs: list[Path] = []
        self._made = 0

    def add(self, *columns: npt.NDArray[np.uint64]) -> None:
        """Add rows, given as one array a column."""
        count = len(columns[0])
        start = 0
        while start < count:
            take = min(count - start, self._capacity - self._filled)
            self._grow(self._filled + take)
            for place, column in enumerate(columns):
                self._buffer[place, self._filled : self._filled + take] = column[start : start + take]
            self._filled += take
            start += take
            if self._filled == self._capacity:
                self._runs.append(self._write([self._sorted_buffer()]))

    def sorted(self) -> Iterator[Columns]:
        """All rows in order, in pieces. Can be called once; nothing can be added afterwards."""
        last = self._sorted_buffer()
        self._buffer = np.empty((self._columns, 0), np.uint64)
        if not self._runs:
            for start in range(0, last.shape[1], self._block * self._fan):
                yield last[:, start : start + self._block * self._fan]
            return
        if last.shape[1]:
            self._runs.append(self._write([last]))
        del last
        while len(self._runs) > self._fan:
            first, self._runs = self._runs[: self._fan], self._runs[self._fan :]
            self._runs.append(self._write(self._merged(first)))
        yield from self._merged(self._runs)

    def _grow(self, rows: int) -> None:
        if rows > self._buffer.shape[1]:
            size = min(self._capacity, max(rows, 2 * self._buffer.shape[1]))
            larger = np.empty((self._columns, size), np.uint64)
            larger[:, : self._filled] = self._buffer[:, : self._filled]
            self._buffer = larger

    def _sorted_buffer(self) -> Columns:
        rows = _sorted(self._buffer[:, : self._filled])
        self._filled = 0
        return rows

    def _write(self, pieces: Sequence[Columns] | Iterator[Columns]) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"run-{self._made:06d}"
        self._made += 1
        with path.open("wb") as file:
            for piece in pieces:
                for start in range(0, piece.shape[1], self._block):
                    file.write(np.ascontiguousarray(piece[:, start : start + self._block].T).data)
        return path

    def _merged(self, runs: Sequence[Path]) -> Iterator[Columns]:
        readers = [_Reader(path, self._columns, self._block) for path in runs]
        readers = [reader for reader in readers if reader.refill()]
        previous: tuple[int, ...] | None = None
        while readers:
            # What is at most the least of the last rows in hand cannot be followed by anything smaller.
            open_ends = [reader.last() for reader in readers if reader.more]
            bound = min(open_ends) if open_ends else None
            rows = _sorted(np.concatenate([reader.take(bound) for reader in readers], axis=1))
            if previous is not None and rows.shape[1] and tuple(rows[:, 0].tolist()) == previous:
                rows = rows[:, 1:]
            if rows.shape[1]:
                previous = tuple(rows[:, -1].tolist())
                yield rows
            readers = [reader for reader in readers if reader.refill()]


class _Reader:
    """A sorted run, a block of which is in memory."""

    def __init__(self, path: Path, columns: int, rows: int) -> None:
        self._path = path
        self._file = path.open("rb", buffering=0)
        self._columns = columns
        self._rows = rows
        self._left = path.stat().st_size // (8 * columns)
        self._block = np.empty((columns, 0), np.uint64)

    @property
    def more(self) -> bool:
        """Whether the file holds rows behind those in memory."""
        return self._left > 0

    def last(self) -> tuple[int, ...]:
        """The last row in memory."""
        return tuple(self._block[:, -1].tolist())

    def take(self, bound: tuple[int, ...] | None) -> Columns:
        """Rows in memory up to a bound and with it; all of them where there is none."""
        cut = self._block.shape[1] if bound is None else _up_to(self._block, bound)
        taken, self._block = self._block[:, :cut], self._block[:, cut:]
        return taken

    def refill(self) -> bool:
        """Read on when all was taken; whether there are rows in memory. A run that was read is deleted."""
        if not self._block.shape[1] and self._left:
            count = min(self._rows, self._left)
            flat = np.fromfile(self._file, np.uint64, count * self._columns)
            self._block = np.ascontiguousarray(flat.reshape(count, self._columns).T)
            self._left -= count
        if not self._block.shape[1]:
            self._file.close()
            self._path.unlink()
            return False
        return True


def _sorted(rows: Columns) -> Columns:
    """Rows in order, each once."""
    order = np.lexsort(rows[::-1])
    ordered = np.empty((len(rows), len(order)), np.uint64)
    for place, column in enumerate(rows):
        ordered[place] = column[order]
    del order
    fresh = np.zeros(ordered.shape[1], bool)
    fresh[:1] = True
    for column in ordered:
        fresh[1:] |= column[1:] != column[:-1]
    return ordered if fresh.all() else ordered[:, fresh]


def _up_to(rows: Columns, bound: tuple[int, ...]) -> int:
    """How many of the sorted rows are at most the bound."""
    start, end = 0, int(rows.shape[1])
    for column, value in zip(rows, bound, strict=True):
        part = column[start:end]
        start, end = (
            start + int(np.searchsorted(part, np.uint64(value), "left")),
            start + int(np.searchsorted(part, np.uint64(value), "right")),
        )
    return end
