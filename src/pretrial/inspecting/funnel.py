"""What was left of a source after every step, and where its documents ended.

Guarantees: documents and bytes are those that the steps counted. Tokens are counted where they were made; elsewhere
they are bytes times the tokens per byte of the source's own tokens, or a third of a byte where it has none yet, and
marked as estimated: a step may leave text of another density. Loads no library, unless a measure that not every
document has dropped some: which of them had none stands in the list of what was dropped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pretrial.execute.context import ArtefactLike
from pretrial.inspecting.corpora import ENDS, SELECTION, Corpora, class_name
from pretrial.tokens.spec import BYTES_PER_TOKEN

Json = dict[str, Any]
UNUSED = "in no mixture, used for nothing"
_MEASURED = "keep "
"""How a step begins that keeps by a measure."""


def funnel(corpora: Corpora, source: str) -> Json:
    """The funnel of a source, also of one of which no document is left.

    Returns:
        `source`; `parent` and `root` (sources); `part`, for a part of a split source, {field, value}; `role` ("trains",
        "transfer domain", "on the way to others" or "in no mixture, used for nothing"); `inputs`, what was read as
        {what, count, bytes} (bytes as they lie there now, `None` where that cannot be said), or `None`; `funnel`, a
        list of {step, documents, bytes, tokens}; `ends`, a list of {class, documents, bytes, tokens}, `None` before the
        selection; `tokens_per_byte`; `rejected` (documents by step and reason); `unmeasured` (by step that keeps by a
        measure, those of its rejects that have none); `kept` (by such a step, what it keeps); `removed` (bytes by rule
        and kind); `skipped` and `quarantined` (counts by reason); `groups`, `ungrouped`, `repeated_ids`. Tokens are
        loss-bearing, as {"value", "basis"}.

    Raises:
        RequestError: when the source was not read yet, or there is none of that name.
    """
    corpus = corpora.read(source)
    facts = corpus.facts
    made = {part: tokens for part in ("train", "held-out") if (tokens := corpora.tokens(source, part)) is not None}
    density: Json = {"value": 1 / BYTES_PER_TOKEN, "basis": "estimated"}
    for tokens in made.values():
        if tokens.facts["bytes"]:
            density = {"value": max(0, tokens.facts["tokens"] - 1) / tokens.facts["bytes"], "basis": "measured"}
            break

    def count(documents: int, size: int) -> Json:
        tokens = {"value": round(size * density["value"]), "basis": "estimated"}
        return {"documents": documents, "bytes": size, "tokens": tokens}

    selected = corpora.find(SELECTION)
    ends = None
    if selected is not None:
        ends = []
        for key, counts in selected.facts["sources"][source].items():
            if not isinstance(counts, dict):
                continue
            row: Json = {"class": class_name(key)} | count(counts["documents"], counts["bytes"])
            if (known := made.get(row["class"])) is not None:
                row["tokens"] = {"value": max(0, known.facts["tokens"] - 1), "basis": "measured"}
            ends.append(row)
        order = list(ENDS)
        ends.sort(key=lambda row: order.index(row["class"]) if row["class"] in order else len(order))
    return {
        "source": source,
        "parent": corpora.source(source).parent,
        "root": corpora.root(source),
        "part": part_of(corpora, source),
        "role": role(corpora, source),
        "inputs": inputs(corpora, source),
        "funnel": [{"step": row["step"]} | count(row["documents"], row["bytes"]) for row in facts["funnel"]],
        "ends": ends,
        "tokens_per_byte": density,
        **{key: facts[key] for key in ("rejected", "removed", "skipped", "quarantined")},
        "unmeasured": unmeasured(corpus),
        "kept": {
            f"{_MEASURED}{name}": corpus.manifest["payload"]["config"]["keep"][name]
            for name in corpus.manifest["payload"]["config"]["measures"]
        },
        **{key: facts[key] for key in ("groups", "ungrouped", "repeated_ids")},
    }


def role(corpora: Corpora, source: str) -> str:
    """What a source is for in its study."""
    if source in corpora.study.trained_sources:
        return "trains"
    if source in corpora.study.transfer_sources:
        return "transfer domain"
    parents = {one.parent for one in corpora.study.sources.values()}
    return "on the way to others" if source in parents and source not in corpora.unused else UNUSED


def part_of(corpora: Corpora, source: str) -> Json | None:
    """{field, value} of a part that a mixture named of a split source, `SOURCE/VALUE`; `None` for any other source."""
    said = corpora.source(source)
    if said.parent is None or said.filter or said.transform or said.keep is None or len(said.keep) != 1:
        return None
    ((field, values),) = said.keep.items()
    if isinstance(values, Mapping) or list(values) != [source.removeprefix(f"{said.parent}/")]:
        return None
    return {"field": field, "value": values[0]} if source == f"{said.parent}/{values[0]}" else None


def inputs(corpora: Corpora, source: str) -> Json | None:
    """How many files or repositories a source was read from, and their bytes; `None` where it reads none of its own."""
    config = corpora.read(source).manifest["payload"]["config"]
    files = config.get("files")
    if files is None:
        return None
    from pretrial.corpus.kinds import where_of
    from pretrial.corpus.places import UNREAD

    if config["read"]["scope"] == "hub":
        return {"what": "files", "count": len(files), "bytes": sum(size for _, _, size in files)}
    names = {name for name, mark, *_ in files if mark not in UNREAD}
    if where_of(config["read"]) == "repositories":
        return {"what": "repositories", "count": len(names), "bytes": None}
    return {"what": "files", "count": len(names), "bytes": _sizes(corpora, source, names)}


def _sizes(corpora: Corpora, source: str, names: set[str]) -> int | None:
    """Bytes of a source's files as they lie there; `None` where they are not those that were read."""
    if corpora.note(source) is not None:
        return None
    from pretrial.corpus.spec import resolve
    from pretrial.errors import RequestError

    step = corpora.graph.steps[f"corpus {source}"]
    try:
        lying: dict[str, Path] = {place.name: place.path for place in resolve(step.config, step.settings)}
        return sum(lying[name].stat().st_size for name in names)
    except (RequestError, OSError, KeyError):
        return None


