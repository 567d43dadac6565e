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

with A' = A·(1 + 2/(S−1)) and B' = B·(1 + 2/(G−1)), at least the smallest of S − 1 and every G − 1 (the
formula's own bound when nothing is subtracted), and exactly 1 for two seeds. The plain formula falls short
of 93% coverage with three seeds for two reasons, both measured (docs/decisions.md, section 10). At the floor
it takes the residual's (S−1)(G−1) degrees of freedom, so a seed variance that came out small by luck
narrows the interval twice: keeping the formula, with the floor as its numerator, is continuous there. And a
component estimated from few seeds has E[Â²] = A²·(1 + 2/(S−1)): the weight of a small estimate is raised by
that factor.

Satterthwaite's approximation is good near 95% and poor far out in the tail: with three seeds it errs several
times too often at 1% (docs/decisions.md, section 10), and corrections for many comparisons work there. So
adjusted p-values and claims use a *guarded* bound that keeps its level everywhere (`guarded_weights`); it is
never used for the printed intervals.

Arrays may have leading axes (repetitions of a simulation): the last two are always seeds × clusters. Does
not do: unbalanced crossings. Who calls it has kept the items that all seeds of both arms share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pretrial.analysis.distributions import LEVEL, Array, t_quantile, t_quantile_at, t_sf


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
    """One-sided p of "the true value is at most zero" by Satterthwaite's t: P(T > estimate / SE).

    Agrees with the interval; an estimate of exactly zero has 0.5. Without variation (SE zero) the sign decides
    alone: 0 above zero, 1 below.
    """
    value = np.asarray(estimate, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(sure.se > 0, value / sure.se, np.where(value == 0, 0.0, np.copysign(np.inf, value)))
    return t_sf(np.where(np.isnan(sure.se), np.nan, ratio), np.where(np.isnan(sure.df), 1.0, sure.df))


@dataclass(frozen=True)
class Weights:
    """A squared half width as a combination of components: seed·A + Σ item·B + Σ residual·C."""

    seed: float
    item: Array
    residual: Array

    def square(self, parts: Components) -> Array:
        """The combination's value; may be negative."""
        return np.asarray(
            self.seed * parts.seed + (self.item * parts.item).sum(-1) + (self.residual * parts.residual).sum(-1)
        )


def interval_weights(sure: Uncertainty, parts: Components, level: float = LEVEL) -> Weights:
    """The scalar interval's squared half width as weights, in the branch of the floor that `sure` is in."""
    square = t_quantile_at(0.5 + 0.5 * level, float(sure.df)) ** 2
    ones = np.ones(len(parts.clusters))
    if sure.floored:
        return Weights(0.0, 0.0 * ones, square * ones)
    return Weights(square, square * ones, -square * ones)


def guarded_weights(seeds: int, clusters: Sequence[int], alpha: float) -> list[Weights]:
    """Squared half widths of which the largest is the guarded one at one-sided level `alpha`.

    Banerjee's bound (Sankhyā 22, 1960) gives each component the t of its own degrees of freedom, t²_A·A +
    Σt²_B·B, and errs at most at `alpha` at *every* level and for all true variances. What is counted twice
    is taken off at the smaller t² of the two, never below either part alone, nor below the residual floor.
    Two seeds take one degree of freedom throughout, as their interval does.
    """
    widths = np.array([g - 1 for g in clusters], dtype=np.float64)
    known = widths > 0
    zero = np.zeros(len(widths))
    seed_df = float(seeds - 1)
    degrees = [seed_df, *widths[known], *([seed_df * widths.sum()] if known.any() else [])]
    if seeds == 2:
        degrees = [1.0] * len(degrees)
    squares = np.square([t_quantile_at(alpha, df) for df in degrees])
    a = float(squares[0])
    if not known.any():
        return [Weights(a, zero, zero)]
    b = zero.copy()
    b[known] = squares[1:-1]
    ones = known.astype(np.float64)
    return [
        Weights(a, zero, zero),
        Weights(a, b, -b),
        Weights(0.0, b, zero),
        Weights(a, b, -a * ones),
        Weights(0.0, zero, float(squares[-1]) * ones),
    ]


def guarded_half_width(parts: Components, alpha: float) -> Array:
    """The guarded half width at one-sided level `alpha`, for at least two seeds (see `guarded_weights`)."""
    squares = [w.square(parts) for w in guarded_weights(parts.seeds, parts.clusters, alpha)]
    return np.asarray(np.sqrt(np.maximum(np.max(squares, axis=0), 0.0)))


def guarded_tail(estimate: float, parts: Components) -> float:
    """One-sided p of "the true value is at most zero": the level at which the guarded bound is zero.

    Scalar. Not below 1e-60; 0.5 for an estimate of exactly zero, to which p tends from both sides; without
    variation the sign decides alone.
    """
    size = abs(estimate)
    if size == 0.0:
        return 0.5
    if float(guarded_half_width(parts, 0.025)) == 0.0:
        return _turned(0.0, estimate)
    low, high = -60.0 * np.log(10.0), np.log(0.5)  # of log p
    f_low = _excess(size, parts, low)
    if f_low <= 0:
        return _turned(float(np.exp(low)), estimate)
    # From Satterthwaite's p, which is close and too small: widen to a bracket, then regula falsi (Illinois).
    middle = float(np.log(np.clip(float(tail(size, uncertainty(parts))), 1e-58, 0.4)))
    f_high = -np.inf
    kept = 0
    for _ in range(200):
        f = _excess(size, parts, middle)
        if f > 0:
            f_high = 0.5 * f_high if kept == 1 else f_high
            low, f_low, kept = middle, f, 1
        else:
            f_low = 0.5 * f_low if kept == -1 else f_low
            high, f_high, kept = middle, f, -1
        if high - low < 1e-9 or abs(f) < 1e-9:
            break
        if np.isinf(f_high):
            middle = min(middle + max(0.3, 0.2 * abs(middle)), 0.5 * (middle + high))
        else:
            middle = (low * f_high - high * f_low) / (f_high - f_low)
    return _turned(float(np.exp(middle)), estimate)


def _excess(size: float, parts: Components, log_alpha: float) -> float:
    """log of the guarded half width over `size`: positive where the bound at this level does not pass zero."""
    return float(np.log(guarded_half_width(parts, float(np.exp(log_alpha))) / size))


def _turned(p: float, estimate: float) -> float:
    return p if estimate > 0 else 1.0 - p


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
