"""Student's t without scipy agrees with scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pretrial.analysis.distributions import normal_quantile, smallest_detectable, t_cdf, t_quantile, t_quantile_at, t_sf

DF = np.array([0.5, 1.0, 1.7, 2.0, 3.3, 9.0, 40.0, 350.5, 1e4, 1e6, 3e7, 1e9])


def test_tails_agree_with_scipy_for_real_degrees_of_freedom() -> None:
    t = np.array([0.0, 1e-6, 0.3, 1.0, 1.96, 4.3, 12.7, 40.0])
    ours = t_sf(t[:, None], DF)
    theirs = stats.t.sf(t[:, None], DF)
    seen = theirs > 1e-15
    np.testing.assert_allclose(ours[seen], theirs[seen], rtol=2e-9)
    np.testing.assert_allclose(t_cdf(-t[:, None], DF), ours, rtol=1e-12)


def test_quantiles_agree_with_scipy() -> None:
    p = np.array([1e-12, 1e-6, 0.005, 0.025, 0.2, 0.4999, 0.5, 0.8, 0.975, 0.9875, 1 - 1e-9])
    np.testing.assert_allclose(t_quantile(p[:, None], DF), stats.t.ppf(p[:, None], DF), rtol=2e-7, atol=1e-12)


@given(st.floats(1e-12, 1 - 1e-12), st.floats(0.5, 1e6))
def test_quantile_inverts_the_distribution(p: float, df: float) -> None:
    assert float(t_cdf(t_quantile(p, df), df)) == pytest.approx(p, rel=1e-9, abs=1e-15)


@given(st.floats(1e-60, 1 - 1e-12), st.floats(0.5, 1e7))
def test_one_number_and_arrays_give_the_same_quantile(p: float, df: float) -> None:
    assert t_quantile_at(p, df) == pytest.approx(float(t_quantile(p, df)), rel=1e-9, abs=1e-14)


def test_infinite_degrees_of_freedom_are_normal() -> None:
    assert float(t_quantile(0.975, np.inf)) == pytest.approx(normal_quantile(0.975), rel=1e-15)
    assert float(t_sf(1.5, np.inf)) == pytest.approx(stats.norm.sf(1.5), rel=1e-12)


def test_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        t_quantile(1.0, 3.0)
    with pytest.raises(ValueError, match="positive"):
        t_quantile(0.5, 0.0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        t_quantile_at(0.0, 3.0)
    with pytest.raises(ValueError, match="positive"):
        t_quantile_at(0.5, -1.0)
    with pytest.raises(ValueError, match="positive"):
        t_sf(1.0, np.array([1.0, -2.0]))


@pytest.mark.parametrize("df", [4, 9, 29])
def test_the_smallest_detectable_effect_is_found_four_times_in_five(df: int) -> None:
    # A one-sample t test of df + 1 values with standard error 1: exact power by the non-central t.
    mde = smallest_detectable(1.0, df)
    critical = stats.t.ppf(0.975, df)
    power = stats.nct.sf(critical, df, mde) + stats.nct.cdf(-critical, df, mde)
    assert power == pytest.approx(0.8, abs=0.02)
