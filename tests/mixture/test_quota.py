"""Quotas: every prefix within one sequence of its share, exactly Tijdeman's rule, periodic, seekable."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrial.mixture.quota import MAX_PERIOD, Quota

weights = st.lists(st.integers(1, 60), min_size=1, max_size=7)


def shares_of(weights: list[int]) -> list[Fraction]:
    return [Fraction(weight, sum(weights)) for weight in weights]


def tijdeman(shares: list[Fraction], length: int) -> list[int]:
    """The rule as written down (docs/decisions.md, section 4), one step after the other."""
    if len(shares) == 1:
        return [0] * length
    slack = Fraction(1, 2 * len(shares) - 2)
    given = [0] * len(shares)
    out = []
    for t in range(1, length + 1):
        debts = [share * t - x for share, x in zip(shares, given, strict=True)]
        allowed = [i for i, debt in enumerate(debts) if debt >= slack]
        out.append(min(allowed, key=lambda i: ((1 - slack - debts[i]) / shares[i], i)))
        given[out[-1]] += 1
    return out


@given(weights)
@settings(deadline=None)
def test_the_pattern_is_tijdemans_rule_step_by_step(weights: list[int]) -> None:
    shares = shares_of(weights)
    quota = Quota(shares)
    length = 2 * quota.period + 3
    assert quota.source(np.arange(length)).tolist() == tijdeman(shares, length)


@given(weights)
@settings(deadline=None)
def test_every_prefix_is_within_the_tight_bound_of_its_share(weights: list[int]) -> None:
    quota = Quota(shares_of(weights))
    counts = quota.count(np.arange(2 * quota.period + 1))
    bound = 1 - Fraction(1, 2 * len(weights) - 2) if len(weights) > 1 else Fraction(0)
    for t, row in enumerate(counts.tolist()):
        assert sum(row) == t
        assert max(abs(share * t - x) for share, x in zip(quota.shares, row, strict=True)) <= bound < 1


@given(weights, st.integers(0, 10**12), st.integers(1, 500))
@settings(deadline=None)
def test_counts_are_the_sums_of_the_pattern_wherever_it_is_entered(weights: list[int], start: int, length: int) -> None:
    quota = Quota(shares_of(weights))
    pattern = quota.source(np.arange(start, start + length))
    counts = quota.count(np.array([start, start + length]))
    assert np.bincount(pattern, minlength=len(weights)).tolist() == (counts[1] - counts[0]).tolist()


@given(weights, st.integers(0, 10**9))
@settings(deadline=None)
def test_the_pattern_repeats_with_the_common_denominator(weights: list[int], cycle: int) -> None:
    quota = Quota(shares_of(weights))
    t = np.arange(quota.period)
    assert np.array_equal(quota.source(t), quota.source(t + cycle * quota.period))
    assert quota.count(quota.period).tolist() == [share * quota.period for share in quota.shares]


def test_known_patterns() -> None:
    half, tenth = Fraction(1, 2), Fraction(1, 10)
    assert Quota([half, half]).source(np.arange(4)).tolist() == [0, 1, 0, 1]
    assert Quota([9 * tenth, tenth]).source(np.arange(10)).tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert Quota([5 * tenth, 3 * tenth, 2 * tenth]).source(np.arange(10)).tolist() == [
        0, 1, 0, 2, 0, 1, 0, 2, 1, 0,
    ]  # fmt: skip


def test_one_source_takes_everything() -> None:
    quota = Quota([Fraction(1)])
    assert quota.period == 1
    assert quota.source([0, 7, 10**15]).tolist() == [0, 0, 0]
    assert quota.count(10**15).tolist() == [10**15]


def test_the_longest_period_is_exact() -> None:
    shares = [Fraction(333_333, MAX_PERIOD), Fraction(333_334, MAX_PERIOD), Fraction(333_333, MAX_PERIOD)]
    quota = Quota(shares)
    assert quota.period == MAX_PERIOD
    t = np.arange(0, MAX_PERIOD + 1, dtype=np.int64)
    numerators = np.array([333_333, 333_334, 333_333])
    # |share·t − count| ≤ 3/4 in integers: 4·|a·t − D·count| ≤ 3·D.
    assert (4 * np.abs(t[:, None] * numerators - MAX_PERIOD * quota.count(t)) <= 3 * MAX_PERIOD).all()


def test_positions_keep_their_shape() -> None:
    quota = Quota([Fraction(1, 2), Fraction(1, 2)])
    assert quota.source(np.zeros((3, 2), dtype=np.int64)).shape == (3, 2)
    assert quota.count(np.zeros((3, 2), dtype=np.int64)).shape == (3, 2, 2)
    assert quota.count(5).shape == (2,)


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ([], "at least one source"),
        ([Fraction(1, 2), Fraction(1, 3)], "sum to 5/6, not 1"),
        ([Fraction(1), Fraction(0)], "share 2 of the mixture is 0"),
        ([Fraction(3, 2), Fraction(-1, 2)], "above 0"),
        ([Fraction(1, 1_000_001), Fraction(1_000_000, 1_000_001)], "at most 1,000,000"),
    ],
)
def test_wrong_shares_are_refused(shares: list[Fraction], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Quota(shares)


def test_negative_positions_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be negative"):
        Quota([Fraction(1)]).source([-1])
