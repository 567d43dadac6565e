"""The documents of one shard, as its source's reader gives them.

Guarantees: a reader sees the part's own inputs and nothing else; bytes are hashed before or while they are read, where
a plan has their hash; a file that can no longer be read fails its source, with its name, and no other.
Does not: apply rules.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from pretrial.corpus.kinds import NOTEBOOK, in_archives, where_of
from pretrial.corpus.languages import language_of
from pretrial.corpus.licences import is_licence_name
from pretrial.corpus.licences.folders import by_folder, licence_of
from pretrial.corpus.licences.notices import LOOKED_AT
from pretrial.corpus.parts import package_of, readable, unchanged
from pretrial.corpus.pipeline import Pipeline
from pretrial.corpus.places import FAULTS
from pretrial.corpus.readers.docstrings import read_docstrings
from pretrial.corpus.readers.filler import read_filler
from pretrial.corpus.readers.jsonl import read_jsonl
from pretrial.corpus.readers.metadata import read_metadata
from pretrial.corpus.readers.parquet import read_parquet
from pretrial.corpus.readers.pydoc import read_topics
from pretrial.corpus.readers.record import Blob, Item, Record, Reject, Skip
from pretrial.corpus.readers.source_files import read_source_file
from pretrial.corpus.snapshot import FILE as SNAPSHOT
from pretrial.corpus.split import opened
from pretrial.corpus.unkept import counted_as
from pretrial.execute.context import ArtefactLike, StepContext

ROOTS = "roots.npy"


@dataclass(frozen=True)
class Derived:
    """A document of another source: its record, its group there, and its number in the corpus it goes back to."""

    record: Record
    group: str
    root: int


@dataclass
class Unkept:
    """Documents of another source that `keep` leaves out by the same value of a field; their texts were not read.

    The value is as `unkept.counted_as` has it; `fields` are names of fields that such a document has.
    """

    reason: str
    value: str
    fields: tuple[str, ...] = ()
    documents: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Opened:
    """The next of several files: the documents that follow are its."""

    name: str


def items(ctx: StepContext, pipeline: Pipeline) -> Iterator[Item | Derived | Unkept | Opened]:
    """What the reader of a shard gives, in order.

    Raises:
        RunError: when a file changed, or can no longer be read.
    """
    with readable(*ctx.settings.get("paths", ())):
        yield from _items(ctx, pipeline)


def _items(ctx: StepContext, pipeline: Pipeline) -> Iterator[Item | Derived | Unkept | Opened]:
    read, part = ctx.config["read"], ctx.config["part"]
    kind = read["kind"]
    if "faults" in part:
        yield from (Reject(fault, name, FAULTS[fault]) for name, fault in part["faults"])
    elif "left_out" in part:
        yield from (Skip(reason, size, name, value) for reason, name, size, value in part["left_out"])
    elif kind == "from":
        yield from _derived(ctx, pipeline)
    elif kind in ("jsonl", "parquet", "hub"):
        for file, path in _files(part, ctx.settings["paths"]):
            if "files" in part:
                yield Opened(file["file"])
            yield from _told(_hub(ctx, file, path) if kind == "hub" else _records(ctx, file, path), file)
    elif kind == "filler":
        yield from read_filler(read["filler"], read["seed"], part["first"], part["count"])
    elif kind == "stackexchange":
        yield from _stackexchange(ctx)
    elif kind == "commits":
        yield from _commits(ctx)
    else:
        for blob, folders in _blobs(ctx):
            if not isinstance(blob, Blob):
                yield blob
                continue
            for item in _read_blob(blob, read):
                yield item if folders is None or not isinstance(item, Record) else _licensed(item, blob, folders)


def _told(items: Iterable[Item], part: Mapping[str, Any]) -> Iterator[Item]:
    """Items of a file; one skip where a whole file has none, so that it is counted."""
    some = "span" in part
    for item in items:
        some = True
        yield item
    if not some:
        yield Skip("empty", 0)


def _files(part: Mapping[str, Any], paths: Sequence[str]) -> Iterator[tuple[Mapping[str, Any], str]]:
    """(file, path) of a part's one file, or of each of several; the path is empty for one on the hub."""
    if "files" not in part:
        yield part, paths[0] if paths else ""
        return
    for row, path in zip(part["files"], paths, strict=True):
        names = ("file", "digest", "bytes") if len(row) == 3 else ("file", "sha256")
        yield dict(zip(names, row, strict=True)), path


def _records(ctx: StepContext, file: Mapping[str, Any], path: str) -> Iterator[Item]:
    read = ctx.config["read"]
    take = partial(read_jsonl if read["kind"] == "jsonl" else read_parquet, Path(path), file["file"])
    options: dict[str, Any] = {key: file[key] for key in ("sha256", "first_line") if key in file}
    if "span" in file:
        options["span"] = tuple(file["span"])
    yield from take(text=read["text"], id=read["id"], columns=read.get("columns"), **options)


