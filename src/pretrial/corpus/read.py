"""Reading a source into a corpus: a plan of shards, each a step of its own, and an index over them.

Guarantees: the plan follows from the inputs alone, so the corpus has the same bytes for any number of
workers; what is malformed is counted, kept aside with its reason and place, and reported, and never stops a
run; every document that a rule drops is listed with the rule, its reason and the measured value, and what a reader
skips and would have been a document with the rule `read`; the funnel says how many documents and bytes were left after
every step.
Does not: remove duplicates or hold anything out (`select`).

A corpus is `shard-00000.parquet` … (columns of `documents.SCHEMA`, in order), `rejects-00000.parquet` … (what rules
dropped and readers skipped: columns of `documents.REJECTS`) and `quarantine.parquet` (what could not be used: reason,
where, excerpt; of each reason at most 10,000 rows a shard, or a file where a shard has several; counts are complete).
A corpus that is derived from another has `roots-00000.npy` … beside its shards: int64, the number of the document that
each goes back to, in the corpus of the source that was read.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from pretrial.corpus import remedies, split, unkept
from pretrial.corpus.documents import (
    KEPT_ASIDE,
    QUARANTINE,
    REJECTS,
    SCHEMA,
    SHARD_REJECTS,
    Writer,
    document,
    rejected,
    save_array,
    skipped,
)
from pretrial.corpus.items import ROOTS, Derived, Opened, Unkept, items
from pretrial.corpus.numbering import distinct, name_keys
from pretrial.corpus.parts import Part, check_split_files, plan
from pretrial.corpus.pipeline import KEEP, Pipeline
from pretrial.corpus.readers.record import Record, Reject, Skip
from pretrial.corpus.remedies import Seen
from pretrial.corpus.snapshot import LEFT_OUT
from pretrial.corpus.sorting import Columns
from pretrial.corpus.spec import SEMANTICS, placed
from pretrial.errors import Interrupted, RunError
from pretrial.execute.context import ArtefactLike, Json, StepContext

QUARANTINED = 10_000
NAMED = 3
"""Rules and reasons that one line names."""
_SHARD = "shard.parquet"


def read_corpus(ctx: StepContext) -> Json:
    """Step function of kind "corpus".

    Config: `spec.source_config` and, for a source that reads files of its own, `files`
    (`spec.input_fingerprint`). Settings: `spec.source_settings`. Inputs: `snapshot`, for a source that reads the
    installation; `parent`, for one that is derived from another.

    Returns:
        Facts: `documents`, `bytes` (UTF-8 bytes of text), `groups`, `funnel` (a list of {step, documents,
        bytes}), `rejected` (documents by step and reason), `skipped` and `quarantined` (counts by reason), `removed`
        (bytes by rule and kind), `ungrouped` (documents without a value for the group field), `repeated_ids`, `shards`
        (a list of {file, documents, bytes}, with `roots` where derived, and `files`, a list of (name, number of its
        first document in the shard), where it was made from several), `rejects` (a list of files), `contents`
        (`documents`: the identity of what it holds).

    Raises:
        RunError: when no document is left (the funnel says where they went), or a file changed meanwhile.
    """
    parts, there = _split(ctx, plan(ctx))
    base = {key: value for key, value in ctx.config.items() if key != "files"}
    with placed(ctx.settings):
        shards = ctx.map(
            "corpus-shard",
            SEMANTICS["corpus-shard"],
            [{**base, "part": part} for part, _, _ in parts],
            "pretrial.corpus.read:read_shard",
            inputs=ctx.inputs,
            settings=[settings for _, settings, _ in parts],
            labels=[label for _, _, label in parts],
        )
    check_split_files(parts)
    told = [shard.facts for shard in shards]
    facts = _merged(told, _taken(ctx))
    seen = Seen(
        tuple(sorted({*there, *(name for one in told for name in one["fields"])})), _sum(told, "grouped_by_lists")
    )
    name = ctx.settings.get("name") or "this source"
    if not facts["documents"]:
        raise RunError(
            f"{name}: no document is left: {in_words(facts)}",
            where=ctx.settings.get("where"),
            remedy=remedies.way_out(facts, ctx.config, shards, seen),
        )
    index: list[Json] = []
    rejects: list[str] = []

    def list_too(path: Path) -> None:
        file = f"rejects-{len(rejects):05d}.parquet"
        _link(path, ctx.out / file)
        rejects.append(file)

    if _taken(ctx).get("listed"):
        list_too(ctx.inputs["snapshot"].file(LEFT_OUT))
    with Writer(ctx.out / KEPT_ASIDE, QUARANTINE) as aside:
        for shard in shards:
            if shard.facts["documents"]:
                index.append(_taken_in(ctx, shard, len(index)))
            if shard.facts["rejects"]:
                list_too(shard.file(SHARD_REJECTS))
            with pq.ParquetFile(shard.file(KEPT_ASIDE)) as broken:
                for batch in broken.iter_batches():
                    for row in batch.to_pylist():
                        aside.add(row, 500)
    written = [ctx.out / shard["file"] for shard in index]
    facts |= {
        "repeated_ids": facts["documents"] - distinct(_keys(written, "id"), ctx.work / "ids"),
        "groups": distinct(_keys(written, "group"), ctx.work / "groups"),
        "shards": index,
        "rejects": rejects,
        "contents": {"documents": _content(shards)},
    }
    _report(ctx, name, facts, seen)
    for field in remedies.unknown_fields(ctx.config, seen):
        ctx.warn(f"{name}: no document has a field {field!r}, and by it they were chosen.{remedies.there(seen.fields)}")
    return facts


def _split(ctx: StepContext, parts: list[Part]) -> tuple[list[Part], set[str]]:
    """The parts of a part of a split source, each with what says which documents are its, found once for all parts of
    the source; names of fields that the source's documents have."""
    if not ctx.config.get("part_of_split"):
        return parts, set()
    found = ctx.map(
        "corpus-split",
        SEMANTICS["corpus-split"],
        split.split_configs(ctx.config, [part for part, _, _ in parts]),
        "pretrial.corpus.split:number_values",
        inputs=ctx.inputs,
        labels=[label for _, _, label in parts],
    )
    with_split = [
        (part, {**settings, "split": str(one.path)}, label)
        for (part, settings, label), one in zip(parts, found, strict=True)
    ]
    return with_split, {name for one in found for name in one.facts["fields"]}


