"""A source's documents as one stream of tokens, with their boundaries.

Guarantees: the stream is mark d₁ mark d₂ … mark with the documents in order of the SHA-256 of their text;
the tokens of a document spell exactly its bytes; the output is the same bytes on every run. Memory holds
three batches of texts, two that are being encoded while the other is written, and a few numbers per document: tokens
wait on disk for their place.

It does not choose documents (`pretrial.corpus.select` does) and does not know windows or contexts
(`pretrial.mixture`).
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import struct
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pretrial.corpus.documents import save_array
from pretrial.corpus.iterate import HELD_OUT, TRAIN, documents, load_mask
from pretrial.errors import Interrupted, RunError
from pretrial.execute.context import Json, StepContext
from pretrial.tokens.tokenizer import Encoded, TextTokenizer

PARTS = {"train": TRAIN, "held-out": HELD_OUT}
_BATCH_BYTES = 2_000_000
_AHEAD = 2
"""Batches that are encoded at one time: while the last documents of one are left to one processor core, the other has
those of the next."""
_ROWS = 65_536
_COLUMNS = ("id", "group", "text_sha", "meta", "bytes", "text")
_SCHEMA = pa.schema([("id", pa.string()), ("group", pa.string()), ("sha", pa.string()), ("meta", pa.string())])

Ints = NDArray[np.int64]


def tokenise(ctx: StepContext) -> Json:
    """Step "tokens": the documents of one part of one source.

    Config: `source`, `part` ("train" or "held-out"). Inputs: `corpus` (of that source), `select`,
    `tokenizer`.

    Writes `tokens.npy` [N] (uint16, or uint32 above 65,536 ids), `starts.npy` [documents + 1] (int64:
    position of each document's first token, then N), `bytes.npy` [documents] (int64, UTF-8),
    `documents.parquet` (id, group, sha, meta as JSON) and `ids.txt` (a JSON string a line), all in one
    order. Of the fact `contents`, `stream` is the SHA-256 of the first two, what training reads; `items` that of all
    but the documents' other fields, what evaluation reads. So a changed licence trains and evaluates nothing again.

    Raises `RunError` for a part "train" without a document, and for a document whose tokens do not spell
    its bytes.
    """
    source, part = ctx.config["source"], ctx.config["part"]
    tokenizer = TextTokenizer(ctx.inputs["tokenizer"].path)
    dtype = np.dtype("<u2") if tokenizer.vocabulary <= 1 << 16 else np.dtype("<u4")
    mask = load_mask(ctx.inputs["select"], source)
    total = int(np.count_nonzero(mask == PARTS[part]))
    unsorted, names = ctx.work / "tokens.bin", ctx.work / "documents.arrow"
    hashes, lengths, sizes = [], [], []
    done = 0
    with (
        unsorted.open("wb") as raw,
        pa.OSFile(str(names), "wb") as sink,
        pa.ipc.new_file(sink, _SCHEMA) as table,
    ):
        batches = _batches(documents(ctx.inputs["corpus"], mask, PARTS[part], _COLUMNS))
        for batch, encoded in _encoded(tokenizer, batches):
            if ctx.stop_requested():
                raise Interrupted(f"stopped while tokenising {source}")
            size = batch.column("bytes").to_numpy().astype(np.int64)
            lengths.append(_append(tokenizer, batch, encoded, size, raw, dtype, source))
            sizes.append(size)
            shas = batch.column("text_sha").to_pylist()
            hashes.append(np.frombuffer(b"".join(shas), dtype=">u8").reshape(-1, 4))
            kept = [batch.column(name) for name in ("id", "group", "meta")]
            kept.insert(2, pa.array([sha.hex() for sha in shas], pa.string()))
            table.write_batch(pa.record_batch(kept, schema=_SCHEMA))
            done += batch.num_rows
            ctx.progress(done, total, source=source)
    if not done and part == "train":
        raise RunError(
            f"the source {source!r} has no document for training",
            remedy="Give it more text, or take it out of the mixtures.",
        )
    hashed = np.concatenate(hashes) if hashes else np.empty((0, 4), dtype=np.uint64)
    order = np.lexsort(hashed.T[::-1])
    length = np.concatenate(lengths) if lengths else np.empty(0, dtype=np.int64)
    size = np.concatenate(sizes) if sizes else np.empty(0, dtype=np.int64)
    stream = _write_stream(ctx.out, unsorted, length, order, dtype, tokenizer.mark)
    save_array(ctx.out / "bytes.npy", size[order])
    _write_names(ctx.out, names, order)
    streamed = _digest(ctx.out / "tokens.npy", ctx.out / "starts.npy")
    return {
        "source": source,
        "part": part,
        "documents": done,
        "tokens": stream,
        "bytes": int(size.sum()),
        "vocabulary": tokenizer.vocabulary,
        "mark": tokenizer.mark,
        "contents": {"stream": streamed.hexdigest(), "items": _items(ctx.out, streamed).hexdigest()},
    }


def _digest(*paths: Path) -> hashlib._Hash:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest


def _items(out: Path, streamed: hashlib._Hash) -> hashlib._Hash:
    """Digest of stream, sizes and each document's id, group and hash."""
    digest = _digest(out / "bytes.npy")
    digest.update(streamed.digest())
    with pq.ParquetFile(out / "documents.parquet") as file:
        for batch in file.iter_batches(columns=["id", "group", "sha"]):
            for row in batch.to_pylist():
                digest.update(json.dumps([row["id"], row["group"], row["sha"]]).encode() + b"\n")
    return digest


def _batches(batches: Iterable[Any]) -> Iterator[Any]:
    """The same record batches in slices of about `_BATCH_BYTES` of text."""
    for batch in batches:
        ends = np.cumsum(batch.column("bytes").to_numpy())
        cuts = np.flatnonzero(np.diff(ends // _BATCH_BYTES, prepend=0)) + 1
        for begin, end in pairwise([0, *cuts.tolist(), batch.num_rows]):
            if begin < end:
                yield batch.slice(begin, end - begin)


def _encoded(tokenizer: TextTokenizer, batches: Iterable[Any]) -> Iterator[tuple[Any, Encoded]]:
    """Each batch with its texts encoded; the next ones are encoded meanwhile."""
    with ThreadPoolExecutor(_AHEAD) as ahead:
        before: deque[tuple[Any, Future[Encoded]]] = deque()
        for batch in batches:
            before.append((batch, ahead.submit(tokenizer.encode_raw, batch.column("text").to_pylist())))
            if len(before) > _AHEAD:
                batch, encoded = before.popleft()
                yield batch, encoded.result()
        for batch, encoded in before:
            yield batch, encoded.result()


def _append(
    tokenizer: TextTokenizer,
    batch: Any,
    encoded: Encoded,
    size: Ints,
    raw: BinaryIO,
    dtype: np.dtype[Any],
    source: str,
) -> Ints:
    """Append the tokens of a batch to `raw`; the number of each document's tokens."""
    # A document at a time: its numbers stay in the processor's cache.
    length, small = np.empty(len(size), np.int64), []
    for index, encoding in enumerate(encoded):
        given = encoding.ids
        ids = np.frombuffer(struct.pack(f"={len(given)}q", *given), np.int64)  # twice as fast as np.array
        # Cheap, and catches any loss of bytes: a token spells a fixed number of them.
        if int(tokenizer.token_bytes[ids].sum(dtype=np.int64)) != size[index]:
            raise RunError(
                f"the tokens of document {batch.column('id')[index].as_py()!r} do not spell its bytes",
                where=f"source {source}",
                remedy="The tokenizer changes this text: let the study train one instead.",
            )
        length[index] = len(ids)
        small.append(ids.astype(dtype))
    raw.write(np.concatenate(small).data)
    return length


def _write_stream(out: Path, unsorted: Path, length: Ints, order: Ints, dtype: np.dtype[Any], mark: int) -> int:
    """Write `tokens.npy` and `starts.npy`, documents in `order`; the stream's length."""
    total = int(length.sum()) + len(length) + 1
    begins = np.cumsum(length) - length
    starts = np.cumsum(np.append(1, length[order] + 1))
    tokens = _make_array(out / "tokens.npy", dtype, total)
    tokens[0] = mark
    if len(order):
        found = np.memmap(unsorted, dtype=dtype, mode="r") if length.any() else np.empty(0, dtype=dtype)
        for document, at in zip(order.tolist(), starts.tolist(), strict=False):
            size = int(length[document])
            tokens[at : at + size] = found[begins[document] : begins[document] + size]
            tokens[at + size] = mark
    tokens.flush()
    save_array(out / "starts.npy", starts.astype(np.int64))
    return total


def _make_array(path: Path, dtype: np.dtype[Any], length: int) -> np.memmap[Any, Any]:
    """A new array in a file, memory-mapped, on disk space of its own; `OSError` where there is not enough.

    Without that space a mapped file is made of holes, and a page that finds none kills the process (SIGBUS).
    """
    try:
        array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(length,))
        _reserve(path)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error
    return array


def _reserve(path: Path) -> None:
    if not hasattr(os, "posix_fallocate"):
        return
    with path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # what a file system says that cannot reserve
                raise


def _write_names(out: Path, names: Path, order: Ints) -> None:
    """Write `documents.parquet` and `ids.txt` in `order`, a piece at a time."""
    with (
        pa.memory_map(str(names)) as mapped,
        pq.ParquetWriter(out / "documents.parquet", _SCHEMA, compression="zstd") as parquet,
        (out / "ids.txt").open("w", encoding="utf-8") as ids,
    ):
        table = pa.ipc.open_file(mapped).read_all()
        for at in range(0, len(order), _ROWS):
            part = table.take(pa.array(order[at : at + _ROWS]))
            parquet.write_table(part)
            ids.writelines(json.dumps(name) + "\n" for name in part.column("id").to_pylist())
