"""True Jaccard similarity of candidate pairs, from texts read once and in order.

Guarantees: a pair's similarity is that of the two sets of shingles (`shingles.shingle_keys`), not an estimate;
documents in no pair are not worked on; memory is bounded by the budget, or by two documents where they are larger,
and 16 bytes for each document that is in a pair.
Does not: compare documents that are in no pair.

The sets wait on disk while pairs are compared: 8 bytes a distinct shingle.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from pretrial.corpus.near.shingles import Keys, common_with_each, normalise, shingle_keys
from pretrial.corpus.near.signatures import batches
from pretrial.execute.context import ArtefactLike

_PAIR_BYTES = 200
_AT_ONCE = 65_536


class Shingles:
    """The sets of shingles of some documents, on disk.

    Args:
        corpora: in the order of the documents' numbers.
        wanted: one flag a document.
        words: words of a shingle.
        path: the file to write.
        passed: called now and then with the number of documents passed; may raise to stop.
    """

    def __init__(
        self,
        corpora: Mapping[str, ArtefactLike],
        wanted: npt.NDArray[np.bool_],
        words: int,
        path: Path,
        passed: Callable[[int], None],
    ) -> None:
        self._documents = np.flatnonzero(wanted).astype(np.uint64)
        self._ends = np.zeros(len(self._documents) + 1, np.int64)
        self._path = path
        with path.open("wb") as file:
            for at, text in enumerate(_texts(corpora, wanted, passed)):
                keys = shingle_keys(normalise(text), words)
                file.write(keys.data)
                self._ends[at + 1] = self._ends[at] + len(keys)
        self._file = path.open("rb", buffering=0)

    def similarities(self, first: Keys, second: Keys, memory: int) -> Iterator[npt.NDArray[np.float64]]:
        """Jaccard similarity of each pair, in order, in pieces whose documents fit into `memory` bytes.

        Args:
            first: document numbers, in ascending order.
            second: document numbers.
            memory: bytes; two documents are held at least.
        """
        a, b = np.searchsorted(self._documents, first), np.searchsorted(self._documents, second)
        for start, end in self._pieces(a, b, memory):
            yield self._compared(a[start:end], b[start:end])

    def members(self, memory: int) -> Iterator[tuple[Keys, Keys]]:
        """(shingles, the document of each) of all documents in order, in pieces of `memory` bytes or one document."""
        at = 0
        while at < len(self._documents):
            end = int(np.searchsorted(self._ends, self._ends[at] + memory // 16, "right")) - 1
            end = max(end, at + 1)
            self._file.seek(8 * int(self._ends[at]))
            keys = np.fromfile(self._file, np.uint64, int(self._ends[end] - self._ends[at]))
            yield keys, np.repeat(self._documents[at:end], np.diff(self._ends[at : end + 1]))
            at = end

    def close(self) -> None:
        """Delete the file."""
        self._file.close()
        self._path.unlink()

    def _pieces(self, a: npt.NDArray[np.int64], b: npt.NDArray[np.int64], memory: int) -> Iterator[tuple[int, int]]:
        """Runs of pairs whose documents fit, found by halving."""
        waiting = [(0, len(a))]
        while waiting:
            start, end = waiting.pop()
            documents = np.unique(np.concatenate([a[start:end], b[start:end]]))
            size = 8 * int((self._ends[documents + 1] - self._ends[documents]).sum()) + _PAIR_BYTES * (end - start)
            if size > memory and end - start > 1:
                middle = (start + end) // 2
                waiting += [(middle, end), (start, middle)]
            elif end > start:
                yield start, end

    def _compared(self, a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        sets = self._read(np.unique(np.concatenate([a, b])))
        first, second = (self._ends[side + 1] - self._ends[side] for side in (a, b))
        shared = np.empty(len(a), np.int64)
        # Pairs with the same first document, about so many shingles of the others at once.
        turn = np.cumsum(second) // _AT_ONCE
        edges = np.flatnonzero((a[1:] != a[:-1]) | (turn[1:] != turn[:-1])) + 1
        for start, end in itertools.pairwise([0, *edges.tolist(), len(a)]):
            shared[start:end] = common_with_each(sets[int(a[start])], [sets[one] for one in b[start:end].tolist()])
        similarities: npt.NDArray[np.float64] = shared / (first + second - shared)
        return similarities

    def _read(self, documents: npt.NDArray[np.int64]) -> dict[int, Keys]:
        """The set of each document; what lies together in the file is read at once."""
        sets: dict[int, Keys] = {}
        for run in np.split(documents, np.flatnonzero(np.diff(documents) > 1) + 1):
            ends = self._ends[run[0] : run[-1] + 2].tolist()
            self._file.seek(8 * ends[0])
            keys = np.fromfile(self._file, np.uint64, ends[-1] - ends[0])
            for one, (start, end) in enumerate(itertools.pairwise(ends), int(run[0])):
                sets[one] = keys[start - ends[0] : end - ends[0]]
        return sets


def _texts(
    corpora: Mapping[str, ArtefactLike], wanted: npt.NDArray[np.bool_], passed: Callable[[int], None]
) -> Iterator[str]:
    """Texts of the wanted documents, in order; groups of rows without any are not read."""
    at = 0
    for corpus in corpora.values():
        for shard in corpus.facts["shards"]:
            with pq.ParquetFile(corpus.file(shard["file"])) as file:
                for group in range(file.num_row_groups):
                    keep = wanted[at : at + file.metadata.row_group(group).num_rows]
                    if keep.any():
                        for texts in batches(file, group, keep):
                            yield from texts
                    at += len(keep)
                    passed(at)
