"""Documents to look at: kept ones, those that a rule dropped, those of one class of the selection, and what was none.

Guarantees: the same documents for the same corpus and seed, on every machine; more of them begin with those of fewer;
what is shown of why a document is where it is (value, partner, matched span) is what the step that decided it wrote.
Does not: find anything anew.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from pretrial.corpus.contamination.hits import read_hits, telling
from pretrial.corpus.documents import READ
from pretrial.corpus.iterate import load_mask
from pretrial.corpus.near.clusters import PAIRS, PIECE, load_components
from pretrial.corpus.places import FAULTS
from pretrial.corpus.readers.record import EXCERPT
from pretrial.corpus.select import CLASSES, GROUPS
from pretrial.errors import RequestError
from pretrial.execute.context import ArtefactLike
from pretrial.inspecting.corpora import Corpora, class_name
from pretrial.inspecting.rows import column_batches, pick, read_rows, root_rows, rows_of_file
from pretrial.inspecting.text import shown

Json = dict[str, Any]
Document = tuple[str, int]
"""A document by its source and number."""
Place = tuple[str, int]
"""A row of a file of a corpus by the file's name and its number."""
MOST_PARTNERS = 3
NAMES = {class_name(key): key for key in CLASSES}
QUARANTINED, SKIPPED = "quarantined", "skipped"
KNOWN = (*NAMES, SKIPPED, QUARANTINED)
_QUARANTINE = "quarantine.parquet"
_SOME = 5


