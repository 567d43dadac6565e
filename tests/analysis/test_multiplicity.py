"""Holm and Benjamini-Hochberg agree with statsmodels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from pretrial.analysis.multiplicity import benjamini_hochberg, holm, holm_levels

families = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@settings(max_examples=15)  # statsmodels takes a tenth of a second a call
@given(families)
def test_adjusted_p_values_agree_with_statsmodels(p: list[float]) -> None:
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], atol=1e-12)
    np.testing.assert_allclose(benjamini_hochberg(p), multipletests(p, method="fdr_bh")[1], atol=1e-12)


@given(families)
def test_holms_level_of_a_member_agrees_with_its_adjusted_p(p: list[float]) -> None:
    alpha = 0.025
    for value, adjusted, level in zip(p, holm(p), holm_levels(p, alpha), strict=True):
        if abs(value - level) > 1e-12:
            assert (value <= level) == (adjusted <= alpha)


def test_empty_families_are_empty() -> None:
    assert holm([]) == benjamini_hochberg([]) == holm_levels([], 0.025) == []


def test_what_is_no_p_value_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.5, float("nan")])
