"""Held-out documents of one domain, cut to a byte budget.

Guarantees: the same tokens and the same budget give the same documents; they come in the order of the SHA-256 of
their text, so a domain's sample does not depend on how its files were named or sorted. Documents are taken from the
start until the budget is full: none is skipped, each gives at most an eighth of the budget (so that at least eight
stand where there are eight), and what is too long is cut at a token boundary, its end mark then not scored. Bytes are
raw UTF-8 bytes of what is scored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pretrial.errors import RunError
from pretrial.execute.context import ArtefactLike

Ints = NDArray[np.int64]

SHARE_OF_ONE = 8
"""A document gives at most this fraction (one eighth) of a domain's bytes."""


@dataclass(frozen=True)
class Document:
    """One document as evaluated: its tokens without marks, and whether its end is among them."""

    id: str
    cluster: str
    tokens: Ints
    bytes: int
    whole: bool


class HeldOut:
    """The tokens artefact of one source's held-out part."""

    def __init__(self, artefact: ArtefactLike) -> None:
        self.tokens: NDArray[np.unsignedinteger] = np.load(artefact.file("tokens.npy"), mmap_mode="r")
        self.starts: Ints = np.load(artefact.file("starts.npy"))
        self.bytes: Ints = np.load(artefact.file("bytes.npy"))
        table = pq.read_table(artefact.file("documents.parquet"), columns=["id", "group", "sha"])
        self.groups: list[str] = table.column("group").to_pylist()
        self.shas: list[str] = table.column("sha").to_pylist()
        self.ids: list[str] = _told_apart(table.column("id").to_pylist(), self.shas)
        if not len(self.ids) == len(self.bytes) == len(self.starts) - 1:
            raise RunError(
                "documents.parquet, bytes.npy and starts.npy do not agree on the number of documents",
                where=str(artefact.path),
                remedy="The files are damaged: delete this artefact and run again.",
            )

    def __len__(self) -> int:
        return len(self.ids)

    def text(self, index: int) -> Ints:
        """Tokens of one document, without marks."""
        # A document's tokens end where the mark before the next document's first token stands.
        return self.tokens[int(self.starts[index]) : int(self.starts[index + 1]) - 1].astype(np.int64)


def choose_documents(held_out: HeldOut, budget: int, lengths: NDArray[np.int32]) -> list[Document]:
    """Documents from the start of `held_out` until `budget` bytes are full; `lengths` are the bytes of each id.

    Raises `RunError` where there is none.
    """
    if budget < SHARE_OF_ONE:
        raise ValueError(f"a budget of {budget} bytes is too small to evaluate on")
    cap = budget // SHARE_OF_ONE
    chosen: list[Document] = []
    left = budget
    for index in range(len(held_out)):
        if left <= 0:
            break
        document = cut(held_out, index, min(cap, left), lengths)
        if document is not None:
            chosen.append(document)
            left -= document.bytes
    if not chosen:
        raise RunError(
            "there is no held-out document to evaluate on",
            remedy="Give the source more groups, or take it out of the evaluation.",
        )
    return chosen


def cut(held_out: HeldOut, index: int, room: int, lengths: NDArray[np.int32]) -> Document | None:
    """A document of at most `room` bytes: whole, or its first tokens; None where not one token fits."""
    tokens, size = held_out.text(index), int(held_out.bytes[index])
    whole = size <= room
    if not whole:
        ends = np.cumsum(lengths[tokens], dtype=np.int64)
        kept = int(np.searchsorted(ends, room, side="right"))
        if kept == 0:
            return None
        tokens, size = tokens[:kept], int(ends[kept - 1])
    if size == 0:
        return None
    return Document(held_out.ids[index], held_out.groups[index], tokens, size, whole)


def total_bytes(documents: Sequence[Document]) -> int:
    """Bytes of all documents together."""
    return sum(document.bytes for document in documents)


def _told_apart(ids: list[str], shas: list[str]) -> list[str]:
    """Ids of items: those that several documents share are followed by the beginning of the text's hash.

    8 digits of it, or as many more as tell all apart: texts differ, since exact copies are not selected.
    """
    counts = Counter(ids)
    names = ids
    for digits in (8, 16, 32, 64):
        names = [f"{name}@{sha[:digits]}" if counts[name] > 1 else name for name, sha in zip(ids, shas, strict=True)]
        if len(set(names)) == len(names):
            break
    return names
