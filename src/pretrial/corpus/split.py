"""Which part of a split source each of its documents is in, found once for all parts.

Guarantees: a pure function of the source's documents and the field; a part that reads it knows its documents and how
many have which other value without the metadata of documents that are not its.
Does not: read texts.

Of each run of the source's shards (`parts.plan`), `values.parquet` has a row for each value of the field, in the order
in which they come (columns of `VALUES`), and `values-00000.npy` … has the number of its row for each document of the
shard with that number: uint32.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pretrial.corpus.documents import save_array, writing
from pretrial.corpus.pipeline import part_of
from pretrial.corpus.unkept import counted_as
from pretrial.execute.context import ArtefactLike, Json, StepContext

FIELDS = 100
"""Names of fields that are remembered, to be shown where one that was asked for is not among them."""
VALUES = pa.schema(
    [
        ("part", pa.string()),
        pa.field("value", pa.string(), nullable=False),
        pa.field("documents", pa.int64(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
    ]
)
_FILE = "values.parquet"


def split_configs(config: Mapping[str, Any], parts: Sequence[Json]) -> list[Json]:
    """Configurations of the steps that split a source for the part that a configuration describes: one for each run of
    the source's shards, the same for all parts by one field."""
    (field,) = config["keep"]
    return [{"field": field, "parent_shards": part["parent_shards"]} for part in parts]


def number_values(ctx: StepContext) -> Json:
    """Step function of kind "corpus-split".

    Parts are known by what they read, not by it: what changes its output raises the version of "corpus-shard", too.

    Config: `field` and `parent_shards`. Inputs: `parent`. Facts: `fields`, names of fields that documents have, at
    most 100.
    """
    field, parent = ctx.config["field"], ctx.inputs["parent"]
    rows: dict[tuple[str | None, str], list[int]] = {}
    there: dict[str, None] = {}
    for shard, _ in ctx.config["parent_shards"]:
        numbers: list[int] = []
        for fields, size in _documents(parent, shard):
            if len(there) < FIELDS:
                there.update(dict.fromkeys(fields))
            value = fields.get(field)
            row = rows.setdefault((part_of(field, value), counted_as(value)), [len(rows), 0, 0])
            row[1] += 1
            row[2] += size
            numbers.append(row[0])
        save_array(ctx.out / _numbers(shard), np.asarray(numbers, np.uint32))
    columns = [
        [part for part, _ in rows],
        [value for _, value in rows],
        [count for _, count, _ in rows.values()],
        [size for _, _, size in rows.values()],
    ]
    path = ctx.out / _FILE
    with writing(path):
        pq.write_table(pa.table(columns, schema=VALUES), path, compression="zstd", write_statistics=False)
    return {"fields": sorted(there)[:FIELDS]}


@dataclass(frozen=True)
class Split:
    """What one part sees of a split: which values are its, and what others there are."""

    folder: Path
    mine: npt.NDArray[np.bool_]
    others: Sequence[tuple[str, int, int]]
    """(value, documents, bytes) of what is in other parts, the most documents first."""

    def documents(self, shard: int) -> npt.NDArray[np.int64]:
        """The numbers of the part's documents in a shard of the parent."""
        numbers = np.load(self.folder / _numbers(shard))
        return np.flatnonzero(self.mine[numbers])


def opened(folder: Path, parts: Sequence[str]) -> Split:
    """A split as the part with one of these values sees it."""
    # Not `read_table`: that takes a folder named `a=b` for a column.
    with pq.ParquetFile(folder / _FILE) as file:
        rows = file.read().to_pydict()
    wanted = set(parts)
    mine = np.asarray([part in wanted for part in rows["part"]], np.bool_)
    told = zip(mine.tolist(), rows["value"], rows["documents"], rows["bytes"], strict=True)
    others = [(value, count, size) for own, value, count, size in told if not own]
    return Split(folder, mine, sorted(others, key=lambda other: (-other[1], other[0])))


def _documents(parent: ArtefactLike, shard: int) -> Iterator[tuple[dict[str, Any], int]]:
    with pq.ParquetFile(parent.file(parent.facts["shards"][shard]["file"])) as file:
        for batch in file.iter_batches(columns=["bytes", "meta"]):
            fields = json.loads(f"[{','.join(batch['meta'].to_pylist())}]")
            yield from zip(fields, batch["bytes"].to_pylist(), strict=True)


def _numbers(shard: int) -> str:
    return f"values-{shard:05d}.npy"
