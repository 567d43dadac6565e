"""Two-way variance components against loops, scipy and statsmodels, and their symmetries."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pretrial.analysis.sample import Sample, TaskSums, from_sums
from pretrial.analysis.variance import (
    components,
    contributions,
    guarded_half_width,
    guarded_tail,
    half_width,
    tail,
    uncertainty,
)


def sums(difference: np.ndarray, base: np.ndarray, weight: np.ndarray, first: int = 0) -> TaskSums:
    return TaskSums(base + difference, base, weight, np.arange(first, first + len(weight)))


def one_task(difference: np.ndarray, weight: np.ndarray | None = None, base: np.ndarray | None = None) -> Sample:
    seeds, items = difference.shape
    weight = np.ones(items) if weight is None else weight
    base = np.full(difference.shape, 2.0) * weight if base is None else base
    return from_sums([sums(difference, base, weight)], tuple(range(seeds)), n_items=items)


def brute_force(d: np.ndarray, weight: np.ndarray) -> tuple[float, float, float, bool]:
    """Estimate, SE, df and floor of invariant 9, by explicit loops over the linearised values."""
    s, g = d.shape
    ratio = sum(d[i, j] for i in range(s) for j in range(g)) / (s * sum(weight))
    mean_weight = sum(weight) / g
    z = [[(d[i, j] - ratio * weight[j]) / mean_weight for j in range(g)] for i in range(s)]
    row = [sum(z[i]) / g for i in range(s)]
    col = [sum(z[i][j] for i in range(s)) / s for j in range(g)]
    grand = sum(row) / s
    seed = g * sum((r - grand) ** 2 for r in row) / (s - 1)
    item = s * sum((c - grand) ** 2 for c in col) / (g - 1)
    left = sum((z[i][j] - row[i] - col[j] + grand) ** 2 for i in range(s) for j in range(g)) / ((s - 1) * (g - 1))
    square = max(seed + item - left, left) / (s * g)
    up_seed, up_item = seed * (1 + 2 / (s - 1)), item * (1 + 2 / (g - 1))
    top = max(up_seed + up_item - left, left) ** 2
    df = top / (up_seed**2 / (s - 1) + up_item**2 / (g - 1) + left**2 / ((s - 1) * (g - 1)))
    df = 1.0 if s == 2 else max(df, min(s - 1, g - 1))
    return ratio, square**0.5, df, seed + item - left < left


@pytest.mark.parametrize("shape", [(2, 5), (3, 2), (3, 30), (5, 8), (10, 4)])
@pytest.mark.parametrize("noise", [(1.0, 0.1, 0.1), (0.1, 1.0, 0.1), (0.0, 0.0, 1.0), (0.3, 1.0, 1.0)])
def test_one_task_agrees_with_loops(shape: tuple[int, int], noise: tuple[float, float, float]) -> None:
    rng = np.random.default_rng([*shape, int(10 * noise[0])])
    s, g = shape
    weight = rng.uniform(1, 5, g)
    d = (
        noise[0] * rng.standard_normal((s, 1))
        + noise[1] * rng.standard_normal(g)
        + noise[2] * rng.standard_normal(shape)
    )
    d = (0.2 + d) * weight
    found = one_task(d, weight).contrast(1.0)
    expected = brute_force(d, weight)
    assert (found.value, found.se, found.df) == pytest.approx(expected[:3], rel=1e-10)
    assert found.floored == expected[3]


def test_only_seed_variance_is_the_paired_t_test_over_seeds() -> None:
    rng = np.random.default_rng(1)
    base, new = rng.normal(2, 0.1, (2, 6))
    difference = np.repeat((new - base)[:, None], 25, axis=1)
    found = one_task(difference).contrast(1.0)
    reference = stats.ttest_rel(new, base)
    assert 2 * min(found.p_positive, 1 - found.p_positive) == pytest.approx(reference.pvalue, rel=1e-9)
    half = found.half
    assert (found.value - half, found.value + half) == pytest.approx(tuple(reference.confidence_interval()), rel=1e-9)


def test_only_item_variance_is_the_paired_t_test_over_items() -> None:
    rng = np.random.default_rng(2)
    base, new = rng.normal(2, 0.1, (2, 30))
    found = one_task(np.repeat((new - base)[None, :], 4, axis=0)).contrast(1.0)
    reference = stats.ttest_rel(new, base)
    assert found.value / found.se == pytest.approx(reference.statistic, rel=1e-9)
    assert found.df == pytest.approx(reference.df, rel=1e-9)


def test_one_seed_is_the_paired_t_test_over_items() -> None:
    rng = np.random.default_rng(3)
    base, new = rng.normal(2, 0.1, (2, 30))
    found = one_task((new - base)[None, :]).contrast(1.0)
    assert 2 * min(found.p_positive, 1 - found.p_positive) == pytest.approx(stats.ttest_rel(new, base).pvalue)


def test_the_standard_error_is_that_of_a_crossed_mixed_model() -> None:
    rng = np.random.default_rng(4)
    s, g = 6, 12
    d = 0.5 + rng.standard_normal((s, 1)) + rng.standard_normal(g) + 0.5 * rng.standard_normal((s, g))
    frame = pd.DataFrame(
        {
            "d": d.ravel(),
            "seed": np.repeat(np.arange(s), g),
            "item": np.tile(np.arange(g), s),
            "all": np.zeros(s * g),
        }
    )
    crossed = {"seed": "0 + C(seed)", "item": "0 + C(item)"}
    fit = smf.mixedlm("d ~ 1", frame, groups="all", vc_formula=crossed).fit(reml=True)
    found = one_task(d).contrast(1.0)
    # Balanced and away from the floor, REML equals the analysis of variance.
    assert found.value == pytest.approx(fit.params["Intercept"], rel=1e-6)
    assert found.se == pytest.approx(fit.bse["Intercept"], rel=1e-3)


def test_a_category_is_the_mean_over_tasks_with_seeds_across_all_of_them() -> None:
    rng = np.random.default_rng(5)
    s, sizes = 4, (7, 20, 3)
    shift = rng.standard_normal((s, 1))
    parts = [shift + rng.standard_normal(g) + rng.standard_normal((s, g)) for g in sizes]
    tasks = [
        sums(d, np.full(d.shape, 2.0), np.ones(g), 100 * k) for k, (d, g) in enumerate(zip(parts, sizes, strict=True))
    ]
    data = from_sums(tasks, tuple(range(s)), n_items=sum(sizes))
    found = data.contrast(1.0)
    scores = np.mean([d.mean(1) for d in parts], axis=0)
    seed = scores.var(ddof=1) / s
    item = residual = 0.0
    for d, g in zip(parts, sizes, strict=True):
        left = d - d.mean(0) - d.mean(1, keepdims=True) + d.mean()
        item += d.mean(0).var(ddof=1) / g / 9
        residual += (left**2).sum() / ((s - 1) * (g - 1) * s * g) / 9
    assert found.value == pytest.approx(scores.mean())
    assert found.se == pytest.approx(np.sqrt(seed + item - residual))
    np.testing.assert_allclose(data.seed_scores(1.0), scores)


def test_tasks_that_share_documents_are_one_stratum() -> None:
    # The same differences under two names carry no more information than once.
    rng = np.random.default_rng(6)
    d = rng.standard_normal((4, 1)) + rng.standard_normal(15) + rng.standard_normal((4, 15))
    once = one_task(d).contrast(1.0)
    task = sums(d, np.full(d.shape, 2.0), np.ones(15))
    shared = from_sums([task, task], (0, 1, 2, 3), n_items=30).contrast(1.0)
    apart = from_sums([task, sums(d, np.full(d.shape, 2.0), np.ones(15), 50)], (0, 1, 2, 3), n_items=30)
    assert (shared.value, shared.se, shared.df) == pytest.approx((once.value, once.se, once.df))
    assert apart.contrast(1.0).se < shared.se


def test_tasks_linked_through_a_third_are_one_stratum() -> None:
    d = np.random.default_rng(7).standard_normal((3, 2))
    codes = [np.array([0, 1]), np.array([4, 5]), np.array([1, 4])]
    tasks = [TaskSums(d + 2, np.full(d.shape, 2.0), np.ones(2), c) for c in codes]
    data = from_sums(tasks, (1, 2, 3), n_items=6)
    assert [u.shape for u in data.difference] == [(3, 4)]


def test_two_seeds_have_one_degree_of_freedom() -> None:
    d = np.random.default_rng(8).standard_normal((2, 50))
    assert one_task(d).contrast(1.0).df == 1.0


def test_one_cluster_leaves_the_seeds_alone() -> None:
    d = np.random.default_rng(9).standard_normal((4, 1))
    found = one_task(d).contrast(1.0)
    assert (found.se, found.df) == pytest.approx((d.std(ddof=1) / 2, 3.0))


def test_one_seed_and_one_cluster_have_no_standard_error() -> None:
    assert not one_task(np.array([[0.3]])).contrast(1.0).known


@pytest.mark.parametrize("seed", range(4))
def test_fiellers_interval_holds_zero_exactly_when_the_difference_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(50):
        d = rng.normal(0.15, 0.2, (3, 1)) + rng.normal(0, 0.1, (3, 8))
        base = rng.normal(2, 0.2, (3, 8))
        data = one_task(d, base=base)
        plain = data.contrast(1.0)
        between = data.ratio(0.0, plain)
        assert between is not None
        assert (between[0] <= 0 <= between[1]) == (abs(plain.value) <= plain.half)
        assert between[0] <= plain.value / data.base_score <= between[1]


def test_fiellers_bound_passes_a_margin_exactly_when_the_contrast_does() -> None:
    rng = np.random.default_rng(10)
    for _ in range(50):
        d = rng.normal(0.06, 0.02, (3, 1)) + rng.normal(0, 0.05, (3, 12))
        data = one_task(d, base=rng.normal(2, 0.2, (3, 12)))
        contrast = data.contrast(1.0, -0.02)
        for alpha in (0.025, 0.005):
            between = data.ratio_bounds(0.0, contrast.guarded_weights(alpha))
            assert between is not None
            assert (between[0] > 0.02) == (contrast.p_guarded < alpha) == (contrast.guarded_bound(alpha) > 0)


def test_a_base_of_no_certain_size_has_no_ratio() -> None:
    rng = np.random.default_rng(11)
    data = one_task(rng.standard_normal((3, 8)), base=rng.normal(0, 1, (3, 8)))
    assert data.ratio(0.0, data.contrast(1.0)) is None


matrices = st.integers(0, 10_000).map(
    lambda k: (lambda rng: rng.standard_normal((rng.integers(2, 6), rng.integers(2, 9))) + rng.standard_normal())(
        np.random.default_rng(k)
    )
)


@settings(max_examples=60, deadline=None)
@given(matrices, st.floats(1e-12, 1e12), st.integers(0, 100))
def test_symmetries(d: np.ndarray, scale: float, order: int) -> None:
    rng = np.random.default_rng(order)
    weight = rng.uniform(0.5, 2, d.shape[1])
    base = np.zeros(d.shape)  # a base of another size would cost digits when the difference is taken
    plain = one_task(d, weight, base).contrast(1.0)
    mirrored = one_task(-d, weight, base).contrast(1.0)
    assert (mirrored.value, mirrored.se, mirrored.df) == pytest.approx((-plain.value, plain.se, plain.df))
    assert mirrored.p_positive == pytest.approx(1 - plain.p_positive, abs=1e-9)
    scaled = one_task(scale * d, weight, base).contrast(1.0)
    assert (scaled.value / scale, scaled.se / scale, scaled.df) == pytest.approx((plain.value, plain.se, plain.df))
    seeds, items = rng.permutation(d.shape[0]), rng.permutation(d.shape[1])
    shuffled = one_task(d[seeds][:, items], weight[items], base).contrast(1.0)
    assert (shuffled.value, shuffled.se, shuffled.df) == pytest.approx((plain.value, plain.se, plain.df))


@settings(max_examples=40, deadline=None)
@given(matrices, st.floats(-3, 3))
def test_the_guarded_p_is_dual_to_its_bound_and_never_below_the_intervals(d: np.ndarray, shift: float) -> None:
    found = one_task(d + shift).contrast(1.0)
    p = found.p_guarded
    assert min(p, 1 - p) >= min(found.p_positive, 1 - found.p_positive)
    assert found.moved(-found.value).p_guarded == pytest.approx(1 - p, abs=1e-9)
    if 1e-50 < p < 0.5:
        assert found.guarded_bound(p) == pytest.approx(0, abs=1e-7 * abs(found.value))
        assert found.guarded_bound(p / 2) < 0 < found.guarded_bound(min(2 * p, 0.5))


whole_numbers = st.integers(2, 5).flatmap(
    lambda seeds: st.integers(1, 6).flatmap(
        lambda items: st.lists(
            st.lists(st.integers(-2, 2), min_size=items, max_size=items), min_size=seeds, max_size=seeds
        )
    )
)
"""Differences of accuracies: ties and sums of exactly zero are common."""


@settings(max_examples=150, deadline=None)
@given(whole_numbers)
def test_tied_and_whole_numbers_keep_the_symmetries(rows: list[list[int]]) -> None:
    d = np.array(rows, dtype=float)
    base = np.zeros(d.shape)
    found, mirrored = (one_task(x, base=base).contrast(1.0) for x in (d, -d))
    for one, other in ((found.p_positive, mirrored.p_positive), (found.p_guarded, mirrored.p_guarded)):
        assert 0 <= one <= 1
        assert one == pytest.approx(1 - other, abs=1e-9)
    assert min(found.p_guarded, 1 - found.p_guarded) >= min(found.p_positive, 1 - found.p_positive) - 1e-12
    if found.value == 0:
        assert found.p_positive == found.p_guarded == 0.5
    assert found.flat == (not d.any())


def test_an_exact_tie_is_the_limit_of_small_differences() -> None:
    d = np.array([[1.0, -1.0, 0.0], [0.0, 1.0, -1.0], [-1.0, 0.0, 1.0]])
    tie = one_task(d).contrast(1.0)
    assert tie.value == 0
    assert tie.se > 0
    for shift in (1e-12, -1e-12):
        assert tie.moved(shift).p_guarded == pytest.approx(tie.p_guarded, abs=1e-6)
    assert guarded_tail(0.0, tie.parts) == 0.5
    assert tie.guarded_bound(0.025) < 0


def test_without_variation_the_sign_decides_and_zero_says_nothing() -> None:
    sure = uncertainty(components([np.zeros((3, 4))]))
    assert [float(tail(value, sure)) for value in (0.1, 0.0, -0.1)] == [0.0, 0.5, 1.0]
    parts = components([np.zeros((3, 4))])
    assert [guarded_tail(value, parts) for value in (0.1, 0.0, -0.1)] == [0.0, 0.5, 1.0]


def test_the_guarded_p_is_the_t_test_where_one_source_of_noise_is_left() -> None:
    rng = np.random.default_rng(13)
    base, new = rng.normal(2, 0.1, 5), rng.normal(2.1, 0.1, 5)
    found = one_task(np.repeat((new - base)[:, None], 25, axis=1)).contrast(1.0)
    reference = stats.ttest_rel(new, base, alternative="greater")
    assert found.p_guarded == pytest.approx(reference.pvalue, rel=1e-6)
    one_cluster = one_task((new - base)[:, None]).contrast(1.0)
    assert one_cluster.p_guarded == pytest.approx(reference.pvalue, rel=1e-6)


def test_the_guarded_half_width_of_several_strata_by_hand() -> None:
    rng = np.random.default_rng(14)
    strata = [contributions(rng.standard_normal((4, g)) + rng.standard_normal(g), np.ones(g)) for g in (3, 9)]
    parts = components(strata)
    t = {df: stats.t.isf(0.01, df) ** 2 for df in (3, 2, 8, 30)}
    item = t[2] * parts.item[0] + t[8] * parts.item[1]
    twice = t[2] * parts.residual[0] + t[8] * parts.residual[1]
    left = parts.residual.sum()
    expected = max(t[3] * parts.seed + max(item - twice, 0), item + t[3] * max(parts.seed - left, 0), t[30] * left)
    assert float(guarded_half_width(parts, 0.01)) == pytest.approx(np.sqrt(expected), rel=1e-9)


def test_leading_axes_are_repetitions() -> None:
    d = np.random.default_rng(12).standard_normal((7, 3, 10))
    weight = np.ones(10)
    sure = uncertainty(components([contributions(d, weight)]))
    single = [one_task(x).contrast(1.0) for x in d]
    np.testing.assert_allclose(sure.se, [e.se for e in single])
    np.testing.assert_allclose(sure.df, [e.df for e in single])
    np.testing.assert_allclose(half_width(sure), [e.half for e in single])
    np.testing.assert_allclose(tail(d.mean((1, 2)), sure), [e.p_positive for e in single])


def test_unusable_input_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one stratum"):
        components([])
    with pytest.raises(ValueError, match="the same seeds"):
        components([np.zeros((2, 3)), np.zeros((3, 3))])
    with pytest.raises(ValueError, match="more than zero"):
        contributions(np.zeros((2, 3)), np.zeros(3))
