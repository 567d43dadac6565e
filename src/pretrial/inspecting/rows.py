"""Documents of a corpus by their number, and a choice among them that is the same every time.

Guarantees: memory is bounded by a row group of a shard beside what is asked for; the choice follows from the content,
the seed and the number of rows alone, on every machine.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from pretrial.execute.context import ArtefactLike
from pretrial.mixture.order import SourceOrder

Json = dict[str, Any]
_MANY = 10
"""Where more than one in so many rows of a row group is wanted, all of it is taken apart at once."""
Ints = npt.NDArray[np.int64]


def pick(content: str, count: int, wanted: int, seed: int) -> list[int]:
    """`wanted` of the numbers below `count` (all, where there are fewer), each once: a keyed permutation's first."""
    if not count or wanted < 1:
        return []
    draws = np.arange(min(wanted, count))
    chosen: list[int] = SourceOrder(content, count, seed, seed).window(draws)[1].tolist()
    return chosen


def shard_of(corpus: ArtefactLike, row: int) -> tuple[int, int]:
    """(number of the shard, row in it) of a document of a corpus."""
    return shards_of(corpus, [row])[0]


def shards_of(corpus: ArtefactLike, rows: Sequence[int]) -> list[tuple[int, int]]:
    """(number of the shard, row in it) of each of the documents of a corpus."""
    ends = np.cumsum([shard["documents"] for shard in corpus.facts["shards"]], dtype=np.int64)
    asked = np.asarray(rows, np.int64)
    numbers = np.searchsorted(ends, asked, side="right")
    if len(asked) and (asked.min() < 0 or numbers.max() >= len(ends)):
        raise IndexError(f"the corpus has {corpus.facts['documents']} documents")
    firsts = np.concatenate([np.zeros(1, np.int64), ends])[numbers]
    return list(zip(numbers.tolist(), (asked - firsts).tolist(), strict=True))


def read_rows(corpus: ArtefactLike, rows: Sequence[int], columns: Sequence[str]) -> list[Json]:
    """The documents with these numbers, in this order."""
    by_shard: dict[int, dict[int, int]] = {}
    for row, (number, inside) in zip(rows, shards_of(corpus, rows), strict=True):
        by_shard.setdefault(number, {})[inside] = row
    found: dict[int, Json] = {}
    for number, wanted in by_shard.items():
        path = corpus.file(corpus.facts["shards"][number]["file"])
        for inside, one in rows_of_file(path, list(wanted), columns).items():
            found[wanted[inside]] = one
    return [found[row] for row in rows]


def rows_of_file(path: Path, rows: Sequence[int], columns: Sequence[str]) -> dict[int, Json]:
    """Rows of a Parquet file by their number; only the row groups that hold one are read."""
    found: dict[int, Json] = {}
    with pq.ParquetFile(path) as file:
        first = 0
        wanted = sorted(set(rows))
        for group in range(file.num_row_groups):
            many = file.metadata.row_group(group).num_rows
            here = wanted[bisect_left(wanted, first) : bisect_left(wanted, first + many)]
            if here:
                table = file.read_row_group(group, columns=list(columns))
                # Not `take`, which loads pandas: converting a list to Arrow asks it. Row by row costs more each.
                if len(here) * _MANY > many:
                    whole = table.to_pylist()
                    found.update((row, whole[row - first]) for row in here)
                else:
                    found.update((row, table.slice(row - first, 1).to_pylist()[0]) for row in here)
            first += many
    return found


def column_batches(corpus: ArtefactLike, columns: Sequence[str]) -> Iterator[tuple[int, Any]]:
    """(number of the first document, table) of every row group of a corpus, with some columns."""
    at = 0
    for shard in corpus.facts["shards"]:
        with pq.ParquetFile(corpus.file(shard["file"])) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=list(columns))
                yield at, table
                at += table.num_rows


def root_rows(corpus: ArtefactLike, rows: Sequence[int]) -> list[int]:
    """For documents of a derived corpus, the numbers of those that they were made of, in the root's corpus.

    Of a corpus that was read, the same numbers.
    """
    made_of = []
    loaded: dict[int, Ints] = {}
    for row, (number, inside) in zip(rows, shards_of(corpus, rows), strict=True):
        shard = corpus.facts["shards"][number]
        if "roots" not in shard:
            made_of.append(row)
            continue
        if number not in loaded:
            loaded[number] = np.load(corpus.file(shard["roots"]))
        made_of.append(int(loaded[number][inside]))
    return made_of
