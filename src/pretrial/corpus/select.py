"""Which documents train, which are held out, which are dropped: one decision over all sources at once.

Guarantees: no group, no exact copy and no near-duplicate that was found of a document stands on both sides, over all
sources; the result depends on documents' groups, digests and sizes, on what was found of them (near-duplicates,
benchmark items) and on the study's sources, never on seeds, variants or budgets; neither texts nor names nor digests
are held in memory, but numbers: about 100 bytes a document. Documents of a derived source have the classes of those
they were made of, and what holds a benchmark item in one state leaves training in all. A derived text that is a copy
of a held-out one does not train, either; of derived texts that have become the same one stays. Copies and
near-duplicates of a document count only where some source in use has it.
Does not: look for near-duplicates (`near`) or benchmark items (`contamination`), or compare derived sources with each
other: arms may train on the same document in several states.

Classes of a document (a `uint8` each, in the corpus's order): 0 an exact copy of one kept elsewhere, 1
trains, 2 held out, 3 in no use: an exact copy of a document in a held-out group, standing in a group that
trains. Of what would train: 4 a near-duplicate of one that trains, 5 a near-duplicate of a held-out one, 6 holds an
item of a benchmark that the study evaluates or names.

How. Transfer domains (sources in no mixture) come first, then the study's order: of exact copies after white
space is normalised the first stays. All of a transfer domain is held out, with its groups, everywhere. Then
groups come in the order of the SHA-256 of their names, and each that still helps a trained source is held
out, until every one has 2% of its bytes and 262,144 bytes. A group above 20% of a trained source's bytes
always trains, unless a transfer domain has it. No more than half of a source is picked, of one under twice
262,144 bytes a quarter (which is also all that is wanted of it): a group that would pass that is left out.

Near-duplicates and benchmark items leave training last, and never a held-out document: which groups are held out does
not depend on them. Of documents that are near to each other (a component of verified pairs) the first stays, in the
order of the study and of the corpus.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from pretrial.corpus.contamination.hits import contaminated
from pretrial.corpus.documents import save_array
from pretrial.corpus.iterate import (
    CONTAMINATED,
    DUPLICATE,
    EXCLUDED,
    HELD_OUT,
    NEAR_DUPLICATE,
    NEAR_HELD_OUT,
    TRAIN,
)
from pretrial.corpus.near.clusters import load_components, touching
from pretrial.corpus.numbering import digest_keys, name_keys, numbered
from pretrial.errors import RequestError
from pretrial.execute.context import ArtefactLike, Json, StepContext

SMALL_SHARE = Fraction(1, 4)
LARGE_SHARE = Fraction(1, 2)
CLASSES = {
    "train": TRAIN,
    "held_out": HELD_OUT,
    "duplicate": DUPLICATE,
    "excluded": EXCLUDED,
    "near_duplicate": NEAR_DUPLICATE,
    "near_held_out": NEAR_HELD_OUT,
    "contaminated": CONTAMINATED,
}
GROUPS = "held-out-groups.json"

_Ints = npt.NDArray[np.int64]
_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Table:
    """What is known of one source's documents: groups and digests as numbers shared by all sources.

    Groups are numbered from 0 in the order in which they are taken to be held out.
    """

    name: str
    trained: bool
    """Whether some variant trains on it, or on a source of its family."""
    group: _Ints
    copy: _Ints
    bytes: _Ints
    root: str = ""
    """The source that this one was made from; empty for one that was read."""
    made_of: _Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    """The root's document that each was made of."""
    used: bool = True
    """Whether it is in a mixture, or a domain that is evaluated."""
    live: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    """Whether each document is in use, here or in a source that is made from this one."""

    def __post_init__(self) -> None:
        if len(self.live) != len(self.group):
            object.__setattr__(self, "live", np.ones(len(self.group), bool))


