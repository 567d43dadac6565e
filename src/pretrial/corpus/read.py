"""Reading a source into a corpus: a plan of shards, each a step of its own, and an index over them.

Guarantees: the plan follows from the inputs alone, so the corpus has the same bytes for any number of
workers; what is malformed is counted, kept aside with its reason and place, and reported, and never stops a
run; the funnel says how many documents and bytes were left after every step.
Does not: remove duplicates or hold anything out (`select`).

A corpus is `shard-00000.parquet` … (columns of `documents.SCHEMA`, in order) and `quarantine.parquet`
(reason, where, excerpt; at most 10,000 rows a shard, counts are complete).
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pretrial.corpus.documents import QUARANTINE, SCHEMA, Writer, document
from pretrial.corpus.readers.docstrings import read_docstrings
from pretrial.corpus.readers.jsonl import compression, read_jsonl, spans
from pretrial.corpus.readers.metadata import read_metadata
from pretrial.corpus.readers.parquet import read_parquet
from pretrial.corpus.readers.pydoc import read_topics
from pretrial.corpus.readers.record import Blob, Item, Record, Reject, Skip
from pretrial.corpus.readers.source_files import read_source_file
from pretrial.corpus.rules import RULES
from pretrial.corpus.snapshot import FILE as SNAPSHOT
from pretrial.corpus.spec import SEMANTICS, resolve
from pretrial.errors import Interrupted, RunError
from pretrial.execute.context import Json, StepContext

SPAN_BYTES = 64_000_000
TREE_BYTES = 32_000_000
QUARANTINED = 10_000
_SHARD = "shard.parquet"
_KEPT_ASIDE = "quarantine.parquet"


def read_corpus(ctx: StepContext) -> Json:
    """Step function of kind "corpus".

    Config: `spec.source_config` and, for a source that reads files of its own, `files`, their (name,
    SHA-256), in a tree (name, SHA-256, unit).
    Settings: `spec.source_settings`. Inputs: `snapshot`, for a source that reads the installation.

    Returns:
        Facts: `documents`, `bytes` (UTF-8 bytes of text), `groups`, `funnel` (a list of {step, documents,
        bytes}), `skipped` and `quarantined` (counts by reason), `removed` (bytes by rule and kind),
        `ungrouped` (documents without a value for the group field), `repeated_ids`, `shards` (a list of
        {file, documents, bytes}).

    Raises:
        RunError: when no document is left (the funnel says where they went), or a file changed meanwhile.
    """
    parts = _plan(ctx)
    base = {key: value for key, value in ctx.config.items() if key != "files"}
    shards = ctx.map(
        "corpus-shard",
        SEMANTICS["corpus-shard"],
        [{**base, "part": part} for part, _, _ in parts],
        "pretrial.corpus.read:read_shard",
        inputs=ctx.inputs,
        settings=[settings for _, settings, _ in parts],
        labels=[label for _, _, label in parts],
    )
    _check_split_files(ctx, parts)
    facts = _merged([shard.facts for shard in shards], _taken(ctx))
    name = ctx.settings.get("name") or "this source"
    if not facts["documents"]:
        raise RunError(
            f"{name}: no document is left: {_in_words(facts)}",
            where=ctx.settings.get("where"),
            remedy="Look at its fields, keep, filter and languages: the numbers say which step took all.",
        )
    index: list[Json] = []
    with Writer(ctx.out / _KEPT_ASIDE, QUARANTINE) as aside:
        for shard in shards:
            if shard.facts["documents"]:
                file = f"shard-{len(index):05d}.parquet"
                _link(shard.file(_SHARD), ctx.out / file)
                index.append({"file": file, **{key: shard.facts[key] for key in ("documents", "bytes")}})
            with pq.ParquetFile(shard.file(_KEPT_ASIDE)) as rejects:
                for batch in rejects.iter_batches():
                    for row in batch.to_pylist():
                        aside.add(row, 500)
    names = [_column(ctx.out / shard["file"], "id") for shard in index]
    groups = [_column(ctx.out / shard["file"], "group") for shard in index]
    facts |= {
        "repeated_ids": facts["documents"] - pc.count_distinct(pa.chunked_array(names)).as_py(),
        "groups": pc.count_distinct(pa.chunked_array(groups)).as_py(),
        "shards": index,
    }
    _report(ctx, name, facts)
    return facts


def _link(source: Path, target: Path) -> None:
    """The same bytes under a second name: a hard link where the file system has them, else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def read_shard(ctx: StepContext) -> Json:
    """Step function of kind "corpus-shard": one part of a source's plan, read, filtered and written.

    Config: `spec.source_config` and `part`. Settings: `paths`, one for each file of the part.
    """
    config = ctx.config
    read = config["read"]
    rules = [name for name, _ in config["filter"]]
    steps = [
        "read",
        *(["keep"] if config["keep"] else []),
        *rules,
        *(["cap-file"] if read["cap_file"] else []),
    ]
    funnel = {step: [0, 0] for step in steps}
    skipped: Counter[str] = Counter()
    quarantined: Counter[str] = Counter()
    removed: dict[str, Counter[str]] = {rule: Counter() for rule in rules}
    ungrouped = documents = size = 0

    def passed(step: str, text: str) -> None:
        funnel[step][0] += 1
        funnel[step][1] += len(text.encode(errors="surrogatepass"))

    with Writer(ctx.out / _SHARD, SCHEMA) as writer, Writer(ctx.out / _KEPT_ASIDE, QUARANTINE) as aside:
        for number, item in enumerate(_items(ctx)):
            if number % 1000 == 0 and ctx.stop_requested():
                raise Interrupted("stopped while reading documents")
            row: dict[str, Any] | Reject
            if isinstance(item, Skip):
                skipped[item.reason] += 1
                continue
            if isinstance(item, Reject):
                row = item
            else:
                text = item.text
                passed("read", text)
                if config["keep"]:
                    if not _keeps(item, config["keep"]):
                        continue
                    passed("keep", text)
                for rule in rules:
                    result = RULES[rule].apply(text)
                    text = result.text
                    removed[rule].update(result.removed)
                    if not text.strip():
                        break
                    passed(rule, text)
                if not text.strip():
                    continue
                if read["cap_file"]:
                    text = _cut(text, read["cap_file"])
                    passed("cap-file", text)
                row = document(Record(item.id, text, item.where, item.fields), config["group"], config["license"])
            if isinstance(row, Reject):
                quarantined[row.reason] += 1
                if quarantined.total() <= QUARANTINED:
                    aside.add({"reason": row.reason, "where": row.where, "excerpt": row.excerpt}, 500)
                continue
            ungrouped += config["group"] != "document" and row["group"].startswith("document:")
            documents += 1
            size += row["bytes"]
            writer.add(row, row["bytes"])
    return {
        "documents": documents,
        "bytes": size,
        "funnel": [{"step": step, "documents": count, "bytes": total} for step, (count, total) in funnel.items()],
        "skipped": dict(sorted(skipped.items())),
        "quarantined": dict(sorted(quarantined.items())),
        "removed": {rule: dict(sorted(kinds.items())) for rule, kinds in removed.items()},
        "ungrouped": ungrouped,
    }


