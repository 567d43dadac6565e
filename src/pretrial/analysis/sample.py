"""Two arms on the same seeds and items, ready for inference about any linear contrast of their scores.

A `Sample` keeps, per stratum, what each seed × cluster adds to the difference of the two scores and to the
baseline's score. From that follow the difference, contrasts against a margin that is a percentage of the
baseline, and the ratio of the two with Fieller's interval. `variance` has the formulas of the standard
error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pretrial.analysis.data import Cell, CellKey, Codes, ItemTable
from pretrial.analysis.distributions import LEVEL, Array, t_quantile_at
from pretrial.analysis.variance import (
    Components,
    Uncertainty,
    Weights,
    components,
    contributions,
    guarded_tail,
    guarded_weights,
    interval_weights,
    tail,
    uncertainty,
)


@dataclass(frozen=True)
class TaskSums:
    """One task: both arms' Σ value by seed and cluster [S, G], Σ weight by cluster [G], clusters' codes, items."""

    variant: Array
    base: Array
    weight: Array
    clusters: Codes
    items: int = 0

    @property
    def flat(self) -> bool:
        """Whether both arms score the same in every seed and cluster."""
        return bool((self.variant == self.base).all())


@dataclass(frozen=True)
class Estimate:
    """A scalar estimate with its components and their standard error (not a number where there is none)."""

    value: float
    parts: Components
    sure: Uncertainty

    @property
    def se(self) -> float:
        """Standard error."""
        return float(self.sure.se)

    @property
    def df(self) -> float:
        """Degrees of freedom of the interval."""
        return float(self.sure.df)

    @property
    def floored(self) -> bool:
        """Whether the residual floor set the standard error."""
        return bool(self.sure.floored)

    @property
    def known(self) -> bool:
        """Whether there is a standard error at all."""
        return not math.isnan(self.se)

    @property
    def flat(self) -> bool:
        """Whether nothing varies: zero, with a standard error of zero. That tells no size of any difference."""
        return self.value == 0.0 and self.se == 0.0

    @property
    def half(self) -> float:
        """Half of the 95% interval."""
        return t_quantile_at(0.5 + 0.5 * LEVEL, self.df) * self.se

    @property
    def p_positive(self) -> float:
        """One-sided p of "the true value is at most zero", agreeing with the interval."""
        return float(tail(self.value, self.sure))

    @property
    def p_guarded(self) -> float:
        """The same at its rate at every level, never more daring than the interval: for adjustment and claims.

        Needs two seeds.
        """
        size = abs(self.value)
        p = max(guarded_tail(size, self.parts), float(tail(size, self.sure)))
        return p if self.value > 0 else 1.0 - p

    def guarded_bound(self, alpha: float) -> float:
        """One-sided lower bound at level `alpha`, dual to `p_guarded`."""
        return self.value - math.sqrt(max(float(self.guarded_weights(alpha).square(self.parts)), 0.0))

    def guarded_weights(self, alpha: float) -> Weights:
        """The squared half width that sets `guarded_bound`."""
        every = guarded_weights(self.parts.seeds, self.parts.clusters, alpha)
        every.append(interval_weights(self.sure, self.parts, 1.0 - 2.0 * alpha))
        return max(every, key=lambda w: float(w.square(self.parts)))

    def moved(self, value: float) -> Estimate:
        """Another value with the same uncertainty: a shift by a known number."""
        return Estimate(value, self.parts, self.sure)


@dataclass(frozen=True)
class Sample:
    """Both arms' scores (means over seeds; for several tasks the mean over tasks) and their contributions.

    `difference` and `base` hold one array [S, G] per stratum: contributions to variant − base and to base.
    """

    variant_score: float
    base_score: float
    difference: tuple[Array, ...]
    base: tuple[Array, ...]
    tasks: tuple[TaskSums, ...]
    seeds: tuple[int, ...]
    n_items: int
    n_clusters: int
    items_left_out: int
    same_checkpoint: bool

    def contrast(self, difference: float, base: float = 0.0, offset: float = 0.0) -> Estimate:
        """Estimate of difference·(variant − base) + base·(base score + offset).

        `offset` shifts the baseline's score by a known number (minus the chance level).
        """
        value = difference * (self.variant_score - self.base_score) + base * (self.base_score + offset)
        strata = [difference * d + base * b for d, b in zip(self.difference, self.base, strict=True)]
        parts = components(strata)
        return Estimate(float(value), parts, uncertainty(parts))

    def seed_scores(self, difference: float, base: float = 0.0, offset: float = 0.0) -> Array:
        """The contrast seed by seed [S]; its mean is the estimate."""
        mean = self.contrast(difference, base, offset).value
        parts = [difference * d + base * b for d, b in zip(self.difference, self.base, strict=True)]
        return np.asarray(mean + np.sum([u.sum(-1) for u in parts], axis=0))

    def ratio(self, offset: float, plain: Estimate) -> tuple[float, float] | None:
        """Fieller's 95% interval of (variant − base) / (base score + offset); None where unbounded.

        `plain` is the difference's estimate: zero lies in this interval exactly when it lies in the
        difference's (Fieller, JRSS B 16, 1954).
        """
        found = self.ratio_bounds(offset, interval_weights(plain.sure, plain.parts))
        if found is None:  # a difference of components need not be positive definite, the residual is
            floor = Uncertainty(plain.sure.se, plain.sure.df, np.asarray(True))
            found = self.ratio_bounds(offset, interval_weights(floor, plain.parts))
        return found

    def ratio_bounds(self, offset: float, weights: Weights) -> tuple[float, float] | None:
        """Where (difference − ρ·base)² equals the contrast's squared half width, as ρ; None where it never does.

        With the weights that a contrast at some margin ρ takes, that ρ lies between the bounds exactly when
        the contrast's bound does not pass it.
        """
        d, b = self.variant_score - self.base_score, self.base_score + offset
        dd = float(weights.square(components(self.difference)))
        bb = float(weights.square(components(self.base)))
        both = components([x + y for x, y in zip(self.difference, self.base, strict=True)])
        db = (float(weights.square(both)) - dd - bb) / 2
        lead = b * b - bb
        inside = (d * b - db) ** 2 - lead * (d * d - dd)
        if lead <= 0 or inside < 0:
            return None
        root = math.sqrt(inside)
        return (d * b - db - root) / lead, (d * b - db + root) / lead


def sample(
    table: ItemTable,
    variant: tuple[str, int],
    base: tuple[str, int],
    category: str,
    tasks: Sequence[str],
    metric: str,
    seeds: Sequence[int],
) -> Sample | None:
    """The sample of (variant, tokens) against (base, tokens) on one metric, over `tasks` of equal weight.

    Takes the seeds that both arms have for every task, and in each task the items that all of those share
    (`items_left_out` counts the others); None where no seed or no item is shared. Raises ValueError where
    an item's weight differs between checkpoints: a metric's weights are facts of its items.
    """

    def key(arm: tuple[str, int], seed: int, task: str) -> CellKey:
        return CellKey(arm[0], seed, arm[1], category, task, metric)

    cells: Mapping[CellKey, Cell] = table.cells
    shared = [s for s in seeds if all(key(variant, s, t) in cells and key(base, s, t) in cells for t in tasks)]
    if not shared or not tasks:
        return None
    sums: list[TaskSums] = []
    left_out = 0
    same = True
    for task in tasks:
        own = [cells[key(variant, s, task)] for s in shared]
        other = [cells[key(base, s, task)] for s in shared]
        same = same and all(v.checkpoint == b.checkpoint for v, b in zip(own, other, strict=True))
        made = _task_sums(own, other, f"{category} {task}, {metric}")
        if made is None:
            return None
        task_sums, missing = made
        sums.append(task_sums)
        left_out += missing
    n_items = sum(task.items for task in sums)
    return from_sums(sums, tuple(shared), n_items=n_items, items_left_out=left_out, same_checkpoint=same)


def from_sums(
    tasks: Sequence[TaskSums],
    seeds: tuple[int, ...],
    *,
    n_items: int,
    items_left_out: int = 0,
    same_checkpoint: bool = False,
) -> Sample:
    """The sample of tasks with known sums; tasks that share clusters become one stratum."""
    share = 1.0 / len(tasks)
    differences = [share * contributions(t.variant - t.base, t.weight) for t in tasks]
    bases = [share * contributions(t.base, t.weight) for t in tasks]
    groups = _linked([set(t.clusters.tolist()) for t in tasks])
    merged = []
    for group in groups:
        if len(group) == 1:
            merged.append((differences[group[0]], bases[group[0]]))
            continue
        clusters = np.unique(np.concatenate([tasks[k].clusters for k in group]))
        pair = (np.zeros((len(seeds), len(clusters))), np.zeros((len(seeds), len(clusters))))
        for k in group:
            place = np.searchsorted(clusters, tasks[k].clusters)
            pair[0][:, place] += differences[k]
            pair[1][:, place] += bases[k]
        merged.append(pair)
    variant_score = share * sum(float(t.variant.mean(0).sum() / t.weight.sum()) for t in tasks)
    base_score = share * sum(float(t.base.mean(0).sum() / t.weight.sum()) for t in tasks)
    return Sample(
        variant_score,
        base_score,
        tuple(d for d, _ in merged),
        tuple(b for _, b in merged),
        tuple(tasks),
        seeds,
        n_items,
        sum(d.shape[-1] for d, _ in merged),
        items_left_out,
        same_checkpoint,
    )


def _task_sums(own: list[Cell], other: list[Cell], what: str) -> tuple[TaskSums, int] | None:
    first, *rest = [*own, *other]
    items = first.item
    if all(np.array_equal(c.item, items) for c in rest):
        left_out = 0
    else:
        everything = items
        for cell in rest:
            items = np.intersect1d(items, cell.item)
            everything = np.union1d(everything, cell.item)
        if not len(items):
            return None
        left_out = len(everything) - len(items)
    full = left_out == 0
    chosen = [slice(None) if full else np.isin(c.item, items) for c in (first, *rest)]
    weight = first.weight[chosen[0]]
    clusters = first.cluster[chosen[0]]
    for cell, pick in zip(rest, chosen[1:], strict=True):
        if not np.allclose(cell.weight[pick], weight, rtol=1e-9, atol=0):
            raise ValueError(f"{what}: weights of the same items differ between checkpoints")
    if not weight.sum() > 0:
        raise ValueError(f"{what}: the weights sum to zero")
    codes, group = np.unique(clusters, return_inverse=True)

    def by_cluster(cells: list[Cell], picks: Sequence[slice | npt.NDArray[np.bool_]]) -> Array:
        rows = [np.bincount(group, weights=c.value[p], minlength=len(codes)) for c, p in zip(cells, picks, strict=True)]
        return np.stack(rows)

    n = len(own)
    return (
        TaskSums(
            by_cluster(own, chosen[:n]),
            by_cluster(other, chosen[n:]),
            np.asarray(np.bincount(group, weights=weight, minlength=len(codes)), dtype=np.float64),
            codes,
            len(weight),
        ),
        left_out,
    )


def _linked(clusters: Sequence[set[int]]) -> list[list[int]]:
    """Tasks grouped so that tasks of different groups share no cluster, in the order of their first task."""
    groups: list[tuple[list[int], set[int]]] = []
    for k, own in enumerate(clusters):
        joined, members = [k], set(own)
        apart = []
        for tasks, known in groups:
            if known & members:
                joined, members = [*tasks, *joined], known | members
            else:
                apart.append((tasks, known))
        # Groups are disjoint: growing `members` by one of them reaches none that was set apart.
        groups = [*apart, (sorted(joined), members)]
    return sorted((tasks for tasks, _ in groups), key=lambda tasks: tasks[0])
