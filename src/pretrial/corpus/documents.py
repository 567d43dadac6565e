"""Documents on disk: what a corpus is made of, and how its files are written.

Guarantees: a document's row depends on its record and the source's configuration alone; the same rows give
the same bytes; memory is bounded by a row group (about 16 MB of text, or one larger document).
Does not: decide which records become documents.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pretrial.corpus.readers.record import Record, Reject, Skip, excerpt

GROUP_BYTES = 16_000_000
GROUP_ROWS = 8192
SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.large_string(), nullable=False),
        pa.field("group", pa.string(), nullable=False),
        pa.field("sha", pa.binary(16), nullable=False),
        pa.field("text_sha", pa.binary(32), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("meta", pa.string(), nullable=False),
    ]
)
QUARANTINE = pa.schema([("reason", pa.string()), ("where", pa.string()), ("excerpt", pa.string())])
REJECTS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("rule", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("value", pa.string(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("where", pa.string(), nullable=False),
        pa.field("excerpt", pa.string(), nullable=False),
    ]
)
"""Documents that a rule dropped, and what readers skipped (rule `read`).

`value` is what was measured or decided, as JSON; `bytes` of the text that the rule saw, or of what was skipped.
"""
SHARD_REJECTS, KEPT_ASIDE = "rejects.parquet", "quarantine.parquet"
"""Files of a shard; a corpus has the second under the same name."""
READ = "read"
"""What stands as the rule of what readers skipped: the first step of every funnel."""
_NO_FIELDS: dict[str, Any] = {}
_PIECE = 1_000_000
# What `str.split` takes for white space.
_SPACE = re.compile(r"\s")


def normalised_digest(text: str) -> bytes:
    """First 16 bytes of the SHA-256 of a text whose runs of white space are one space, none at its ends."""
    if len(text) <= _PIECE:
        return hashlib.sha256(" ".join(text.split()).encode()).digest()[:16]
    # A word is an object: all those of a large document at once take many times its bytes.
    digest = hashlib.sha256()
    start, gap = 0, b""
    while start < len(text):
        space = _SPACE.search(text, start + _PIECE)
        end = space.start() if space else len(text)
        if words := text[start:end].split():
            digest.update(gap + " ".join(words).encode())
            gap = b" "
        start = end
    return digest.digest()[:16]


def document(
    record: Record, group: str, license: str | None, *, inherited: str | None = None
) -> dict[str, Any] | Reject:
    """A document's row, or why it cannot be stored.

    `group` is the field whose value keeps related documents together, `"document"` for none. The group of a
    document without a value is its own text's digest, the same in every source that holds a copy. `inherited` is the
    group of the document that this one was made of, and its own.
    """
    try:
        data = record.text.encode()
        sha = normalised_digest(record.text)
        name = record.id if record.id is not None else record.where
        value = record.fields.get(group) if group != "document" else None
        grouped = isinstance(value, str | int) and not isinstance(value, bool) and value != ""
        row: dict[str, Any] = {
            "id": name,
            "text": record.text,
            "group": inherited or (f"{group}:{value}" if grouped else f"document:{sha.hex()}"),
            "sha": sha,
            "text_sha": hashlib.sha256(data).digest(),
            "bytes": len(data),
            "meta": _meta(record.fields, license),
        }
        for key in ("id", "group", "meta"):
            row[key].encode()
    except UnicodeEncodeError:
        # JSON can spell half of a surrogate pair, which is no character.
        return Reject("undecodable", record.where, excerpt(record.text))
    return row


def rejected(record: Record, text: str, rule: str, reason: str, value: Any) -> dict[str, Any]:
    """The row that lists a dropped document."""
    name = record.id if record.id is not None else record.where
    size = len(text.encode(errors="surrogatepass"))
    return _reject(name, rule, reason, value, size, record.where, excerpt(text))


def skipped(skip: Skip) -> dict[str, Any]:
    """The row that lists what a reader skipped."""
    return _reject(skip.id or skip.where, READ, skip.reason, skip.value, skip.bytes, skip.where, skip.excerpt)


def _reject(id: str, rule: str, reason: str, value: Any, size: int, where: str, begins: str) -> dict[str, Any]:
    return {
        "id": _storable(id),
        "rule": rule,
        "reason": reason,
        "value": json.dumps(value, ensure_ascii=True),
        "bytes": size,
        "where": _storable(where),
        "excerpt": begins,
    }


def _storable(text: str) -> str:
    """The text with half surrogates, which no file holds, spelled out."""
    return text.encode("utf-8", "backslashreplace").decode()


def save_array(path: Path, array: npt.NDArray[Any]) -> None:
    """The bytes of `np.save`; an `OSError` says why, and leaves no file.

    Writing an array to a file itself, numpy loses the number of the system's error, by which a full disk is known.
    """
    try:
        with writing(path), path.open("wb") as file:
            np.lib.format.write_array(SimpleNamespace(write=file.write), array, allow_pickle=False)
    except OSError:
        path.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Writing a file: an `OSError` says which one, and why in the system's own words."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error


class Writer:
    """A Parquet file of documents or rejects, written in row groups of bounded size."""

    def __init__(self, path: Path, schema: Any = SCHEMA) -> None:
        self._path = path
        self._schema = schema
        with writing(path):
            # Nobody asks for the least and the largest text, and to keep them takes five times a large document.
            self._file = pq.ParquetWriter(path, schema, compression="zstd", compression_level=3, write_statistics=False)
        self._rows: list[Mapping[str, Any]] = []
        self._bytes = 0

    def add(self, row: Mapping[str, Any], size: int) -> None:
        """Append a row; `size` is about what it takes in memory."""
        self._rows.append(row)
        self._bytes += size
        if self._bytes >= GROUP_BYTES or len(self._rows) >= GROUP_ROWS:
            self._flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
            with writing(self._path):
                self._file.close()
            return
        # What came first is what is told, not that the end of a file does not fit on a full disk either.
        with contextlib.suppress(OSError):
            self._file.close()

    def _flush(self) -> None:
        if self._rows:
            table = pa.Table.from_pylist(self._rows, self._schema)
            with writing(self._path):
                self._file.write_table(table, row_group_size=len(self._rows))
        self._rows, self._bytes = [], 0


def _meta(fields: Mapping[str, Any], license: str | None) -> str:
    known = {"license": license} if license else _NO_FIELDS
    record = known | {key: _plain(value) for key, value in fields.items() if value is not None}
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _plain(value: Any) -> Any:
    """A value as JSON has it: times, decimals and bytes as text, numbers that are none as null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)
