"""The growth fit: exact where the answer is known, and unmoved by what must not matter."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from analysis.errors import InputError
from analysis.predicted.trends import fit_growth

dates = st.lists(st.integers(0, 12_000), min_size=3, max_size=12, unique=True).map(
    lambda days: np.datetime64("1995-01-01") + np.array(days)
)
slopes = st.floats(-0.9, 0.9)


def noisy(days, slope, seed=0):
    """Values along an exponential with a factor of about two of scatter."""
    years = (days - days.min()).astype(float) / 365.25
    return 10 ** (slope * years + np.random.default_rng(seed).normal(0, 0.3, days.size))


@settings(max_examples=40)
@given(dates, slopes)
def test_exact_on_an_exact_exponential(days, slope):
    years = (days - days.min()).astype(float) / 365.25
    growth = fit_growth(days, 7.0 * 10 ** (slope * years))
    assert_allclose(growth.slope, slope, atol=1e-9)
    assert_allclose(growth.over(2), 10 ** (2 * slope), rtol=1e-6)
    assert_allclose(growth.interval, slope, atol=1e-5)
    assert_allclose(growth.slope_without, slope, atol=1e-7)


@settings(max_examples=40)
@given(dates, slopes, st.floats(1e-6, 1e6))
def test_invariant_to_the_unit_of_the_value(days, slope, unit):
    values = noisy(days, slope)
    one, other = fit_growth(days, values), fit_growth(days, values * unit)
    assert_allclose(other.slope, one.slope, atol=1e-9)
    assert_allclose(other.interval, one.interval, atol=1e-7)
    assert_allclose(other.bootstrap, one.bootstrap, atol=1e-6)


@settings(max_examples=40)
@given(dates, slopes, st.integers(-5_000, 5_000))
def test_equivariant_to_a_shift_of_dates(days, slope, shift):
    values = noisy(days, slope)
    one, other = fit_growth(days, values), fit_growth(days + shift, values)
    assert other.origin == one.origin + shift
    assert_allclose(other.slope, one.slope, atol=1e-12)
    assert_allclose(other.at(days + shift), one.at(days), rtol=1e-9)


def test_interval_is_student_t_of_the_slope():
    """Against the textbook formula, written out: slope -+ t sqrt(s^2 / Sxx), n - 2 degrees."""
    days = np.datetime64("2000-01-01") + np.array([0, 400, 900, 1500, 2600, 3100])
    values = noisy(days, 0.2, seed=3)
    x, y = (days - days[0]).astype(float) / 365.25, np.log10(values)
    sxx = ((x - x.mean()) ** 2).sum()
    slope = ((x - x.mean()) * y).sum() / sxx
    residual = y - y.mean() - slope * (x - x.mean())
    reach = stats.t.ppf(0.975, 4) * np.sqrt((residual**2).sum() / 4 / sxx)
    growth = fit_growth(days, values)
    assert_allclose([growth.slope, *growth.interval], [slope, slope - reach, slope + reach])


def test_leave_one_out_is_a_fit_without_that_point():
    days = np.datetime64("2000-01-01") + np.array([0, 400, 900, 1500, 2600])
    values = noisy(days, 0.2, seed=4)
    for i, slope in enumerate(fit_growth(days, values).slope_without):
        assert_allclose(fit_growth(np.delete(days, i), np.delete(values, i)).slope, slope)


def test_bootstrap_covers_the_true_slope_about_as_often_as_it_says():
    """Of 100 samples of 30 points, 95 % intervals miss about 5; over 16 has odds below 1e-4."""
    days = np.datetime64("2000-01-01") + np.arange(30) * 200
    fits = [fit_growth(days, noisy(days, 0.25, seed)) for seed in range(100)]
    missed = sum(not fit.bootstrap[0] <= 0.25 <= fit.bootstrap[1] for fit in fits)
    assert 1 <= missed <= 16


def test_doubling_time():
    days = np.array(["2000-01-01", "2004-01-01", "2008-01-01"], "datetime64[D]")  # 1461 days each
    assert_allclose(fit_growth(days, [1, 4, 16]).doubling_years, 2.0)


@pytest.mark.parametrize(
    ("days", "values", "says"),
    [
        (["2000-01-01", "2001-01-01"], [1, 2], "at least 3 points"),
        (["2000-01-01"] * 3, [1, 2, 3], "2 different dates"),
        (["2000-01-01", "2001-01-01", "2002-01-01"], [1, 0, 3], "point 1 (2001-01-01) is 0.0"),
        (["2000-01-01", "2001-01-01", "2002-01-01"], [1, 2, float("nan")], "point 2"),
        (["2000-01-01", "2001-01-01", "2002-01-01"], [1, 2], "3 dates and 2 values"),
    ],
)
def test_what_cannot_be_fitted_is_one_line(days, values, says):
    with pytest.raises(InputError, match="^[^\n]*$") as caught:
        fit_growth(days, values)
    assert says in str(caught.value)
