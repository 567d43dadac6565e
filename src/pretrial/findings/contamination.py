"""Benchmark items in documents: which sources held them, which arms had them to train on, and scores without them.

An arm counts as having had an item when a document that may train, of a source that it trains on, holds it: whether
it drew that document is not looked up, so this is the most that it can have seen. Of a derived source the hits are
those of the documents it was made of. Scores on the clean subset leave out every item that any scanned document held,
before documents left training, so they are the same items in all arms; items that cannot be found (too short to tell)
count as clean, and how many they are is said. Without scans there are no rows and no flags.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pretrial.analysis.analyse import Analysis, analyse
from pretrial.analysis.data import Design, ItemTable
from pretrial.analysis.rows import Comparison
from pretrial.corpus.contamination import clean
from pretrial.corpus.contamination.hits import HITS, most_telling
from pretrial.corpus.contamination.index import ITEMS, unfindable
from pretrial.corpus.iterate import CONTAMINATED, TRAIN
from pretrial.corpus.select import CLASSES
from pretrial.evaluate.spec import CATEGORIES, METRICS
from pretrial.findings.corpora import SELECT, Corpora
from pretrial.findings.design import chosen_variants
from pretrial.findings.shelf import Shelf
from pretrial.plan.graph import Graph
from pretrial.report import data as report
from pretrial.study.schema import Study

Json = dict[str, Any]
Flags = npt.NDArray[np.bool_]

FLAG = "contaminated differently"
ANY = "any"
INDEX = "benchmark texts"
MATCHES = 5
"""Examples shown of each source and benchmark."""


class Contamination:
    """What a report says of benchmark items in documents.

    Args:
        study: what was asked.
        graph: its steps.
        shelf: where artefacts are read.
        items: the rows of items.parquet.
    """

    def __init__(self, study: Study, graph: Graph, shelf: Shelf, items: pa.Table) -> None:
        self.study, self.graph, self.shelf = study, graph, shelf
        self.variants = chosen_variants(study, graph)
        self._items = items
        self._corpora = Corpora(study, graph, shelf)
        self._masks: dict[str, npt.NDArray[np.uint8] | None] = {}

    @cached_property
    def scans(self) -> dict[str, tuple[Json, Any]]:
        """Facts and hits of each source that was scanned."""
        found = {}
        for step in self.graph.steps.values():
            if step.kind != "contamination":
                continue
            artefact = self.shelf.find(step.name)
            path = self.shelf.file(step.name, HITS)
            if artefact is not None and path is not None:
                with pq.ParquetFile(path) as file:
                    found[str(step.about["source"])] = (artefact.facts, file.read())
        return {name: found[name] for name in self.study.sources if name in found}

    @cached_property
    def benchmarks(self) -> list[str]:
        """Benchmarks that were looked for, in the order of `evaluate`, then of `decontaminate`."""
        looked = {name for facts, _ in self.scans.values() for name in facts["benchmarks"]}
        named = dict.fromkeys((*self.study.evaluate.tasks, *self.study.decontaminate_also))
        return [task for task in named if task in looked]

    @cached_property
    def unfindable(self) -> dict[str, frozenset[str]]:
        """Items of each benchmark that no document can be found to hold."""
        path = self.shelf.file(INDEX, ITEMS)
        return unfindable(path) if path is not None else {}

    @cached_property
    def evaluated(self) -> dict[str, frozenset[str]]:
        """Items of each benchmark that arms were asked; not of those that are only looked for."""
        found: dict[str, set[str]] = {name: set() for name in self.benchmarks if name in self.study.evaluate.tasks}
        for row in self._answers:
            found[row["task"]].add(row["item"])
        return {name: frozenset(items) for name, items in found.items()}

    @cached_property
    def dirty(self) -> dict[str, frozenset[str]]:
        """Items that any scanned document held."""
        hits = {name: table for name, (_, table) in self.scans.items()}
        return clean.union(
            [clean.exposure(hits, {n: np.ones(f["documents"], bool) for n, (f, _) in self.scans.items()})]
        )

    @cached_property
    def _rows(self) -> pa.Table:
        """The items of the benchmarks that are evaluated and were looked for."""
        chosen = pa.array(np.zeros(len(self._items), bool))
        for name in self.benchmarks:
            if name in self.study.evaluate.tasks:
                # A source may have a benchmark's name, but not its category.
                own = (pc.equal(self._items["task"], name), pc.equal(self._items["category"], CATEGORIES[name]))
                chosen = pc.or_(chosen, pc.and_(*own))
        return self._items.filter(chosen)

    @cached_property
    def _answers(self) -> list[Json]:
        """What of these rows a score is made from."""
        columns = ["variant", "seed", "tokens", "category", "task", "metric", "item", "value", "weight"]
        named: list[Json] = self._rows.select(columns).to_pylist()
        return named

    @cached_property
    def exposures(self) -> dict[str, tuple[clean.Exposure, clean.Exposure]]:
        """What each variant would have had without decontamination, and what it had."""
        hits = {name: table for name, (_, table) in self.scans.items()}
        found = {}
        for variant in self.variants:
            used = [self._used(variant, classes) for classes in ((TRAIN, CONTAMINATED), (TRAIN,))]
            if used[0] and used[1]:
                found[variant] = (clean.exposure(hits, used[0]), clean.exposure(hits, used[1]))
        return found

    def sources(self) -> list[report.Contamination]:
        """Hit rates of the sources."""
        rows: list[report.Contamination] = []
        for source, (facts, hits) in self.scans.items():
            of_source = clean.exposure({source: hits}, {source: np.ones(facts["documents"], bool)})
            rows.append(
                {
                    "source": source,
                    "benchmark": ANY,
                    "documents": facts["documents"],
                    "contaminated": facts["contaminated"]["documents"],
                    "rate": facts["rate"],
                    "items": None,
                    "of": None,
                    "unfindable": None,
                    "evaluated_found": None,
                    "evaluated_unfindable": None,
                    "evaluated": None,
                }
            )
            for name in self.benchmarks:
                counts = facts["benchmarks"][name]
                asked = self.evaluated.get(name)
                held = of_source.items.get(name, frozenset())
                rows.append(
                    {
                        "source": source,
                        "benchmark": name,
                        "documents": facts["documents"],
                        "contaminated": counts["documents"],
                        "rate": counts["documents"] / facts["documents"] if facts["documents"] else 0.0,
                        "items": counts["items"],
                        "of": counts["of"],
                        "unfindable": counts["of"] - counts["searchable"],
                        "evaluated_found": len(held & asked) if asked is not None else None,
                        "evaluated_unfindable": len(self._lost(name)) if asked is not None else None,
                        "evaluated": len(asked) if asked is not None else None,
                    }
                )
        return rows

    def arms(self) -> list[report.ArmContamination]:
        """What each variant would have had of each benchmark, and what it had."""
        return [
            {
                "variant": variant,
                "benchmark": name,
                "evaluated": len(asked) if asked is not None else None,
                "before_documents": before.by_benchmark.get(name, 0),
                "before_items": len(before.items.get(name, ())),
                "before_evaluated": len(before.items.get(name, frozenset()) & asked) if asked is not None else None,
                "documents": had.by_benchmark.get(name, 0),
                "items": len(had.items.get(name, ())),
                "evaluated_found": len(had.items.get(name, frozenset()) & asked) if asked is not None else None,
            }
            for variant, (before, had) in self.exposures.items()
            for name in self.benchmarks
            for asked in (self.evaluated.get(name),)
        ]

    def matches(self) -> list[report.Match]:
        """Examples: of each source and benchmark the fullest matches, of a document the one that tells most."""
        rows: list[report.Match] = []
        for source, (_, hits) in self.scans.items():
            mask = self._mask(source)
            for name in self.benchmarks:
                own = hits.filter(pc.equal(hits["benchmark"], name))
                rows += [
                    {
                        "source": source,
                        "benchmark": name,
                        "item": hit["item"],
                        "part": hit["part"],
                        "document": hit["document"],
                        "became": self._became(source, mask, row),
                        "overlap": hit["overlap"],
                        "excerpt": hit["excerpt"],
                    }
                    for row, hit in most_telling(own, MATCHES).items()
                ]
        return rows

    def clean(self, analysis: Analysis, design: Design) -> list[report.Clean]:
        """Scores at each variant's end on all items and on the clean ones, means over seeds.

        Beside them the difference from the baseline on the clean items, estimated as that on all items is.

        Args:
            analysis: of all items.
            design: what it was made by.
        """
        against = self._against(analysis, design)
        ends = {variant: self.graph.courses[variant].end for variant in self.variants}
        kept = clean.clean_items(self.evaluated, self.dirty)
        cells: dict[tuple[str, str, str], dict[int, list[Json]]] = {}
        for row in self._answers:
            if row["tokens"] == ends.get(row["variant"]):
                cell = cells.setdefault((row["variant"], row["task"], row["metric"]), {})
                cell.setdefault(row["seed"], []).append(row)
        order = (list(self.variants), self.benchmarks, list(METRICS))
        rows: list[report.Clean] = []
        for key in sorted(cells, key=lambda key: [names.index(name) for names, name in zip(order, key, strict=True)]):
            (variant, task, metric), seeds = key, cells[key]
            value = _mean(seeds.values())
            answered = [[row for row in of_seed if row["item"] in kept[task]] for of_seed in seeds.values()]
            clean_value = _mean(answered)
            if value is None:
                continue
            rows.append(
                {
                    "variant": variant,
                    "task": task,
                    "metric": metric,
                    "value": value,
                    "clean_value": clean_value,
                    "n": len({row["item"] for of_seed in seeds.values() for row in of_seed}),
                    "n_clean": len(left := {row["item"] for of_seed in answered for row in of_seed}),
                    "n_unfindable": len(left & self._lost(task)),
                    "difference": clean_value - value if clean_value is not None else None,
                    **against.get(key, report.NOT_COMPARED),
                }
            )
        return rows

    def _against(self, analysis: Analysis, design: Design) -> dict[tuple[str, str, str], report.Against]:
        """Differences from the baseline on the clean items, by variant, task and metric."""
        compared = analysis.final
        if any(self.dirty.get(name, frozenset()) & items for name, items in self.evaluated.items()):
            columns = clean.clean_rows(self._rows, self.dirty).to_pydict()
            # Estimates alone are taken from it: verdicts and claims are judged on all items.
            compared = analyse(ItemTable.from_columns(columns), replace(design, claims=())).final
        return {
            (row.variant, row.task, row.metric): {"against": row.absolute, "low": row.low, "high": row.high}
            for row in compared
            if row.baseline == design.baseline and row.category == CATEGORIES.get(row.task)
        }

    def flagged(self, analysis: Analysis) -> Analysis:
        """The analysis with its rows flagged whose two arms had different items of the benchmark they are about."""
        pairs: dict[tuple[str, str], set[str]] = {}

        def flag(row: Comparison) -> Comparison:
            pair = (row.variant, row.baseline)
            if pair not in pairs:
                known = {arm: self.exposures[arm][1] for arm in pair if arm in self.exposures}
                pairs[pair] = {one.benchmark for one in clean.unequal(known, self._asked)}
            about = {name for name in pairs[pair] if CATEGORIES[name] == row.category and row.task in (name, "mean")}
            return replace(row, flags=(*row.flags, FLAG)) if about else row

        return replace(
            analysis,
            comparisons=tuple(flag(row) for row in analysis.comparisons),
            final=tuple(flag(row) for row in analysis.final),
        )

    def warnings(self) -> list[str]:
        """A sentence for each benchmark of which arms had different items."""
        had = {variant: exposure for variant, (_, exposure) in self.exposures.items()}
        return [
            f"{clean.in_words(one)}, so a difference on it may come from them; the clean subset leaves them out"
            for one in clean.unequal(had, self._asked)
        ]

    @property
    def _asked(self) -> dict[str, list[str]]:
        return {name: sorted(items) for name, items in self.evaluated.items()}

    def _lost(self, benchmark: str) -> frozenset[str]:
        """Of the items that are evaluated, those that cannot be found."""
        return self.evaluated.get(benchmark, frozenset()) & self.unfindable.get(benchmark, frozenset())

    def _used(self, variant: str, classes: tuple[int, ...]) -> dict[str, Flags] | None:
        """Documents of those classes that a variant has, by source that was scanned; None where that is not known."""
        course = self.graph.courses[variant]
        drawn = course.draws(course.end, self.study.context)
        return clean.used(
            {source: self.graph.scanned_as(source) for source, draws in drawn.items() if draws},
            {name: facts["documents"] for name, (facts, _) in self.scans.items()},
            self._mask,
            self._roots,
            classes,
        )

    def _mask(self, source: str) -> npt.NDArray[np.uint8] | None:
        """Class of each document of a source."""
        if source not in self._masks:
            select = self.shelf.find(SELECT)
            path = self.shelf.file(SELECT, select.facts["files"][source]) if select is not None else None
            self._masks[source] = np.load(path) if path is not None else None
        return self._masks[source]

    def _roots(self, source: str) -> npt.NDArray[np.int64] | None:
        """Of a derived source, which document each was made of."""
        corpus = self.shelf.find(f"corpus {source}")
        parts = [np.zeros(0, np.int64)]
        for shard in corpus.facts["shards"] if corpus is not None else ():
            path = self.shelf.file(f"corpus {source}", shard["roots"])
            if path is None:
                return None
            parts.append(np.load(path))
        return np.concatenate(parts) if corpus is not None else None

    def _became(self, source: str, mask: npt.NDArray[np.uint8] | None, row: int) -> str:
        if mask is None:
            return ""
        names = {value: name for name, value in CLASSES.items()}
        return self._corpora.part(source, names[int(mask[row])])


def _mean(seeds: Iterable[list[Json]]) -> float | None:
    """Mean over seeds of Σ value / Σ weight; None where no seed has items."""
    scores = []
    for rows in seeds:
        weight = math.fsum(row["weight"] for row in rows)
        if weight:
            scores.append(math.fsum(row["value"] for row in rows) / weight)
    return math.fsum(scores) / len(scores) if scores else None
