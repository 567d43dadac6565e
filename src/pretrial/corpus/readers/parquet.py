"""Parquet with named columns.

Guarantees: one record or one reject a row; rows are read in batches, so a batch bounds memory; a broken file
gives its readable part and one reject; a file whose bytes are not those planned for fails the step.
Does not: read nested text columns, or join files.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pretrial.corpus.readers.jsonl import from_fields
from pretrial.corpus.readers.record import Item, Reject, excerpt
from pretrial.errors import RequestError, RunError

_ROWS = 512


def read_parquet(path: Path, name: str, *, text: str, id: str | None, sha256: str | None = None) -> Iterator[Item]:
    """Records of a file, in row order; places are `name:row` from 1.

    Raises:
        RequestError: when the file has no column `text`; it names those there are.
        RunError: when the bytes do not hash to `sha256`.
    """
    if sha256 is not None and _hash(path) != sha256:
        raise RunError(f"{path} changed while it was being read", remedy="Run again when nothing writes to it.")
    row = 0
    try:
        file = pq.ParquetFile(path)
        columns = file.schema_arrow.names
        if text not in columns:
            near = difflib.get_close_matches(text, columns, 1)
            raise RequestError(
                f"{name} has no column {text!r}",
                remedy=f"Say text: {near[0]}" if near else f"Its columns: {', '.join(columns)}.",
            )
        for batch in file.iter_batches(batch_size=_ROWS):
            for fields in _rows(batch):
                row += 1
                where = f"{name}:{row}"
                if isinstance(fields, str):
                    yield Reject("undecodable", where, fields)
                else:
                    yield from_fields(fields, where, text, id)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        yield Reject("corrupt-file", f"{name}:{row + 1}", excerpt(str(error)))


def _rows(batch: Any) -> Iterator[dict[str, Any] | str]:
    """Rows as maps; one whose strings are not UTF-8 as an excerpt of its error."""
    for index in range(batch.num_rows):
        try:
            yield {field: column[index].as_py() for field, column in zip(batch.schema.names, batch, strict=True)}
        except UnicodeDecodeError as error:
            yield excerpt(error.object)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
