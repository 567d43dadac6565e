"""Parquet with named columns.

Guarantees: one record or one reject a row; rows are read in batches and made one at a time, so that a batch bounds
memory, also where one long value is stored once for many rows; a broken row group is
one reject (from the row at which it breaks), as is one that unpacks to far more than it should and a file without a
readable footer, and the other groups stay; a file whose bytes are not those planned for fails the step.
Does not: read texts in lists, but of comments, or join files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pretrial.corpus.readers.columns import Columns, check_columns
from pretrial.corpus.readers.jsonl import from_fields
from pretrial.corpus.readers.record import Item, Reject, excerpt
from pretrial.corpus.readers.safety import Fault, Limits, check_ratio
from pretrial.errors import RunError

_ROWS = 512
# A footer can lie about all it says: names that are no text, too.
_BROKEN = (pa.ArrowException, OSError, UnicodeDecodeError)


def read_parquet(
    path: Path,
    name: str,
    *,
    text: str,
    id: str | None,
    columns: Columns | None = None,
    sha256: str | None = None,
    limits: Limits | None = None,
) -> Iterator[Item]:
    """Records of a file, in row order; places are `name:row` from 1. `columns` are those of fields of other names.

    `limits` are the most that a row group may cost.

    Raises:
        RequestError: when the file has not the columns asked for, but for `id`; it names those there are.
        RunError: when the bytes do not hash to `sha256`.
    """
    if sha256 is not None and _hash(path) != sha256:
        raise RunError(f"{path} changed while it was being read", remedy="Run again when nothing writes to it.")
    try:
        file = opened(path)
        check_columns(name, file.schema_arrow, text, columns)
        groups = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    except _BROKEN as error:
        yield _corrupt(error, name, 0)
        return
    first = 0
    for group, rows in enumerate(groups):
        row = first
        try:
            check_row_group(file, group, Limits() if limits is None else limits)
            for batch in file.iter_batches(batch_size=_ROWS, row_groups=[group]):
                for fields in rows_of(batch):
                    row += 1
                    where = f"{name}:{row}"
                    if isinstance(fields, str):
                        yield Reject("undecodable", where, fields)
                    else:
                        yield from_fields(fields, where, text, id, columns)
        except Fault as fault:
            yield Reject(fault.reason, f"{name}:{first + 1}", fault.detail)
        except _BROKEN as error:
            yield _corrupt(error, name, row)
        first += rows


def _corrupt(error: Exception, name: str, row: int) -> Reject:
    """The reject of what breaks behind a row; an error of the system is raised instead."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error
    return Reject("corrupt-file", f"{name}:{row + 1}", excerpt(str(error)))


def opened(source: Any, **options: Any) -> Any:
    """A `ParquetFile` whose texts and bytes, nested ones too, come as they are stored: what rows share is there once.

    Otherwise two kilobytes can be six hundred rows of the same twenty megabytes, and a batch of them twelve gigabytes.
    """
    file = pq.ParquetFile(source, **options)
    leaves = [file.schema.column(index) for index in range(len(file.schema))]
    texts = [
        leaf.path
        for leaf in leaves
        if leaf.physical_type == "BYTE_ARRAY" and "DECIMAL" not in (leaf.logical_type.type, leaf.converted_type)
    ]
    return pq.ParquetFile(source, metadata=file.metadata, read_dictionary=texts, **options) if texts else file


def check_row_group(file: Any, group: int, limits: Limits) -> None:
    """Stop a row group whose pages unpack to far more than they should, before any is read.

    Raises:
        Fault: `archive-bomb`.
    """
    said = file.metadata.row_group(group)
    chunks = [said.column(index) for index in range(said.num_columns)]
    check_ratio(
        sum(chunk.total_uncompressed_size for chunk in chunks),
        sum(chunk.total_compressed_size for chunk in chunks),
        limits,
    )


def rows_of(batch: Any) -> Iterator[dict[str, Any] | str]:
    """Rows as maps; one whose strings are not UTF-8 as an excerpt of its error."""
    for index in range(batch.num_rows):
        try:
            yield {field: column[index].as_py() for field, column in zip(batch.schema.names, batch, strict=True)}
        except UnicodeDecodeError as error:
            yield excerpt(error.object)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
