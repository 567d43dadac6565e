"""JSON lines, plain or compressed with gzip or Zstandard (told by the first bytes, not by the name).

Guarantees: one record or one reject for each line that is not blank; memory is bounded by the longest line
allowed and by what its lists and maps may take; a cut or broken compressed file, or one that unpacks to far more than
it should, gives its readable part and one reject; a file whose bytes are not those that were planned for fails the
step; JSON that is nested too deep counts as malformed (`record.too_deep`).
Does not: repair lines, or guess encodings (UTF-8 only).
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from pretrial.corpus.readers.columns import Columns, renamed, take_out, value_at
from pretrial.corpus.readers.packed import unpacked
from pretrial.corpus.readers.record import EXCERPT, Item, Record, Reject, excerpt, too_deep
from pretrial.corpus.readers.safety import Fault, Limits
from pretrial.corpus.readers.threads import thread_text
from pretrial.errors import RunError

LINE_LIMIT = 100_000_000
# Memory that Python takes for each of these outside of a string, measured with CPython 3.11: a list, a map, a value's
# place and number, a key's place; and beside its letters for each string.
_COSTS = {b"[": 96, b"{": 192, b",": 40, b":": 45}
_STRING_COST = 80
_PLAIN = bytes(set(range(256)) - set(b'[{,:"'))
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


def compression(path: Path) -> str | None:
    """`"gzip"`, `"zstd"` or `None`, by the first bytes or, for a file too short, by its name."""
    with path.open("rb") as file:
        head = file.read(4)
    for magic, name in _MAGIC.items():
        if head.startswith(magic) or (head and magic.startswith(head)):
            return name
    return {".gz": "gzip", ".zst": "zstd"}.get(path.suffix) if head else None


def read_jsonl(
    path: Path,
    name: str,
    *,
    text: str,
    id: str | None,
    columns: Columns | None = None,
    sha256: str | None = None,
    span: tuple[int, int] | None = None,
    first_line: int = 1,
    limit: int = LINE_LIMIT,
    limits: Limits | None = None,
) -> Iterator[Item]:
    """Records of a file, or of a span of whole lines of a plain one.

    Args:
        path: the file.
        name: what it is called in places (`name:line`).
        text: field that holds the text.
        id: field that names a record, or `None`.
        columns: fields that have other names in the file.
        sha256: what the file's bytes must hash to; not checked for a span.
        span: first byte and the byte after the last, both at line starts.
        first_line: number of the span's first line.
        limit: most bytes of a line.
        limits: the most that a packed file, a line's lists and maps, and a list of comments may cost.

    Raises:
        RunError: when the bytes do not hash to `sha256`.
    """
    limits = Limits() if limits is None else limits
    with path.open("rb") as file:
        source = _Source(file, span)
        kind = compression(path) if span is None else None
        number = first_line - 1
        try:
            stream = (
                io.BufferedReader(source, 1 << 20)
                if kind is None
                else unpacked(source, kind, lambda: path.open("rb"), limits)
            )
            while line := stream.readline(limit + 1):
                number += 1
                where = f"{name}:{number}"
                if len(line) > limit and not line.endswith(b"\n"):
                    line = line[:1000]
                    while (more := stream.readline(1 << 20)) and not more.endswith(b"\n"):
                        pass
                    yield Reject("oversize-line", where, excerpt(line))
                elif len(line) > limits.structure_from and _is_crowded(line, limits.structure_bytes):
                    yield Reject("oversize-line", where, excerpt(line))
                elif not line.isspace():
                    # Of a large document there must be no more copies in memory than it takes.
                    held = [line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line]
                    del line
                    item = _record(held, where, text, id, columns, limits)
                    yield item
                    del item
        except Fault as fault:
            yield Reject(fault.reason, f"{name}:{number + 1}", excerpt(fault.detail))
        except OSError as error:
            if kind is None or error.errno is not None:
                raise
            reason = "truncated-file" if "Truncated" in str(error) else "corrupt-file"
            yield Reject(reason, f"{name}:{number + 1}", excerpt(str(error)))
        if sha256 is not None and span is None and source.drain() != sha256:
            raise RunError(f"{path} changed while it was being read", remedy="Run again when nothing writes to it.")


def spans(path: Path, size: int) -> list[tuple[int, int, int]]:
    """Cut a plain file at line ends into spans of about `size` bytes: (first byte, end, first line)."""
    found = []
    start, line, number, position = 0, 1, 1, 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 22):
            at = 0
            while position + len(chunk) - start > size:
                # The first line end at or behind the target closes the span.
                end = chunk.find(b"\n", max(at, start + size - position))
                if end < 0:
                    break
                number += chunk.count(b"\n", at, end + 1)
                found.append((start, position + end + 1, line))
                start, line, at = position + end + 1, number, end + 1
            number += chunk.count(b"\n", at)
            position += len(chunk)
    if position > start:
        found.append((start, position, line))
    return found


class _Source(io.RawIOBase):
    """A file or a span of it, hashed as it is read."""

    def __init__(self, file: BinaryIO, span: tuple[int, int] | None) -> None:
        self.file = file
        self.left = None if span is None else span[1] - span[0]
        self.digest = hashlib.sha256()
        if span:
            file.seek(span[0])

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        if self.left is not None:
            view = view[: self.left]
        data = self.file.read(len(view))
        view[: len(data)] = data
        if self.left is None:
            self.digest.update(data)
        else:
            self.left -= len(data)
        return len(data)

    def drain(self) -> str:
        """SHA-256 of the whole file, reading what nobody has read yet."""
        while block := self.file.read(1 << 20):
            self.digest.update(block)
        return self.digest.hexdigest()


def _is_crowded(line: bytes, most: int) -> bool:
    """Whether Python may take more than `most` bytes for a line's lists, maps, keys and values, beside their letters.

    What stands inside strings does not count: a long text is full of commas.
    """
    bare = line.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _PLAIN)
    # Without escapes, each quote begins or ends a string.
    strings = bare.count(b'"') // 2 * _STRING_COST
    if strings > most:
        return True
    bare = re.sub(rb'"[^"]*"?', b"", bare)
    return strings + sum(bare.count(mark) * cost for mark, cost in _COSTS.items()) > most


def _record(held: list[bytes], where: str, text: str, id: str | None, columns: Columns | None, limits: Limits) -> Item:
    """What a line holds, which is taken out of `held`: nothing else has it while it is parsed."""
    head = held[0][:EXCERPT]
    try:
        record = json.loads(held.pop().decode("utf-8"), parse_constant=lambda _: None)
    except UnicodeDecodeError:
        return Reject("undecodable", where, excerpt(head))
    except (ValueError, RecursionError):
        return Reject("malformed-json", where, excerpt(head))
    if not isinstance(record, dict):
        return Reject("not-an-object", where, excerpt(head))
    if too_deep(record):
        return Reject("malformed-json", where, excerpt(head))
    return from_fields(record, where, text, id, columns, limits.document_bytes)


def _beginning(fields: dict[str, Any]) -> str:
    """The first 1,000 characters of a map as JSON, without writing out the rest."""
    found, size = [], 0
    for piece in json.JSONEncoder(default=str).iterencode(fields):
        found.append(piece)
        size += len(piece)
        if size >= 1000:
            break
    return "".join(found)[:1000]


def from_fields(
    fields: dict[str, Any],
    where: str,
    text: str,
    id: str | None,
    columns: Columns | None = None,
    most: int = Limits.document_bytes,
) -> Item:
    """A record from a map of fields: the text and the name leave it. Shared by all readers of records.

    The columns of both may have dots, which go into nested records.
    A list of comments in place of the text gives the thread's text, of at most `most` bytes, and stays as the field
    `events`.
    """
    value = value_at(fields, text)
    if value is None:
        return Reject("no-text", where, excerpt(_beginning(fields)), tuple(fields))
    take_out(fields, text)
    try:
        said = thread_text(value, fields, most) if isinstance(value, list) else ""
    except Fault as fault:
        return Reject(fault.reason, where, excerpt(fault.detail))
    if said:
        # Comments in the place of a text: a thread, and the rules for threads ask who says what.
        fields["events"], value = value, said
    if not isinstance(value, str):
        return Reject("text-not-a-string", where, excerpt(str(value)))
    if not value.strip():
        return Reject("empty-text", where, excerpt(value))
    named = value_at(fields, id) if id else None
    fields = renamed(fields, columns)
    if isinstance(named, bool) or not isinstance(named, str | int) or named == "":
        return Record(None, value, where, fields)
    if id not in (columns or ()):
        take_out(fields, id or "")
    return Record(str(named), value, where, fields)
