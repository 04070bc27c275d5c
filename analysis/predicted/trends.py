"""Growth rates: a straight line through log10 of a value against time.

The paper's trend lines (Gholami et al. 2024, Fig. 1 and 2) are ordinary least squares on
log10 of the value; the printed rates are that line read over 2 and over 20 years. What a line
foretells trusts that points scatter about it independently, and by the same spread everywhere.
"""

import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats

from analysis.errors import InputError

DAYS_PER_YEAR = 365.25
CONFIDENCE = 0.95
RESAMPLES = 9_999
SEED = 20_240_321


@dataclass(frozen=True)
class Growth:
    """A fitted exponential, value = 10 ** (intercept + slope * (date - origin) / year).

    slope, and the bounds of both intervals, are in log10 of the value per year; the intercept is
    log10 of the value at `origin`; `scatter` is the standard deviation of log10 about the line.
    `interval` is from Student's t with n - 2 degrees of freedom. `x` and `y`, shape (n,), are the
    points: years since `origin`, and log10 of the value.
    """

    origin: np.datetime64
    slope: float
    intercept: float
    scatter: float
    interval: tuple[float, float]
    x: np.ndarray
    y: np.ndarray

    @property
    def n(self) -> int:
        """How many points there are."""
        return self.x.size

    @cached_property
    def bootstrap(self) -> tuple[float, float]:
        """The 95 % percentile interval of the slope over points drawn with replacement."""
        # A draw of one date only has no slope. Series of few points meet it; it is left out below.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", stats.DegenerateDataWarning)
            drawn = stats.bootstrap(
                (self.x, self.y), _slopes, paired=True, vectorized=True, method="percentile",
                n_resamples=RESAMPLES, rng=np.random.default_rng(SEED),
            )  # fmt: skip
        tail = 50 * (1 - CONFIDENCE)
        low, high = np.nanpercentile(drawn.bootstrap_distribution, [tail, 100 - tail])
        return float(low), float(high)

    @cached_property
    def slope_without(self) -> np.ndarray:
        """The slope with each point left out in turn, shape (n,)."""
        each = range(self.n)
        return np.array([_slopes(np.delete(self.x, i), np.delete(self.y, i)) for i in each])

    def over(self, years: float) -> float:
        """Return the factor of growth over `years`."""
        return 10.0 ** (self.slope * years)

    def interval_over(self, years: float) -> tuple[float, float]:
        """Return the 95 % confidence interval (Student's t) of the factor over `years`."""
        return factors(self.interval, years)

    def without_over(self, years: float) -> np.ndarray:
        """Return the factor over `years` with each point left out in turn, shape (n,)."""
        return 10.0 ** (self.slope_without * years)

    @property
    def doubling_years(self) -> float:
        """Years in which the value doubles (negative when it falls)."""
        return float(np.log10(2.0) / self.slope)

    def at(self, dates) -> np.ndarray:
        """Return the fitted value at each of `dates` (datetime64, any shape)."""
        return 10.0 ** (self.intercept + self.slope * years_since(self.origin, dates))


def factors(slopes: tuple[float, float], years: float) -> tuple[float, float]:
    """Return growth over `years` at a pair of slopes in log10 per year."""
    low, high = slopes
    return 10.0 ** (low * years), 10.0 ** (high * years)


def years_since(origin, dates) -> np.ndarray:
    """Return years of 365.25 days from `origin` to each of `dates`."""
    days = np.asarray(dates, "datetime64[D]") - np.datetime64(origin, "D")
    return days.astype(float) / DAYS_PER_YEAR


def fit_growth(dates, values) -> Growth:
    """Fit exponential growth by ordinary least squares on log10 `values` against `dates`.

    dates: (n,) anything numpy reads as datetime64; values: (n,) positive, in any one unit; n >= 3.
    Raises InputError when a value is not positive and finite, when n < 3, or when all dates
    are equal: no line is then defined.
    """
    dates = np.asarray(dates, "datetime64[D]")
    values = np.asarray(values, float)
    if dates.shape != values.shape or dates.ndim != 1 or dates.size < 3:
        got = f"{dates.size} dates and {values.size} values"
        raise InputError(f"a growth fit needs at least 3 points, one value a date; got {got}")
    for i, value in enumerate(values):
        if not 0 < value < np.inf:
            found = f"point {i} ({dates[i]}) is {value}"
            raise InputError(f"a growth fit needs positive finite values; {found}")
    origin = dates.min()
    x, y = years_since(origin, dates), np.log10(values)
    if np.ptp(x) == 0:
        raise InputError(f"a growth fit needs at least 2 different dates; all are {origin}")
    slope, intercept, scatter, reach = (float(each) for each in straight_line(x, y))
    return Growth(origin, slope, intercept, scatter, (slope - reach, slope + reach), x, y)


def straight_line(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
    """Least-squares lines through y (..., n) at x (n,): slope, intercept at 0, scatter (standard
    deviation about the line, n - 2 degrees of freedom) and to where from the slope its 95 %
    interval reaches (Student's t), each (...)."""
    slope, freedom = _slopes(np.broadcast_to(x, y.shape), y), x.size - 2
    intercept = y.mean(axis=-1) - slope * x.mean()
    residual = y - intercept[..., None] - slope[..., None] * x
    # Not scipy's linregress: it has no standard error for values that are all equal.
    scatter = np.sqrt((residual**2).sum(axis=-1) / freedom)
    error = scatter / np.sqrt(((x - x.mean()) ** 2).sum())
    return slope, intercept, scatter, stats.t.ppf(0.5 + CONFIDENCE / 2, freedom) * error


def _slopes(x: np.ndarray, y: np.ndarray, axis: int = -1) -> np.ndarray:
    """Nan where all x are equal."""
    dx = x - x.mean(axis=axis, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        slopes = (dx * y).sum(axis=axis) / (dx**2).sum(axis=axis)
    return np.where(np.ptp(x, axis=axis) > 0, slopes, np.nan)


@dataclass(frozen=True)
class Prediction:
    """What a fit foretells at some dates: the line, and the interval for one new point there."""

    line: np.ndarray
    low: np.ndarray
    high: np.ndarray


def predict(dates, values, at) -> Prediction:
    """The 95 % prediction interval at each of `at`, from a growth fit to `values` at `dates`.

    By Student's t, n - 2 degrees of freedom. Raises InputError as `fit_growth` does.
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
