"""A 3-gram model of tokens: interpolated modified Kneser-Ney, vectorised.

Guarantees: probabilities of the V tokens after any history sum to one; the same windows give the same numbers. The
formulas are Chen & Goodman 1999, *An empirical study of smoothing techniques for language modeling*, section 3: the
highest order from counts, lower orders from the number of distinct tokens before, three discounts per order from the
counts of counts, every order interpolated with the next, the lowest with the uniform distribution. Where counts of
counts vanish or give a discount outside (0, k), that discount is 3/4.

Does not do: prune, store, or learn from more than fits in memory (about 60 bytes a token).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

FALLBACK_DISCOUNT = 0.75


@dataclass(frozen=True)
class _Order:
    """One order: counts of (history, token), and of each history the total and what its discounts set free."""

    keys: Ints
    discounted: Floats
    histories: Ints
    totals: Floats
    freed: Floats

    @classmethod
    def fit(cls, keys: Ints, counts: Ints, vocabulary: int) -> _Order:
        """`keys` = history · vocabulary + token, sorted and unique, with their counts."""
        discounts = _discounts(counts)
        taken = discounts[np.minimum(counts, 3)]
        histories, owner = np.unique(keys // vocabulary, return_inverse=True)
        totals = np.bincount(owner, weights=counts, minlength=len(histories)).astype(np.float64)
        freed = np.bincount(owner, weights=taken, minlength=len(histories)).astype(np.float64)
        return cls(keys, counts - taken, histories, totals, freed)

    def interpolate(self, history: Ints, token: Ints, lower: Floats, vocabulary: int) -> Floats:
        """p(token | history), given the next lower order's p; unseen histories leave it as it is."""
        place, seen = _find(self.histories, history)
        at, known = _find(self.keys, history * vocabulary + token)
        counted = np.where(known, self.discounted[at], 0.0)
        return np.where(seen, (counted + self.freed[place] * lower) / self.totals[place], lower)


class TrigramModel:
    """p(token | two tokens before), over ids 0 … vocabulary − 1.

    A history token that is not there (before the mark that opens a document, or cut off by a window's edge) is the
    id `vocabulary`, called `nothing`.
    """

    def __init__(self, vocabulary: int, two: Ints, one: Ints, token: Ints) -> None:
        """Fit to events: `token` came after `one`, which came after `two` (arrays of one length, at least 1)."""
        if len(token) == 0:
            raise ValueError("a 3-gram model needs at least one token to learn from")
        self.vocabulary = vocabulary
        self.nothing = vocabulary
        self._base = vocabulary + 1
        base = self._base
        three, counts = np.unique((two * base + one) * base + token, return_counts=True)
        pairs, before = np.unique(three % (base * base), return_counts=True)
        singles, kinds = np.unique(pairs % base, return_counts=True)
        self._orders = (
            _Order.fit(singles, kinds.astype(np.int64), base),
            _Order.fit(pairs, before.astype(np.int64), base),
            _Order.fit(three, counts.astype(np.int64), base),
        )

    @classmethod
    def from_windows(cls, vocabulary: int, batches: Iterable[tuple[Ints, Ints]]) -> TrigramModel:
        """Fit to windows: batches of tokens [n, C + 1] and attention segments [n, C] of the input positions."""
        events: list[tuple[Ints, Ints, Ints]] = []
        for tokens, segments in batches:
            one, token = tokens[:, :-1], tokens[:, 1:]
            two = np.full_like(one, vocabulary)
            inside = segments[:, 1:] == segments[:, :-1]
            two[:, 1:] = np.where(inside, tokens[:, :-2], vocabulary)
            events.append((two.ravel(), one.ravel(), token.ravel()))
        if not events:
            raise ValueError("a 3-gram model needs at least one window to learn from")
        two, one, token = (np.concatenate(part).astype(np.int64) for part in zip(*events, strict=True))
        return cls(vocabulary, two, one, token)

    def probability(self, two: Ints, one: Ints, token: Ints) -> Floats:
        """p(token | two, one), elementwise."""
        base = self._base
        p = np.full(len(token), 1.0 / self.vocabulary)
        histories = (np.zeros_like(one), one, two * base + one)
        for order, history in zip(self._orders, histories, strict=True):
            p = order.interpolate(history, token, p, base)
        return p

    def logprobs(self, stream: Ints) -> Floats:
        """Natural-log probabilities of stream[1:], each after what stands before it; stream[0] is an opening mark."""
        two = np.concatenate([[self.nothing], stream[:-2]]).astype(np.int64)
        return np.log(self.probability(two, stream[:-1].astype(np.int64), stream[1:].astype(np.int64)))


def _find(sorted_keys: Ints, wanted: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """Place of each wanted key (clipped to the last), and whether it is really there."""
    place = np.minimum(np.searchsorted(sorted_keys, wanted), len(sorted_keys) - 1)
    return place, sorted_keys[place] == wanted


def _discounts(counts: Ints) -> Floats:
    """Discounts for counts 0, 1, 2 and 3 or more (Chen & Goodman 1999, equation 17)."""
    seen = np.bincount(np.minimum(counts, 5), minlength=6).astype(np.float64)
    discounts = np.full(4, FALLBACK_DISCOUNT)
    discounts[0] = 0.0
    if seen[1] > 0 and seen[2] > 0:
        y = seen[1] / (seen[1] + 2 * seen[2])
        for k in (1, 2, 3):
            if seen[k] > 0:
                value = k - (k + 1) * y * seen[k + 1] / seen[k]
                if 0 < value < k:
                    discounts[k] = value
    return discounts
