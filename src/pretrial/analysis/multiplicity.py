"""Adjusted p-values for families of tests, and Holm's level for each member of a family.

Holm controls the chance of any false finding (claims); Benjamini and Hochberg control the expected share of
false findings (exploratory rows). Agrees with statsmodels' `multipletests`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pretrial.analysis.distributions import Array


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given (Scandinavian Journal of Statistics 6, 1979)."""
    values = _checked(p)
    n = len(values)
    order = np.argsort(values, kind="stable")
    raised = np.minimum(np.maximum.accumulate(values[order] * (n - np.arange(n))), 1.0)
    return _restore(raised, order)


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """Benjamini and Hochberg's step-up adjusted p-values, in the order given (JRSS B 57, 1995)."""
    values = _checked(p)
    n = len(values)
    order = np.argsort(values, kind="stable")
    raised = values[order] * n / np.arange(1, n + 1)
    raised = np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1.0)
    return _restore(raised, order)


def holm_levels(p: Sequence[float], alpha: float) -> list[float]:
    """The level at which Holm judges each member, so that p ≤ level agrees with adjusted p ≤ alpha.

    The k-th smallest p of n is judged at alpha/(n − k + 1) until one fails; all from there on at that one's
    level.
    """
    values = _checked(p)
    n = len(values)
    order = np.argsort(values, kind="stable")
    levels = alpha / (n - np.arange(n))
    failed = np.nonzero(values[order] * (n - np.arange(n)) > alpha)[0]
    if failed.size:
        levels[failed[0] :] = levels[failed[0]]
    return _restore(levels, order)


def _checked(p: Sequence[float]) -> Array:
    values = np.asarray(p, dtype=np.float64).reshape(-1)
    if np.any(~((values >= 0) & (values <= 1))):
        raise ValueError("p-values must lie between 0 and 1")
    return values


def _restore(values: Array, order: npt.NDArray[np.intp]) -> list[float]:
    result = np.empty(len(values))
    result[order] = values
    return [float(v) for v in result]
