"""Rows of runs beside those that they are compared with, and what times come to with their ends."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
from scipy.stats import t

from analysis.measured.run import Missing, ratio


def matched(
    rows: pd.DataFrame, base: pd.DataFrame, by: Sequence[str] = ()
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Those of `rows` that `base` has a row for, one of the same `by`, and that row for each: two
    frames, numbered alike. Missing where there are none."""
    places = {key: place for place, key in enumerate(_keys(base, by))}
    found = [places.get(key) for key in _keys(rows, by)]
    rows = rows[np.array([place is not None for place in found], dtype=bool)]
    if rows.empty:
        raise Missing("the run has no rows to compare others with")
    base = base.iloc[[place for place in found if place is not None]]
    return rows.reset_index(drop=True), base.reset_index(drop=True)


def _keys(rows: pd.DataFrame, by: Sequence[str]) -> Iterator[tuple]:
    return (tuple(getattr(row, name) for name in by) for row in rows.itertuples())


def ratios(rows: pd.DataFrame, others: pd.DataFrame, name: str) -> dict[str, np.ndarray]:
    """`measured.run.ratio`, the time of each row over that of its other, by column: `name`, and
    the ends of its interval."""
    pairs = zip(rows.itertuples(), others.itertuples(), strict=True)
    found = np.transpose([ratio(row, other) for row, other in pairs])
    return dict(zip((name, f"{name}_low", f"{name}_high"), found, strict=True))


def faster(rows: pd.DataFrame, base: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Those of `rows` that `base` has a row for, as `matched` finds them, with how many times as
    fast each is as that one: gain, gain_low, gain_high."""
    rows, base = matched(rows, base, by)
    return rows.assign(**ratios(base, rows, "gain"))


def student(values: Sequence[float]) -> tuple[float, float, float]:
    """The mean of some values, and its 95 % interval by Student's t."""
    values = np.asarray(values, float)
    reach = t.ppf(0.975, values.size - 1) * values.std(ddof=1) / np.sqrt(values.size)
    return float(values.mean()), float(values.mean() - reach), float(values.mean() + reach)


def mean_ratio(values: Sequence[float]) -> tuple[float, float, float]:
    """The mean of the logarithms of some ratios, and its interval by `student`, as ratios."""
    return tuple(np.exp(student(np.log(values))).tolist())


def over_time(of: Callable[[pd.Series], Sequence], rows: pd.DataFrame, name: str) -> dict:
    """What `of` makes of the seconds of `rows`, work over time, by column: `name`, and the ends of
    its interval, of which the low one takes longest."""
    ends = {name: "seconds", f"{name}_low": "high", f"{name}_high": "low"}
    return {end: of(rows[seconds]) for end, seconds in ends.items()}
