"""What readers give: records, and the reasons for which something is not one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

EXCERPT = 200
DEPTH = 200
"""Deepest nesting of JSON that is read. Our choice: trees of replies reach some dozens."""


@dataclass(frozen=True)
class Record:
    """A text with its name in the source (`None`: it has none), other fields, and place (`file:line`)."""

    id: str | None
    text: str
    where: str
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reject:
    """Something that should have been a record and is not: counted, kept aside, reported.

    One without a text says which fields it has instead.
    """

    reason: str
    where: str
    excerpt: str
    fields: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Skip:
    """Something left out by design: what would have been a document says where it was and is listed, the rest counted.

    Attributes:
        reason: why, one of `inspecting.reasons.SKIPPED`.
        bytes: its size.
        where: its place, as a record's; empty for what was never a candidate, such as a file of another language.
        value: what decided: a score, a number of answers, the words that mark a file as generated.
        excerpt: its beginning.
        id: the name that its record would have had; its place where left out.
    """

    reason: str
    bytes: int
    where: str = ""
    value: Any = None
    excerpt: str = ""
    id: str = ""


@dataclass(frozen=True)
class Blob:
    """A file in memory. `fields` are what its record starts with."""

    name: str
    data: bytes
    fields: dict[str, Any] = field(default_factory=dict)


Item = Record | Reject | Skip


def excerpt(data: bytes | str) -> str:
    """The beginning of something broken, as text that can be stored."""
    if isinstance(data, str):
        data = data[:EXCERPT].encode("utf-8", "backslashreplace")
    return data[:EXCERPT].decode("utf-8", "backslashreplace")[:EXCERPT]


def too_deep(value: Any) -> bool:
    """Whether lists and maps lie more than `DEPTH` deep in a value that was read.

    How deep Python itself can go depends on how deep its caller is, and what becomes of a document must not.
    """
    level = [value]
    for _ in range(DEPTH + 1):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def decoded(blob: Blob) -> str | Reject | Skip:
    """Text of a file: UTF-8 without its byte-order mark, line ends as they are; or why it is none."""
    if b"\0" in blob.data:
        return Skip("binary", len(blob.data), blob.name, blob.data.index(b"\0"), excerpt(blob.data))
    try:
        text = blob.data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return Reject("undecodable", blob.name, excerpt(blob.data[max(0, error.start - 40) :]))
    return text if text.strip() else Skip("empty", len(blob.data))
