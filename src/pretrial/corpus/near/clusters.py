"""Near-duplicates of one or many corpora: verified pairs, and the components that they form.

Guarantees: every pair listed has the true Jaccard similarity given, at least the threshold; documents with the same
words in the same order are listed whatever the bands (similarity 1); the result depends on the documents, the order
of the sources and the settings, not on shards, workers or memory. Memory is the budget (`memory` in the step's
settings, 128 MB unless given) with 11 bytes a document and 16 more for one that is compared; sorting and sets of
shingles are on disk, the latter with 8 bytes a shingle, of crowded documents with at most 40.
Does not: decide what is dropped, or find all pairs: one at the threshold is missed with a probability of at most 3%.

How a pair is found: of documents with equal words only the first goes on, the others are paired with it
(`candidates.copies`). Documents that share a band are candidates (`candidates.bucket_pairs`), of crowded ones also
those that share a rare shingle (`candidates.rare_pairs`), and candidates are compared shingle by shingle (`verify`). So
for a near-duplicate of a document that has copies only the copies' first is listed; `touching` answers for all of them.

The step's files:

- `pairs.parquet`: source_a, row_a, source_b, row_b, jaccard; a comes before b in the order of the sources, then of
  rows, and so do the pairs.
- `<index>.npy`, one a source in the order of the configuration: int64 component of each document, -1 for one in no
  pair. Components are numbered by their first documents.
- `crowded.npy`: int64 [n, 2], (source's index, row) of the documents in a bucket of more than `spec.LIMIT`, not
  with each of which they were compared.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pretrial.corpus.documents import save_array
from pretrial.corpus.near import spec
from pretrial.corpus.near.candidates import band_keys, bucket_pairs, copies, holders, rare_pairs
from pretrial.corpus.near.signatures import rows
from pretrial.corpus.near.verify import Shingles
from pretrial.corpus.sorting import Columns, Sorter
from pretrial.errors import Interrupted
from pretrial.execute.context import ArtefactLike, Json, StepContext

MEMORY = 128_000_000
PIECE = 65_536
"""Pairs or documents that are worked on at once."""
PAIRS = "pairs.parquet"
CROWDED = "crowded.npy"
SCHEMA = pa.schema(
    [
        pa.field("source_a", pa.string(), nullable=False),
        pa.field("row_a", pa.int64(), nullable=False),
        pa.field("source_b", pa.string(), nullable=False),
        pa.field("row_b", pa.int64(), nullable=False),
        pa.field("jaccard", pa.float64(), nullable=False),
    ]
)

_Ints = npt.NDArray[np.int64]
_Flags = npt.NDArray[np.bool_]
_ONE = np.uint64(1)
_LEAST_PAIRS = 4096


def find_near_duplicates(ctx: StepContext) -> Json:
    """Step function of kind "near-duplicates".

    Config: `spec.near_config`. Settings: `memory`, bytes to work in (no identity). Inputs: `corpus:<source>` and
    `signatures:<source>` for each source.

    Returns:
        Facts: `documents`; `empty`, those without words; `copies`, those with the words of an earlier one;
        `candidates`, pairs that were compared; `verified`, those of them that are near; `false_candidate_share`;
        `pairs`, verified and copies; `components`; `in_components`, documents; `largest_component`; `crowded`,
        documents; `files` (source → file of components); `sources` (source → {documents, empty, in_components,
        within, across}: documents whose component holds another one of the same source, one of another source);
        `between`, a list of {sources, pairs}.

    Raises:
        ValueError: when signatures were made with other settings, of another corpus, or by another Unicode than the
            running Python's.
    """
    search = _Search(ctx)
    shutil.rmtree(search.work, ignore_errors=True)
    search.work.mkdir(parents=True)
    components = Components(search.documents)
    candidates = verified = 0
    between = np.zeros((len(search.names), len(search.names)), np.int64)
    with _PairWriter(ctx.out / PAIRS, search) as writer:
        for first, second, similarity, copied in search.pairs():
            candidates += int(np.count_nonzero(~copied))
            near = similarity >= search.settings.threshold
            verified += int(np.count_nonzero(near & ~copied))
            first, second, similarity = first[near], second[near], similarity[near]
            components.join(first, second)
            writer.add(first, second, similarity)
            np.add.at(between, (search.source_of(first), search.source_of(second)), 1)
    shutil.rmtree(search.work)
    copied_documents = int(np.count_nonzero(search.copied))
    numbers = components.numbers()
    files: dict[str, str] = {}
    for index, (name, part) in enumerate(zip(search.names, np.split(numbers, search.starts[1:-1]), strict=True)):
        files[name] = f"{index}.npy"
        save_array(ctx.out / files[name], part)
    crowded = int(np.count_nonzero(search.crowded))
    save_array(ctx.out / CROWDED, _crowded(search, crowded))
    sizes = _sizes(numbers, int(numbers.max(initial=-1)) + 1)
    if crowded:
        ctx.log(
            f"{crowded:,} documents share much with more than {spec.LIMIT} others, as pages of one template do: "
            f"each was compared with {spec.LIMIT} of them and with those that share words which few of them have"
        )
    return {
        "documents": search.documents,
        "empty": sum(search.empty),
        "copies": copied_documents,
        "candidates": candidates,
        "verified": verified,
        "false_candidate_share": round(1 - verified / candidates, 6) if candidates else 0.0,
        "pairs": copied_documents + verified,
        "components": len(sizes),
        "in_components": int(sizes.sum()),
        "largest_component": int(sizes.max(initial=0)),
        "crowded": crowded,
        "files": files,
        "sources": _by_source(search, numbers, sizes),
        "between": [
            {"sources": [search.names[a], search.names[b]], "pairs": int(between[a, b])}
            for a, b in zip(*np.nonzero(between), strict=True)
        ],
    }


class Components:
    """Documents joined by pairs. A component is known by its first document, its root; 8 bytes a document.

    Pairs in any order cost their number times about the logarithm of a chain's length.
    """

    def __init__(self, documents: int) -> None:
        self._parent = np.arange(documents, dtype=np.int64)

    def join(self, first: npt.NDArray[Any], second: npt.NDArray[Any]) -> None:
        """Put the two documents of each pair into one component."""
        a, b = first.astype(np.int64), second.astype(np.int64)
        while True:
            a, b = self._follow(a), self._follow(b)
            apart = a != b
            if not apart.any():
                return
            a, b = a[apart], b[apart]
            # A root points to the least root that it meets; pointers only go down, so there is no circle.
            np.minimum.at(self._parent, np.maximum(a, b), np.minimum(a, b))

    def roots(self) -> _Ints:
        """First document of each document's component."""
        for _ in self._flattened():
            pass
        return self._parent.copy()

    def numbers(self) -> _Ints:
        """Number of each document's component, by first documents; -1 for documents in no pair.

        The last call: the numbers take the place of what was known. A byte a document is used beside them.
        """
        joined = np.zeros(len(self._parent), bool)
        for start, part in self._flattened():
            joined[part[part < np.arange(start, start + len(part))]] = True
        numbers = self._parent
        count = 0
        for start in range(0, len(numbers), PIECE):
            part = numbers[start : start + PIECE]
            first = part == np.arange(start, start + len(part))
            many = first & joined[start : start + PIECE]
            roots = part[~first]
            part[first] = -1
            part[many] = np.arange(count, count := count + int(np.count_nonzero(many)))
            # Roots come before what is joined with them, so they have their numbers by now.
            part[~first] = numbers[roots]
        return numbers

    def _flattened(self) -> Iterator[tuple[int, _Ints]]:
        """(first document, roots) of pieces in order; every pointer in them leads to a root at once."""
        for start in range(0, len(self._parent), PIECE):
            yield start, self._follow(np.arange(start, min(start + PIECE, len(self._parent))))

    def _follow(self, documents: _Ints) -> _Ints:
        """Roots of documents, which are pointed at them."""
        parent = self._parent
        roots = parent[documents]
        moving = np.flatnonzero(parent[roots] != roots)
        while len(moving):
            # Whatever lies on the way is pointed twice as far: a chain of n documents takes about log n turns.
            here = roots[moving]
            parent[here] = parent[parent[here]]
            roots[moving] = here = parent[here]
            moving = moving[parent[here] != here]
        parent[documents] = roots
        return roots


