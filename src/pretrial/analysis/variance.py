"""How sure a mean over crossed seeds and items is: two-way variance components and their degrees of freedom.

Every seed of an arm is scored on the same items, so a paired difference d[s, g] (seed s, item or cluster g)
carries a seed effect, an item effect and what is left. With S seeds and G clusters the mean's variance is
estimated by

    SE² = (MS_seed + MS_item − MS_residual) / (S·G),   floored at MS_residual / (S·G)

(design, invariant 9). A metric is Σ value / Σ weight, so d is its linearisation: cluster g's sum of (Δvalue
− R·weight) over the mean weight, R = ΣΔvalue / Σweight. A category is the mean over its tasks as fixed
strata of equal weight: seeds are crossed over all tasks, items are nested in theirs. In both cases

    SE² = A + B − C,   A = variance over seeds of the per-seed score / S   (S − 1 degrees of freedom)
                       B = Σ over tasks of MS_item / (S·G)                 (G − 1 each)
                       C = Σ over tasks of MS_residual / (S·G)             ((S − 1)(G − 1) each)

so A holds what seeds do to all tasks together, covariances included. Tasks that share clusters (one
document read by two tasks) form one stratum, in which a cluster's contributions are added up first.

Degrees of freedom: Satterthwaite's

    N² / (A'²/(S−1) + ΣB'²/(G−1) + ΣC²/((S−1)(G−1))),   N = max(A' + ΣB' − ΣC, ΣC)

with A' = A·(1 + 2/(S−1)) and B' = B·(1 + 2/(G−1)), at least the smallest of S − 1 and every G − 1 (the formula's
own bound when nothing is subtracted), and exactly 1 for two seeds. The plain formula falls short of 93% coverage
with three seeds for two reasons, both measured (docs/decisions.md, section 9). At the floor it takes the
residual's (S−1)(G−1) degrees of freedom, so a seed variance that came out small by luck narrows the interval twice:
keeping the formula, with the floor as its numerator, is continuous there. And a component estimated from few
seeds has E[Â²] = A²·(1 + 2/(S−1)): the weight of a small estimate is raised by that factor.

Arrays may have leading axes (repetitions of a simulation): the last two are always seeds × clusters. Does
not do: unbalanced crossings. Who calls it has kept the items that all seeds of both arms share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pretrial.analysis.distributions import LEVEL, Array, t_quantile, t_sf


@dataclass(frozen=True)
class Components:
    """A, B and C of the module's text for one score; B and C have one entry (last axis) per stratum."""

    seed: Array
    item: Array
    residual: Array
    seeds: int
    clusters: tuple[int, ...]

    @property
    def total(self) -> Array:
        """A + B − C before the floor."""
        return np.asarray(self.seed + self.item.sum(-1) - self.residual.sum(-1))


@dataclass(frozen=True)
class Uncertainty:
    """A standard error with its degrees of freedom; `floored` where the residual floor set it."""

    se: Array
    df: Array
    floored: Array


def components(strata: Sequence[Array]) -> Components:
    """The variance components of Σ over strata and clusters of the seeds' mean contribution.

    Each stratum is an array [..., S, G] of contributions u, scaled so that the score of seed s is Σ u[s, :]
    over all strata, plus a constant, and centred so that each stratum's sum over seeds and clusters is
    zero. With one seed A and C are zero; a stratum with one cluster has no B and no C.
    """
    if not strata:
        raise ValueError("at least one stratum is needed")
    seeds = strata[0].shape[-2]
    if any(u.shape[-2] != seeds for u in strata):
        raise ValueError("every stratum must hold the same seeds")
    score = np.sum([u.sum(-1) for u in strata], axis=0)
    lead = score.shape[:-1]
    if seeds > 1:
        seed = np.square(score - score.mean(-1, keepdims=True)).sum(-1) / (seeds * (seeds - 1))
    else:
        seed = np.zeros(lead)
    item = np.zeros((*lead, len(strata)))
    residual = np.zeros((*lead, len(strata)))
    for k, u in enumerate(strata):
        g = u.shape[-1]
        if g < 2:
            continue
        mean = u.mean(-2, keepdims=True)
        centred = mean - mean.mean(-1, keepdims=True)
        item[..., k] = np.square(centred).sum((-1, -2)) * g / (g - 1)
        if seeds > 1:
            left = u - u.mean(-1, keepdims=True) - centred
            residual[..., k] = np.square(left).sum((-1, -2)) * g / ((g - 1) * seeds * (seeds - 1))
    return Components(np.asarray(seed), item, residual, seeds, tuple(u.shape[-1] for u in strata))


