"""How much text a source holds: measured where it was read, estimated from the sizes of its files before that.

What is installed, and what a study takes only a part of (`keep`), is not estimated: it is unknown until it was read.
Nothing is read but the first and last bytes of compressed files, which often say how much is in them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Protocol

from pretrial.corpus import spec as corpus
from pretrial.plan.graph import Graph
from pretrial.plan.steps import Step
from pretrial.tokens.spec import BYTES_PER_TOKEN

Basis = Literal["measured", "estimated", "declared"]

# Text in a byte of what lies on the disk: JSON has keys, quotes and other fields beside it; Parquet is compressed;
# of Python files only the docstrings are prose.
_TEXT = {"jsonl": 0.9, "parquet": 2.0, "files": 1.0, "docstrings": 0.2}
_PACKED = {".gz": 2.8, ".zst": 3.2}
_ZSTD = b"\x28\xb5\x2f\xfd"
# Of a source too small for its bytes to be held out, this share is (corpus.select).
_SMALL_HELD_OUT = Fraction(1, 4)


@dataclass(frozen=True)
class Figure:
    """A number and where it comes from."""

    value: float
    basis: Basis


class Made(Protocol):
    """What a finished step says of itself."""

    @property
    def facts(self) -> dict[str, Any]:
        """What its function returned."""


Look = Callable[[str], Made | None]
"""The output of a step by name, where it is there."""


@dataclass(frozen=True)
class Size:
    """Bytes of a source's text, and how many of them train; `files` are those on the disk, 0 for what is installed."""

    text: Figure
    trained: Figure
    files: int


def sizes(graph: Graph, look: Look = lambda name: None) -> dict[str, Size]:
    """Sizes of the sources of which anything is known."""
    selected = look("selection of documents")
    found = {}
    for name, step in ((str(s.about["source"]), s) for s in graph.steps.values() if s.kind == "corpus"):
        files = _files(step)
        text = _text(step, files)
        if (read := look(step.name)) is not None:
            text = Figure(float(read.facts["bytes"]), "measured")
        if text is None:
            continue
        trained = Figure(text.value - _held_out(text.value), "estimated")
        if name not in graph.study.trained_sources:
            trained = Figure(0.0, text.basis)
        elif selected is not None:
            trained = Figure(float(selected.facts["sources"][name]["train"]["bytes"]), "measured")
        found[name] = Size(text, trained, sum(size for _, size in files.values()))
    return found


def windows(graph: Graph, look: Look, known: Mapping[str, Size] | None = None) -> dict[str, Figure]:
    """Training windows of each source: measured where its tokens exist, else estimated from its size if `known`."""
    found = {}
    for source in graph.study.trained_sources:
        tokens = look(f"tokens of {source} (train)")
        if tokens is not None:
            found[source] = Figure(max(0, (int(tokens.facts["tokens"]) - 1) // graph.study.context), "measured")
        elif source in (known or {}):
            count = (known or {})[source].trained.value / BYTES_PER_TOKEN // graph.study.context
            found[source] = Figure(max(1.0, count), "estimated")
    return found


def _files(step: Step) -> dict[str, tuple[Path, int]]:
    """Path and size of each file that a source reads, by name."""
    places = corpus.resolve(step.config, step.settings)
    return {place.name: (place.path, place.path.stat().st_size) for place in places if place.path.is_file()}


def _text(step: Step, files: Mapping[str, tuple[Path, int]]) -> Figure | None:
    read = step.config["read"]
    if not files or step.config["keep"] or read["kind"] not in _TEXT:
        return None
    groups: dict[str, float] = {}
    for name, (path, size) in files.items():
        text = _unpacked(path, size) * _TEXT[read["kind"]]
        if read["kind"] not in ("jsonl", "parquet") and read.get("cap_file") is not None:
            text = min(text, read["cap_file"])
        group = name.partition("/")[0]
        groups[group] = groups.get(group, 0.0) + text
    cap = read.get("cap_group")
    return Figure(sum(size if cap is None else min(size, cap) for size in groups.values()), "estimated")


def _unpacked(path: Path, size: int) -> float:
    """Bytes in a file once it is unpacked: as it says itself, else by what is usual."""
    if path.suffix not in _PACKED:
        return size
    said = None
    try:
        with path.open("rb") as file:
            if path.suffix == ".zst":
                said = zstd_bytes(file.read(18))
            elif size >= 18:
                # RFC 1952: the last four bytes are the size modulo 2³².
                file.seek(-4, 2)
                said = int.from_bytes(file.read(4), "little")
    except OSError:
        pass
    # A file of several parts says the size of one.
    return said if said is not None and said >= size else size * _PACKED[path.suffix]


def zstd_bytes(head: bytes) -> int | None:
    """Bytes in a zstd frame, from its first 18 bytes (RFC 8878, section 3.1.1); `None` where it does not say."""
    if len(head) < 6 or head[:4] != _ZSTD:
        return None
    flags = head[4]
    single = bool(flags & 0x20)
    length = (1 if single else 0, 2, 4, 8)[flags >> 6]
    at = 5 + (0 if single else 1) + (0, 1, 2, 4)[flags & 3]
    if not length or len(head) < at + length:
        return None
    return int.from_bytes(head[at : at + length], "little") + (256 if length == 2 else 0)


def _held_out(text: float) -> float:
    """Bytes of a trained source that are held out, as `corpus.select` aims at."""
    least = float(corpus.HELD_OUT["bytes"])
    if text < 2 * least:
        return text * float(_SMALL_HELD_OUT)
    share = Fraction(corpus.HELD_OUT["share"].removesuffix("%")) / 100
    return max(least, text * float(share))
