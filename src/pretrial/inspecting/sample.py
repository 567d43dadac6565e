"""Documents to look at: kept ones, those that a rule dropped, those of one class of the selection.

Guarantees: the same documents for the same corpus and seed, on every machine; more of them begin with those of fewer;
what is shown of why a document is where it is (value, partner, matched span) is what the step that decided it wrote.
Does not: find anything anew.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Sequence, Set
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from pretrial.corpus.contamination.hits import read_hits
from pretrial.corpus.iterate import load_mask
from pretrial.corpus.near.clusters import PAIRS, PIECE, load_components
from pretrial.corpus.select import CLASSES, GROUPS
from pretrial.errors import RequestError
from pretrial.execute.context import ArtefactLike
from pretrial.inspecting.corpora import Corpora, class_name
from pretrial.inspecting.rows import column_batches, pick, read_rows, root_rows, rows_of_file

Json = dict[str, Any]
Document = tuple[str, int]
"""A document by its source and number."""
MOST_PARTNERS = 3
NAMES = {class_name(key): key for key in CLASSES}


def sample(
    corpora: Corpora,
    source: str,
    *,
    rule: str | None = None,
    kept: bool = False,
    of: str | None = None,
    n: int = 5,
    seed: int = 1,
    characters: int = 400,
) -> Json:
    """Some documents of a source.

    Args:
        corpora: the study's.
        source: the source.
        rule: those that this step of the funnel dropped.
        kept: those that came through all steps; also what is meant where neither a rule nor a class is named.
        of: those of a class of the selection: train, held-out, duplicate, excluded, near-duplicate, near-held-out,
            contaminated.
        n: how many.
        seed: which.
        characters: of each text, at most; of a dropped one the store has the first 200.

    Returns:
        `source`, `what`, `of_documents` (among how many), `documents`: {row, id, group, bytes, class, meta, text, cut},
        or of dropped ones {id, rule, reason, value, bytes, where, text, cut}. Near-duplicates have `partners` and
        `stays`, copies `stays`, contaminated ones `hits`.

    Raises:
        RequestError: for two of rule, kept and class, for one that does not exist, and for what was not made yet.
    """
    if (rule is not None) + kept + (of is not None) > 1:
        raise RequestError(
            "a sample is of a rule's rejects, of kept documents or of a class", remedy="Say one of the three."
        )
    corpus = corpora.corpus(source)
    if rule is not None:
        return {"source": source, "what": f"dropped by {rule}", **_rejected(corpus, rule, n, seed)}
    mask = None
    if of is not None or corpora.find("selection of documents") is not None:
        mask = load_mask(corpora.selection(), source)
    if of is None:
        rows = pick(corpus.content, corpus.facts["documents"], n, seed)
        among = corpus.facts["documents"]
    else:
        if of not in NAMES:
            raise RequestError(f"there is no class {of!r}", remedy=f"Known: {', '.join(NAMES)}.")
        assert mask is not None
        chosen = np.flatnonzero(mask == CLASSES[NAMES[of]])
        among = len(chosen)
        rows = [int(chosen[at]) for at in pick(corpus.content, among, n, seed)]
    classes = {value: class_name(key) for key, value in CLASSES.items()}
    documents = []
    for row, one in zip(rows, read_rows(corpus, rows, ["id", "text", "group", "sha", "bytes", "meta"]), strict=True):
        documents.append(
            {
                "row": row,
                "id": one["id"],
                "group": one["group"],
                "bytes": one["bytes"],
                "class": classes[int(mask[row])] if mask is not None else None,
                "meta": json.loads(one["meta"]),
                "text": one["text"][:characters],
                "cut": len(one["text"]) > characters,
            }
        )
    if of is not None:
        _explain(corpora, source, of, documents)
    what = "kept" if of is None else f"class {of}"
    return {"source": source, "what": what, "of_documents": among, "documents": documents}


def _rejected(corpus: ArtefactLike, rule: str, n: int, seed: int) -> Json:
    dropped = corpus.facts["rejected"]
    steps = [row["step"] for row in corpus.facts["funnel"]]
    if rule not in steps:
        raise RequestError(
            f"{rule} is no step of this source", remedy=f"Its steps are {', '.join(steps)}; see corpus build."
        )
    places: list[tuple[str, int]] = []
    for file in corpus.facts["rejects"]:
        with pq.ParquetFile(corpus.file(file)) as rejected:
            column = rejected.read(columns=["rule"])["rule"]
        places += [(file, row) for row, name in enumerate(column.to_pylist()) if name == rule]
    if not places and sum(dropped.get(rule, {}).values()):
        raise RequestError(
            f"what {rule} leaves out is counted and not listed", remedy="corpus inspect shows the counts by value."
        )
    chosen = [places[at] for at in pick(corpus.content, len(places), n, seed)]
    found: dict[tuple[str, int], Json] = {}
    for file in dict.fromkeys(file for file, _ in chosen):
        rows = [row for name, row in chosen if name == file]
        columns = ["id", "rule", "reason", "value", "bytes", "where", "excerpt"]
        found |= {(file, row): one for row, one in rows_of_file(corpus.file(file), rows, columns).items()}
    documents = []
    for place in chosen:
        one = found[place]
        documents.append(
            {key: one[key] for key in ("id", "rule", "reason", "bytes", "where")}
            | {"value": json.loads(one["value"]), "text": one["excerpt"], "cut": one["bytes"] > 200}
        )
    return {"of_documents": len(places), "documents": documents}


def _explain(corpora: Corpora, source: str, of: str, documents: Sequence[Json]) -> None:
    """Add to documents of a class why they are in it. Derived documents have the reasons of their roots."""
    root = corpora.root(source)
    made_of = root_rows(corpora.corpus(source), [one["row"] for one in documents])
    if of in ("near-duplicate", "near-held-out"):
        for one, said in zip(documents, _partners(corpora, root, made_of, of), strict=True):
            one |= said
    elif of in ("duplicate", "excluded"):
        for one, found in zip(documents, _copies(corpora, root, made_of, of), strict=True):
            one["stays"] = found
    elif of == "contaminated":
        made = corpora.contamination(source)
        hits = read_hits(made).to_pylist() if made is not None else []
        for one, row in zip(documents, made_of, strict=True):
            one["hits"] = [hit for hit in hits if hit["row"] == row]


def _partners(corpora: Corpora, root: str, rows: Sequence[int], of: str) -> list[Json]:
    """For each document: the nearest of its partners, and the one for which it is out, however many pairs away.

    That is one that trains or, for a near-duplicate of held-out text, one in a held-out group, be it a copy itself.
    """
    near = corpora.near()
    if near is None:
        return [{"partners": [], "stays": None} for _ in rows]
    components = {name: load_components(near, name) for name in near.facts["files"]}
    wanted = np.unique(components[root][list(rows)])
    edges: dict[Document, list[tuple[float, Document]]] = {}
    with pq.ParquetFile(near.file(PAIRS)) as file:
        for batch in file.iter_batches(PIECE):
            names = [np.array(batch[f"source_{side}"].to_pylist()) for side in "ab"]
            numbers = [batch[f"row_{side}"].to_numpy() for side in "ab"]
            similarity = batch["jaccard"].to_numpy()
            for name, component in components.items():
                here = np.flatnonzero(names[0] == name)
                for at in here[np.isin(component[numbers[0][here]], wanted)].tolist():
                    a, b = ((str(names[side][at]), int(numbers[side][at])) for side in (0, 1))
                    edges.setdefault(a, []).append((float(similarity[at]), b))
                    edges.setdefault(b, []).append((float(similarity[at]), a))
    selected = corpora.selection()
    masks = {name: load_mask(selected, name) for name in components}
    classes = {code: class_name(key) for key, code in CLASSES.items()}

    def class_of(at: Document) -> str:
        return classes[int(masks[at[0]][at[1]])]

    if of == "near-duplicate":
        ends = {at for at in edges if class_of(at) == "train"}
    else:
        ends = _in_held_groups(corpora, edges)
    said = []
    for row in rows:
        partners = sorted(edges.get((root, row), []), key=lambda edge: (-edge[0], edge[1]))
        end, away = _nearest((root, row), edges, ends)
        first = partners[:MOST_PARTNERS]
        described = _described(corpora, [*(at for _, at in first), *([end] if end else [])])
        shown = [{**described[at], "similarity": similarity, "class": class_of(at)} for similarity, at in first]
        stay = {**described[end], "pairs_away": away, "class": class_of(end)} if end else None
        said.append({"partners": shown, "partners_in_all": len(partners), "stays": stay})
    return said


def _in_held_groups(corpora: Corpora, documents: Iterable[Document]) -> set[Document]:
    held = set(json.loads(corpora.selection().file(GROUPS).read_text(encoding="utf-8")))
    by_source: dict[str, list[int]] = {}
    for name, row in documents:
        by_source.setdefault(name, []).append(row)
    return {
        (name, row)
        for name, rows in by_source.items()
        for row, one in zip(rows, read_rows(corpora.corpus(name), rows, ["group"]), strict=True)
        if one["group"] in held
    }


def _nearest(
    start: Document, edges: dict[Document, list[tuple[float, Document]]], ends: Set[Document]
) -> tuple[Document | None, int]:
    """The first of the documents that a walk over pairs from one meets, and how many pairs away it is."""
    seen = {start}
    waiting: deque[tuple[Document, int]] = deque([(start, 0)])
    while waiting:
        at, away = waiting.popleft()
        if away and at in ends:
            return at, away
        for _, other in sorted(edges.get(at, []), key=lambda edge: (-edge[0], edge[1])):
            if other not in seen:
                seen.add(other)
                waiting.append((other, away + 1))
    return None, 0


def _copies(corpora: Corpora, root: str, rows: Sequence[int], of: str) -> list[Json | None]:
    """For each document, the copy of it that is used, or for an excluded one the copy in a held-out group."""
    shas = [one["sha"] for one in read_rows(corpora.corpus(root), rows, ["sha"])]
    wanted = set(shas)
    selected = corpora.selection()
    held = set(json.loads(selected.file(GROUPS).read_text(encoding="utf-8")))
    found: dict[bytes, Document] = {}
    for name, source in corpora.study.sources.items():
        if source.parent is not None:
            continue
        mask = load_mask(selected, name)
        for first, table in column_batches(corpora.corpus(name), ["sha", "group"]):
            for row, sha in enumerate(table["sha"].to_pylist(), first):
                if sha in wanted:
                    # Of copies one is in use. An excluded one is that itself: it is out for one in a held-out group.
                    used = mask[row] != CLASSES["duplicate"]
                    if used if of == "duplicate" else table["group"][row - first].as_py() in held:
                        found.setdefault(sha, (name, row))
    chosen = [found.get(sha) for sha in shas]
    described = _described(corpora, [at for at in chosen if at is not None])
    return [described[at] if at is not None else None for at in chosen]


def _described(corpora: Corpora, documents: Iterable[Document]) -> dict[Document, Json]:
    said: dict[Document, Json] = {}
    by_source: dict[str, list[int]] = {}
    for name, row in dict.fromkeys(documents):
        by_source.setdefault(name, []).append(row)
    for name, rows in by_source.items():
        for row, one in zip(rows, read_rows(corpora.corpus(name), rows, ["id", "group", "text"]), strict=True):
            said[name, row] = {
                "source": name,
                "row": row,
                "id": one["id"],
                "group": one["group"],
                "text": one["text"][:200],
            }
    return said
