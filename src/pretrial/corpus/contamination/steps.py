"""The steps that scan a corpus: parts of its files one by one, and all of them together.

Guarantees: what is written does not depend on how many workers there are, and the rows not on how the corpus is cut
into files; memory is bounded by a row group of a shard, one document's symbols and the index. Does not: say what a hit
is (`scan`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pretrial.corpus.contamination.hits import CONTAMINATED, HITS, SCHEMA, contaminated, read_hits
from pretrial.corpus.contamination.index import load
from pretrial.corpus.contamination.scan import Scanner, excerpt
from pretrial.corpus.contamination.spec import FUNCTIONS, SEMANTICS
from pretrial.corpus.documents import save_array
from pretrial.errors import Interrupted
from pretrial.execute.context import ArtefactLike, Json, StepContext

PART_BYTES = 32_000_000
"""About how many bytes of row groups one part has."""

BATCH_CHARACTERS = 1_000_000


def scan_corpus(ctx: StepContext) -> Json:
    """Step function of kind "contamination": a corpus against an index.

    Config: `spec.scan_config`. Inputs: `corpus` and `index`.

    Writes `hits.parquet` (`hits.SCHEMA`, sorted by row, benchmark, item and part) and `contaminated.npy` (a bool for
    each document, in the corpus's order).

    Returns:
        Facts: `documents`, `bytes`, `contaminated` ({documents, bytes}), `rate` (share of documents), `hits`, and
        `benchmarks` (name → {documents, items, of: items of the benchmark, searchable: those a document can betray}).
    """
    corpus, index = ctx.inputs["corpus"], ctx.inputs["index"]
    parts = _plan(corpus)
    made = ctx.map(
        "contamination-shard",
        SEMANTICS["contamination-shard"],
        [{**ctx.config, **part} for part in parts],
        FUNCTIONS["contamination-shard"],
        inputs=ctx.inputs,
        labels=[f"{part['file']}, groups {part['groups'][0]} to {part['groups'][1] - 1}" for part in parts],
    )
    counts = index.facts["benchmarks"]
    documents = dict.fromkeys(counts, 0)
    items: dict[str, set[str]] = {name: set() for name in counts}
    flags = [np.zeros(0, bool)]
    total = hits = 0
    with pq.ParquetWriter(ctx.out / HITS, SCHEMA, compression="zstd", write_statistics=False) as writer:
        for shard in made:
            table = read_hits(shard)
            rows = table["row"].to_numpy() + total
            if table.num_rows:
                writer.write_table(table.set_column(0, SCHEMA.field("row"), pa.array(rows, pa.int64())))
            benchmarks = table["benchmark"].to_pylist()
            for benchmark, _ in set(zip(benchmarks, rows.tolist(), strict=True)):
                documents[benchmark] += 1
            for benchmark, item in zip(benchmarks, table["item"].to_pylist(), strict=True):
                items[benchmark].add(item)
            flags.append(contaminated(shard))
            total += shard.facts["documents"]
            hits += table.num_rows
    flagged = np.concatenate(flags)
    save_array(ctx.out / CONTAMINATED, flagged)
    return {
        "documents": total,
        "bytes": sum(shard.facts["bytes"] for shard in made),
        "contaminated": {
            "documents": int(flagged.sum()),
            "bytes": sum(shard.facts["contaminated"]["bytes"] for shard in made),
        },
        "rate": int(flagged.sum()) / total if total else 0.0,
        "hits": hits,
        "benchmarks": {
            name: {
                "documents": documents[name],
                "items": len(items[name]),
                "of": counts[name]["items"],
                "searchable": counts[name]["searchable"],
            }
            for name in sorted(counts)
        },
    }


def scan_shard(ctx: StepContext) -> Json:
    """Step function of kind "contamination-shard": some row groups of one file of a corpus.

    Config: `spec.scan_config` with `file` and `groups` (from, to). Inputs: `corpus` and `index`. Writes what
    `scan_corpus` does, rows counted from the part's own beginning.

    Raises:
        Interrupted: when the user asked to stop.
    """
    index = ctx.inputs["index"]
    scanner = Scanner(load(index.path, tuple(sorted(index.facts["matching"].items()))), ctx.config["shares"])
    flags: list[bool] = []
    rows: list[tuple[Any, ...]] = []
    size = dirty = 0
    for names, texts in _batches(ctx):
        if ctx.stop_requested():
            raise Interrupted("stopped while looking for benchmark items")
        for name, text, hits in zip(names, texts, scanner.scan(texts), strict=True):
            rows += [(len(flags), name, *astuple(hit), excerpt(text, hit)) for hit in hits]
            flags.append(bool(hits))
            length = len(text.encode())
            size += length
            dirty += length if hits else 0
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(SCHEMA)
    table = pa.Table.from_arrays([pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)
    pq.write_table(table, ctx.out / HITS, compression="zstd", write_statistics=False)
    save_array(ctx.out / CONTAMINATED, np.array(flags, bool))
    return {
        "documents": len(flags),
        "bytes": size,
        "contaminated": {"documents": sum(flags), "bytes": dirty},
        "hits": len(rows),
    }


def _plan(corpus: ArtefactLike) -> list[Json]:
    """Runs of row groups of about `PART_BYTES`: parts of a corpus, from its files alone."""
    parts: list[Json] = []
    for shard in corpus.facts["shards"]:
        with pq.ParquetFile(corpus.file(shard["file"])) as file:
            sizes = [file.metadata.row_group(group).total_byte_size for group in range(file.num_row_groups)]
        begin = total = 0
        for group, size in enumerate(sizes):
            total += size
            if total >= PART_BYTES or group == len(sizes) - 1:
                parts.append({"file": shard["file"], "groups": [begin, group + 1]})
                begin, total = group + 1, 0
    return parts


def _batches(ctx: StepContext) -> Iterator[tuple[list[str], list[str]]]:
    """(ids, texts) of a part's documents, some at a time."""
    names: list[str] = []
    texts: list[str] = []
    size = 0
    with pq.ParquetFile(ctx.inputs["corpus"].file(ctx.config["file"])) as file:
        for group in range(*ctx.config["groups"]):
            table = file.read_row_group(group, columns=["id", "text"])
            for name, text in zip(table["id"], table["text"], strict=True):
                names.append(name.as_py())
                texts.append(text.as_py())
                size += len(texts[-1])
                if size >= BATCH_CHARACTERS:
                    yield names, texts
                    names, texts, size = [], [], 0
    if names:
        yield names, texts