@dataclass(frozen=True)
class Quota:
    """How much to hold out: a share of a source's bytes, a number of them, the largest group's share."""

    share: Fraction
    bytes: int
    largest: Fraction


@dataclass(frozen=True)
class Selection:
    """A mask a source, which groups are held out, and for each source its bytes wanted and held out."""

    masks: dict[str, npt.NDArray[np.uint8]]
    held: npt.NDArray[np.bool_]
    wanted: dict[str, int]
    chosen: dict[str, int]


def select_documents(ctx: StepContext) -> Json:
    """Step function of kind "select".

    Config: `spec.select_config`. Inputs: `corpus:<source>` for each source; `contamination:<source>`, the benchmark
    items of each that is trained on as it was read, and of derived ones whose texts were edited; `near`, the
    near-duplicates of all that are read; `near-edited`, those of these and of derived sources whose texts were edited.
    Settings: `where`, each source's place in the study file.

    Writes `<index>.npy` a source (see the module), `sources.json` (source → file) and `held-out-groups.json`.

    Returns:
        Facts: `files` (source → mask file), `contents` (source → SHA-256 over its documents and mask, the identity of
        what is selected from it), `sources` (source → {class: {documents, bytes}} with `groups`, the number of its
        groups held out), `groups_held_out`.

    Raises:
        RequestError: when a trained source is left with nothing to train on or nothing held out, or an unseen one
            with nothing.
    """
    config = ctx.config
    names = sorted(config["sources"], key=lambda name: config["sources"][name]["priority"])
    corpora = {name: ctx.inputs[f"corpus:{name}"] for name in (*names, *config["derived"])}
    tables, groups = _load(corpora, config, ctx.work)
    held_out = config["held_out"]
    quota = Quota(_share(held_out["share"]), held_out["bytes"], _share(held_out["largest_group"]))
    selection = select(tables, groups, quota)
    leave_contaminated(
        selection,
        tables,
        {
            table.name: contaminated(made)
            for table in tables
            if (made := ctx.inputs.get(f"contamination:{table.name}")) is not None
        },
    )
    for search in ("near", "near-edited"):
        if (near := ctx.inputs.get(search)) is not None:
            among = [table for table in tables if table.name in near.facts["files"]]
            leave_beside(
                selection, touching(near, {table.name: selection.held[table.group] & table.live for table in among})
            )
    if (near := ctx.inputs.get("near")) is not None:
        live = {table.name: table.live for table in tables}
        leave_near(selection, {name: load_components(near, name) for name in names}, live)
    inherit(selection, tables)
    leave_copies(selection, tables)
    _check(ctx, tables, selection)
    files: dict[str, str] = {}
    contents: dict[str, str] = {}
    sources: dict[str, Json] = {}
    for index, table in enumerate(tables):
        mask = selection.masks[table.name]
        files[table.name] = f"{index}.npy"
        save_array(ctx.out / files[table.name], mask)
        digest = hashlib.sha256(corpora[table.name].facts["contents"]["documents"].encode() + b"\0" + mask.tobytes())
        contents[table.name] = digest.hexdigest()
        sources[table.name] = {
            name: {"documents": int((mask == value).sum()), "bytes": int(table.bytes[mask == value].sum())}
            for name, value in CLASSES.items()
        } | {"groups": int((selection.held & _flags(table.group, groups)).sum())}
    held = sorted(_names(corpora, tables, selection.held))
    (ctx.out / "sources.json").write_text(json.dumps(files, sort_keys=True, ensure_ascii=False) + "\n")
    (ctx.out / GROUPS).write_text(json.dumps(held, ensure_ascii=False, indent=0) + "\n")
    return {"files": files, "contents": contents, "sources": sources, "groups_held_out": len(held)}


