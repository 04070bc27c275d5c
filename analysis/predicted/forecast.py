"""Was a trend right? What its line foretells, and what later points could say of it.

Both trust the assumptions of ordinary least squares on log10 of the value: points scatter about a
straight line independently, and by the same spread everywhere.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.predicted.trends import CONFIDENCE, SEED, fit_growth, straight_line, years_since


@dataclass(frozen=True)
class Prediction:
    """What a fit foretells at some dates: the line, and the interval for one new point there."""

    line: np.ndarray
    low: np.ndarray
    high: np.ndarray


def predict(dates, values, at) -> Prediction:
    """The 95 % prediction interval at each of `at`, from a growth fit to `values` at `dates`.

    Student's t, n - 2 degrees of freedom; wider than the interval of the line, since a new point
    scatters as the old ones do. Raises InputError as `fit_growth` does.
    """
    growth = fit_growth(dates, values)
    x, new = growth.x, years_since(growth.origin, at)
    distance = (new - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum()
    reach = stats.t.ppf(0.5 + CONFIDENCE / 2, x.size - 2) * growth.scatter
    reach = reach * np.sqrt(1 + 1 / x.size + distance)
    line = growth.intercept + growth.slope * new
    return Prediction(10**line, 10 ** (line - reach), 10 ** (line + reach))


def simulated(dates, slope: float, scatter: float, draws: int, seed: int = SEED) -> np.ndarray:
    """Slopes that would be fitted at `dates` where the truth is known, with their 95 % intervals.

    Values grow by `slope` (log10 per year) and scatter about that line independently and normally
    by `scatter` (standard deviation of log10). Returns (draws, 3): slope, low, high, in log10 per
    year.
    """
    x = years_since(np.min(dates), dates)
    noise = np.random.default_rng(seed).normal(0, scatter, (draws, x.size))
    found, _, _, reach = straight_line(x, slope * x + noise)
    return np.column_stack([found, found - reach, found + reach])