def sample(
    corpora: Corpora,
    source: str,
    *,
    rule: str | None = None,
    kept: bool = False,
    of: str | None = None,
    n: int | None = None,
    seed: int = 1,
    characters: int = 400,
    listed: bool = False,
) -> Json:
    """Some documents of a source.

    Args:
        corpora: the study's.
        source: the source.
        rule: those that this step of the funnel dropped; `NAME/REASON` those for one of its reasons. Those that the
            reader skipped: `read`, `read/REASON`, or the reason alone, such as `generated`.
        kept: those that came through all steps; also what is meant where neither a rule nor a class is named.
        of: those of a class of the selection: train, held-out, duplicate, excluded, near-duplicate, near-held-out,
            contaminated. Or `quarantined`, what could not be used, and `skipped`, what the reader left out; also for
            one reason: `quarantined/REASON`.
        n: how many; five where left out, with `listed` all, none with 0.
        seed: which.
        characters: of each text, at most; of a dropped one the store has the first 200.
        listed: without texts and fields.

    Returns:
        `source`, `what`, `of_documents` (among how many), `listed`, `documents`: {row, id, group, bytes, class, meta,
        text, cut}, or of dropped ones {id, rule, reason, value, bytes, where, text, cut}, of quarantined ones {reason,
        where, text, cut}, with `counted` (of very many not each is listed). Near-duplicates have `partners` (not where
        listed) and `stays`, copies `stays`, both with their `similarity` (`None` where the one that stays is further
        than one pair away), contaminated ones `hits`.

    Raises:
        RequestError: for two of rule, kept and class, for one that does not exist, and for what was not made yet.
    """
    if (rule is not None) + kept + (of is not None) > 1:
        raise RequestError(
            "a sample is of a rule's rejects, of kept documents or of a class", remedy="Say one of the three."
        )
    for name, value in (("n", n), ("characters", characters), ("seed", seed)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
            raise RequestError(f"{name} is {value!r}", remedy="It is a whole number from 0 on.")
    corpus = corpora.read(source)
    said: Json = {"source": source, "listed": listed}
    if rule is not None:
        return said | _rejected(corpus, rule, n, seed, listed=listed)
    kind, _, reason = (of or "").partition("/")
    if kind == QUARANTINED:
        return said | _quarantined(corpus, reason, n, seed, listed=listed)
    if kind == SKIPPED:
        return said | _rejected(corpus, f"{READ}/{reason}" if reason else READ, n, seed, listed=listed)
    if of is not None and of not in NAMES:
        raise RequestError(f"there is no class {of!r}", remedy=f"Known: {', '.join(KNOWN)}.")
    if of is not None or corpora.find(f"corpus {source}") is None:
        corpora.corpus(source)  # Where no document is left, it says so.
    mask = None
    if of is not None or corpora.find("selection of documents") is not None:
        mask = load_mask(corpora.selection(), source)
    if of is None:
        among = corpus.facts["documents"]
        rows = pick(corpus.content, among, _number(n, among, listed=listed), seed)
    else:
        assert mask is not None
        chosen = np.flatnonzero(mask == CLASSES[NAMES[of]])
        among = len(chosen)
        rows = [int(chosen[at]) for at in pick(corpus.content, among, _number(n, among, listed=listed), seed)]
    classes = {value: class_name(key) for key, value in CLASSES.items()}
    documents = []
    columns = ["id", "group", "bytes", *([] if listed else ["text", "meta"])]
    for row, one in zip(rows, read_rows(corpus, rows, columns), strict=True):
        document: Json = {
            "row": row,
            "id": one["id"],
            "group": one["group"],
            "bytes": one["bytes"],
            "class": classes[int(mask[row])] if mask is not None else None,
        }
        if not listed:
            document |= {
                "meta": json.loads(one["meta"]),
                "text": one["text"][:characters],
                "cut": len(one["text"]) > characters,
            }
        documents.append(document)
    if of is not None:
        _explain(corpora, source, of, documents, listed=listed)
    what = "kept" if of is None else f"class {of}"
    return said | {"what": what, "of_documents": among, "documents": documents}


def _number(n: int | None, among: int, *, listed: bool) -> int:
    return n if n is not None else among if listed else _SOME


def _counts(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{shown(name)} {count:,}" for name, count in ordered)


def _quarantined(corpus: ArtefactLike, reason: str, n: int | None, seed: int, *, listed: bool) -> Json:
    """What could not be used, by its place: of each reason the first 10,000 of a shard, or of a file, are listed."""
    counted: Mapping[str, int] = corpus.facts["quarantined"]
    if reason and reason not in counted:
        said = f"Reasons here: {_counts(counted)}." if counted else "Nothing was quarantined here."
        raise RequestError(f"nothing was quarantined for {reason!r}", remedy=said)
    places: list[Place] = []
    for file in corpus.facts.get("quarantine", [_QUARANTINE]):
        with pq.ParquetFile(corpus.file(file)) as broken:
            column = broken.read(columns=["reason"])["reason"].to_pylist()
        places += [(file, row) for row, one in enumerate(column) if reason in ("", one)]
    chosen = [places[at] for at in pick(corpus.content, len(places), _number(n, len(places), listed=listed), seed)]
    documents = []
    for found in _read_places(corpus, chosen, ["reason", "where", "excerpt"]):
        one = {key: found[key] for key in ("reason", "where")}
        # Of what could not be opened there is no beginning: what stands there says the reason again.
        text = "" if found["excerpt"] == FAULTS.get(found["reason"]) else found["excerpt"]
        documents.append(one if listed else one | {"text": text, "cut": len(text.encode()) >= EXCERPT})
    return {
        "what": f"{QUARANTINED}{', ' if reason else ''}{reason}",
        "of_documents": len(places),
        "counted": counted[reason] if reason else sum(counted.values()),
        "documents": documents,
    }


def _rejected(corpus: ArtefactLike, asked: str, n: int | None, seed: int, *, listed: bool) -> Json:
    dropped, skipped = corpus.facts["rejected"], corpus.facts["skipped"]
    steps = [row["step"] for row in corpus.facts["funnel"]]
    # No step's name has a slash, but what `keep` says of a value may.
    rule, _, reason = (asked, "", "") if asked in steps else asked.partition("/")
    if rule not in steps and asked in skipped:
        rule, reason = READ, asked
    if rule not in steps:
        raise RequestError(
            f"{rule} is no step of this source", remedy=f"Its steps are {', '.join(steps)}; see corpus build."
        )
    reasons: Mapping[str, int] = dropped.get(rule, {})
    if rule == READ:
        reasons = Counter(reasons) + Counter(skipped)
    if reason and reason not in reasons:
        raise RequestError(
            f"{rule} dropped nothing for {reason!r}",
            remedy=f"Its reasons here are {_counts(reasons)}." if reasons else "It dropped nothing here.",
        )
    places: list[Place] = []
    for file in corpus.facts["rejects"]:
        with pq.ParquetFile(corpus.file(file)) as rejected:
            table = rejected.read(columns=["rule", "reason"])
        names = zip(table["rule"].to_pylist(), table["reason"].to_pylist(), strict=True)
        places += [(file, row) for row, (name, why) in enumerate(names) if name == rule and reason in ("", why)]
    if not places and reasons:
        raise RequestError(
            f"what {rule} leaves out{f' as {reason}' if rule == READ and reason else ''} is counted and not listed",
            remedy="corpus inspect shows the counts" + ("." if rule == READ else " by value."),
        )
    chosen = [places[at] for at in pick(corpus.content, len(places), _number(n, len(places), listed=listed), seed)]
    documents = []
    columns = ["id", "rule", "reason", "value", "bytes", "where", "excerpt"]
    for one in _read_places(corpus, chosen, columns):
        row = {key: one[key] for key in ("id", "rule", "reason", "bytes", "where")}
        row["value"] = json.loads(one["value"])
        documents.append(row if listed else row | {"text": one["excerpt"], "cut": one["bytes"] > EXCERPT})
    what = f"dropped by {rule}{', ' if reason else ''}{reason}"
    return {"what": what, "of_documents": len(places), "documents": documents}


def _read_places(corpus: ArtefactLike, places: Sequence[Place], columns: Sequence[str]) -> list[Json]:
    """Rows by their files and numbers, in this order; every file is opened once."""
    by_file: dict[str, list[int]] = {}
    for file, row in places:
        by_file.setdefault(file, []).append(row)
    found: dict[Place, Json] = {}
    for file, rows in by_file.items():
        found.update(((file, row), one) for row, one in rows_of_file(corpus.file(file), rows, columns).items())
    return [found[place] for place in places]


def _explain(corpora: Corpora, source: str, of: str, documents: Sequence[Json], *, listed: bool) -> None:
    """Add to documents of a class why they are in it. Derived documents have the reasons of their roots."""
    root = corpora.root(source)
    made_of = root_rows(corpora.corpus(source), [one["row"] for one in documents])
    if of in ("near-duplicate", "near-held-out"):
        found = _partners(corpora, corpora.near(), root, made_of, of, listed=listed)
        if source != root:
            # A derived text may be near to a held-out one where that which it was made of was not.
            own = [one["row"] for one in documents]
            edited = _partners(corpora, corpora.near_edited(), source, own, of, listed=listed)
            found = [one if one["stays"] else other for one, other in zip(found, edited, strict=True)]
        for one, said in zip(documents, found, strict=True):
            one |= said
    elif of in ("duplicate", "excluded"):
        copies = _copies(corpora, root, made_of, of, listed=listed)
        if source != root:
            # Texts that a derived source's rules and transforms made equal.
            own = [one["row"] for one in documents]
            others = _copies(corpora, source, own, of, listed=listed, derived=True)
            copies = [one or other for one, other in zip(copies, others, strict=True)]
        for one, stays in zip(documents, copies, strict=True):
            one["stays"] = stays
    elif of == "contaminated":
        # An item that stands in any state of a document takes it out of all.
        hits: dict[int, list[Json]] = {row: [] for row in made_of}
        for scanned, made in corpora.scans(source).items():
            found_in = read_hits(made).to_pylist()
            rows = root_rows(corpora.corpus(scanned), [hit["row"] for hit in found_in])
            for hit, row in zip(found_in, rows, strict=True):
                if row in hits:
                    hits[row].append(hit | {"source": scanned})
        for one, row in zip(documents, made_of, strict=True):
            one["hits"] = sorted(hits[row], key=lambda hit: (hit["benchmark"], hit["item"], *telling(hit)))


def _partners(
    corpora: Corpora, near: ArtefactLike | None, root: str, rows: Sequence[int], of: str, *, listed: bool
) -> list[Json]:
    """For each document: the nearest of its partners, and the one for which it is out, however many pairs away.

    That is one that trains or, for a near-duplicate of held-out text, one that is held out. Where a held-out group has
    only a copy, which is dropped, it is that copy: its class says so.
    """
    if near is None or root not in near.facts["files"]:
        return [{"partners": [], "stays": None, "partners_in_all": 0} for _ in rows]
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
        ends = [{at for at in edges if class_of(at) == "train"}]
    else:
        grouped = _in_held_groups(corpora, edges)
        ends = [{at for at in grouped if class_of(at) == "held-out"}, grouped]
    found = []
    for row in rows:
        partners = sorted(edges.get((root, row), []), key=lambda edge: (-edge[0], edge[1]))
        met = [_nearest((root, row), edges, wanted) for wanted in ends]
        # Of a dropped copy the one that is held out is a pair further; what is further still is not why.
        in_use, any_copy = met[0], met[-1]
        found.append((partners, *(in_use if in_use[0] and in_use[1] <= any_copy[1] + 1 else any_copy)))
    wished = [
        at
        for partners, end, _ in found
        for at in (*([] if listed else (at for _, at in partners[:MOST_PARTNERS])), *([end] if end else []))
    ]
    described = _described(corpora, wished, texts=not listed)
    said = []
    for partners, end, away in found:
        one: Json = {"stays": None}
        if end:
            similarity = max((value for value, at in partners if at == end), default=None)
            one["stays"] = described[end] | {"pairs_away": away, "class": class_of(end), "similarity": similarity}
        if not listed:
            one["partners"] = [
                described[at] | {"similarity": similarity, "class": class_of(at)}
                for similarity, at in partners[:MOST_PARTNERS]
            ]
        said.append(one | {"partners_in_all": len(partners)})
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


def _copies(
    corpora: Corpora, root: str, rows: Sequence[int], of: str, *, listed: bool, derived: bool = False
) -> list[Json | None]:
    """For each document, the copy of it that is used, or for an excluded one the copy in a held-out group.

    `derived`: derived sources are looked in, too, and this one itself first.
    """
    shas = [one["sha"] for one in read_rows(corpora.corpus(root), rows, ["sha"])]
    wanted = set(shas)
    selected = corpora.selection()
    held = set(json.loads(selected.file(GROUPS).read_text(encoding="utf-8")))
    found: dict[bytes, Document] = {}
    names = [name for name, source in corpora.study.sources.items() if source.parent is None or derived]
    for name in sorted(names, key=lambda name: name != root):
        mask = load_mask(selected, name)
        for first, table in column_batches(corpora.corpus(name), ["sha", "group"]):
            for row, sha in enumerate(table["sha"].to_pylist(), first):
                if sha in wanted:
                    # Of copies one is in use. An excluded one is that itself: it is out for one in a held-out group.
                    used = mask[row] != CLASSES["duplicate"]
                    if used if of == "duplicate" else table["group"][row - first].as_py() in held:
                        found.setdefault(sha, (name, row))
    # A derived document that is a copy only as it was edited has a root that is none.
    chosen = [at if (at := found.get(sha)) != (root, row) else None for row, sha in zip(rows, shas, strict=True)]
    described = _described(corpora, [at for at in chosen if at is not None], texts=not listed)
    return [described[at] | {"similarity": 1.0} if at is not None else None for at in chosen]


def _described(corpora: Corpora, documents: Iterable[Document], *, texts: bool) -> dict[Document, Json]:
    said: dict[Document, Json] = {}
    by_source: dict[str, list[int]] = {}
    for name, row in dict.fromkeys(documents):
        by_source.setdefault(name, []).append(row)
    for name, rows in by_source.items():
        columns = ["id", "group", *(["text"] if texts else [])]
        for row, one in zip(rows, read_rows(corpora.corpus(name), rows, columns), strict=True):
            said[name, row] = {"source": name, "row": row, "id": one["id"], "group": one["group"]}
            if texts:
                said[name, row]["text"] = one["text"][:200]
    return said
