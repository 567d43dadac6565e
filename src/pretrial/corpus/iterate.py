"""The selected documents of a corpus, in order, without holding the corpus in memory.

Guarantees: batches follow the corpus's order; memory is bounded by one row group of a shard.
Does not: sort, tokenise or change documents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pretrial.corpus.documents import SCHEMA
from pretrial.execute.context import ArtefactLike

DUPLICATE, TRAIN, HELD_OUT, EXCLUDED, NEAR_DUPLICATE, NEAR_HELD_OUT, CONTAMINATED = range(7)
"""Classes of the masks that the select step writes."""

COLUMNS = ("id", "text", "group", "text_sha", "bytes", "meta")


def load_mask(selection: ArtefactLike, source: str) -> npt.NDArray[np.uint8]:
    """Class of each document of a source, in the corpus's order, from a select step's artefact.

    Raises:
        KeyError: when the selection has no such source.
    """
    mask: npt.NDArray[np.uint8] = np.load(selection.file(selection.facts["files"][source]))
    return mask


def documents(
    corpus: ArtefactLike,
    mask: npt.NDArray[np.uint8] | None = None,
    keep: int = TRAIN,
    columns: Sequence[str] = COLUMNS,
) -> Iterator[Any]:
    """Arrow record batches of the documents whose class is `keep`; of all where `mask` is None.

    Raises:
        ValueError: when the mask is not one class for each document of the corpus.
    """
    count = corpus.facts["documents"]
    if mask is not None and mask.shape != (count,):
        raise ValueError(f"the mask has shape {mask.shape} for a corpus of {count} documents")
    schema = pa.schema([SCHEMA.field(name) for name in columns])
    at = 0
    for shard in corpus.facts["shards"]:
        with pq.ParquetFile(corpus.file(shard["file"])) as file:
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                wanted = None if mask is None else mask[at : at + rows] == keep
                at += rows
                if wanted is not None and not wanted.any():
                    continue
                table = file.read_row_group(group, columns=list(columns))
                if wanted is not None and not wanted.all():
                    table = table.filter(pa.array(wanted))
                yield from table.select(list(columns)).cast(schema).combine_chunks().to_batches()