Part = tuple[Json, Json, str]


def _plan(ctx: StepContext) -> list[Part]:
    """(what the shard reads, where it lies, label) of each shard."""
    read = ctx.config["read"]
    if read["scope"] != "paths":
        count = ctx.inputs["snapshot"].facts["row_groups"]
        return [({"row_group": group}, {}, f"part {group + 1} of {count}") for group in range(count)]
    paths = _paths(ctx)
    if "tree" in read:
        return _tree_plan(ctx.config["files"], paths, read["cap_group"])
    parts: list[Part] = []
    for name, sha in ctx.config["files"]:
        path = paths[name]
        whole: Json = {"file": name, "sha256": sha}
        large = read["kind"] == "jsonl" and path.stat().st_size > SPAN_BYTES and compression(path) is None
        cuts = spans(path, SPAN_BYTES) if large else []
        if len(cuts) < 2:
            parts.append((whole, {"paths": [str(path)]}, name))
        for start, end, line in cuts if len(cuts) > 1 else []:
            part = {**whole, "span": [start, end], "first_line": line}
            parts.append((part, {"paths": [str(path)]}, f"{name} from line {line}"))
    return parts


def _tree_plan(files: Sequence[list[str]], paths: Mapping[str, Path], cap: int | None) -> list[Part]:
    sizes = {name: paths[name].stat().st_size for name, _, _ in files}
    taken = _under_cap({name: _package(name, unit) for name, _, unit in files}, sizes, cap)
    parts: list[Part] = []
    run: list[list[str]] = []
    total = 0
    for place, (name, sha, unit) in enumerate(kept := [item for item in files if item[0] in taken]):
        run.append([name, sha, unit])
        total += sizes[name]
        if total >= TREE_BYTES or place == len(kept) - 1:
            label = run[0][0] if len(run) == 1 else f"{run[0][0]} … {run[-1][0]}"
            parts.append(({"files": run}, {"paths": [str(paths[item[0]]) for item in run]}, label))
            run, total = [], 0
    return parts


