"""What became of the documents of every source: a report's funnel and the tables beside it.

Everything comes from facts of steps, but licences, which are fields of documents: of those that were tokenised, or
where they were not yet, of those that the selection chose. A step that a study does without, or that is not there,
gives no rows.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from pretrial.corpus.iterate import HELD_OUT, TRAIN, documents
from pretrial.findings.shelf import Shelf
from pretrial.plan.graph import Graph
from pretrial.report import data as report
from pretrial.store.artefacts import Artefact
from pretrial.study.schema import Study

Json = dict[str, Any]

SELECT = "selection of documents"
PARTS = {
    "train": report.TRAINS,
    "held_out": report.HELD_OUT,
    "duplicate": "exact copies, left out",
    "excluded": "exact copies of held-out documents",
    "near_duplicate": "near-duplicates of documents that train",
    "near_held_out": "near-duplicates of held-out documents",
    "contaminated": "held a benchmark item",
}
"""Where documents end, in words and in this order; others keep their names and come last."""
_TOKENISED = {"train": "train", "held_out": "held-out"}
_LINES = 65_536
_PLAIN = re.compile(r'(?<!\\)"license":"([^"\\]*)"')


class Corpora:
    """The parts of a report that say what became of documents."""

    def __init__(self, study: Study, graph: Graph, shelf: Shelf) -> None:
        self.study, self.graph, self.shelf = study, graph, shelf
        self._parents = {source.parent for source in study.sources.values()}
        self._used = {*study.trained_sources, *study.transfer_sources}

    def funnel(self) -> list[report.FunnelStep]:
        """What was left of each source after every step of reading, and what became of that."""
        found: list[report.FunnelStep] = []
        select = self._find(SELECT)
        for source, corpus in self._corpora():
            steps: list[tuple[str, bool, Json, int | None]] = [
                (step["step"], False, step, None) for step in corpus.facts["funnel"]
            ]
            if select is not None:
                counts = select.facts["sources"][source]
                parts = {n: c for n, c in counts.items() if isinstance(c, dict) and "documents" in c}
                order = [*(n for n in PARTS if n in parts), *(n for n in parts if n not in PARTS)]
                steps += [(self.part(source, n), True, parts[n], self._tokens(source, n)) for n in order]
            found += [
                {
                    "source": source,
                    "made_from": self.study.sources[source].parent or "",
                    "step": name,
                    "part": part,
                    "documents": count["documents"],
                    "bytes": count["bytes"],
                    "tokens": tokens,
                }
                for name, part, count, tokens in steps
            ]
        return found

    def part(self, source: str, name: str) -> str:
        """What a report calls a class of documents of a source."""
        if name == "train" and source not in self._used:
            return report.PASSED_ON if source in self._parents else report.UNUSED
        return PARTS.get(name, name.replace("_", " "))

    def rejects(self) -> list[report.Rejects]:
        """Why documents were dropped: rules in the order in which they ran, the most frequent reason first."""
        rows: list[report.Rejects] = []
        for source, corpus in self._corpora():
            rejected = corpus.facts["rejected"]
            aside = [(kind, corpus.facts[kind]) for kind in (report.SKIPPED, report.QUARANTINED)]
            for rule, reasons in [*_as_they_ran(corpus, rejected), *aside]:
                for reason, count in sorted(reasons.items(), key=lambda entry: (-entry[1], entry[0])):
                    rows.append({"source": source, "rule": rule, "reason": reason, "documents": count})
        return rows

    def removed(self) -> list[report.Removed]:
        """Bytes taken out of documents that stayed."""
        return [
            {"source": source, "rule": rule, "kind": kind, "bytes": size}
            for source, corpus in self._corpora()
            for rule, kinds in _as_they_ran(corpus, corpus.facts["removed"])
            for kind, size in kinds.items()
        ]

    def near_duplicates(self) -> list[report.NearDuplicates]:
        """Near-duplicates within and across the sources that are read; then of those whose texts were edited."""
        rows: list[report.NearDuplicates] = []
        for search in ("near-duplicates", "near-duplicates among edited sources"):
            if (near := self._find(search)) is not None:
                known = {row["source"] for row in rows}
                rows += [row for row in self._near(near) if row["source"] not in known]
        return rows

    def _near(self, near: Artefact) -> list[report.NearDuplicates]:
        names = [name for name in self.study.sources if name in near.facts["sources"]]
        pairs: dict[str, Counter[str]] = {name: Counter() for name in names}
        for between in near.facts["between"]:
            one, other = between["sources"]
            pairs[one][other] += between["pairs"]
            if one != other:
                pairs[other][one] += between["pairs"]
        rows: list[report.NearDuplicates] = []
        for source in names:
            counts = near.facts["sources"][source]
            others = {name: pairs[source][name] for name in names if name != source}
            rows.append(
                {
                    "source": source,
                    "documents": counts["documents"],
                    "near": counts["in_components"],
                    "within": counts["within"],
                    "across": counts["across"],
                    "pairs_within": pairs[source][source],
                    "pairs_across": sum(others.values()),
                    "others": {name: count for name, count in others.items() if count},
                }
            )
        return rows

    def licences(self) -> list[report.Licence]:
        """Licences of the documents that train, of a transfer domain of those held out."""
        rows: list[report.Licence] = []
        for source in self.study.sources:
            train = source in self.study.trained_sources
            if not train and source not in self.study.transfer_sources:
                continue
            found: Counter[str] = Counter()
            size: Counter[str] = Counter()
            for meta, own in self._tokenised(source, train=train) or self._chosen(source, train=train):
                licence = licence_of(meta)
                found[licence] += 1
                size[licence] += own
            rows += [
                {
                    "source": source,
                    "license": licence,
                    "documents": found[licence],
                    "bytes": count,
                    "share_documents": found[licence] / found.total(),
                    "share_bytes": count / size.total() if size.total() else 0.0,
                }
                for licence, count in sorted(size.items(), key=lambda entry: (-entry[1], entry[0]))
            ]
        return rows

    def _tokenised(self, source: str, *, train: bool) -> Iterator[tuple[str, int]] | None:
        """Fields (JSON) and bytes of the documents whose tokens were made; None where they were not."""
        name = f"tokens of {source} ({_TOKENISED['train' if train else 'held_out']})"
        files = [self._file(name, file) for file in ("documents.parquet", "bytes.npy")]
        if files[0] is None or files[1] is None:
            return None
        return _fields(files[0], np.load(files[1]))

    def _chosen(self, source: str, *, train: bool) -> Iterator[tuple[str, int]]:
        """The same of the documents that the selection chose: of an arm that was not run, tokens are not made."""
        corpus, select = self._find(f"corpus {source}"), self._find(SELECT)
        if corpus is None or select is None:
            return
        chosen = select.facts["sources"][source].get("train" if train else "held_out")
        # Shards are hashed before they are read: not where there is nothing to read.
        if not chosen or not chosen["documents"] or self._damaged(corpus, source):
            return
        mask = self._file(SELECT, select.facts["files"][source])
        if mask is None:
            return
        for batch in documents(corpus, np.load(mask), TRAIN if train else HELD_OUT, ("meta", "bytes")):
            yield from zip(batch["meta"].to_pylist(), batch["bytes"].to_pylist(), strict=True)

    def _damaged(self, corpus: Artefact, source: str) -> bool:
        return any(self._file(f"corpus {source}", shard["file"]) is None for shard in corpus.facts["shards"])

    def _corpora(self) -> Iterator[tuple[str, Artefact]]:
        for source in self.study.sources:
            corpus = self._find(f"corpus {source}")
            if corpus is not None:
                yield source, corpus

    def _tokens(self, source: str, name: str) -> int | None:
        made = self._find(f"tokens of {source} ({_TOKENISED[name]})") if name in _TOKENISED else None
        return int(made.facts["tokens"]) if made is not None else None

    def _find(self, name: str) -> Artefact | None:
        return self.shelf.find(name) if name in self.graph.steps else None

    def _file(self, name: str, file: str) -> Any:
        return self.shelf.file(name, file) if name in self.graph.steps else None


def _as_they_ran(corpus: Artefact, by_rule: Mapping[str, Json]) -> list[tuple[str, Json]]:
    """What a corpus says by rule, in the order of its steps: a manifest sorts names."""
    return [(step["step"], by_rule[step["step"]]) for step in corpus.facts["funnel"] if step["step"] in by_rule]


def _fields(path: Path, sizes: npt.NDArray[np.int64]) -> Iterator[tuple[str, int]]:
    with pq.ParquetFile(path) as file:
        at = 0
        for batch in file.iter_batches(_LINES, columns=["meta"]):
            yield from zip(batch["meta"].to_pylist(), sizes[at : at + len(batch)].tolist(), strict=True)
            at += len(batch)


def licence_of(meta: str) -> str:
    """The licence in a document's fields (JSON), "" where there is none; several are joined."""
    if '"license":' not in meta:
        return ""
    # Millions of documents: where no object stands in another, the field is read without parsing the rest.
    if meta.count("{") == 1 and (plain := _PLAIN.search(meta)):
        return plain[1]
    fields: Mapping[str, Any] = json.loads(meta)
    found = fields.get("license")
    if isinstance(found, list):
        return ", ".join(str(one) for one in found)
    return found if isinstance(found, str) else "" if found is None else json.dumps(found, sort_keys=True)