def read_shard(ctx: StepContext) -> Json:
    """Step function of kind "corpus-shard": one part of a source's plan, read, filtered and written.

    Config: `spec.source_config` and `part`. Settings: `paths`, one for each file of the part; `split`, for a part of a
    split source, the folder of what `split.number_values` made of the same shards.
    """
    pipeline = Pipeline(ctx.config)
    tally = _Tally(pipeline.steps)
    roots: list[int] = []
    told: Counter[str] = Counter()  # rejects of the file in hand
    group, license = ctx.config["group"], ctx.config["license"]
    with (
        Writer(ctx.out / _SHARD, SCHEMA) as writer,
        Writer(ctx.out / SHARD_REJECTS, REJECTS) as rejects,
        Writer(ctx.out / KEPT_ASIDE, QUARANTINE) as aside,
    ):
        for number, item in enumerate(items(ctx, pipeline)):
            if number % 1000 == 0 and ctx.stop_requested():
                raise Interrupted("stopped while reading documents")
            if isinstance(item, Opened):
                tally.files.append([item.name, tally.documents])
                told.clear()
                continue
            if isinstance(item, Skip):
                tally.skipped[item.reason] += 1
                if item.where:
                    tally.listed += 1
                    rejects.add(skipped(item), 500)
                continue
            if isinstance(item, Unkept):
                tally.has(item.fields)
                tally.unkept(item.reason, item.value, item.documents)
                tally.passed([("read", item.bytes)], item.documents)
                continue
            row: dict[str, Any] | Reject
            if isinstance(item, Reject):
                row = item
            else:
                record = item.record if isinstance(item, Derived) else item
                fields = record.fields
                if license and fields.get("license") is None:
                    # Rules and `keep` see it, too.
                    fields = {**fields, "license": license}
                tally.has(fields)
                out = pipeline.apply(record.text, fields)
                if out.dropped is not None:
                    tally.passed(out.passed)
                    step, reason, value = out.dropped
                    if step == KEEP:
                        tally.unkept(reason, unkept.counted_as(value))
                        continue
                    tally.rejected[step][reason] += 1
                    rejects.add(rejected(record, out.text, step, reason, value), 500)
                    continue
                row = document(
                    Record(record.id, out.text, record.where, out.fields),
                    group,
                    license,
                    inherited=item.group if isinstance(item, Derived) else None,
                )
                # What cannot be stored was read, and came through nothing.
                tally.passed(out.passed[:1] if isinstance(row, Reject) else out.passed)
                if not isinstance(row, Reject):
                    tally.took(out.removed)
            if isinstance(row, Reject):
                tally.quarantined[row.reason] += 1
                tally.has(row.fields)
                told[row.reason] += 1
                if told[row.reason] <= QUARANTINED:
                    aside.add({"reason": row.reason, "where": row.where, "excerpt": row.excerpt}, 500)
                continue
            if isinstance(item, Derived):
                roots.append(item.root)
            if group != "document" and row["group"].startswith("document:"):
                tally.ungrouped += 1
                tally.grouped_by_lists += isinstance(out.fields.get(group), list)
            tally.documents += 1
            tally.bytes += row["bytes"]
            tally.seen(row)
            writer.add(row, row["bytes"] + len(row["meta"]) + len(row["id"]) + len(row["group"]))
    if ctx.config["read"]["kind"] == "from":
        save_array(ctx.out / ROOTS, np.asarray(roots, np.int64))
    return tally.facts()


