"""Whether intervals, verdicts and claims err as often as they say: seeded simulations of crossed seeds and items."""

from __future__ import annotations

import numpy as np
import pytest

from pretrial.analysis.distributions import smallest_detectable
from pretrial.analysis.variance import (
    Components,
    Uncertainty,
    components,
    contributions,
    guarded_half_width,
    half_width,
    tail,
    uncertainty,
)

REPEATS = 3000

Noise = tuple[float, float, float]
SEED: Noise = (1.0, 0.1, 0.1)
ITEM: Noise = (0.02, 1.0, 0.2)
RESIDUAL: Noise = (0.0, 0.0, 1.0)


def both(seeds: int, items: int) -> Noise:
    """Seeds and items add the same variance to the mean."""
    return (float(np.sqrt(seeds / items)), 1.0, 0.5)


def crossed(rng: np.random.Generator, seeds: int, items: int, noise: Noise, repeats: int = REPEATS) -> np.ndarray:
    """Differences [repeats, seeds, items] around a true difference of zero."""
    d = noise[2] * rng.standard_normal((repeats, seeds, items))
    d += noise[0] * rng.standard_normal((repeats, seeds, 1))
    return d + noise[1] * rng.standard_normal((repeats, 1, items))


def judged(d: np.ndarray, weight: np.ndarray | None = None) -> tuple[np.ndarray, Uncertainty]:
    weight = np.ones(d.shape[-1]) if weight is None else weight
    estimate = d.sum((-1, -2)) / (d.shape[-2] * weight.sum())
    return estimate, uncertainty(components([contributions(d, weight)]))


def coverage(estimate: np.ndarray, sure: Uncertainty) -> float:
    return float(np.mean(np.abs(estimate) <= half_width(sure)))


@pytest.mark.parametrize("items", [12, 60])
@pytest.mark.parametrize("seeds", range(3, 11))
def test_intervals_cover_the_truth(seeds: int, items: int) -> None:
    rng = np.random.default_rng([seeds, items])
    for noise in (SEED, ITEM):
        assert 0.93 <= coverage(*judged(crossed(rng, seeds, items, noise))) <= 0.97
    assert coverage(*judged(crossed(rng, seeds, items, both(seeds, items)))) >= 0.93
    assert coverage(*judged(crossed(rng, seeds, items, RESIDUAL))) >= 0.93


@pytest.mark.parametrize("ratio", [3.0, 7.0])
def test_intervals_cover_where_the_plain_degrees_of_freedom_fall_short(ratio: float) -> None:
    # Three seeds, and a seed variance a few times that of the items or of the residual: 92.1% and 92.6% with
    # Satterthwaite's plain formula.
    rng = np.random.default_rng(int(ratio))
    items = 60
    against_items = crossed(rng, 3, items, (float(np.sqrt((4 * ratio - 1) / items)), 1.0, 1.0), 8000)
    against_residual = crossed(rng, 3, items, (float(np.sqrt(ratio / items)), 0.0, 1.0), 8000)
    assert coverage(*judged(against_items)) >= 0.93
    assert coverage(*judged(against_residual)) >= 0.93


def test_residual_alone_is_covered_too_often_rather_than_too_seldom() -> None:
    shares = [coverage(*judged(crossed(np.random.default_rng(s), s, 30, RESIDUAL))) for s in (3, 5, 10)]
    assert all(0.965 <= share <= 0.999 for share in shares)


def test_two_seeds_are_honest_with_one_degree_of_freedom() -> None:
    rng = np.random.default_rng(2)
    for noise in (SEED, ITEM, both(2, 40), RESIDUAL):
        assert coverage(*judged(crossed(rng, 2, 40, noise))) >= 0.94


def test_one_seed_covers_its_own_items_and_not_other_seeds() -> None:
    rng = np.random.default_rng(1)
    assert 0.93 <= coverage(*judged(crossed(rng, 1, 40, (0.0, 1.0, 0.3)))) <= 0.97
    # Hence a verdict is never given on one seed.
    assert coverage(*judged(crossed(rng, 1, 40, SEED))) < 0.5


@pytest.mark.parametrize("seeds", [3, 5])
def test_items_of_one_document_enter_as_a_cluster(seeds: int) -> None:
    rng = np.random.default_rng(seeds)
    documents, each = 20, 10
    shape = (REPEATS, seeds, documents, each)
    d = 0.3 * rng.standard_normal(shape) + 0.3 * rng.standard_normal((REPEATS, 1, documents, each))
    d += rng.standard_normal((REPEATS, 1, documents, 1)) + 0.05 * rng.standard_normal((REPEATS, seeds, 1, 1))
    assert 0.93 <= coverage(*judged(d.sum(-1), np.full(documents, float(each)))) <= 0.97
    assert coverage(*judged(d.reshape(REPEATS, seeds, -1))) < 0.75


@pytest.mark.parametrize("draw", ["heavy tails", "accuracy"])
def test_coverage_does_not_rest_on_the_normal_distribution(draw: str) -> None:
    rng = np.random.default_rng(11)
    seeds, items = 5, 100
    if draw == "heavy tails":
        d = crossed(rng, seeds, items, (0.05, 0.0, 0.3)) + rng.standard_t(4, (REPEATS, 1, items))
    else:
        # 0 or 1 per item: each item has its own difficulty, both arms the same chance of success.
        ease = rng.beta(1, 1, (REPEATS, 1, items))
        d = (rng.random((REPEATS, seeds, items)) < ease) * 1.0 - (rng.random((REPEATS, seeds, items)) < ease)
    assert coverage(*judged(d)) >= 0.93