def unmeasured(corpus: ArtefactLike) -> dict[str, int]:
    """Of the documents that a step dropped for a measure, how many have none; steps whose measure all have are out."""
    from pretrial.corpus.attributes import ATTRIBUTES

    steps = [
        step
        for step in corpus.facts["rejected"]
        if (name := step.removeprefix(_MEASURED)) != step
        and name in ATTRIBUTES
        # A text without any field has it: then all have.
        and ATTRIBUTES[name].compute("x", {}) is None
    ]
    if not steps:
        return {}
    import pyarrow.parquet as pq

    found = dict.fromkeys(steps, 0)
    for file in corpus.facts["rejects"]:
        with pq.ParquetFile(corpus.file(file)) as rejected:
            for batch in rejected.iter_batches(columns=["rule", "value"]):
                for step, value in zip(batch["rule"].to_pylist(), batch["value"].to_pylist(), strict=True):
                    if step in found and json.loads(value) is None:
                        found[step] += 1
    return found


def folded(said: Json) -> list[Json]:
    """The funnel's rows with each run of steps that changed nothing as one: {steps} and no counts.

    A step changed nothing when it dropped no document and took out no byte.
    """
    rows: list[Json] = []
    before: Json | None = None
    for row in said["funnel"]:
        same = before is not None and all(row[key] == before[key] for key in ("documents", "bytes"))
        if same and row["step"] not in said["removed"] and row["step"] not in said["rejected"]:
            if "steps" not in rows[-1]:
                rows.append({"steps": []})
            rows[-1]["steps"].append(row["step"])
        else:
            rows.append(row)
        before = row
    return rows


def in_steps(names: Sequence[str]) -> str:
    """Steps in a row, by the first and the last of them."""
    return " … ".join(dict.fromkeys((names[0], names[-1])))
