"""Signatures of a corpus: for each document the least hash of its shingles under each of k hash functions.

Guarantees: a document's signature depends on its text and the settings alone, so any split into shards and batches
gives the same rows; memory is bounded by a row group of a shard.
Does not: compare documents.

A value agrees between two documents with a probability equal to the Jaccard similarity of their sets of shingles
(Broder 1997). Daft computes the values: the hash of each shingle x, 32 bits, goes through k functions ax+b modulo
2^61-1, of which the low 32 bits count; a and b are drawn by the seed.

The step's files, one of each a shard, in the order of the corpus's shards:

- `signatures-00000.npy`: uint32 [documents, hashes]. All ones for a document without words.
- `shingles-00000.npy`: int64 [documents], shingles counted each time (`shingles.windows`); 0 without words.
- `digests-00000.npy`: uint64 [documents, 2], equal for documents with the same words in the same order.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pretrial.corpus.near.engine import daft
from pretrial.corpus.near.shingles import digest, normalise, windows
from pretrial.corpus.near.spec import SEMANTICS, SHINGLES, versions
from pretrial.errors import Interrupted
from pretrial.execute.context import ArtefactLike, Json, StepContext

NAMES = ("signatures", "shingles", "digests")
BATCH_BYTES = 4_000_000


def sign_corpus(ctx: StepContext) -> Json:
    """Step function of kind "near-signatures".

    Config: `spec.signature_config`. Inputs: `corpus`.

    Returns:
        Facts: `documents`, `empty` (documents without words), `shingles` (counted each time), `shards` (a list of
        {documents, signatures, shingles, digests}: the files), `config`, `corpus` (the corpus's content).
    """
    corpus = ctx.inputs["corpus"]
    files = [shard["file"] for shard in corpus.facts["shards"]]
    parts = ctx.map(
        "near-signatures-shard",
        SEMANTICS["near-signatures-shard"],
        [{**ctx.config, "file": file} for file in files],
        "pretrial.corpus.near.signatures:sign_shard",
        inputs={"corpus": corpus},
        labels=files,
    )
    shards: list[Json] = []
    for index, part in enumerate(parts):
        named = {name: f"{name}-{index:05d}.npy" for name in NAMES}
        for name, file in named.items():
            _link(part.file(f"{name}.npy"), ctx.out / file)
        shards.append({"documents": part.facts["documents"], **named})
    totals = {name: sum(part.facts[name] for part in parts) for name in ("documents", "empty", "shingles")}
    return {**totals, "shards": shards, "config": dict(ctx.config), "corpus": corpus.content}


def sign_shard(ctx: StepContext) -> Json:
    """Step function of kind "near-signatures-shard": signatures of one file of a corpus.

    Config: `spec.signature_config` and `file`, the shard's name. Inputs: `corpus`.

    Returns:
        Facts: `documents`, `empty`, `shingles`.

    Raises:
        ValueError: when shingles of another version, or of other releases than those that run, were asked for.
    """
    config = ctx.config
    if config["shingles"] != SHINGLES:
        raise ValueError(f"shingles of version {config['shingles']} were asked for; these are version {SHINGLES}")
    for name, version in versions().items():
        if config[name] != version:
            raise ValueError(f"signatures with {name} {config[name]} were asked for; here is {name} {version}")
    documents = empty = total = 0
    with pq.ParquetFile(ctx.inputs["corpus"].file(config["file"])) as file:
        count = file.metadata.num_rows
        with (
            _Array(ctx.out / "signatures.npy", "<u4", (count, config["hashes"])) as signatures,
            _Array(ctx.out / "shingles.npy", "<i8", (count,)) as shingles,
            _Array(ctx.out / "digests.npy", "<u8", (count, 2)) as digests,
        ):
            for texts in itertools.chain.from_iterable(batches(file, group) for group in range(file.num_row_groups)):
                if ctx.stop_requested():
                    raise Interrupted("stopped while signing documents")
                normal = [normalise(text) for text in texts]
                counts = np.array([windows(one, config["words"]) for one in normal], "<i8")
                signatures.add(sign(normal, config))
                shingles.add(counts)
                digests.add(np.frombuffer(b"".join(map(digest, normal)), "<u8").reshape(-1, 2))
                documents += len(normal)
                empty += int(np.count_nonzero(counts == 0))
                total += int(counts.sum())
    return {"documents": documents, "empty": empty, "shingles": total}


def sign(normal: Sequence[bytes], config: Mapping[str, Any]) -> npt.NDArray[np.uint32]:
    """Signatures, [texts, hashes], of normalised texts (`shingles.normalise`).

    Args:
        normal: words parted by single spaces, in UTF-8.
        config: `spec.signature_config`.
    """
    texts = pa.array(normal, pa.large_binary()).cast(pa.large_string())
    series = daft().Series.from_arrow(texts)
    signed = series.minhash(config["hashes"], config["words"], config["seed"], config["hash"]).to_arrow()
    values: npt.NDArray[np.uint32] = signed.flatten().to_numpy().reshape(len(normal), config["hashes"])
    return values


def batches(file: Any, group: int, keep: npt.NDArray[np.bool_] | None = None) -> Iterator[list[str]]:
    """Texts of a row group of an open Parquet file of documents, in order, about 4 MB at a time.

    Args:
        file: the file.
        group: number of the row group.
        keep: one flag a document of the group, where not all are wanted.
    """
    texts = file.read_row_group(group, columns=["text"])["text"]
    if keep is not None:
        texts = texts.filter(pa.array(keep))
    batch: list[str] = []
    size = 0
    for text in texts:
        batch.append(text.as_py())
        size += len(batch[-1])
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def rows(signed: ArtefactLike, name: str, many: int) -> Iterator[npt.NDArray[Any]]:
    """One of the step's arrays, in the corpus's order, in pieces of `many` rows that end with a shard.

    Args:
        signed: an artefact of the "near-signatures" step.
        name: `signatures`, `shingles` or `digests`.
        many: rows of a piece.
    """
    for shard in signed.facts["shards"]:
        with signed.file(shard[name]).open("rb") as file:
            shape, dtype = _header(file)
            for start in range(0, shape[0], many):
                count = min(many, shape[0] - start)
                flat = np.fromfile(file, dtype, count * int(np.prod(shape[1:], dtype=np.int64)))
                yield flat.reshape(count, *shape[1:])


class _Array:
    """A .npy file that is written row by row."""

    def __init__(self, path: Path, dtype: str, shape: tuple[int, ...]) -> None:
        self._dtype = np.dtype(dtype)
        self._file = path.open("wb")
        header = {"descr": np.lib.format.dtype_to_descr(self._dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)

    def add(self, values: npt.NDArray[Any]) -> None:
        self._file.write(np.ascontiguousarray(values, self._dtype).data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


def _header(file: BinaryIO) -> tuple[tuple[int, ...], np.dtype[Any]]:
    np.lib.format.read_magic(file)
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if fortran:
        raise ValueError("an array of rows was written by columns")
    return shape, dtype


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