def load_components(near: ArtefactLike, source: str) -> _Ints:
    """Component of each document of a source, in the corpus's order; -1 for a document that is near to none.

    Raises:
        KeyError: when the search had no such source.
    """
    numbers: _Ints = np.load(near.file(near.facts["files"][source]))
    return numbers


def touching(near: ArtefactLike, marked: Mapping[str, _Flags]) -> dict[str, _Flags]:
    """Which documents are near-duplicates of a marked one: for held-out documents, what must not train.

    A document is where a verified pair joins it with a marked one, or with a document whose set of shingles is that
    of a marked one (its copies are listed with their first only; nearness to one is nearness to all). Of crowded
    documents not every pair was compared: two in one component count as near, on the safe side. A marked document is
    not reported for its own mark, only for another's.

    Args:
        near: an artefact of the "near-duplicates" step.
        marked: source → one flag a document; sources without any can be left out.

    Returns:
        Source → one flag a document, for every source of the search.

    Raises:
        ValueError: for a source that was not searched, or flags that are not one a document.
    """
    files = near.facts["files"]
    names = sorted(files, key=lambda name: int(files[name].removesuffix(".npy")))
    numbers = [load_components(near, name) for name in names]
    starts = _starts([len(part) for part in numbers])
    sizes = {name: len(part) for name, part in zip(names, numbers, strict=True)}
    for name, one in marked.items():
        if sizes.get(name) != len(one):
            raise ValueError(
                f"{len(one)} documents of {name} are marked or not; the search saw {sizes.get(name, 'none')}"
            )
    flags = np.concatenate([marked.get(name, np.zeros(size, bool)) for name, size in sizes.items()])
    component = np.concatenate(numbers)
    first = dict(zip(names, starts.tolist(), strict=False))
    # Documents with one set of shingles are one node: similarity 1 is an equivalence.
    same = Components(len(component))
    for a, b, similarity in _listed(near, first):
        same.join(a[similarity == 1], b[similarity == 1])
    node = same.roots()
    marks = np.bincount(node, weights=flags, minlength=len(node)).astype(np.int64)
    found = marks[node] - flags > 0
    beside = np.zeros(len(node), bool)
    for a, b, similarity in _listed(near, first):
        a, b = node[a[similarity < 1]], node[b[similarity < 1]]
        beside[a[marks[b] > 0]] = True
        beside[b[marks[a] > 0]] = True
    found |= beside[node]
    crowd = np.load(near.file(CROWDED))
    if len(crowd):
        crowded = np.zeros(len(node), bool)
        crowded[node[starts[crowd[:, 0]] + crowd[:, 1]]] = True
        held = crowded[node] & (component >= 0)
        count = np.bincount(component[held], weights=flags[held], minlength=int(component.max(initial=0)) + 1)
        found[held] |= count[component[held]] - flags[held] > 0
    return dict(zip(names, np.split(found, starts[1:-1]), strict=True))


