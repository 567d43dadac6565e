"""Which source each sequence of a mixture comes from.

Tijdeman's rule (*The chairman assignment problem*, Discrete Mathematics 32, 1980) on exact rational shares.

Guarantees: at every prefix of t sequences each source i has been given within 1 − 1/(2k−2) of shareᵢ·t
sequences (k sources, k ≥ 2); the pattern repeats with the shares' common denominator; everything is integer
arithmetic, so equal shares give the equal pattern on every machine. What it costs: the pattern of one
period is built once and kept (at most 1,000,000 entries); a look-up afterwards is constant time for any
position.

It does not know tokens, stages or files: it only turns a position into the index of a source.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from math import lcm

import numpy as np
from numpy.typing import ArrayLike, NDArray

MAX_PERIOD = 1_000_000
"""Largest common denominator of shares: shares given to a ten-thousandth of a percent."""


class Quota:
    """The interleaving pattern of one mixture.

    `shares`: positive exact rationals that sum to 1, in the order of the mixture (ties go to the first).
    Raises `ValueError` for anything else, and for a common denominator above `MAX_PERIOD`.
    """

    def __init__(self, shares: Sequence[Fraction]) -> None:
        self.shares = tuple(Fraction(share) for share in shares)
        if not self.shares:
            raise ValueError("a mixture needs at least one source")
        for index, share in enumerate(self.shares):
            if share <= 0:
                raise ValueError(f"share {index + 1} of the mixture is {share}; a share must be above 0")
        total = sum(self.shares)
        if total != 1:
            raise ValueError(f"the shares of a mixture sum to {total}, not 1")
        self.period = lcm(*(share.denominator for share in self.shares))
        if self.period > MAX_PERIOD:
            raise ValueError(
                f"the shares' common denominator is {self.period:,}; at most {MAX_PERIOD:,} is allowed: "
                "give shares with fewer decimals"
            )
        self._weights = tuple(int(share * self.period) for share in self.shares)
        self._pattern, self._places = _pattern(self._weights)

    def __repr__(self) -> str:
        return f"Quota({', '.join(str(share) for share in self.shares)})"

    def source(self, t: ArrayLike) -> NDArray[np.int32]:
        """Index of the source of sequence `t` (counted from 0); same shape as `t`."""
        index: NDArray[np.int32] = self._pattern[_positions(t) % self.period]
        return index

    def count(self, t: ArrayLike) -> NDArray[np.int64]:
        """Sequences given to each source by the first `t` sequences: shape of `t` + [sources]."""
        cycles, rest = np.divmod(_positions(t), self.period)
        columns = [
            cycles * weight + np.searchsorted(places, rest, side="left")
            for weight, places in zip(self._weights, self._places, strict=True)
        ]
        return np.stack(columns, axis=-1).astype(np.int64)


def _positions(t: ArrayLike) -> NDArray[np.int64]:
    positions = np.asarray(t, dtype=np.int64)
    if positions.size and int(positions.min()) < 0:
        raise ValueError(f"a position in the pattern cannot be negative: {int(positions.min())}")
    return positions


@lru_cache(maxsize=256)
def _pattern(weights: tuple[int, ...]) -> tuple[NDArray[np.int32], tuple[NDArray[np.int64], ...]]:
    """One period of the pattern, and the places of each source in it.

    The j-th sequence of source i (j from 1, weight a, period D, c = 2k−2) may be given from the first t with
    a·t/D − (j−1) ≥ 1/c, that is t ≥ ((j−1)c + 1)·D/(c·a); its deadline in Tijdeman's order is (j − 1/c)·D/a,
    which does not change with t. So the rule is: of what may be given, the earliest deadline.
    """
    period, c = sum(weights), 2 * len(weights) - 2
    if c == 0:
        pattern = np.zeros(period, dtype=np.int32)
    else:
        source = np.repeat(np.arange(len(weights), dtype=np.int64), weights)
        weight = np.repeat(np.array(weights, dtype=np.int64), weights)
        number = np.concatenate([np.arange(n, dtype=np.int64) for n in weights])
        release = -((-(number * c + 1) * period) // (c * weight))
        # Deadlines are compared as whole part, then remainder/weight. Weights are at most 10⁶, so two unlike
        # fractions differ by at least 10⁻¹² and their nearest doubles keep that order; like ones are equal.
        whole, rest = np.divmod((number + 1) * c - 1, weight)
        by_deadline = np.lexsort((source, rest / weight, whole))
        rank = np.empty(period, dtype=np.int64)
        rank[by_deadline] = np.arange(period)
        by_release = np.lexsort((rank, release))
        releases, ranks = release[by_release].tolist(), rank[by_release].tolist()
        waiting: list[int] = []
        given = np.empty(period, dtype=np.int64)
        entered = 0
        for t in range(1, period + 1):
            while entered < period and releases[entered] <= t:
                heapq.heappush(waiting, ranks[entered])
                entered += 1
            given[t - 1] = heapq.heappop(waiting)
        pattern = source[by_deadline[given]].astype(np.int32)
    places = tuple(np.flatnonzero(pattern == index).astype(np.int64) for index in range(len(weights)))
    pattern.setflags(write=False)
    for indices in places:
        indices.setflags(write=False)
    return pattern, places