def test_bits_per_byte_of_documents_of_unequal_length() -> None:
    rng = np.random.default_rng(12)
    seeds, documents, repeats = 3, 60, 2000
    found = []
    for _ in range(repeats):
        size = rng.lognormal(7, 0.6, documents)
        per_byte = crossed(rng, seeds, documents, (0.05, 0.3, 0.1), 1)
        found.append(judged(per_byte * size, size))
    estimate, se, df, floored = (
        np.concatenate(column) for column in zip(*((e, s.se, s.df, s.floored) for e, s in found), strict=True)
    )
    assert 0.93 <= coverage(estimate, Uncertainty(se, df, floored)) <= 0.97


def category(rng: np.random.Generator, seeds: int, noise: Noise, shared: bool) -> tuple[np.ndarray, Uncertainty]:
    """Means over three tasks whose seed effects go together; `shared`: all read the same documents."""
    sizes = (20, 20, 20) if shared else (10, 30, 60)
    seed = noise[0] * rng.standard_normal((REPEATS, seeds, 1))
    document = noise[1] * rng.standard_normal((REPEATS, 1, sizes[0]))
    parts = []
    for g in sizes:
        own = 0.5 * noise[0] * rng.standard_normal((REPEATS, seeds, 1))
        item = document if shared else noise[1] * rng.standard_normal((REPEATS, 1, g))
        parts.append(seed + own + item + noise[2] * rng.standard_normal((REPEATS, seeds, g)))
    estimate = np.mean([d.mean((-1, -2)) for d in parts], axis=0)
    strata = [contributions(d, np.ones(d.shape[-1])) / 3 for d in parts]
    return estimate, uncertainty(components([sum(strata[1:], strata[0])] if shared else strata))


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_category_means_cover_the_truth(seeds: int, shared: bool) -> None:
    rng = np.random.default_rng([seeds, shared])
    for noise in (SEED, ITEM):
        assert 0.93 <= coverage(*category(rng, seeds, noise, shared)) <= 0.97
    assert coverage(*category(rng, seeds, (0.2, 1.0, 0.5), shared)) >= 0.93
    assert coverage(*category(rng, seeds, RESIDUAL, shared)) >= 0.93


def guarded(d: np.ndarray) -> tuple[np.ndarray, Components]:
    return d.mean((-1, -2)), components([contributions(d, np.ones(d.shape[-1]))])


EDGES = [SEED, ITEM, RESIDUAL, (0.5, 0.5, 0.5), (0.4, 1.0, 1.0)]


@pytest.mark.parametrize("noise", EDGES)
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_a_claim_at_the_edge_of_its_margin_errs_at_its_rate(seeds: int, noise: Noise) -> None:
    rng = np.random.default_rng([seeds, int(100 * noise[0])])
    estimate, parts = guarded(crossed(rng, seeds, 40, noise, 20_000 if seeds < 5 else 8_000))
    for alpha in (0.025, 0.005):
        wrong = np.mean(np.abs(estimate) > guarded_half_width(parts, alpha)) / 2
        assert wrong <= alpha + 3 * np.sqrt(alpha / (2 * len(estimate)))


def test_the_intervals_own_t_would_err_too_often_far_out() -> None:
    # Why claims are guarded: three seeds, one-sided 0.5%.
    estimate, parts = guarded(crossed(np.random.default_rng(21), 3, 40, (0.5, 0.5, 0.5), 40_000))
    assert np.mean(tail(np.abs(estimate), uncertainty(parts)) <= 0.005) / 2 > 0.008
    assert np.mean(np.abs(estimate) > guarded_half_width(parts, 0.005)) / 2 <= 0.006


@pytest.mark.parametrize("noise", EDGES)
def test_holm_keeps_the_chance_of_any_false_claim(noise: Noise) -> None:
    # Three variants against one baseline, all claims false at the edge. Some claim is supported by Holm exactly when
    # the smallest p is at most a third of 2.5%.
    rng = np.random.default_rng([18, int(100 * noise[0])])
    repeats = 12_000
    base = crossed(rng, 3, 40, noise, repeats)
    wrong = np.zeros(repeats, dtype=bool)
    unadjusted = np.zeros(repeats, dtype=bool)
    for _ in range(3):
        estimate, parts = guarded(crossed(rng, 3, 40, noise, repeats) - base)
        wrong |= estimate > guarded_half_width(parts, 0.025 / 3)
        unadjusted |= estimate > guarded_half_width(parts, 0.025)
    assert wrong.mean() <= 0.025 + 3 * np.sqrt(0.025 / repeats)
    assert unadjusted.mean() > wrong.mean()


def test_power_is_what_the_smallest_detectable_effect_says() -> None:
    rng = np.random.default_rng(19)
    seeds, items = 8, 60
    truth = float(np.sqrt(0.09 / seeds + 0.09 / items + 0.09 / (seeds * items)))
    effect = smallest_detectable(truth, seeds - 1)
    estimate, sure = judged(crossed(rng, seeds, items, (0.3, 0.3, 0.3)) + effect)
    found = np.mean(2 * tail(np.abs(estimate), sure) <= 0.05)
    assert found == pytest.approx(0.8, abs=0.04)