class _Search:
    """What the step knows of its inputs, and the pairs that it compares."""

    def __init__(self, ctx: StepContext) -> None:
        self.ctx = ctx
        self.settings = spec.settings_of(ctx.config)
        self.names: list[str] = ctx.config["sources"]
        self.corpora = {name: ctx.inputs[f"corpus:{name}"] for name in self.names}
        self.signed = {name: ctx.inputs[f"signatures:{name}"] for name in self.names}
        for name in self.names:
            facts = self.signed[name].facts
            if facts["config"] != ctx.config["signatures"]:
                raise ValueError(f"the signatures of {name} were made with other settings")
            if facts["config"]["unicode"] != (here := spec.versions()["unicode"]):
                raise ValueError(f"the signatures of {name} follow Unicode {facts['config']['unicode']}, not {here}")
            if facts["corpus"] != self.corpora[name].content:
                raise ValueError(f"the signatures of {name} are those of another corpus")
        self.empty = [self.signed[name].facts["empty"] for name in self.names]
        self.starts = _starts([self.signed[name].facts["documents"] for name in self.names])
        self.documents = int(self.starts[-1])
        self.copied = np.zeros(self.documents, bool)
        self.crowded = np.zeros(self.documents, bool)
        self.memory: int = ctx.settings.get("memory", MEMORY)
        self.work = ctx.work / "near"

    def source_of(self, documents: npt.NDArray[Any]) -> _Ints:
        """Index of each document's source."""
        return np.searchsorted(self.starts, documents.astype(np.int64), "right") - 1

    def pairs(self) -> Iterator[tuple[Columns, Columns, npt.NDArray[np.float64], _Flags]]:
        """(first, second, similarity, whether they have the same words) of all pairs in order, in pieces."""
        wanted = np.zeros(self.documents, bool)
        path = self.work / "pairs"
        total = 0
        with path.open("wb") as file:
            for first, second in self._unverified():
                compared = second & _ONE == 0
                wanted[first[compared]] = True
                wanted[second[compared] >> _ONE] = True
                total += len(first)
                file.write(np.stack([first, second], axis=1).data)
        shingles = Shingles(
            self.corpora, wanted, self.settings.words, self.work / "shingles", lambda at: self._passed(1, at)
        )
        with path.open("rb") as file:
            done = 0
            while done < total:
                first, second = np.fromfile(file, np.uint64, 2 * PIECE).reshape(-1, 2).T.copy()
                copied = second & _ONE == 1
                second >>= _ONE
                similarity = np.ones(len(first), np.float64)
                at = 0
                compared = np.flatnonzero(~copied)
                for found in shingles.similarities(first[compared], second[compared], self.memory):
                    similarity[compared[at : at + len(found)]] = found
                    at += len(found)
                    self._passed(2, self.documents * (done + at) // total)
                done += len(first)
                yield first, second, similarity, copied
        shingles.close()

    def _unverified(self) -> Iterator[Columns]:
        """Sorted (first, 2 · second + whether it is a copy), each once."""
        found = Sorter(self.work / "found", 2, self.memory // 2)
        by_digest = Sorter(self.work / "digests", 3, self.memory // 2)
        for numbers, shingles, digests in self._rows("digests", self.memory // 256):
            live = shingles > 0
            by_digest.add(*digests[live].T, numbers[live])
        for first, other in copies(by_digest.sorted()):
            self.copied[other] = True
            found.add(first, 2 * other + _ONE)
        by_band = Sorter(self.work / "bands", 2, self.memory // 2)
        bands, width = self.settings.bands, self.settings.rows
        for numbers, shingles, signatures in self._rows("signatures", self.memory // (64 * self.settings.hashes)):
            live = (shingles > 0) & ~self.copied[numbers]
            by_band.add(band_keys(signatures[live], bands, width).ravel(), np.repeat(numbers[live], bands))
            self._passed(0, int(numbers[-1]) + 1)
        for first, second in bucket_pairs(by_band.sorted(), self.crowded):
            found.add(first, 2 * second)
            self._stop_if_asked()
        if self.crowded.any():
            for first, second in self._crowd():
                found.add(first, 2 * second)
                self._stop_if_asked()
        yield from found.sorted()

    def _crowd(self) -> Iterator[tuple[Columns, Columns]]:
        """Pairs of crowded documents that share a shingle which few of them have."""
        self.work.mkdir(parents=True, exist_ok=True)
        shingles = Shingles(
            self.corpora, self.crowded, self.settings.words, self.work / "crowd", lambda at: self._stop_if_asked()
        )
        by_shingle = Sorter(self.work / "rare", 2, self.memory // 4)
        for keys, documents in shingles.members(self.memory // 4):
            by_shingle.add(keys, documents)
            self._stop_if_asked()
        shingles.close()
        by_holders = Sorter(self.work / "holders", 3, self.memory // 4)
        for piece in holders(by_shingle.sorted()):
            by_holders.add(*piece)
            self._stop_if_asked()
        yield from rare_pairs(self._unless_stopped(by_holders.sorted()), max(self.memory // 512, _LEAST_PAIRS))

    def _rows(self, name: str, many: int) -> Iterator[tuple[Columns, _Ints, npt.NDArray[Any]]]:
        """(numbers, shingles, the array named) of all documents, so many at a time."""
        many = min(max(many, 1), PIECE)
        at = 0
        for signed in self.signed.values():
            for shingles, values in zip(rows(signed, "shingles", many), rows(signed, name, many), strict=True):
                yield np.arange(at, at + len(values), dtype=np.uint64), shingles, values
                at += len(values)

    def _unless_stopped(self, rows: Iterator[Columns]) -> Iterator[Columns]:
        for piece in rows:
            self._stop_if_asked()
            yield piece

    def _stop_if_asked(self) -> None:
        if self.ctx.stop_requested():
            raise Interrupted("stopped while looking for near-duplicates")

    def _passed(self, part: int, documents: int) -> None:
        self._stop_if_asked()
        self.ctx.progress(part * self.documents + documents, 3 * self.documents)


class _PairWriter:
    """Writes pairs.parquet in row groups of a fixed size."""

    def __init__(self, path: Path, search: _Search) -> None:
        self._search = search
        self._names = pa.array(search.names, pa.string())
        self._file = pq.ParquetWriter(path, SCHEMA, compression="zstd", compression_level=3)
        self._waiting: list[Any] = []
        self._count = 0

    def add(self, first: Columns, second: Columns, similarity: npt.NDArray[np.float64]) -> None:
        columns: list[Any] = []
        for documents in (first, second):
            source = self._search.source_of(documents)
            columns += [self._names.take(pa.array(source)), documents.astype(np.int64) - self._search.starts[source]]
        self._waiting.append(pa.Table.from_arrays([*map(pa.array, columns), pa.array(similarity)], schema=SCHEMA))
        self._count += len(first)
        if self._count >= PIECE:
            self._write(self._count - self._count % PIECE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._count:
            self._write(self._count)
        self._file.close()

    def _write(self, many: int) -> None:
        table = pa.concat_tables(self._waiting)
        self._file.write_table(table.slice(0, many).combine_chunks(), row_group_size=PIECE)
        self._waiting = [table.slice(many)]
        self._count -= many


def _starts(sizes: Sequence[int]) -> _Ints:
    """Number of each source's first document, and of all documents."""
    return np.concatenate([[0], np.cumsum(np.array(sizes, np.int64))]).astype(np.int64)


def _crowded(search: _Search, many: int) -> _Ints:
    """(source's index, row) of the crowded documents."""
    rows = np.empty((many, 2), np.int64)
    at = 0
    for index, start in enumerate(search.starts[:-1]):
        found = np.flatnonzero(search.crowded[start : search.starts[index + 1]])
        rows[at : at + len(found)] = np.stack([np.full(len(found), index), found], axis=1)
        at += len(found)
    return rows


def _sizes(numbers: _Ints, components: int) -> _Ints:
    """How many of the documents are in each component."""
    sizes = np.zeros(components, np.int64)
    for start in range(0, len(numbers), PIECE):
        part = numbers[start : start + PIECE]
        np.add.at(sizes, part[part >= 0], 1)
    return sizes


def _by_source(search: _Search, numbers: _Ints, sizes: _Ints) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for index, name in enumerate(search.names):
        own = numbers[search.starts[index] : search.starts[index + 1]]
        mine = _sizes(own, len(sizes))
        found[name] = {
            "documents": len(own),
            "empty": search.empty[index],
            "in_components": int(mine.sum()),
            "within": int(mine[mine > 1].sum()),
            "across": int(mine[sizes > mine].sum()),
        }
    return found


def _listed(near: ArtefactLike, first: Mapping[str, int]) -> Iterator[tuple[_Ints, _Ints, npt.NDArray[np.float64]]]:
    """(number of a, number of b, similarity) of the listed pairs, in pieces."""
    with pq.ParquetFile(near.file(PAIRS), read_dictionary=["source_a", "source_b"]) as file:
        for batch in file.iter_batches(PIECE):
            numbers = []
            for side in ("a", "b"):
                source = batch[f"source_{side}"]
                starts = np.array([first[name] for name in source.dictionary.to_pylist()], np.int64)
                numbers.append(starts[source.indices.to_numpy()] + batch[f"row_{side}"].to_numpy())
            yield numbers[0], numbers[1], batch["jaccard"].to_numpy()
