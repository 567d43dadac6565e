"""Orders: each window once per epoch, blocks kept by the order seed, seeks of any distance alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrial.mixture import order as order_module
from pretrial.mixture.order import BLOCK, MAX_WINDOWS, SourceOrder

seeds = st.integers(0, 2**31)
sizes = st.one_of(st.integers(1, 40), st.sampled_from([BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 17]))


@given(sizes, seeds, seeds, st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_each_window_comes_exactly_once_per_epoch(n: int, subset: int, order: int, epoch: int) -> None:
    epochs, windows = SourceOrder("c", n, subset, order).window(np.arange(epoch * n, (epoch + 1) * n))
    assert (epochs == epoch).all()
    assert np.array_equal(np.sort(windows), np.arange(n))


@given(st.sampled_from([BLOCK, 2 * BLOCK + 100]), seeds)
@settings(max_examples=10, deadline=None)
def test_epochs_and_seeds_and_contents_differ_in_order(n: int, seed: int) -> None:
    base = SourceOrder("c", n, seed, seed).window(np.arange(n))[1]
    others = [
        SourceOrder("c", n, seed, seed).window(np.arange(n, 2 * n))[1],
        SourceOrder("c", n, seed + 1, seed).window(np.arange(n))[1],
        SourceOrder("c", n, seed, seed + 1).window(np.arange(n))[1],
        SourceOrder("d", n, seed, seed).window(np.arange(n))[1],
    ]
    for other in others:
        # Two random orders agree in about one place.
        assert np.count_nonzero(other == base) < 15


@given(
    st.integers(BLOCK, 4 * BLOCK),
    seeds,
    st.lists(seeds, min_size=2, max_size=3, unique=True),
    st.integers(0, 9),
)
@settings(max_examples=20, deadline=None)
def test_the_order_seed_moves_windows_inside_blocks_only(n: int, subset: int, orders: list[int], epoch: int) -> None:
    draws = np.arange(epoch * n, (epoch + 1) * n)
    streams = [SourceOrder("c", n, subset, order).window(draws)[1] for order in orders]
    for begin in range(0, n, BLOCK):
        blocks = [np.sort(stream[begin : begin + BLOCK]) for stream in streams]
        assert all(np.array_equal(blocks[0], block) for block in blocks)
    assert not np.array_equal(streams[0], streams[1])


@given(st.integers(1, 3 * BLOCK), st.lists(st.integers(0, 10**15), min_size=1, max_size=50))
@settings(max_examples=50, deadline=None)
def test_draws_asked_together_or_alone_are_the_same(n: int, draws: list[int]) -> None:
    order = SourceOrder("c", n, 3, 5)
    epochs, windows = order.window(draws)
    for i, draw in enumerate(draws):
        epoch, window = order.window(draw)
        assert (int(epoch), int(window)) == (epochs[i], windows[i])
        assert epoch == draw // n


def test_a_seek_does_the_same_work_at_every_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    done = []
    network = order_module._feistel
    monkeypatch.setattr(order_module, "_feistel", lambda x, *rest: done.append(len(x)) or network(x, *rest))
    for draw in (0, 10**9, 10**15):
        done.clear()
        SourceOrder("c", 1_000_003, 1, 1).window(np.arange(draw, draw + 8))
        # Eight values through two permutations; cycle walking repeats each less than four times on average.
        assert 16 <= sum(done) < 16 * 8


@pytest.mark.parametrize("n", [1, 2, 2**20, 2**20 + 1, MAX_WINDOWS])
def test_windows_lie_in_range_for_every_size(n: int) -> None:
    draws = np.arange(1000) * 7919
    epoch, window = SourceOrder("c", n, 1, 2).window(draws)
    assert ((window >= 0) & (window < n)).all()
    assert np.array_equal(epoch, draws // n)
    assert len(set(zip(epoch.tolist(), window.tolist(), strict=True))) == 1000


def test_the_permutation_spreads_evenly() -> None:
    """Chi-squared over where the first quarter of draws lands, in 64 equal cells of the source."""
    n = 1 << 16
    windows = SourceOrder("c", n, 11, 12).window(np.arange(n // 4))[1]
    cells = np.bincount(windows * 64 // n, minlength=64)
    expected = n / 4 / 64
    statistic = ((cells - expected) ** 2 / (expected * 0.75)).sum()
    assert 25 < statistic < 120  # 63 degrees of freedom, mean 63, about five standard deviations up


def test_golden_order() -> None:
    """The order itself is part of every result: a change here needs a new semantics version of `train`."""
    order = SourceOrder("0123456789abcdef", 10_000, 1, 1)
    assert order.window([0, 1, 2, 4096, 9_999, 10_000, 10**9])[1].tolist() == GOLDEN
    assert SourceOrder("0123456789abcdef", 10, 2, 3).window(np.arange(10))[1].tolist() == GOLDEN_SMALL


GOLDEN = [1835, 6075, 231, 167, 3663, 6150, 6340]
GOLDEN_SMALL = [6, 7, 4, 3, 2, 8, 5, 9, 1, 0]


@pytest.mark.parametrize("n", [0, -1, MAX_WINDOWS + 1])
def test_impossible_sizes_are_refused(n: int) -> None:
    with pytest.raises(ValueError, match="from 1 to 2"):
        SourceOrder("c", n, 1, 1)


def test_negative_draws_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        SourceOrder("c", 5, 1, 1).window([-1])
