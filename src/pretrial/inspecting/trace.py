"""Where a training token comes from: from its place in a variant's stream back to a document, its file and its licence.

Guarantees: the way is that of training itself (`mixture.stream`, the token files, the corpus's rows); nothing is
searched by resemblance. A token is known by its bytes: the tokens of a document spell exactly its text. Does not: say
what a model learned from it.

How: token n is target n mod context of sequence n // context. The stream gives that sequence's source, draw and window;
the window's place in the token file, with the documents' offsets, the document; the bytes of the tokens before it, the
place in the text. The token file lists documents by the hash of their text, and of equal texts in the order of the
corpus, which names the row; a derived corpus says which row of its root that was made of.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from pretrial.corpus.iterate import TRAIN, load_mask
from pretrial.errors import RequestError, RunError
from pretrial.inspecting.corpora import Corpora
from pretrial.inspecting.rows import column_batches, read_rows, root_rows, rows_of_file, shard_of
from pretrial.mixture.stream import course_stream
from pretrial.store.artefacts import Artefact

Json = dict[str, Any]


def trace(corpora: Corpora, variant: str, token: int, *, seed: int | None = None, around: int = 200) -> Json:
    """Everything that is known of where a token comes from.

    Args:
        corpora: the study's.
        variant: the variant.
        token: absolute position in its training stream, counted from 0 over all its stages, inherited ones too.
        seed: one of the study's; the first where left out.
        around: characters of text to show on each side.

    Returns:
        `variant`, `seed`, `token`; `stage` (name, mixture, first and last of its tokens, inherited_from); `source`,
        `sequence`, `target` (place in the sequence, from 0), `draw`, `epoch` and `window` (from 0); `stream` (place in
        the source's tokens); `document`: {row, id, group, license, meta, token, tokens, bytes, characters}; `text`:
        {before, token, after, mark}; `origin`: what the document was read from; `root`, for a derived source, {source,
        row, id, group, license, meta, origin}; `edited`, the steps between the file and the tokens that edit texts, in
        order, as {source, step}; `changed`, whether the text differs from that of its root, `None` where no text is
        kept to compare with.

    Raises:
        RequestError: for a variant, seed or token that does not exist, and for what was not made yet.
        RunError: when the files contradict each other.
    """
    study, graph = corpora.study, corpora.graph
    for name, value in (("token", token), ("around", around)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise RequestError(f"{name} is {value!r}", remedy="It is a whole number, such as 5000.")
    if variant not in study.variants:
        raise RequestError(f"there is no variant {variant!r}", remedy=f"The study has {', '.join(study.variants)}.")
    seed = study.seeds[0] if seed is None else seed
    if seed not in study.seeds:
        raise RequestError(f"the study has no seed {seed}", remedy=f"It has {', '.join(map(str, study.seeds))}.")
    course = graph.courses[variant]
    if not 0 <= token < course.end:
        raise RequestError(
            f"{variant} has no token {token:,}", remedy=f"It trains on {course.end:,}; they are counted from 0."
        )
    stage = next(stage for stage in course.stages if stage.first <= token < stage.last)
    step = graph.steps[graph.ledgers[variant, seed]]
    names = {given: name for given, name in step.inputs.items() if given.startswith("tokens:")}
    otherwise = f"the tokens of {variant} have not been made yet"
    made = {given: corpora.needed(name, otherwise) for given, name in names.items()}
    tokenizer = corpora.needed("tokenizer", otherwise)
    stream = course_stream(step.config["course"], made)
    sequence, target = divmod(token, stream.context)
    at = stream.locate([sequence])
    source = stream.sources[int(at.source[0])]
    window = int(at.window[0])
    files = stream.files[source]
    place = window * stream.context + 1 + target
    number = int(files.document_of(place))
    first, mark = int(files.starts[number]), int(files.starts[number + 1]) - 1
    sizes = np.load(tokenizer.file("token_bytes.npy"))
    before = int(sizes[files.tokens[first:place]].sum(dtype=np.int64))
    here = int(sizes[int(files.tokens[place])]) if place < mark else 0
    listed, copy = _listed(made[f"tokens:{source}"], number)
    row, document = _document(corpora, source, listed, copy)
    data = document["text"].encode()
    if len(data) != document["bytes"] or before + here > len(data):
        raise RunError(
            f"document {listed['id']!r} of {source} has not the bytes of its tokens",
            remedy="Check the store: pretrial status --verify.",
        )
    begin, end = _characters(data, before, before + here)
    text = document["text"]
    return {
        "variant": variant,
        "seed": seed,
        "token": token,
        "stage": {
            "name": stage.name,
            "mixture": stage.mixture,
            "first": stage.first,
            # Inclusive, as `first` is; a course counts up to where the next stage begins.
            "last": stage.last - 1,
            "inherited_from": stage.inherited_from,
        },
        "source": source,
        "sequence": sequence,
        "target": target,
        "draw": int(at.draw[0]),
        "epoch": int(at.epoch[0]),
        "window": window,
        "stream": place,
        "document": {
            **_about(row, document),
            "token": place - first,
            "tokens": mark - first,
            "bytes": [before, before + here],
            "characters": [begin, end],
        },
        "text": {
            "before": text[max(0, begin - around) : begin],
            "token": data[before : before + here].decode(errors="backslashreplace"),
            "after": text[end : end + around],
            "mark": place == mark,
        },
        "origin": origin(corpora, source, row, document),
        "root": _root(corpora, source, row),
        "edited": edits(corpora, source),
        "changed": _changed(corpora, source, row, text),
    }


def _listed(tokens: Artefact, number: int) -> tuple[Json, int]:
    """The entry of a document in a token file, and how many of the same text stand before it."""
    path = tokens.file("documents.parquet")
    one = rows_of_file(path, [number], ["id", "group", "sha"])[number]
    earlier = 0
    with pq.ParquetFile(path) as file:
        end = file.metadata.num_rows
        for group in reversed(range(file.num_row_groups)):
            end -= file.metadata.row_group(group).num_rows
            if end >= number:
                continue
            shas = file.read_row_group(group, columns=["sha"])["sha"].slice(0, number - end).to_pylist()
            same = shas.count(one["sha"])
            earlier += same
            if same < len(shas):
                # They are sorted: no equal one stands further up.
                break
    return one, earlier


def _document(corpora: Corpora, source: str, listed: Mapping[str, Any], copy: int) -> tuple[int, Json]:
    """Number and row of the document in its corpus: of those that train with this text, the one after `copy` others."""
    corpus = corpora.corpus(source)
    trains = load_mask(corpora.selection(), source) == TRAIN
    wanted = bytes.fromhex(listed["sha"])
    for at, table in column_batches(corpus, ["text_sha"]):
        same = [row for row, sha in enumerate(table["text_sha"].to_pylist()) if sha == wanted and trains[at + row]]
        if copy < len(same):
            row = at + same[copy]
            (one,) = read_rows(corpus, [row], ["id", "group", "text", "bytes", "meta"])
            if one["id"] == listed["id"]:
                return row, one
            break
        copy -= len(same)
    raise RunError(
        f"the corpus of {source} has not the document {listed['id']!r} that its tokens name",
        remedy="Check the store: pretrial status --verify.",
    )


def _characters(data: bytes, begin: int, end: int) -> tuple[int, int]:
    """The whole characters of UTF-8 that a span of bytes touches."""
    while 0 < begin < len(data) and data[begin] & 0xC0 == 0x80:
        begin -= 1
    while end < len(data) and data[end] & 0xC0 == 0x80:
        end += 1
    return len(data[:begin].decode()), len(data[:end].decode())


def _about(row: int, document: Mapping[str, Any]) -> Json:
    meta = json.loads(document["meta"])
    return {
        "row": row,
        "id": document["id"],
        "group": document["group"],
        "license": meta.get("license"),
        "meta": meta,
    }


def _root(corpora: Corpora, source: str, row: int) -> Json | None:
    name = corpora.root(source)
    if name == source:
        return None
    (number,) = root_rows(corpora.corpus(source), [row])
    (one,) = read_rows(corpora.corpus(name), [number], ["id", "group", "meta"])
    return {
        "source": name,
        **_about(number, one),
        "origin": origin(corpora, name, number, one),
    }


def edits(corpora: Corpora, source: str) -> list[Json]:
    """The steps that edit texts of a source, from the file that its root was read from, as {source, step}.

    Those are: taking docstrings out while reading, rules that took something out of some document, transforms, and the
    cap of a document's length. Which documents a step edited is not kept.
    """
    line = [source]
    while (parent := corpora.source(line[-1]).parent) is not None:
        line.append(parent)
    found = []
    for name in reversed(line):
        corpus = corpora.corpus(name)
        config = corpus.manifest["payload"]["config"]
        steps = [
            *(["drop-docstrings"] if config["read"].get("drop_docstrings") else []),
            *(rule for rule, *_ in config["filter"] if corpus.facts["removed"].get(rule)),
            *(transform for transform, *_ in config["transform"]),
            *(["cap-file"] if config["read"].get("cap_file") else []),
        ]
        found += [{"source": name, "step": step} for step in steps]
    return found


def _changed(corpora: Corpora, source: str, row: int, text: str) -> bool | None:
    root = corpora.root(source)
    if root == source:
        return None
    (number,) = root_rows(corpora.corpus(source), [row])
    (one,) = read_rows(corpora.corpus(root), [number], ["text"])
    changed: bool = one["text"] != text
    return changed


def origin(corpora: Corpora, source: str, row: int, document: Mapping[str, Any]) -> Json:
    """What a document of a source was read from: {kind, name, sha256, revision, …}, as far as it is known.

    A shard says what it was read from; which shard it was is known by the hash of its documents, and among shards with
    the same ones, as of two equal files, by their order. Where that cannot be told, since the store has lost one of
    them or has more, `others` names what else it may have been.
    """
    corpus = corpora.corpus(source)
    read = corpus.manifest["payload"]["config"]["read"]
    if read["scope"] == "source":
        return {"kind": "source", "name": corpora.source(source).parent}
    number, inside = shard_of(corpus, row)
    shards = corpus.facts["shards"]
    several = shards[number].get("files", [])
    file = next((name for name, first in reversed(several) if first <= inside), None)
    shas = [corpus.manifest["files"][shard["file"]]["sha256"] for shard in shards]
    parts = [part for part, own in corpora.shards_like(corpus) if own == shas[number]]
    parts = _in_order([part for part in parts if _is_of(part, corpus, file)], corpus)
    same = [other for other, sha in enumerate(shas) if sha == shas[number]]
    same = [other for other in same if file is None or file in dict(shards[other].get("files", []))]
    if len(parts) == len(same):
        parts = [parts[same.index(number)]]
    found: list[Json] = []
    for part in parts:
        if (said := _of_part(corpora, source, read, _alone(part, file), document)) not in found:
            found.append(said)
    if not found:
        return {"kind": read["kind"], "name": None, "unknown": "the store has no record of its shard any more"}
    return {**found[0], "others": found[1:]} if len(found) > 1 else found[0]


def _is_of(part: Json, corpus: Artefact, file: str | None) -> bool:
    """Whether a part is of the files that a corpus was read from, and has that one where it has several records'."""
    own = _files(part)
    if file is not None and file not in (name for name, *_ in own):
        return False
    files = {(row[0], row[1]) for row in corpus.manifest["payload"]["config"].get("files") or ()}
    return all((name, mark) in files for name, mark in own)


def _files(part: Json) -> list[tuple[str, str]]:
    """(name, hash, digest or commit) of what a part was read from; none where that is no file."""
    if "files" in part:
        return [(row[0], row[1]) for row in part["files"]]
    if "file" in part:
        return [(part["file"], part["digest"] if "digest" in part else part["sha256"])]
    return [(part["repository"], part["commit"])] if "repository" in part else []


def _in_order(parts: list[Json], corpus: Artefact) -> list[Json]:
    """Parts in the order of their source's plan: by their first files, and within one by where they begin."""
    files = corpus.manifest["payload"]["config"].get("files") or ()
    order = {row[0]: number for number, row in enumerate(files)}

    def place(part: Json) -> tuple[int, int]:
        own = _files(part)
        begins: Any = part["span"][0] if "span" in part else part.get("row_group", part.get("first", 0))
        return order[own[0][0]] if own else 0, begins

    return sorted(parts, key=place)


def _alone(part: Json, file: str | None) -> Json:
    """The part of one file, where a part has several files of records."""
    if file is None:
        return part
    row = next(row for row in part["files"] if row[0] == file)
    return {"file": file, "digest": row[1], "bytes": row[2]} if len(row) == 3 else {"file": file, "sha256": row[1]}


def _of_part(corpora: Corpora, source: str, read: Json, part: Json, document: Mapping[str, Any]) -> Json:
    """What a shard's part says of one of its documents."""
    meta, name = json.loads(document["meta"]), document["id"]
    if "repository" in part:
        # A commit's document is that of its own revision.
        revision = meta.get("revision", part["commit"])
        return {"kind": "repository", "name": part["repository"], "revision": revision, "path": meta.get("path")}
    if "row_group" in part:
        snapshot = corpora.find(corpora.graph.steps[f"corpus {source}"].inputs["snapshot"])
        state = snapshot.facts["installed"] if snapshot is not None else {"python": None, "distributions": []}
        owner = meta.get("distribution")
        return {
            "kind": "installation",
            "name": meta.get("path", name),
            "distribution": owner,
            "revision": dict(state["distributions"]).get(owner, state["python"]),
        }
    if "count" in part:
        return {"kind": "made", "name": read["filler"], "seed": read["seed"]}
    if "digest" in part:
        dataset = {"dataset": read["dataset"], "revision": read["revision"]} if read["dataset"] else {}
        return {"kind": "dataset", "name": part["file"], "digest": part["digest"], **dataset}
    if "file" in part:
        return {"kind": "file", "name": part["file"], "sha256": part["sha256"]}
    for file, sha, *_ in part["files"]:
        if file == name:
            return {"kind": "file", "name": file, "sha256": sha}
    # What lies in an archive is called by its place there.
    inside = [(file, sha) for file, sha, *_ in part["files"] if name.startswith(f"{file}/")]
    file, sha = max(inside, key=lambda one: len(one[0]), default=(None, None))
    return {
        "kind": "archive",
        "name": file,
        "sha256": sha,
        "path": meta.get("path"),
        "distribution": meta.get("distribution"),
        "revision": meta.get("revision"),
    }
