"""What a scan writes, and how it is read: hits by document and by item, and which documents hold any.

Guarantees: a row's number is the document's place in the corpus, as in the masks of the select step and in
`pretrial.corpus.iterate`; the order of all that is returned follows from the scan alone. Does not: find hits (`scan`),
or drop documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pretrial.execute.context import ArtefactLike

HITS = "hits.parquet"
CONTAMINATED = "contaminated.npy"
SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("document", pa.string()),
        ("benchmark", pa.string()),
        ("item", pa.string()),
        ("part", pa.string()),
        ("kind", pa.string()),
        ("overlap", pa.float64()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("excerpt", pa.string()),
    ]
)
"""A hit: `row` is the document's place in the corpus and `document` its id, `start` and `end` are characters of its
text and `excerpt` what stands there, `overlap` is what was measured (`spec`), the rest is as in `scan.Hit`."""


def read_hits(made: ArtefactLike) -> Any:
    """The hits of a "contamination" step as an Arrow table (`SCHEMA`), sorted by row, benchmark, item and part."""
    with pq.ParquetFile(made.file(HITS)) as file:
        return file.read()


def contaminated(made: ArtefactLike) -> npt.NDArray[np.bool_]:
    """Whether each document of the corpus holds an item of a benchmark, in the corpus's order."""
    flags: npt.NDArray[np.bool_] = np.load(made.file(CONTAMINATED))
    return flags


def by_item(hits: Any) -> Any:
    """The items that documents hold: `benchmark`, `item`, `documents`, `overlap` (the most), `row` (the first's).

    Args:
        hits: a table as `read_hits` gives it, or rows of one.

    Returns:
        An Arrow table sorted by benchmark and item.
    """
    grouped = hits.group_by(["benchmark", "item"], use_threads=False)
    counted = grouped.aggregate([("row", "count_distinct"), ("overlap", "max"), ("row", "min")])
    names = {"row_count_distinct": "documents", "overlap_max": "overlap", "row_min": "row"}
    columns = ["benchmark", "item", *names]
    named = counted.select(columns).rename_columns([names.get(column, column) for column in columns])
    return named.sort_by([("benchmark", "ascending"), ("item", "ascending")])


def telling(hit: Mapping[str, Any]) -> tuple[bool, int]:
    """Sorts the hits of a document: whoever reads them sees an item by its question, or by its longest span.

    An answer alone ("the Sun") tells nothing, though it is the part that is found whole most often.
    """
    return hit["part"] == "answer", hit["start"] - hit["end"]


def most_telling(hits: Any, n: int) -> dict[int, dict[str, Any]]:
    """Of each document its most telling hit, by row; of the `n` documents whose such hits have the largest overlap.

    Args:
        hits: a table as `read_hits` gives it, or rows of one.
        n: how many documents.
    """
    # All but the excerpts, which are long: of a web-sized corpus there are many.
    columns = {name: hits[name].to_numpy() for name in ("row", "overlap")}
    answer = pc.equal(hits["part"], "answer").to_numpy(zero_copy_only=False)
    length = pc.subtract(hits["end"], hits["start"]).to_numpy()
    # An item of a document with more of it found comes first where two tell as much.
    order = np.lexsort((-columns["overlap"], -length, answer, columns["row"]))
    row = columns["row"][order]
    first = order[np.flatnonzero(np.concatenate([np.ones(min(len(row), 1), bool), row[1:] != row[:-1]]))]
    best = first[np.lexsort((columns["row"][first], -length[first], -columns["overlap"][first]))][:n]
    return {hit["row"]: hit for hit in hits.take(pa.array(best, pa.int64())).to_pylist()}