def _hub(ctx: StepContext, file: Mapping[str, Any], path: str) -> Iterator[Item]:
    from pretrial.corpus.readers.hub import HubFile, read_hub_file
    from pretrial.corpus.readers.hub_layout import language_of as language_by

    read = ctx.config["read"]
    constants = dict(read.get("constants", {}))
    if "languages" in read:
        constants["language"] = language_by(file["file"], read["languages"])
    yield from read_hub_file(
        read["dataset"] or None,
        read["revision"],
        HubFile(file["file"], file["bytes"], file["digest"], path or None),
        ctx.work,
        text=read["text"],
        name_field=read["id"],
        fields=read.get("fields"),
        columns=read.get("columns"),
        constants=constants,
        render=read.get("render", ""),
        stream=read["stream"],
    )


def _stackexchange(ctx: StepContext) -> Iterator[Item]:
    from pretrial.corpus.readers.stackexchange import read_stackexchange

    read, part = ctx.config["read"], ctx.config["part"]
    yield from read_stackexchange(
        Path(ctx.settings["paths"][0]),
        part["file"],
        ctx.work,
        site=read["site"],
        beside=part["beside"],
        min_score=read["min_score"],
        min_answers=read["min_answers"],
        min_answer_score=read["min_answer_score"],
        sha256=part["sha256"],
    )


def _commits(ctx: StepContext) -> Iterator[Item]:
    from pretrial.corpus.readers.commits import Options, read_commits

    read, part = ctx.config["read"], ctx.config["part"]
    yield from read_commits(
        Path(ctx.settings["paths"][0]),
        part["repository"],
        revision=part["commit"],
        options=Options(
            form=read["form"], files=read["max_files"], file_bytes=read["max_file"], diff_bytes=read["max_diff"]
        ),
    )


def _read_blob(blob: Blob, read: dict[str, Any]) -> Iterator[Item]:
    kind = read["kind"]
    if kind in ("files", "archives", "git"):
        yield from read_source_file(
            blob,
            languages=read["languages"],
            drop_docstrings=read["drop_docstrings"],
            generated=read["generated"],
        )
    elif kind == "docstrings":
        yield from read_docstrings(blob, generated=read["generated"])
    elif kind == "notebooks":
        from pretrial.corpus.readers.notebooks import read_notebook

        yield from read_notebook(blob, form=read["form"], output_limit=read["max_output"])
    elif kind == "metadata":
        yield from read_metadata(blob)
    else:
        yield from read_topics(blob)


def _blobs(ctx: StepContext) -> Iterator[tuple[Blob | Reject | Skip, Mapping[str, str] | None]]:
    """Files, each with the licences of the folders it lies in; `None` where the reader names licences itself."""
    read, part = ctx.config["read"], ctx.config["part"]
    wanted = partial(_wanted, read["languages"]) if "languages" in read else _is_notebook
    if "row_group" in part:
        # An installation's licence files lie beside its metadata, not above its modules.
        none: Mapping[str, str] | None = {} if read["kind"] in ("files", "docstrings") else None
        yield from ((blob, none) for blob in _snapshot_blobs(ctx))
    elif in_archives(read):
        from pretrial.corpus.readers.archives import read_archive

        for (name, sha), path in zip(part["files"], ctx.settings["paths"], strict=True):
            folders = _folders(read_archive(Path(path), name, wanted=is_licence_name))
            for blob in read_archive(Path(path), name, wanted=wanted, sha256=sha):
                yield blob, folders
    elif where_of(read) == "repositories":
        from pretrial.corpus.readers.repositories import read_repository

        take = partial(read_repository, Path(ctx.settings["paths"][0]), part["repository"], revision=part["commit"])
        folders = _folders(take(wanted=is_licence_name))
        for blob in take(wanted=wanted):
            yield blob, folders
    else:
        yield from ((blob, part["licences"]) for blob in _tree_blobs(ctx))


def _wanted(languages: list[str], name: str) -> bool:
    return language_of(name) in languages


def _is_notebook(name: str) -> bool:
    return name.lower().endswith(NOTEBOOK)


def _folders(found: Iterable[Blob | Reject | Skip]) -> dict[str, str]:
    return by_folder((blob.fields["path"], blob.data) for blob in found if isinstance(blob, Blob))


