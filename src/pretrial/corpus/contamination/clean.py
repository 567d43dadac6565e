"""From hits to fair scores: which benchmark items an arm saw, and which are clean of all arms.

Guarantees: pure functions; an item counts as seen when a document that was trained on holds any part of it that
counts (`spec`), however often; a comparison is made on the items that no arm of it saw, so all its arms answer the same
ones. Does not: compute scores, or say what a score would have been without the contamination.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Exposure:
    """What the documents that an arm trained on hold of the benchmarks.

    Attributes:
        documents: how many were trained on.
        contaminated: how many of them hold an item.
        items: ids of the items held, by benchmark; benchmarks without one are left out.
        by_benchmark: documents that hold one of its items, by benchmark.
    """

    documents: int
    contaminated: int
    items: Mapping[str, frozenset[str]]
    by_benchmark: Mapping[str, int]

    @property
    def rate(self) -> float:
        """Share of the documents that hold an item."""
        return self.contaminated / self.documents if self.documents else 0.0


@dataclass(frozen=True)
class Inequality:
    """Arms of a comparison that saw different items of a benchmark.

    Attributes:
        benchmark: its name.
        evaluated: how many of its items are evaluated.
        seen: how many of those each arm saw.
        shared: how many of those all arms saw.
        dirty: how many of those any arm saw: what the clean subset leaves out.
    """

    benchmark: str
    evaluated: int
    seen: Mapping[str, int]
    shared: int
    dirty: int


def exposure(hits: Mapping[str, Any], used: Mapping[str, ArrayLike]) -> Exposure:
    """What one arm saw.

    Args:
        hits: by source, the rows of a "contamination" step's `hits.parquet`: an Arrow table with `row`, `benchmark` and
            `item`.
        used: by source, the documents that the arm trained on: a bool for each document of the corpus, or their
            row numbers, in any order.

    Raises:
        ValueError: for a source that was trained on and not scanned.
    """
    items: dict[str, set[str]] = {}
    by_benchmark: Counter[str] = Counter()
    documents = contaminated = 0
    for source in sorted(used):
        if source not in hits:
            raise ValueError(f"the source {source} was trained on and not scanned for benchmark items")
        rows = np.asarray(used[source])
        rows = np.flatnonzero(rows) if rows.dtype == bool else np.unique(rows.astype(np.int64))
        documents += len(rows)
        table = hits[source].select(["row", "benchmark", "item"])
        table = table.filter(pa.array(np.isin(table["row"].to_numpy(), rows)))
        contaminated += pc.count_distinct(table["row"]).as_py()
        for benchmark, item in set(zip(table["benchmark"].to_pylist(), table["item"].to_pylist(), strict=True)):
            items.setdefault(benchmark, set()).add(item)
        pairs = set(zip(table["benchmark"].to_pylist(), table["row"].to_pylist(), strict=True))
        by_benchmark.update(benchmark for benchmark, _ in pairs)
    return Exposure(
        documents,
        contaminated,
        {benchmark: frozenset(items[benchmark]) for benchmark in sorted(items)},
        dict(sorted(by_benchmark.items())),
    )


def used(
    scanned_as: Mapping[str, str],
    scanned: Mapping[str, int],
    mask_of: Callable[[str], npt.NDArray[np.uint8] | None],
    made_of: Callable[[str], npt.NDArray[np.int64] | None],
    classes: Sequence[int],
) -> dict[str, npt.NDArray[np.bool_]] | None:
    """The documents of some classes that an arm has, by the source that was scanned; None where that is not known.

    Args:
        scanned_as: by source that the arm trains on, the one that was scanned for it: itself, or the one that was read.
        scanned: how many documents each source that was scanned has.
        mask_of: the class of each document of a source.
        made_of: of a derived source, which document of its root each was made of.
        classes: of the selection.
    """
    found: dict[str, npt.NDArray[np.bool_]] = {}
    for source, other in scanned_as.items():
        mask = mask_of(source) if other in scanned else None
        if mask is None:
            return None
        rows = np.flatnonzero(np.isin(mask, classes))
        if other != source:
            of_root = made_of(source)
            if of_root is None:
                return None
            rows = of_root[rows]
        found.setdefault(other, np.zeros(scanned[other], bool))[rows] = True
    return found


def union(exposures: Iterable[Exposure]) -> dict[str, frozenset[str]]:
    """Items that any of the arms saw, by benchmark."""
    seen: dict[str, set[str]] = {}
    for one in exposures:
        for benchmark, items in one.items.items():
            seen.setdefault(benchmark, set()).update(items)
    return {benchmark: frozenset(seen[benchmark]) for benchmark in sorted(seen)}


def clean_items(
    evaluated: Mapping[str, Iterable[str]], dirty: Mapping[str, AbstractSet[str]]
) -> dict[str, frozenset[str]]:
    """Of the items that are evaluated, by benchmark, those that stand in no set of `dirty` (see `union`).

    A benchmark whose every item was seen keeps its name with an empty set: there is no clean score.
    """
    return {benchmark: frozenset(items) - dirty.get(benchmark, frozenset()) for benchmark, items in evaluated.items()}


def clean_rows(rows: Any, dirty: Mapping[str, AbstractSet[str]]) -> Any:
    """Of an evaluation's rows (an Arrow table with `task` and `item`), those of clean items; other tasks stay whole."""
    pairs = zip(rows["task"].to_pylist(), rows["item"].to_pylist(), strict=True)
    return rows.filter(pa.array([item not in dirty.get(task, ()) for task, item in pairs], pa.bool_()))


def unequal(arms: Mapping[str, Exposure], evaluated: Mapping[str, Sequence[str]]) -> list[Inequality]:
    """The benchmarks of which the arms saw different items among those that are evaluated, by name.

    Two arms that saw as many items, but others, are unequal too.
    """
    found = []
    for benchmark in sorted(evaluated):
        asked = frozenset(evaluated[benchmark])
        seen = {arm: one.items.get(benchmark, frozenset()) & asked for arm, one in arms.items()}
        if len(set(seen.values())) > 1:
            counts = {arm: len(items) for arm, items in seen.items()}
            shared, dirty = frozenset.intersection(*seen.values()), frozenset.union(*seen.values())
            found.append(Inequality(benchmark, len(asked), counts, len(shared), len(dirty)))
    return found


def in_words(one: Inequality) -> str:
    """How many items each arm had."""
    counts = ", ".join(f"{arm} {count:,}" for arm, count in one.seen.items())
    return (
        f"{one.benchmark}: arms had different items of it in their training documents ({counts} of {one.evaluated:,} "
        "that are evaluated)"
    )
