"""Prediction intervals cover as often as they say, and the break test errs as often as it says."""

import numpy as np
import pytest
from scipy import stats

from analysis.errors import InputError
from analysis.predicted.forecast import line_break, predict

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


def test_p_values_are_uniform_where_nothing_breaks_and_small_where_it_does():
    rng = np.random.default_rng(3)
    days = np.concatenate([DAYS, AFTER])
    later = np.arange(days.size) >= DAYS.size

    def found(slope_after, step=0.0):
        values = [scattered(DAYS, 0.2, rng), scattered(AFTER, slope_after, rng, step)]
        return line_break(days, np.concatenate(values), later)

    same = [found(0.2) for _ in range(400)]
    for p in ([b.p_slope for b in same], [b.p_line for b in same]):
        assert stats.kstest(p, "uniform").pvalue > 1e-4
    slower = [found(-0.4, step=6.6) for _ in range(20)]
    assert np.median([b.p_slope for b in slower]) < 0.01
    assert np.median([b.change for b in slower]) == pytest.approx(10**-0.6, rel=0.15)
    stepped = [found(0.2, step=1.0) for _ in range(20)]
    assert np.median([b.p_line for b in stepped]) < 1e-3
    assert np.median([b.p_slope for b in stepped]) > 0.05


def test_break_is_the_f_test_of_two_lines():
    rng = np.random.default_rng(4)
    days = np.concatenate([DAYS, AFTER])
    later = np.arange(days.size) >= DAYS.size
    values = np.concatenate([scattered(DAYS, 0.2, rng), scattered(AFTER, 0.1, rng)])

    def rest(chosen):
        x, y = chosen.nonzero()[0], np.log10(values[chosen])
        years = (days[x] - DAYS[0]).astype(float)
        return (np.polynomial.Polynomial.fit(years, y, 1, full=True)[1][0][0], x.size)

    (one, n), two = rest(np.ones_like(later)), rest(later)[0] + rest(~later)[0]
    f = (one - two) / 2 / (two / (n - 4))
    assert line_break(days, values, later).p_line == pytest.approx(stats.f.sf(f, 2, n - 4))


@pytest.mark.parametrize(
    "n, n_later, told",
    [(4, 0, "later has fewer"), (4, 1, "later has fewer"), (2, 2, "at least 5 points")],
)
def test_too_few_points_are_one_line(n, n_later, told):
    days = np.datetime64("2000-01-01") + np.arange(n + n_later) * 100
    with pytest.raises(InputError, match=told):
        line_break(days, np.arange(1.0, n + n_later + 1), np.arange(n + n_later) >= n)