def _package(name: str, unit: str) -> str:
    """The unit of a file; where it lies in none, its own name without what follows the last dot."""
    return unit or PurePosixPath(name).stem


def _under_cap(packages: Mapping[str, str], sizes: Mapping[str, int], cap: int | None) -> set[str]:
    """Names of the files to read: of each package, in hash order, until the next would pass the cap."""
    if cap is None:
        return set(sizes)
    taken: set[str] = set()
    totals: Counter[str] = Counter()
    for name in sorted(sizes, key=lambda name: hashlib.sha256(name.encode()).digest()):
        # A total that passed the cap stays above it, so nothing follows a file that did not fit.
        totals[packages[name]] += sizes[name]
        if totals[packages[name]] <= cap:
            taken.add(name)
    return taken


def _paths(ctx: StepContext) -> dict[str, Path]:
    paths = dict(resolve(ctx.config, ctx.settings))
    planned = [name for name, *_ in ctx.config["files"]]
    if sorted(paths) != sorted(planned):
        changed = sorted(set(paths) ^ set(planned))
        raise RunError(f"files came or went since the plan: {', '.join(changed[:3])}", remedy="Run again.")
    return paths


def _check_split_files(ctx: StepContext, parts: Sequence[Part]) -> None:
    """A span's bytes cannot be checked alone: check the files that were split once more."""
    seen: dict[str, str] = {}
    for part, settings, _ in parts:
        if "span" in part:
            seen[settings["paths"][0]] = part["sha256"]
    for path, sha in seen.items():
        with Path(path).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha:
                raise RunError(f"{path} changed while it was being read", remedy="Run again when nothing writes to it.")


def _items(ctx: StepContext) -> Iterator[Item]:
    read, part = ctx.config["read"], ctx.config["part"]
    if read["kind"] in ("jsonl", "parquet"):
        path = Path(ctx.settings["paths"][0])
        take = partial(read_jsonl if read["kind"] == "jsonl" else read_parquet, path, part["file"])
        options: dict[str, Any] = {key: part[key] for key in ("sha256", "first_line") if key in part}
        if "span" in part:
            options["span"] = tuple(part["span"])
        yield from take(text=read["text"], id=read["id"], **options)
        return
    for blob in _snapshot_blobs(ctx) if "row_group" in part else _tree_blobs(ctx):
        if read["kind"] == "files":
            yield from read_source_file(blob, languages=read["languages"], drop_docstrings=read["drop_docstrings"])
        elif read["kind"] == "docstrings":
            yield from read_docstrings(blob)
        elif read["kind"] == "metadata":
            yield from read_metadata(blob)
        else:
            yield from read_topics(blob)


def _snapshot_blobs(ctx: StepContext) -> Iterator[Blob]:
    with pq.ParquetFile(ctx.inputs["snapshot"].file(SNAPSHOT)) as file:
        for row in file.read_row_group(ctx.config["part"]["row_group"]).to_pylist():
            fields = {key: row[key] for key in ("package", "distribution", "license")}
            yield Blob(row["path"], row["bytes"], fields)


