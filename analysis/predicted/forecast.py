"""Was a trend right? What its line foretells, and whether later points leave the line.

Both tests are those of ordinary least squares on log10 of the value, and trust its assumptions:
points scatter about a straight line independently, by the same spread on both sides of a break.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.errors import InputError
from analysis.predicted.trends import CONFIDENCE, fit_growth, years_since


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
    x, y, new = growth.x, growth.y, years_since(growth.origin, at)
    spread = np.sqrt(((y - growth.intercept - growth.slope * x) ** 2).sum() / (x.size - 2))
    distance = (new - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum()
    reach = stats.t.ppf(0.5 + CONFIDENCE / 2, x.size - 2) * spread
    reach = reach * np.sqrt(1 + 1 / x.size + distance)
    line = growth.intercept + growth.slope * new
    return Prediction(10**line, 10 ** (line - reach), 10 ** (line + reach))


@dataclass(frozen=True)
class Break:
    """Whether points from some date on follow the line of those before.

    `change` is growth a year after over growth a year before. `p_slope` is of a t test that the
    two slopes are equal, whatever the step between the lines; `p_line` of the F test that one line
    serves all points (Chow 1960, "Tests of Equality Between Sets of Coefficients in Two Linear
    Regressions", Econometrica 28).
    """

    change: float
    p_slope: float
    p_line: float


def line_break(dates, values, later) -> Break:
    """Test for a break between the points where `later` is false and those where it is true.

    dates, values, later: (n,). Raises InputError when either side has fewer than 2 different
    dates, or both together fewer than 5 points: no spread is then left to test against.
    """
    later = np.asarray(later, bool)
    dates = np.asarray(dates, "datetime64[D]")
    for side, name in ((~later, "earlier"), (later, "later")):
        if np.unique(dates[side]).size < 2:
            raise InputError(f"a break needs 2 different dates on each side; {name} has fewer")
    if dates.size < 5:
        raise InputError(f"a break needs at least 5 points; got {dates.size}")
    x, y = years_since(dates.min(), dates), np.log10(np.asarray(values, float))
    one = np.column_stack([np.ones_like(x), x])
    two = np.column_stack([one, later, later * x])
    coefficients, _, _, _ = np.linalg.lstsq(two, y, rcond=None)
    rest = ((y - two @ coefficients) ** 2).sum()
    both = ((y - one @ np.linalg.lstsq(one, y, rcond=None)[0]) ** 2).sum()
    freedom = x.size - 4
    error = np.sqrt(rest / freedom * np.linalg.inv(two.T @ two)[3, 3])
    return Break(
        change=float(10 ** coefficients[3]),
        p_slope=float(2 * stats.t.sf(abs(coefficients[3]) / error, freedom)),
        p_line=float(stats.f.sf((both - rest) / 2 / (rest / freedom), 2, freedom)),
    )
