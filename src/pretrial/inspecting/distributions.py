"""What a source's documents are like: lengths, fields, rejects, copies, benchmark items, measures.

Guarantees: of every document in the corpus, one row group of the store at a time; quantiles are values that occur;
counts are exact. Only `measures` reads texts. Does not: look again for copies or items (their steps did).
"""

from __future__ import annotations

import json
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pyarrow.parquet as pq

from pretrial.corpus.attributes import ATTRIBUTES
from pretrial.corpus.near.spec import probability, settings_of
from pretrial.errors import RequestError
from pretrial.execute.context import ArtefactLike
from pretrial.inspecting.corpora import Corpora
from pretrial.inspecting.rows import column_batches

Json = dict[str, Any]
FIELDS = ("language", "license", "site", "repository", "kind")
"""Fields that are counted unasked, where documents have them."""
UNPARSABLE = "unparsable"
"""The reason for which the measured value is what a parser says, with the line where it stopped."""
_PIECE = 8192
_LINE = re.compile(r" (?:on line \d+|\(detected at line \d+\)|\(<unknown>, line \d+\)|\(<[^)]*$)")
QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)


def inspect(
    corpora: Corpora,
    source: str,
    *,
    fields: Sequence[str] = (),
    measures: Sequence[str] = (),
    hits: bool = False,
    top: int = 10,
) -> Json:
    """Distributions of a source.

    Args:
        corpora: the study's.
        source: the source.
        fields: further fields of its documents to count, beside `FIELDS`.
        measures: of `corpus.attributes.ATTRIBUTES`, computed from every text.
        hits: list benchmark items with the span that matched.
        top: most values of a field, and most hits.

    Returns:
        `documents`, `bytes`, `groups`; `lengths` (UTF-8 bytes: quantiles, mean, histogram by powers of two); `fields`
        (by name: `distinct` values, documents `without`, `bytes` of the others, `values`: {value, documents, bytes});
        `field_names`, those that some document has; `skipped` and `quarantined` (counts by reason); `rejected` (by step
        and reason, with what was measured); `near_duplicates` and `contamination`, `None` where nothing was looked for;
        `measures`.

    Raises:
        RequestError: when the source was not read yet, or there is none, or no measure, of that name.
    """
    for name in measures:
        if name not in ATTRIBUTES:
            raise RequestError(f"there is no measure {name!r}", remedy=f"Known: {', '.join(ATTRIBUTES)}.")
    corpus = corpora.read(source)
    sizes = array("q")
    counted: dict[str, dict[str, list[int]]] = {name: {} for name in dict.fromkeys((*FIELDS, *fields))}
    measured = {name: Measured() for name in measures}
    names: set[str] = set()
    for _, table in column_batches(corpus, ["bytes", "meta", *(["text"] if measures else [])]):
        own = table["bytes"].to_pylist()
        sizes.extend(own)
        records = [json.loads(meta) for meta in table["meta"].to_pylist()]
        for size, record in zip(own, records, strict=True):
            names.update(record)
            for name, values in counted.items():
                said = value_of(record, name)
                if said is not None:
                    count = values.setdefault(said, [0, 0])
                    count[0] += 1
                    count[1] += size
        if measures:
            for text, record in zip(table["text"].to_pylist(), records, strict=True):
                for name in measures:
                    measured[name].add(ATTRIBUTES[name].compute(text, record))
    return {
        "source": source,
        "root": corpora.root(source),
        **{key: corpus.facts[key] for key in ("documents", "bytes", "groups")},
        "lengths": {"unit": "bytes", **numbers(sizes), "histogram": histogram(sizes)},
        "fields": {
            name: _field(values, len(sizes), top) for name, values in counted.items() if values or name in fields
        },
        "field_names": sorted(names | {name for name, values in counted.items() if values}),
        **{key: corpus.facts[key] for key in ("skipped", "quarantined")},
        "rejected": rejects(corpus, top),
        "near_duplicates": near_duplicates(corpora, source),
        "contamination": contamination(corpora, source, hits=top if hits else 0),
        "measures": {name: values.described(top) for name, values in measured.items()},
    }


def value_of(record: Mapping[str, Any], name: str) -> str | None:
    """A field of a document as text; the site of one that has none is the host of its address."""
    value = record.get(name)
    if value is None and name == "site" and isinstance(url := record.get("url"), str):
        try:
            value = urlsplit(url).hostname
        except ValueError:
            return None
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def numbers(values: Sequence[float] | array[int]) -> Json:
    """Quantiles and mean of numbers; none of no numbers."""
    if not len(values):
        return {"quantiles": {}, "mean": None}
    points = np.quantile(np.asarray(values), QUANTILES, method="inverted_cdf").tolist()
    return {"quantiles": {f"{q:g}": v for q, v in zip(QUANTILES, points, strict=True)}, "mean": float(np.mean(values))}