def uncertainty(parts: Components) -> Uncertainty:
    """The floored standard error of invariant 9 and its degrees of freedom (see the module's text).

    One seed: items alone. One cluster in every stratum: seeds alone. Neither: the standard error is not a
    number.
    """
    s = parts.seeds
    widths = np.array([g - 1 for g in parts.clusters], dtype=np.float64)
    known = widths > 0
    floor = parts.residual.sum(-1)
    square = np.maximum(parts.total, floor)
    floored = np.asarray(parts.total < floor)
    if s == 1 and not known.any():
        nothing = np.full(square.shape, np.nan)
        return Uncertainty(nothing, nothing, floored)
    # Each component enters the degrees of freedom raised by its own relative variance (see the module's text).
    bounds = []
    raised = -floor
    spread = np.zeros(square.shape)
    scale = np.where(square > 0, square, 1.0)  # squares of small squares would underflow
    if known.any():
        item = parts.item[..., known] * (1.0 + 2.0 / widths[known])
        raised = raised + item.sum(-1)
        spread = spread + (np.square(item / scale[..., None]) / widths[known]).sum(-1)
        bounds.append(float(widths[known].min()))
    if s > 1:
        seed = parts.seed * (1.0 + 2.0 / (s - 1))
        raised = raised + seed
        spread = spread + np.square(seed / scale) / (s - 1)
        bounds.append(float(s - 1))
        if known.any():
            residual = parts.residual[..., known] / scale[..., None]
            spread = spread + (np.square(residual) / (widths[known] * (s - 1))).sum(-1)
    if s == 2:
        df = np.ones(square.shape)
    else:
        least = min(bounds)
        top = np.square(np.maximum(raised, floor) / scale)
        df = np.maximum(np.where(spread > 0, top / np.where(spread > 0, spread, 1.0), least), least)
    return Uncertainty(np.sqrt(square), df, floored)


def half_width(sure: Uncertainty, level: float = LEVEL) -> Array:
    """Half of the two-sided interval at `level`: t quantile × SE."""
    return np.asarray(t_quantile(0.5 + 0.5 * level, sure.df) * sure.se)


def tail(estimate: Array | float, sure: Uncertainty) -> Array:
    """One-sided p of "the true value is at most zero": P(T > estimate / SE).

    Without variation (SE zero) the estimate decides alone: 0 above zero, 1 at or below it.
    """
    value = np.asarray(estimate, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(sure.se > 0, value / sure.se, np.where(value > 0, np.inf, -np.inf))
    return t_sf(np.where(np.isnan(sure.se), np.nan, ratio), np.where(np.isnan(sure.df), 1.0, sure.df))


def contributions(value: Array, weight: Array) -> Array:
    """Linearised contributions of clusters to a ratio metric, for `components`.

    `value` [..., S, G] holds Σ value of each seed's cluster, `weight` [G] its Σ weight (equal for all seeds
    and arms). Returns (value − R·weight) / Σweight, R = Σvalue / (S·Σweight): G times it is invariant 8's
    linearised value (Δbits − R·bytes) / mean bytes.
    """
    total = weight.sum()
    if not total > 0:
        raise ValueError("the weights of a metric must sum to more than zero")
    ratio = value.sum((-1, -2), keepdims=True) / (value.shape[-2] * total)
    return np.asarray((value - ratio * weight) / total)