def _licensed(record: Record, blob: Blob, folders: Mapping[str, str]) -> Record:
    # The file's own beginning: what became of it may have lost the comment that names a licence.
    head = blob.data[:LOOKED_AT].decode("utf-8", "replace") if language_of(blob.name) else record.text
    licence = licence_of(record.fields["path"], head, folders, record.fields.get("license"))
    return record if licence is None else replace(record, fields={**record.fields, "license": licence})


def _snapshot_blobs(ctx: StepContext) -> Iterator[Blob]:
    with pq.ParquetFile(ctx.inputs["snapshot"].file(SNAPSHOT)) as file:
        for row in file.read_row_group(ctx.config["part"]["row_group"]).to_pylist():
            fields = {key: row[key] for key in ("package", "distribution", "license")}
            yield Blob(row["path"], row["bytes"], fields)


def _tree_blobs(ctx: StepContext) -> Iterator[Blob]:
    group = ctx.config["group"]
    for (name, sha, unit), path in zip(ctx.config["part"]["files"], ctx.settings["paths"], strict=True):
        data = unchanged(Path(path), sha)
        # A file at the top of a tree of repositories belongs to none of them.
        owner = package_of(name, unit) if group == "package" else unit
        yield Blob(name, data, {group: owner} if owner and group != "document" else {})


def _derived(ctx: StepContext, pipeline: Pipeline) -> Iterator[Derived | Unkept]:
    """Documents of shards of the parent, a row group at a time; texts only where one of them is kept."""
    part, parent = ctx.config["part"], ctx.inputs["parent"]
    if "split" in ctx.settings:
        yield from _of_split(ctx)
        return
    for number, first in part["parent_shards"]:
        with pq.ParquetFile(parent.file(parent.facts["shards"][number]["file"])) as file:
            yield from _of_shard(file, _roots(parent, number, first), pipeline)


def _of_split(ctx: StepContext) -> Iterator[Derived | Unkept]:
    """Documents of one part of a split: those that `split` found, and what it counted of others."""
    ((field, values),) = ctx.config["keep"].items()
    split, parent = opened(Path(ctx.settings["split"]), values), ctx.inputs["parent"]
    yield from (Unkept(field, value, (), documents, size) for value, documents, size in split.others)
    for number, first in ctx.config["part"]["parent_shards"]:
        own = split.documents(number)
        if not len(own):
            continue
        roots = _roots(parent, number, first)
        with pq.ParquetFile(parent.file(parent.facts["shards"][number]["file"])) as file:
            at = 0
            for group in range(file.num_row_groups):
                end = at + file.metadata.row_group(group).num_rows
                kept = own[np.searchsorted(own, at) : np.searchsorted(own, end)]
                yield from _rows(file, group, (kept - at).tolist(), roots[at:end])
                at = end


def _of_shard(file: Any, roots: npt.NDArray[np.int64], pipeline: Pipeline) -> Iterator[Derived | Unkept]:
    at = 0
    for group in range(file.num_row_groups):
        told = file.read_row_group(group, columns=["bytes", "meta"])
        fields = json.loads(f"[{','.join(told['meta'].to_pylist())}]")
        kept: list[int] = []
        unkept: dict[tuple[str, str], Unkept] = {}
        for index, (own, size) in enumerate(zip(fields, told["bytes"].to_pylist(), strict=True)):
            why = pipeline.unkept(own)
            if why is None:
                kept.append(index)
            else:
                reason, value = why[1], counted_as(why[2])
                if (reason, value) not in unkept:
                    unkept[reason, value] = Unkept(reason, value, tuple(own))
                same = unkept[reason, value]
                same.documents += 1
                same.bytes += size
        yield from unkept.values()
        yield from _rows(file, group, kept, roots[at : at + len(fields)], fields)
        at += len(fields)


def _rows(
    file: Any,
    group: int,
    kept: Sequence[int],
    roots: npt.NDArray[np.int64],
    fields: Sequence[dict[str, Any]] | None = None,
) -> Iterator[Derived]:
    """Some documents of a row group, which is not read where there are none; with fields that were read before."""
    if kept:
        columns = ["id", "group", "text", *(["meta"] if fields is None else [])]
        table = file.read_row_group(group, columns=columns)
        for index, row in zip(kept, table.take(kept).to_pylist(), strict=True):
            own = json.loads(row["meta"]) if fields is None else fields[index]
            record = Record(row["id"], row["text"], row["id"], own)
            yield Derived(record, row["group"], int(roots[index]))


def _roots(parent: ArtefactLike, number: int, first: int) -> npt.NDArray[np.int64]:
    """The document that each of a shard goes back to; itself in a source that was read."""
    shard = parent.facts["shards"][number]
    roots: npt.NDArray[np.int64]
    roots = np.load(parent.file(shard["roots"])) if "roots" in shard else np.arange(first, first + shard["documents"])
    return roots