def leave_contaminated(
    selection: Selection, tables: Sequence[Table], found: Mapping[str, npt.NDArray[np.bool_]]
) -> None:
    """Take documents that hold benchmark items out of training, in place: `found` has a flag a document, by source.

    One whose text holds an item in any state leaves in all: arms that train on the same documents go on doing so.
    """
    for table in tables:
        if (flags := found.get(table.name)) is not None:
            rows = table.made_of[flags] if table.root else np.flatnonzero(flags)
            mask = selection.masks[table.root or table.name]
            mask[rows[mask[rows] == TRAIN]] = CONTAMINATED


def leave_beside(selection: Selection, beside: Mapping[str, npt.NDArray[np.bool_]]) -> None:
    """Take documents that are near-duplicates of one in a held-out group out of training, in place.

    `beside` has a flag a document, by source.
    """
    for name, flags in beside.items():
        mask = selection.masks[name]
        mask[(mask == TRAIN) & flags] = NEAR_HELD_OUT


def leave_near(
    selection: Selection, components: Mapping[str, _Ints], live: Mapping[str, npt.NDArray[np.bool_]] | None = None
) -> None:
    """Of near-duplicates that would train leave the first, in place.

    Args:
        selection: what was decided without them; its sources in the order of their priority.
        components: by source that is read, each document's component of near-duplicates, −1 for none.
        live: by source, whether each document is in some source in use: those come first.
    """
    most = max((int(numbers.max(initial=-1)) for numbers in components.values()), default=-1)
    taken = np.zeros(most + 2, bool)
    for alive in (True, False):
        for name, component in components.items():
            mask = selection.masks[name]
            some = np.ones(len(mask), bool) if live is None else live[name]
            rows = np.flatnonzero((mask == TRAIN) & (component >= 0) & (some == alive))
            numbers = component[rows]
            mask[rows[~_firsts(numbers) | taken[numbers]]] = NEAR_DUPLICATE
            taken[numbers] = True


def inherit(selection: Selection, tables: Sequence[Table]) -> None:
    """Give documents of derived sources what was decided of those they were made of since, in place."""
    for table in tables:
        if table.root:
            mask, root = selection.masks[table.name], selection.masks[table.root][table.made_of]
            later = (mask == TRAIN) & (root != TRAIN)
            mask[later] = root[later]


def leave_copies(selection: Selection, tables: Sequence[Table]) -> None:
    """Of documents of a derived source whose texts have become the same leave the first, in place."""
    for table in tables:
        if table.root:
            mask = selection.masks[table.name]
            for part in (TRAIN, HELD_OUT):
                rows = np.flatnonzero(mask == part)
                mask[rows[~_firsts(table.copy[rows])]] = DUPLICATE


def select(tables: Sequence[Table], groups: int, quota: Quota) -> Selection:
    """Decide the class of each document; pure.

    Args:
        tables: sources that are read, in the order of the study, then derived ones, whose documents have the classes of
            those they were made of, but for copies of held-out texts that only their own texts are (`leave_copies`
            then leaves one of those that have become the same).
        groups: how many groups there are.
        quota: how much to hold out, of each source that is trained on.
    """
    read = [table for table in tables if not table.root]
    derived = [table for table in tables if table.root]
    kept = _first_copies(read)
    kept |= {table.name: kept[table.root][table.made_of] for table in derived}
    held = np.zeros(groups, bool)
    for table in read:
        if not table.trained:
            held[table.group] = True
    trained = [table for table in tables if table.trained and (table.used or not table.root)]
    picked = _Picked(trained, [_by_group(table, kept[table.name]) for table in trained], held, quota)
    for index in np.flatnonzero(picked.free):
        if not picked.short:
            break
        picked.consider(int(index))
    return Selection(_masks(read, derived, kept, held), held, picked.wanted, picked.chosen)


