"""What the analysis reads: a table of items, and what the study says about its arms.

`ItemTable` is items.parquet in memory, cut into cells (one checkpoint, task and metric). `Design` holds
everything that the numbers alone do not say: baseline, seeds asked for, why some are missing, what a pair
of variants holds fixed, margins and claims. Both are plain values; nothing here computes a statistic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pretrial.analysis.distributions import Array
from pretrial.study.schema import Claim, Margin

Codes = npt.NDArray[np.int64]

COLUMNS = (
    "variant",
    "seed",
    "stage",
    "tokens",
    "category",
    "task",
    "metric",
    "item",
    "cluster",
    "value",
    "weight",
    "checkpoint",
)
"""Columns of items.parquet."""


class CellKey(NamedTuple):
    """Which checkpoint, task and metric a cell belongs to."""

    variant: str
    seed: int
    tokens: int
    category: str
    task: str
    metric: str


@dataclass(frozen=True)
class Cell:
    """The items of one checkpoint, task and metric, in the order of their names; score Σvalue / Σweight."""

    item: Codes
    cluster: Codes
    value: Array
    weight: Array
    checkpoint: str


@dataclass(frozen=True)
class ItemTable:
    """All items of a study. `stages` names the stage of (variant, tokens)."""

    cells: Mapping[CellKey, Cell]
    stages: Mapping[tuple[str, int], str]

    @classmethod
    def from_columns(cls, columns: Mapping[str, Sequence[Any] | npt.NDArray[Any]]) -> ItemTable:
        """From columns of equal length named as in `COLUMNS`; the order of rows does not matter.

        An item without a cluster (None or "") is a cluster of its own. Equal cluster names mean the same
        document, also across the tasks of a category. Raises ValueError for absent or ragged columns,
        values that are not finite, negative weights, and an item that occurs twice in a cell.
        """
        absent = [name for name in COLUMNS if name not in columns]
        if absent:
            raise ValueError(f"the item table lacks the columns {', '.join(absent)}")
        length = len(columns["value"])
        if any(len(columns[name]) != length for name in COLUMNS):
            raise ValueError("the columns of the item table differ in length")
        value = np.asarray(columns["value"], dtype=np.float64)
        weight = np.asarray(columns["weight"], dtype=np.float64)
        if not (np.isfinite(value).all() and np.isfinite(weight).all() and (weight >= 0).all()):
            raise ValueError("item values and weights must be finite, weights not negative")
        names: dict[str, list[Any]] = {}
        coded: dict[str, Codes] = {}
        for name in (
            "variant",
            "seed",
            "tokens",
            "category",
            "task",
            "metric",
            "item",
            "checkpoint",
            "stage",
        ):
            whole = name in ("seed", "tokens")
            names[name], coded[name] = _factorise([int(v) if whole else str(v) for v in columns[name]])
        _, clusters = _factorise(
            [
                f"document {cluster}" if cluster else f"item {task}\x00{item}"
                for cluster, task, item in zip(columns["cluster"], columns["task"], columns["item"], strict=True)
            ]
        )
        keys = CellKey._fields
        order = np.lexsort([coded["item"], *(coded[name] for name in reversed(keys))])
        table = np.stack([coded[name][order] for name in keys]) if length else np.zeros((6, 0), dtype=np.int64)
        starts = [int(k) for k in np.flatnonzero(np.r_[True, (table[:, 1:] != table[:, :-1]).any(0)][:length])]
        cells: dict[CellKey, Cell] = {}
        stages: dict[tuple[str, int], str] = {}
        for start, end in zip(starts, [*starts[1:], length][: len(starts)], strict=True):
            rows = order[start:end]
            key = CellKey(*(names[name][table[k, start]] for k, name in enumerate(keys)))
            item = coded["item"][rows]
            if (item[1:] == item[:-1]).any():
                raise ValueError(f"an item occurs twice in {', '.join(map(str, key))}")
            cells[key] = Cell(
                item,
                clusters[rows],
                value[rows],
                weight[rows],
                names["checkpoint"][coded["checkpoint"][rows[0]]],
            )
            stages[key.variant, key.tokens] = names["stage"][coded["stage"][rows[0]]]
        return cls(cells, stages)


def _factorise(column: list[Any]) -> tuple[list[Any], Codes]:
    """Sorted distinct values, and each row's place among them."""
    distinct = sorted(set(column))
    place = {value: k for k, value in enumerate(distinct)}
    return distinct, np.fromiter((place[value] for value in column), dtype=np.int64, count=len(column))


@dataclass(frozen=True)
class MetricFacts:
    """What a metric's number means.

    `unit` is "bits per byte", "share" (0 to 1) or another unit's name. `ratio` is False for a number without a zero
    of its own (log-odds), of which a percentage means nothing.
    """

    higher_is_better: bool
    unit: str = ""
    version: int = 1
    ratio: bool = True


@dataclass(frozen=True)
class PairFacts:
    """What the comparison of two variants holds fixed, and what a reader must know about it.

    `holds` is "compute", "text" or "order"; "" makes the comparison descriptive, `reason` says why. `also`
    names what else is held. `flags` go into every row of the pair ("repetition-confounded", "record
    accepted").
    """

    holds: str = ""
    reason: str = ""
    also: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class RegisteredClaim:
    """A claim of the study, and whether it was registered before any result of its variants existed.

    `reason` says why not: "results existed when it was registered", "seeds were added after a look".
    """

    claim: Claim
    registered: bool = True
    reason: str = ""


@dataclass(frozen=True)
class Design:
    """What the study file and the plan say about the arms whose items are compared.

    `seeds` are all seeds asked for; `missing` says why (variant, seed) has no result, `lost` why one (variant,
    seed, tokens, category, task) has none. `categories` gives each category's tasks as planned, `planned` the metrics
    that a (category, task) should have: a mean over a category lacks those without a result. `metrics` are all
    metrics (the first that a target has is its default), `chance` a guesser's score by (task, metric), `margins`
    δ by metric, `pairs` facts by (variant, against), `ends` the token count at which each variant ends (by default
    its last one in the table), `dose` the (category, task) that some arm trained on, `parameters` the model's size.
    """

    baseline: str
    variants: tuple[str, ...]
    seeds: tuple[int, ...]
    categories: Mapping[str, tuple[str, ...]]
    metrics: Mapping[str, MetricFacts]
    planned: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    missing: Mapping[tuple[str, int], str] = field(default_factory=dict)
    lost: Mapping[tuple[str, int, int, str, str], str] = field(default_factory=dict)
    chance: Mapping[tuple[str, str], float] = field(default_factory=dict)
    margins: Mapping[str, Margin] = field(default_factory=dict)
    claims: tuple[RegisteredClaim, ...] = ()
    pairs: Mapping[tuple[str, str], PairFacts] = field(default_factory=dict)
    ends: Mapping[str, int] = field(default_factory=dict)
    dose: frozenset[tuple[str, str]] = frozenset()
    parameters: int | None = None

    def __post_init__(self) -> None:
        if self.baseline not in self.variants:
            raise ValueError(f"the baseline {self.baseline!r} is not among the variants")

    def pair(self, variant: str, against: str) -> PairFacts:
        """Facts of a pair, in either order; what nobody vouched for is descriptive."""
        unknown = PairFacts(reason="what the two hold fixed is not known")
        return self.pairs.get((variant, against), self.pairs.get((against, variant), unknown))
