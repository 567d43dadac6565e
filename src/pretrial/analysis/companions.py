"""Second opinions beside the t intervals: sign flips over seeds and a bootstrap over seeds × items.

Companions, never verdicts. Random draws are keyed by the data themselves (SHA-256), so a table of the same
numbers always has the same companions. The bootstrap resamples seeds and clusters independently (Owen, *The
pigeonhole bootstrap*, Annals of Applied Statistics 1, 2007): it counts the residual three times, hence it
is wider than the t interval where the residual dominates. The sign-flip test takes the items as given.
"""

from __future__ import annotations

import hashlib

import numpy as np

from pretrial.analysis.distributions import LEVEL, Array
from pretrial.analysis.sample import Sample

DRAWS = 2000
PERMUTATION_FROM = 6
"""Fewer seeds have fewer than 64 sign patterns: no p below 0.03."""
_EXACT_UP_TO = 14
_FLIPS = 20000


def sign_flip(scores: Array, *, sided: int = 2) -> float:
    """p of "the differences are symmetric around zero", by flipping the signs of the per-seed `scores` [S].

    Exact over all 2^S patterns up to 14 seeds, else 20,000 patterns drawn by content. `sided` 1 asks for a
    mean above zero.
    """
    scores = scores[np.lexsort([scores, np.abs(scores)])]  # not the order of seeds: patterns may be drawn
    n = len(scores)
    if n <= _EXACT_UP_TO:
        signs = 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    else:
        signs = 1.0 - 2.0 * _generator(np.abs(scores)).integers(0, 2, (_FLIPS, n))
        signs[0] = 1.0
    sums = signs @ scores
    seen = scores.sum()
    slack = 1e-12 * np.abs(scores).sum()
    extreme = np.abs(sums) >= abs(seen) - slack if sided == 2 else sums >= seen - slack
    return float(extreme.mean())


def bootstrap(data: Sample, *, draws: int = DRAWS, level: float = LEVEL) -> tuple[float, float]:
    """Percentile interval of variant − base, resampling seeds and clusters with replacement.

    A cluster that several tasks share is drawn for all of them together.
    """
    s = len(data.seeds)
    rng = _generator(*(a for t in data.tasks for a in (t.variant, t.base, t.weight)))
    seeds = _resampled(rng, s, draws)
    codes, tasks_of = np.unique(np.concatenate([t.clusters for t in data.tasks]), return_counts=True)
    shared = {int(code): np.zeros(0) for code in codes[tasks_of > 1]}
    total = np.zeros(draws)
    for t in data.tasks:
        # Each task resamples its own number of clusters; those that a former task has drawn keep their draw.
        own = _resampled(rng, len(t.clusters), draws)
        for place, code in enumerate(t.clusters.tolist()):
            if code in shared:
                if shared[code].size:
                    own[:, place] = shared[code]
                shared[code] = own[:, place].copy()
        weight = own @ t.weight
        value = ((seeds @ (t.variant - t.base)) * own).sum(1) / s
        plain = (t.variant - t.base).mean(0).sum() / t.weight.sum()
        total += np.where(weight > 0, value / np.where(weight > 0, weight, 1.0), plain) / len(data.tasks)
    low, high = np.quantile(total, [0.5 - 0.5 * level, 0.5 + 0.5 * level])
    return float(low), float(high)


def _resampled(rng: np.random.Generator, size: int, draws: int) -> Array:
    """How often each of `size` units is drawn when `size` are drawn with replacement [draws, size]."""
    place = rng.integers(0, size, (draws, size)) + size * np.arange(draws)[:, None]
    return np.bincount(place.ravel(), minlength=draws * size).reshape(draws, size).astype(np.float64)


def _generator(*arrays: Array) -> np.random.Generator:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest.digest()[:16], "big")))