class _Picked:
    """Groups that are held out, one after the other, until each source has enough.

    Args:
        tables: sources that are trained on.
        sizes: (group, bytes) of each, by group, of what is no copy.
        held: whether each group is held out; changed in place.
        quota: how much of each source.
    """

    def __init__(
        self, tables: Sequence[Table], sizes: Sequence[tuple[_Ints, _Ints]], held: npt.NDArray[np.bool_], quota: Quota
    ) -> None:
        self._held = held
        self._names = [table.name for table in tables]
        self.free = ~held
        self.wanted: dict[str, int] = {}
        self.chosen: dict[str, int] = {}
        self._ceiling: list[int] = []
        self._picked = [0] * len(tables)
        for table, (numbers, many) in zip(tables, sizes, strict=True):
            total = int(many.sum())
            small = total < 2 * quota.bytes
            ceiling = int(total * (SMALL_SHARE if small else LARGE_SHARE))
            least = -(-total * quota.share.numerator // quota.share.denominator)
            largest = int(total * quota.largest)
            if table.root and len(many) and not (many <= largest).any():
                # A part of few groups: better a large one than nothing to read its value on.
                largest = int(total * LARGE_SHARE)
                ceiling = max(ceiling, int(many[many <= largest].min(initial=largest)))
            self._ceiling.append(ceiling)
            self.wanted[table.name] = ceiling if small else max(least, quota.bytes)
            self.chosen[table.name] = int(many[held[numbers]].sum())
            self.free[numbers[many > largest]] = False
        self._of = _Sparse(sizes, len(held))
        # Bytes that could still be chosen; a source without any is waited for no longer.
        self._left = [int(many[self.free[numbers]].sum()) for numbers, many in sizes]
        self.short = {index for index in range(len(tables)) if self._is_short(index)}

    def _is_short(self, index: int) -> bool:
        name = self._names[index]
        return self._left[index] > 0 and self.chosen[name] < self.wanted[name]

    def consider(self, group: int) -> None:
        """Hold a group out where that helps a source and takes too much of none."""
        adds = self._of.row(group)
        for index, size in adds:
            self._left[index] -= size
        if any(index in self.short for index, _ in adds) and all(
            self._picked[index] + size <= self._ceiling[index] for index, size in adds
        ):
            self._held[group] = True
            for index, size in adds:
                self.chosen[self._names[index]] += size
                self._picked[index] += size
        self.short -= {index for index, _ in adds if not self._is_short(index)}


class _Sparse:
    """Bytes of each group in each source, of which most are none."""

    def __init__(self, sizes: Sequence[tuple[_Ints, _Ints]], groups: int) -> None:
        self._starts = np.zeros(groups + 1, np.int64)
        for numbers, _ in sizes:
            self._starts[1:][numbers] += 1
        np.cumsum(self._starts, out=self._starts)
        self._source = np.empty(self._starts[-1], np.int32)
        self._many = np.empty(self._starts[-1], np.int64)
        free = self._starts[:-1].copy()
        for source, (numbers, many) in enumerate(sizes):
            at = free[numbers]
            self._source[at], self._many[at] = source, many
            free[numbers] += 1

    def row(self, group: int) -> list[tuple[int, int]]:
        """(source, bytes) of a group."""
        span = slice(int(self._starts[group]), int(self._starts[group + 1]))
        return list(zip(self._source[span].tolist(), self._many[span].tolist(), strict=True))


def _by_group(table: Table, kept: npt.NDArray[np.bool_]) -> tuple[_Ints, _Ints]:
    """(group, bytes) of the groups of a source's documents that are kept."""
    group = table.group[kept]
    numbers = np.flatnonzero(np.bincount(group))
    # Sums of whole numbers, exact in float64 up to 9 petabytes.
    return numbers, np.bincount(group, table.bytes[kept])[numbers].astype(np.int64)


def _first_copies(tables: Sequence[Table]) -> dict[str, npt.NDArray[np.bool_]]:
    """Whether each document is the first of its copies: of those in use transfer domains first, then in order."""
    kept = {table.name: np.zeros(len(table.copy), bool) for table in tables}
    taken = np.zeros(_count(table.copy for table in tables), bool)
    in_turn = sorted(tables, key=lambda table: table.trained)
    for alive in (True, False):
        for table in in_turn:
            rows = np.flatnonzero(table.live == alive)
            copies = table.copy[rows]
            kept[table.name][rows[_firsts(copies) & ~taken[copies]]] = True
            taken[copies] = True
    return kept


def _firsts(numbers: _Ints) -> npt.NDArray[np.bool_]:
    """Whether each number stands there for the first time."""
    places = np.arange(len(numbers))
    at = np.zeros(_count([numbers]), np.int64)
    # Of several places of a number the one that is written last stays.
    at[numbers[::-1]] = places[::-1]
    first: npt.NDArray[np.bool_] = at[numbers] == places
    return first


def _count(arrays: Iterable[_Ints]) -> int:
    """One more than the largest number."""
    return 1 + max((int(numbers.max(initial=-1)) for numbers in arrays), default=-1)


def _flags(numbers: _Ints, count: int) -> npt.NDArray[np.bool_]:
    """Whether each number up to a count is there."""
    there = np.zeros(count, bool)
    there[numbers] = True
    return there


def _masks(
    read: Sequence[Table],
    derived: Sequence[Table],
    kept: Mapping[str, npt.NDArray[np.bool_]],
    held: npt.NDArray[np.bool_],
) -> dict[str, npt.NDArray[np.uint8]]:
    tables = [*read, *derived]
    tainted = np.zeros(_count(table.copy for table in tables), bool)
    for table in tables:
        # Also copies that were dropped: what they stand in was held out.
        tainted[table.copy[held[table.group] & table.live]] = True
    masks: dict[str, npt.NDArray[np.uint8]] = {}
    for table in tables:
        mask = np.full(len(table.group), TRAIN, np.uint8)
        mask[tainted[table.copy]] = EXCLUDED
        mask[held[table.group]] = HELD_OUT
        mask[~kept[table.name]] = DUPLICATE
        masks[table.name] = mask
    return masks


def _load(corpora: Mapping[str, ArtefactLike], config: Mapping[str, Any], work: Path) -> tuple[list[Table], int]:
    """What there is of all corpora, and how many groups there are."""
    lengths = [corpus.facts["documents"] for corpus in corpora.values()]
    cuts, rows = np.cumsum(lengths)[:-1], sum(lengths)
    group, groups = numbered(_columns(corpora.values(), "group", name_keys), rows, work / "groups")
    copy, _ = numbered(_columns(corpora.values(), "sha", digest_keys), rows, work / "copies")
    tables: list[Table] = []
    for (name, corpus), of, copies in zip(corpora.items(), np.split(group, cuts), np.split(copy, cuts), strict=True):
        sizes = [np.zeros(0, np.int64), *_columns([corpus], "bytes", lambda column: column.to_numpy())]
        many = np.concatenate(sizes)
        made = config["derived"].get(name)
        if made is None:
            said = config["sources"][name]
            tables.append(Table(name, said["trained"], of, copies, many, used=said["used"]))
        else:
            roots = [np.load(corpus.file(shard["roots"])) for shard in corpus.facts["shards"]]
            made_of = np.concatenate([np.zeros(0, np.int64), *roots])
            trained = config["sources"][made["root"]]["trained"]
            tables.append(Table(name, trained, of, copies, many, made["root"], made_of, made["used"]))
    return [replace(table, live=_live(table, tables)) for table in tables], groups


def _columns(corpora: Iterable[ArtefactLike], column: str, made: Callable[[Any], _Made]) -> Iterator[_Made]:
    """What is made of a column of all documents, a piece of a shard at a time."""
    for corpus in corpora:
        for shard in corpus.facts["shards"]:
            # Not `read_table`: that takes a folder named `a=b` for a column.
            with pq.ParquetFile(corpus.file(shard["file"])) as file:
                for batch in file.iter_batches(columns=[column]):
                    yield made(batch.column(0))


def _names(
    corpora: Mapping[str, ArtefactLike], tables: Sequence[Table], wanted: npt.NDArray[np.bool_]
) -> Iterator[str]:
    """The name of each wanted group, once."""
    wanted = wanted.copy()
    for table in tables:
        at = 0
        for names in _columns([corpora[table.name]], "group", lambda column: column):
            numbers = table.group[at : at + len(names)]
            at += len(names)
            rows = np.flatnonzero(wanted[numbers])
            rows = rows[np.unique(numbers[rows], return_index=True)[1]]
            yield from names.take(rows).to_pylist()
            wanted[numbers[rows]] = False


def _live(table: Table, tables: Sequence[Table]) -> npt.NDArray[np.bool_]:
    """Whether each document of a source is in use, there or in a source that is made from it."""
    live = np.full(len(table.group), table.used or bool(table.root))
    for other in tables:
        if other.root == table.name and other.used:
            live[other.made_of] = True
    return live


def _share(text: str) -> Fraction:
    return Fraction(text.removesuffix("%")) / 100


def _why_none(table: Table, mask: npt.NDArray[np.uint8]) -> str:
    numbers, many = _by_group(table, mask == TRAIN)
    if not len(numbers):
        return "no document is left"
    said = "its one group" if len(numbers) == 1 else f"each of its {len(numbers):,} groups"
    return f"{said} is too large a part of it (the largest {many.max() / many.sum():.0%} of its bytes)"


def _grouped(table: Table) -> bool:
    return int(np.bincount(table.group).max(initial=0)) > 1


def _check(ctx: StepContext, tables: Sequence[Table], selection: Selection) -> None:
    where = ctx.settings.get("where", {})
    transfer = np.zeros(len(selection.held), bool)
    for table in tables:
        if not table.trained:
            transfer[table.group] = True
    for table in tables:
        mask = selection.masks[table.name]
        if table.root and not table.used:
            continue  # Only a step on the way to others.
        if not table.trained:
            if not (mask == HELD_OUT).any():
                raise RequestError(
                    f"nothing of the source {table.name} is left to evaluate on: sources before it that are in no "
                    "mixture either have a copy of each of its documents",
                    where=where.get(table.name),
                    remedy="Leave one of them out, or put it first in the study file.",
                )
            continue
        by_transfer = int(table.bytes[(mask == HELD_OUT) & transfer[table.group]].sum())
        total = int(table.bytes[mask != DUPLICATE].sum())
        name, chosen, wanted = table.name, selection.chosen[table.name], selection.wanted[table.name]
        if not (mask == TRAIN).any():
            if by_transfer:
                raise RequestError(
                    f"nothing of the source {name} is left to train on: unseen domains have all its groups",
                    where=where.get(name),
                    remedy="Say group: document for the sources that are in no mixture, or use them in one.",
                )
            raise RequestError(
                f"nothing of the source {name} is left to train on: other sources have all its documents, or hold out "
                "all its groups, or near-duplicates of all its documents are held out or train elsewhere",
                where=where.get(name),
                remedy="Use the source once, or a smaller unit in group.",
            )
        if not (mask == HELD_OUT).any():
            raise RequestError(
                f"nothing of the source {name} can be held out: {_why_none(table, mask)}",
                where=where.get(name),
                remedy="Give it more documents in more groups"
                + (", or a smaller unit in group, such as document." if _grouped(table) else "."),
            )
        if 2 * by_transfer > total:
            ctx.warn(
                f"{name}: {by_transfer / total:.0%} of its bytes are held out since unseen domains have their "
                "groups; group: document for those domains would leave them to training"
            )
        if wanted < ctx.config["held_out"]["bytes"]:
            ctx.warn(f"{name}: the source is small; {chosen:,} of its {total:,} bytes are held out")
        elif chosen < wanted:
            ctx.warn(f"{name}: {chosen:,} bytes are held out, {wanted:,} were wanted; its groups are too large")