def _tree_blobs(ctx: StepContext) -> Iterator[Blob]:
    group = ctx.config["group"]
    for (name, sha, unit), path in zip(ctx.config["part"]["files"], ctx.settings["paths"], strict=True):
        data = Path(path).read_bytes()
        if hashlib.sha256(data).hexdigest() != sha:
            raise RunError(f"{path} changed since the plan", remedy="Run again when nothing writes to it.")
        # A file at the top of a tree of repositories belongs to none of them.
        owner = _package(name, unit) if group == "package" else unit
        yield Blob(name, data, {group: owner} if owner and group != "document" else {})


def _keeps(record: Record, keep: Mapping[str, Sequence[str]]) -> bool:
    for field, values in keep.items():
        value = record.fields.get(field)
        if not any(str(one) in values for one in (value if isinstance(value, list) else [value])):
            return False
    return True


def _cut(text: str, cap: int) -> str:
    """At most `cap` bytes of a text: up to a line end, or the last whole character of one long line."""
    data = text.encode(errors="surrogatepass")
    if len(data) <= cap:
        return text
    head = data[:cap]
    line = head.rfind(b"\n") + 1
    if head[:line].strip():
        return head[:line].decode(errors="surrogatepass")
    return head.decode(errors="ignore")


def _taken(ctx: StepContext) -> Json:
    """What the snapshot left out before any reader saw it."""
    return ctx.inputs["snapshot"].facts if "snapshot" in ctx.inputs else {}


def _merged(shards: Sequence[Json], snapshot: Json) -> Json:
    skipped: Counter[str] = Counter(snapshot.get("skipped", {}))
    quarantined: Counter[str] = Counter()
    removed: dict[str, Counter[str]] = {}
    funnel: dict[str, Counter[str]] = {}
    for facts in shards:
        skipped.update(facts["skipped"])
        quarantined.update(facts["quarantined"])
        for rule, kinds in facts["removed"].items():
            removed.setdefault(rule, Counter()).update(kinds)
        for row in facts["funnel"]:
            funnel.setdefault(row["step"], Counter()).update({key: row[key] for key in ("documents", "bytes")})
    return {
        "documents": _sum(shards, "documents"),
        "bytes": _sum(shards, "bytes"),
        "funnel": [
            {"step": step, "documents": counts["documents"], "bytes": counts["bytes"]}
            for step, counts in funnel.items()
        ],
        "skipped": dict(sorted(skipped.items())),
        "quarantined": dict(sorted(quarantined.items())),
        "removed": {rule: dict(sorted(kinds.items())) for rule, kinds in removed.items()},
        "ungrouped": _sum(shards, "ungrouped"),
    }


def _sum(shards: Iterable[Json], key: str) -> int:
    return sum(facts[key] for facts in shards)


def _column(path: Path, name: str) -> Any:
    # Not `read_table`: that takes a folder named `a=b` for a column.
    with pq.ParquetFile(path) as file:
        return file.read(columns=[name])[name].combine_chunks()


def _report(ctx: StepContext, name: str, facts: Json) -> None:
    ctx.log(f"{name}: {_in_words(facts)}")
    if facts["quarantined"]:
        total = sum(facts["quarantined"].values())
        kinds = ", ".join(f"{reason} {count:,}" for reason, count in facts["quarantined"].items())
        ctx.warn(
            f"{name}: {total:,} {'record' if total == 1 else 'records'} could not be used ({kinds}); "
            "quarantine.parquet beside the corpus names each"
        )
    if facts["ungrouped"]:
        ctx.warn(
            f"{name}: {facts['ungrouped']:,} of {facts['documents']:,} documents have no "
            f"{ctx.config['group']}; each is a group of its own"
        )
    if facts["repeated_ids"]:
        ctx.warn(f"{name}: {facts['repeated_ids']:,} documents repeat the id of another")


def _in_words(facts: Json) -> str:
    steps = [f"{row['step']} {row['documents']:,} documents, {row['bytes']:,} bytes" for row in facts["funnel"]]
    for kind in ("skipped", "quarantined"):
        if facts[kind]:
            steps.append(f"{kind} " + ", ".join(f"{reason} {count:,}" for reason, count in facts[kind].items()))
    return "; ".join(steps) or "nothing was found"
