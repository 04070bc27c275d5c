"""Prediction intervals and simulated fits cover the truth as often as they say."""

import numpy as np
import pytest
from scipy import stats

from analysis.predicted.trends import predict, simulated, straight_line

DAYS = np.datetime64("2000-01-01") + np.arange(12) * 300
AFTER = np.datetime64("2010-06-01") + np.arange(8) * 200


def scattered(days, slope, rng, step=0.0):
    years = (days - DAYS[0]).astype(float) / 365.25
    return 10 ** (step + slope * years + rng.normal(0, 0.2, days.size))


def test_prediction_is_the_textbook_formula():
    rng = np.random.default_rng(1)
    values = scattered(DAYS, 0.2, rng)
    x = (DAYS - DAYS[0]).astype(float) / 365.25
    line = stats.linregress(x, np.log10(values))
    new = (AFTER - DAYS[0]).astype(float) / 365.25
    rest = np.log10(values) - line.intercept - line.slope * x
    error = np.sqrt((rest**2).sum() / 10 * (1 + 1 / 12 + (new - x.mean()) ** 2 / (12 * x.var())))
    at = predict(DAYS, values, AFTER)
    assert np.log10(at.line) == pytest.approx(line.intercept + line.slope * new)
    assert np.log10(at.high / at.line) == pytest.approx(stats.t.ppf(0.975, 10) * error)
    assert at.high * at.low == pytest.approx(at.line**2)


def test_prediction_covers_new_points_as_often_as_it_says():
    """One new point for each of 1000 samples: 95 % lie inside, more than 3 % off is below 1e-4."""
    rng, inside = np.random.default_rng(2), 0
    for _ in range(1000):
        # Coverage needs the formula alone; a fit's bootstrap would only take time.
        values, new = scattered(DAYS, 0.2, rng), scattered(AFTER[-1:], 0.2, rng)[0]
        at = _fast(DAYS, values, AFTER[-1:])
        inside += at[0] <= new <= at[1]
    assert 920 <= inside <= 980


def _fast(dates, values, at):
    import analysis.predicted.trends as trends

    kept, trends.RESAMPLES = trends.RESAMPLES, 2
    try:
        found = predict(dates, values, at)
    finally:
        trends.RESAMPLES = kept
    return found.low[0], found.high[0]


def test_simulated_slopes_are_those_that_a_fit_finds_and_cover_the_truth_as_often_as_they_say():
    """2000 draws: a coverage of 95 % is off by 1.5 % in less than 1 of 300 tests."""
    found = simulated(AFTER, 0.2, 0.3, 2000)
    assert found.shape == (2000, 3)
    slope, low, high = found.T
    assert slope.mean() == pytest.approx(0.2, abs=0.01)
    assert 0.935 <= ((low <= 0.2) & (0.2 <= high)).mean() <= 0.965
    exact = simulated(AFTER, 0.2, 0.0, 3)
    assert exact == pytest.approx(np.full((3, 3), 0.2))


def test_a_straight_line_is_the_textbook_regression():
    rng = np.random.default_rng(4)
    x, y = np.arange(9.0), rng.normal(0, 1, (5, 9))
    for each, found in zip(y, np.transpose(straight_line(x, y)), strict=True):
        line = stats.linregress(x, each)
        rest = each - line.intercept - line.slope * x
        expected = line.slope, line.intercept, np.sqrt((rest**2).sum() / 7)
        assert found[:3] == pytest.approx(expected)
        assert found[3] == pytest.approx(stats.t.ppf(0.975, 7) * line.stderr)