class _Tally:
    """What a shard counts."""

    def __init__(self, steps: Sequence[str]) -> None:
        self.funnel = {step: [0, 0] for step in steps}
        self.rejected: dict[str, Counter[str]] = {step: Counter() for step in steps}
        self.removed: dict[str, Counter[str]] = {}
        self.skipped: Counter[str] = Counter()
        self.quarantined: Counter[str] = Counter()
        self.documents = self.bytes = self.ungrouped = self.grouped_by_lists = self.listed = 0
        self.there: dict[str, None] = {}
        """Names of fields that records have, some of them."""
        self.values: Counter[tuple[str, str]] = Counter()
        """Documents that are left out by a field's value, by both; those of further values by field."""
        self.others: Counter[str] = Counter()
        self.files: list[list[Any]] = []
        """(name, number of its first document) of each of several files."""
        self._content = hashlib.sha256()

    def seen(self, row: Mapping[str, Any]) -> None:
        """Take a document into the identity of what the shard holds, apart from how it came about."""
        for value in (row["id"].encode(), row["group"].encode(), row["text_sha"], row["meta"].encode()):
            self._content.update(len(value).to_bytes(8, "big") + value)

    def passed(self, steps: Iterable[tuple[str, int]], documents: int = 1) -> None:
        """Count a document, or several, at each step that it came through, with the bytes there."""
        for step, size in steps:
            counts = self.funnel[step]
            counts[0] += documents
            counts[1] += size

    def took(self, removed: Iterable[tuple[str, Mapping[str, int]]]) -> None:
        """Count bytes that rules took out of a document."""
        for rule, kinds in removed:
            self.removed.setdefault(rule, Counter()).update(kinds)

    def has(self, fields: Iterable[str]) -> None:
        """Remember names of fields, to show them where one that was asked for is not among them."""
        if len(self.there) < split.FIELDS:
            self.there.update(dict.fromkeys(fields))

    def unkept(self, name: str, value: str, documents: int = 1) -> None:
        """Count documents that are left out by a field's value (`counted_as`); these are not listed."""
        if (name, value) in self.values or len(self.values) < unkept.SHARD_VALUES:
            self.values[name, value] += documents
        else:
            self.others[name] += documents

    def facts(self) -> Json:
        """All of it."""
        return {
            "documents": self.documents,
            "bytes": self.bytes,
            "content": self._content.hexdigest(),
            "funnel": [
                {"step": step, "documents": count, "bytes": size} for step, (count, size) in self.funnel.items()
            ],
            "rejected": {step: dict(sorted(reasons.items())) for step, reasons in self.rejected.items() if reasons},
            "rejects": self.listed + sum(why.total() for why in self.rejected.values()),
            "skipped": dict(sorted(self.skipped.items())),
            "quarantined": dict(sorted(self.quarantined.items())),
            "removed": {rule: dict(sorted(kinds.items())) for rule, kinds in sorted(self.removed.items())},
            "ungrouped": self.ungrouped,
            "grouped_by_lists": self.grouped_by_lists,
            "fields": sorted(self.there)[: split.FIELDS],
            "unkept": [[*which, count] for which, count in sorted(self.values.items())],
            "unkept_others": dict(sorted(self.others.items())),
            **({"files": self.files} if self.files else {}),
        }


def counted(shards: Sequence[Json], snapshot: Json) -> Json:
    """What the shards of a corpus counted, together; of one that came to nothing, too, which is not written.

    Args:
        shards: facts of each shard.
        snapshot: those of the snapshot that it reads; empty for none.
    """
    return _merged(shards, snapshot)


def _content(shards: Sequence[ArtefactLike]) -> str:
    """Identity of a corpus's documents: what tokens are made from, whatever was dropped on the way."""
    filled = [shard.facts["content"] for shard in shards if shard.facts["documents"]]
    return hashlib.sha256("".join(filled).encode()).hexdigest()


def _taken_in(ctx: StepContext, shard: ArtefactLike, number: int) -> Json:
    """Link a shard's files into the corpus; its entry in the index."""
    file = f"shard-{number:05d}.parquet"
    _link(shard.file(_SHARD), ctx.out / file)
    entry: Json = {
        "file": file,
        **{key: shard.facts[key] for key in ("documents", "bytes", "files") if key in shard.facts},
    }
    if ctx.config["read"]["kind"] == "from":
        entry["roots"] = f"roots-{number:05d}.npy"
        _link(shard.file(ROOTS), ctx.out / entry["roots"])
    return entry


