"""Which documents train, which are held out, which are dropped: one decision over all sources at once.

Guarantees: no group, no exact copy and no near-duplicate that was found of a document stands on both sides, over all
sources; the result depends on documents' groups, digests and sizes, on what was found of them (near-duplicates,
benchmark items) and on the study's sources, never on seeds, variants or budgets; texts are not loaded (16 bytes of
digest, a group number, a size a document). Documents of a derived source have the classes of those they were made of.
Does not: look for near-duplicates (`near`) or benchmark items (`contamination`).

Classes of a document (a `uint8` each, in the corpus's order): 0 an exact copy of one kept elsewhere, 1
trains, 2 held out, 3 in no use: an exact copy of a document in a held-out group, standing in a group that
trains. Of what would train: 4 a near-duplicate of one that trains, 5 a near-duplicate of a held-out one, 6 holds an
item of a benchmark that the study evaluates.

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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
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


@dataclass(frozen=True)
class Table:
    """What is known of one source's documents: groups and digests as numbers shared by all sources."""

    name: str
    trained: bool
    group: _Ints
    copy: _Ints
    bytes: _Ints
    root: str = ""
    """The source that this one was made from; empty for one that was read."""
    made_of: _Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    """The root's document that each was made of."""


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

    Config: `spec.select_config`. Inputs: `corpus:<source>` for each source; `near`, the near-duplicates of all that are
    read, and `contamination:<source>`, the benchmark items of each, where the study asks for them.

    Writes `<index>.npy` a source (see the module), `sources.json` (source → file) and `held-out-groups.json`.

    Returns:
        Facts: `files` (source → mask file), `contents` (source → SHA-256 over its corpus's content and mask,
        the identity of what is selected from it), `sources` (source → {class: {documents, bytes}} with
        `groups`, the number of its groups held out), `groups_held_out`.

    Raises:
        RequestError: when a trained source is left with nothing to train on or nothing held out, or an unseen one
            with nothing.
    """
    config = ctx.config
    names = sorted(config["sources"], key=lambda name: config["sources"][name]["priority"])
    corpora = {name: ctx.inputs[f"corpus:{name}"] for name in (*names, *config["derived"])}
    tables, groups = _load(
        {name: corpora[name] for name in names}, {name: config["sources"][name]["trained"] for name in names}
    )
    held_out = config["held_out"]
    quota = Quota(_share(held_out["share"]), held_out["bytes"], _share(held_out["largest_group"]))
    by_name = {table.name: table for table in tables}
    derived = [_derived(name, corpora[name], by_name[made["root"]]) for name, made in config["derived"].items()]
    trained = [table for table in derived if config["derived"][table.name]["trained"]]
    selection = select(tables, groups, quota, trained)
    found = {name: contaminated(made) for name in names if (made := ctx.inputs.get(f"contamination:{name}"))}
    leave_contaminated(selection, found)
    if "near" in ctx.inputs:
        near = ctx.inputs["near"]
        beside = touching(near, {table.name: selection.held[table.group] for table in tables})
        leave_near(selection, beside, {name: load_components(near, name) for name in names})
    for table in derived:
        selection.masks[table.name] = selection.masks[table.root][table.made_of]
    tables += derived
    _check(ctx, tables, selection)
    files: dict[str, str] = {}
    contents: dict[str, str] = {}
    sources: dict[str, Json] = {}
    for index, table in enumerate(tables):
        mask = selection.masks[table.name]
        files[table.name] = f"{index}.npy"
        save_array(ctx.out / files[table.name], mask)
        digest = hashlib.sha256(corpora[table.name].content.encode() + b"\0" + mask.tobytes())
        contents[table.name] = digest.hexdigest()
        sources[table.name] = {
            name: {"documents": int((mask == value).sum()), "bytes": int(table.bytes[mask == value].sum())}
            for name, value in CLASSES.items()
        } | {"groups": int(selection.held[np.unique(table.group)].sum())}
    held = sorted(groups[index] for index in np.flatnonzero(selection.held))
    (ctx.out / "sources.json").write_text(json.dumps(files, sort_keys=True, ensure_ascii=False) + "\n")
    (ctx.out / GROUPS).write_text(json.dumps(held, ensure_ascii=False, indent=0) + "\n")
    return {"files": files, "contents": contents, "sources": sources, "groups_held_out": len(held)}


def leave_contaminated(selection: Selection, found: Mapping[str, npt.NDArray[np.bool_]]) -> None:
    """Take documents that hold benchmark items out of training, in place: `found` has a flag a document, by source."""
    for name, flags in found.items():
        mask = selection.masks[name]
        mask[(mask == TRAIN) & flags] = CONTAMINATED


def leave_near(
    selection: Selection, beside: Mapping[str, npt.NDArray[np.bool_]], components: Mapping[str, _Ints]
) -> None:
    """Take near-duplicates out of training, in place.

    Args:
        selection: what was decided without them; its sources in the order of their priority.
        beside: by source, whether each document is a near-duplicate of one in a held-out group.
        components: by source, each document's component of near-duplicates, −1 for none.
    """
    most = max((int(numbers.max(initial=-1)) for numbers in components.values()), default=-1)
    taken = np.zeros(most + 2, bool)
    for name, mask in selection.masks.items():
        mask[(mask == TRAIN) & beside[name]] = NEAR_HELD_OUT
        rows = np.flatnonzero((mask == TRAIN) & (components[name] >= 0))
        numbers = components[name][rows]
        first = np.zeros(len(rows), bool)
        first[np.unique(numbers, return_index=True)[1]] = True
        mask[rows[~first | taken[numbers]]] = NEAR_DUPLICATE
        taken[numbers] = True


def select(tables: Sequence[Table], groups: Sequence[str], quota: Quota, derived: Sequence[Table] = ()) -> Selection:
    """Decide the class of each document; pure.

    Args:
        tables: sources that are read, in the order of the study.
        groups: name of each group number.
        quota: how much to hold out.
        derived: sources made from these that are trained on; the quota is theirs too, their documents' classes are
            those of the documents they were made of.
    """
    kept = _first_copies(tables)
    held = np.zeros(len(groups), bool)
    for table in tables:
        if not table.trained:
            held[table.group] = True
    kept |= {table.name: kept[table.root][table.made_of] for table in derived}
    trained = [table for table in (*tables, *derived) if table.trained]
    sizes = {
        table.name: np.bincount(table.group[kept[table.name]], table.bytes[kept[table.name]], len(groups)).astype(
            np.int64
        )
        for table in trained
    }
    wanted: dict[str, int] = {}
    ceiling: dict[str, int] = {}
    free = ~held
    for table in trained:
        total = int(sizes[table.name].sum())
        small = total < 2 * quota.bytes
        ceiling[table.name] = int(total * (SMALL_SHARE if small else LARGE_SHARE))
        least = -(-total * quota.share.numerator // quota.share.denominator)
        wanted[table.name] = ceiling[table.name] if small else max(least, quota.bytes)
        free &= sizes[table.name] <= int(total * quota.largest)
    chosen = {name: int(size[held].sum()) for name, size in sizes.items()}
    picked = dict.fromkeys(wanted, 0)
    for index in _hash_order(groups, np.flatnonzero(free)):
        short = {name for name in wanted if chosen[name] < wanted[name]}
        if not short:
            break
        adds = {name: int(size[index]) for name, size in sizes.items() if size[index]}
        if not adds.keys() & short or any(picked[name] + adds[name] > ceiling[name] for name in adds):
            continue
        held[index] = True
        for name, size in adds.items():
            chosen[name] += size
            picked[name] += size
    return Selection(_masks(tables, kept, held), held, wanted, chosen)


def _first_copies(tables: Sequence[Table]) -> dict[str, npt.NDArray[np.bool_]]:
    """Whether each document is the first of its copies: transfer domains first, then in order."""
    ranked = sorted(tables, key=lambda table: table.trained)
    everything = np.concatenate([table.copy for table in ranked]) if ranked else np.zeros(0, np.int64)
    first = np.zeros(len(everything), bool)
    first[np.unique(everything, return_index=True)[1]] = True
    cuts = np.cumsum([len(table.copy) for table in ranked])[:-1]
    return {table.name: part for table, part in zip(ranked, np.split(first, cuts), strict=True)}


def _masks(
    tables: Sequence[Table], kept: Mapping[str, npt.NDArray[np.bool_]], held: npt.NDArray[np.bool_]
) -> dict[str, npt.NDArray[np.uint8]]:
    copies = 1 + max((int(table.copy.max()) for table in tables if len(table.copy)), default=-1)
    tainted = np.zeros(copies, bool)
    for table in tables:
        # Also copies that were dropped: what they stand in was held out.
        tainted[table.copy[held[table.group]]] = True
    masks = {}
    for table in tables:
        mask = np.full(len(table.group), TRAIN, np.uint8)
        mask[tainted[table.copy]] = EXCLUDED
        mask[held[table.group]] = HELD_OUT
        mask[~kept[table.name]] = DUPLICATE
        masks[table.name] = mask
    return masks


def _hash_order(groups: Sequence[str], among: _Ints) -> list[int]:
    return sorted(map(int, among), key=lambda index: hashlib.sha256(groups[index].encode()).digest())


def _load(corpora: Mapping[str, ArtefactLike], trained: Mapping[str, bool]) -> tuple[list[Table], list[str]]:
    """Columns of all corpora without their texts, groups and digests numbered over all of them."""
    lengths, group_chunks, copy_chunks, sizes = [], [], [], []
    for corpus in corpora.values():
        count = 0
        for shard in corpus.facts["shards"]:
            with pq.ParquetFile(corpus.file(shard["file"])) as file:
                columns = file.read(columns=["group", "sha", "bytes"])
            count += columns.num_rows
            group_chunks += columns["group"].chunks
            copy_chunks += columns["sha"].chunks
            sizes.append(columns["bytes"].to_numpy())
        lengths.append(count)
    cuts = np.cumsum(lengths)[:-1]
    group, names = _numbered(group_chunks, pa.string())
    copy, _ = _numbered(copy_chunks, pa.binary(16))
    parts = zip(
        corpora,
        np.split(group, cuts),
        np.split(copy, cuts),
        np.split(np.concatenate(sizes).astype(np.int64), cuts),
        strict=True,
    )
    return [Table(name, trained[name], of, copies, many) for name, of, copies, many in parts], names.to_pylist()


def _derived(name: str, corpus: ArtefactLike, root: Table) -> Table:
    """The table of a derived source."""
    rows, sizes = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for shard in corpus.facts["shards"]:
        rows.append(np.load(corpus.file(shard["roots"])))
        with pq.ParquetFile(corpus.file(shard["file"])) as file:
            sizes.append(file.read(columns=["bytes"])["bytes"].to_numpy().astype(np.int64))
    made_of = np.concatenate(rows)
    return Table(name, root.trained, root.group[made_of], root.copy[made_of], np.concatenate(sizes), root.name, made_of)


def _numbered(chunks: Sequence[Any], kind: Any) -> tuple[_Ints, Any]:
    encoded = pc.dictionary_encode(pa.chunked_array(chunks, kind)).combine_chunks()
    encoded = encoded.chunk(0) if isinstance(encoded, pa.ChunkedArray) else encoded
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), encoded.dictionary


def _share(text: str) -> Fraction:
    return Fraction(text.removesuffix("%")) / 100


def _check(ctx: StepContext, tables: Sequence[Table], selection: Selection) -> None:
    derived = ctx.config["derived"]
    transfer = {index for table in tables if not table.trained for index in np.unique(table.group).tolist()}
    for table in tables:
        mask = selection.masks[table.name]
        if table.root and not derived[table.name]["trained"]:
            continue  # Not trained on, or only a step on the way to others.
        if not table.trained:
            if not (mask == HELD_OUT).any():
                raise RequestError(
                    f"nothing of the source {table.name} is left to evaluate on: sources before it that are in no "
                    "mixture either have a copy of each of its documents",
                    remedy="Leave one of them out, or put it first in the study file.",
                )
            continue
        by_transfer = int(table.bytes[(mask == HELD_OUT) & np.isin(table.group, list(transfer))].sum())
        total = int(table.bytes[mask != DUPLICATE].sum())
        name, chosen, wanted = table.name, selection.chosen[table.name], selection.wanted[table.name]
        if not (mask == TRAIN).any():
            if by_transfer:
                raise RequestError(
                    f"nothing of the source {name} is left to train on: unseen domains have all its groups",
                    remedy="Say group: document for the sources that are in no mixture, or use them in one.",
                )
            raise RequestError(
                f"nothing of the source {name} is left to train on: other sources have all its documents, or hold out "
                "all its groups, or near-duplicates of all its documents are held out or train elsewhere",
                remedy="Use the source once, or a smaller unit in group.",
            )
        if not (mask == HELD_OUT).any():
            raise RequestError(
                f"nothing of the source {name} can be held out: each of its groups is too large a part of it"
                if name not in derived
                else f"nothing of the source {name} is held out: it has none of the documents held out of its parent",
                remedy="Use a smaller unit, such as group: document."
                if name not in derived
                else "Give it a larger part of its parent.",
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