def histogram(sizes: Sequence[int] | array[int]) -> list[Json]:
    """Documents and bytes by size, in bins from one power of two to the next."""
    if not len(sizes):
        return []
    values = np.asarray(sizes, np.int64)
    # Exact, where a floating-point logarithm is not: 2^k has k zeros.
    bins = np.frexp(np.maximum(values, 1).astype(np.float64))[1] - 1
    low, high = int(bins.min()), int(bins.max())
    documents = np.bincount(bins - low, minlength=high - low + 1)
    size = np.bincount(bins - low, weights=values, minlength=high - low + 1)
    return [
        {"from": 1 << (low + i), "to": 1 << (low + i + 1), "documents": int(documents[i]), "bytes": int(size[i])}
        for i in range(high - low + 1)
    ]


class Measured:
    """What was measured, counted value by value: eight bytes a number, and each other value once."""

    def __init__(self) -> None:
        self._figures = array("d")
        self._words: Counter[str] = Counter()
        self._without = 0

    def add(self, value: Any) -> None:
        """The next one; `None` for a document that has none."""
        if value is None:
            self._without += 1
        elif isinstance(value, int | float):
            self._figures.append(float(value))
        else:
            self._words[value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)] += 1

    @property
    def documents(self) -> int:
        """How many were added."""
        return len(self._figures) + self._words.total() + self._without

    def described(self, top: int) -> Json:
        """Numbers by quantiles, other values by how often they came; `without` have none."""
        said: Json = {"numbers": len(self._figures), "without": self._without}
        if len(self._figures):
            said |= numbers(self._figures)
        if self._words:
            said["values"] = [{"value": value, "documents": count} for value, count in _first(self._words, top)]
            said["distinct"] = len(self._words)
        return said


def described(values: Iterable[Any], top: int) -> Json:
    """What `Measured` says of values."""
    measured = Measured()
    for value in values:
        measured.add(value)
    return measured.described(top)


def rejects(corpus: ArtefactLike, top: int) -> list[Json]:
    """Documents that rules dropped, by step and reason, the most first within a step, with what was measured.

    Errors of syntax that differ by their line alone are one.
    """
    found: dict[tuple[str, str], Measured] = defaultdict(Measured)
    for file in corpus.facts["rejects"]:
        with pq.ParquetFile(corpus.file(file)) as rejected:
            for batch in rejected.iter_batches(_PIECE, columns=["rule", "reason", "value"]):
                columns = (batch[name].to_pylist() for name in ("rule", "reason", "value"))
                for rule, reason, value in zip(*columns, strict=True):
                    said = json.loads(value)
                    if reason == UNPARSABLE and isinstance(said, str):
                        said = _LINE.sub("", said)
                    found[rule, reason].add(said)
    steps = [row["step"] for row in corpus.facts["funnel"]]
    rows = [
        {"step": rule, "reason": reason, "documents": measured.documents, "listed": True, **measured.described(top)}
        for (rule, reason), measured in found.items()
    ]
    # What `keep` leaves out by a field is counted and not listed.
    for step, reasons in corpus.facts["rejected"].items():
        rows += [
            {"step": step, "reason": reason, "documents": count, "listed": False}
            for reason, count in reasons.items()
            if (step, reason) not in found
        ]
    return sorted(rows, key=lambda row: (steps.index(row["step"]), -row["documents"], row["reason"]))


def near_duplicates(corpora: Corpora, source: str) -> Json | None:
    """What was found of a source, or of the one that it goes back to.

    `missed_at_threshold` is the probability with which a pair exactly at the threshold is not found; one that is nearer
    is missed with less (`corpus.near.spec`).
    """
    near = corpora.near()
    asked = corpora.study.near_duplicates
    if near is None or asked is None:
        return None
    root = corpora.root(source)
    chosen = settings_of(near.manifest["payload"]["config"])
    pairs = [
        {"sources": row["sources"], "pairs": row["pairs"]} for row in near.facts["between"] if root in row["sources"]
    ]
    return {
        "of": root,
        "threshold": asked.threshold,
        "words": asked.words,
        "bands": chosen.bands,
        "rows": chosen.rows,
        "missed_at_threshold": 1 - probability(chosen.threshold, chosen.bands, chosen.rows),
        **near.facts["sources"][root],
        "pairs": pairs,
        "crowded": near.facts["crowded"],
    }


def contamination(corpora: Corpora, source: str, *, hits: int = 0) -> Json | None:
    """Benchmark items in a source, or in its root's same texts; the first `hits` of them with what matched."""
    made = corpora.contamination(source)
    if made is None:
        return None
    said: Json = {
        "of": corpora.graph.scanned_as(source),
        **{key: made.facts[key] for key in ("documents", "contaminated", "rate", "hits", "benchmarks")},
    }
    if hits:
        from pretrial.corpus.contamination.hits import read_hits

        said["spans"] = read_hits(made).slice(0, hits).to_pylist()
    return said


def _field(values: Mapping[str, Sequence[int]], documents: int, top: int) -> Json:
    ordered = sorted(values.items(), key=lambda item: (-item[1][1], item[0]))
    return {
        "distinct": len(values),
        "without": documents - sum(count for count, _ in values.values()),
        "bytes": sum(size for _, size in values.values()),
        "values": [{"value": value, "documents": count, "bytes": size} for value, (count, size) in ordered[:top]],
    }


def _first(words: Counter[str], top: int) -> list[tuple[str, int]]:
    return sorted(words.items(), key=lambda item: (-item[1], item[0]))[:top]