def _link(source: Path, target: Path) -> None:
    """The same bytes under a second name: a hard link where the file system has them, else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _taken(ctx: StepContext) -> Json:
    """What the snapshot left out before any reader saw it."""
    return ctx.inputs["snapshot"].facts if "snapshot" in ctx.inputs else {}


def _merged(shards: Sequence[Json], snapshot: Json) -> Json:
    funnel: dict[str, Counter[str]] = {}
    for facts in shards:
        for row in facts["funnel"]:
            funnel.setdefault(row["step"], Counter()).update({key: row[key] for key in ("documents", "bytes")})
    return {
        "documents": _sum(shards, "documents"),
        "bytes": _sum(shards, "bytes"),
        "funnel": [
            {"step": step, "documents": counts["documents"], "bytes": counts["bytes"]}
            for step, counts in funnel.items()
        ],
        "rejected": unkept.shown(shards) | _by_rule(shards, "rejected"),
        "skipped": _counts([snapshot, *shards], "skipped"),
        "quarantined": _counts(shards, "quarantined"),
        "removed": _by_rule(shards, "removed"),
        "ungrouped": _sum(shards, "ungrouped"),
    }


def _sum(shards: Iterable[Json], key: str) -> int:
    return sum(facts[key] for facts in shards)


def _counts(shards: Iterable[Json], key: str) -> dict[str, int]:
    total: Counter[str] = Counter()
    for facts in shards:
        total.update(facts.get(key, {}))
    return dict(sorted(total.items()))


def _by_rule(shards: Iterable[Json], key: str) -> dict[str, dict[str, int]]:
    total: dict[str, Counter[str]] = {}
    for facts in shards:
        for rule, counts in facts[key].items():
            total.setdefault(rule, Counter()).update(counts)
    return {rule: dict(sorted(counts.items())) for rule, counts in total.items()}


def _keys(shards: Iterable[Path], column: str) -> Iterator[Columns]:
    for path in shards:
        # Not `read_table`: that takes a folder named `a=b` for a column.
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=[column]):
                yield name_keys(batch.column(0))


def _report(ctx: StepContext, name: str, facts: Json, seen: Seen | None = None) -> None:
    seen = seen or Seen()
    ctx.log(f"{name}: {in_words(facts)}")
    if facts["quarantined"]:
        total, most = sum(facts["quarantined"].values()), max(facts["quarantined"].values())
        kinds = ", ".join(f"{reason} {count:,}" for reason, count in facts["quarantined"].items())
        ctx.warn(
            f"{name}: {total:,} {'record' if total == 1 else 'records'} could not be used ({kinds}); "
            "quarantine.parquet beside the corpus names "
            + ("each" if most <= QUARANTINED else f"the first {QUARANTINED:,} of each reason in each part or file")
        )
    if facts["ungrouped"]:
        group, lists = ctx.config["group"], seen.grouped_by_lists
        rest = facts["ungrouped"] - lists
        what = [f"{rest:,} of {facts['documents']:,} documents have no {group}"] if rest else []
        if lists:
            what.append(f"{lists:,} of {facts['documents']:,} documents have a list as {group}, which is no group")
        there = "" if group in seen.fields or seen.many else remedies.there(seen.fields).removesuffix(".")
        ctx.warn(f"{name}: {'; '.join(what)}; each is a group of its own{there and '.' + there}")
    if facts["repeated_ids"]:
        few = facts["repeated_ids"] == 1
        ctx.warn(
            f"{name}: {facts['repeated_ids']:,} {'document repeats' if few else 'documents repeat'} the id of another"
        )


def in_words(facts: Json) -> str:
    """What was read, what is left, and what took most, in one line: `corpus inspect` and `build` have all of it."""
    if not facts["funnel"]:
        return "nothing was found"
    read = facts["funnel"][0]
    said = [f"{read['documents']:,} documents ({read['bytes'] / 1e6:,.1f} MB) read, {facts['documents']:,} left"]
    if facts["documents"]:
        said[0] += f" ({facts['bytes'] / 1e6:,.1f} MB)"
    dropped = {step: sum(reasons.values()) for step, reasons in facts["rejected"].items()}
    left_out = {"dropped by": dropped, "skipped": facts["skipped"], "quarantined": facts["quarantined"]}
    for what, counts in left_out.items():
        ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if ordered:
            rest = sum(count for _, count in ordered[NAMED:])
            others = f" and {rest:,} by {len(ordered) - NAMED} more" if rest else ""
            said.append(f"{what} " + ", ".join(f"{name} {count:,}" for name, count in ordered[:NAMED]) + others)
    return "; ".join(said)
