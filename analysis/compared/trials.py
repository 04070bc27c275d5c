"""Short trainings of the byte-level decoder: what 16 bits, computing again and an optimizer do to
the bits per byte that are reached in the same steps."""

from pathlib import Path

import numpy as np
import pandas as pd

from analysis.compared.claims import EITHER, Interval, claim
from analysis.compared.ratios import student
from analysis.published.claims import NO_LOSS
from analysis.published.tables import load_table

TYPES = ["float32", "autocast", "float8"]


def losses(data: Path | None = None) -> pd.DataFrame:
    """The loss of the first steps: way (a data type), seed, step, bits_per_byte."""
    rows = load_table("byte_losses", data).rename(columns={"dtype": "way"})
    return rows.sort_values("way", key=lambda way: way.map(TYPES.index), kind="stable",
                            ignore_index=True)  # fmt: skip


@claim("training_below_half_precision")
def eight_bits_lose(data: Path | None = None) -> Interval | float:
    """Whether training with products in 8 bits ends its first steps with more than `NO_LOSS` more
    bits per byte than in float32, by the interval of pairs of seeds."""
    rows = losses(data)
    _, low, high = np.array(difference(rows, "float8", "float32")) / last(rows, "float32").mean()
    return 1.0 if low > NO_LOSS else 0.0 if high < NO_LOSS else EITHER


def trials(data: Path | None = None) -> pd.DataFrame:
    """The scores on held-out modules of each way to train, at the rate that leaves it the fewest
    bits with the first seed: way, rate, seed, step, bits_per_byte."""
    rows = load_table("byte_trials", data)
    first = rows[(rows["seed"] == 0) & (rows["step"] == rows["step"].max())].set_index("rate")
    best = first.groupby("way")["bits_per_byte"].idxmin()
    return rows[rows["rate"] == rows["way"].map(best)]


def spreads(data: Path | None = None) -> pd.Series:
    """The bits per byte between the best and the worst of the rates tried, which span a factor of
    ten, after the last step with the first seed, by way."""
    rows = load_table("byte_trials", data)
    bits = rows[(rows["seed"] == 0) & (rows["step"] == rows["step"].max())]
    return bits.groupby("way")["bits_per_byte"].agg(np.ptp)


@claim("second_order_tuning")
def less_tuning(data: Path | None = None) -> Interval | float:
    """Whether the second-order method loses less between rates than each first-order one: `EITHER`
    where it does than some."""
    bits = spreads(data)
    less = bits["second-order"] < bits[["momentum", "adam"]]
    return 1.0 if less.all() else EITHER if less.any() else 0.0


def curves(rows: pd.DataFrame) -> pd.DataFrame:
    """Of each way after each step the mean over the seeds, and between what they lie."""
    bits = rows.groupby(["way", "step"], sort=False)["bits_per_byte"]
    return bits.agg(mean="mean", mean_low="min", mean_high="max").reset_index()


def last(rows: pd.DataFrame, way: str) -> pd.Series:
    """The bits per byte of a way after the last step, by seed."""
    rows = rows[(rows["way"] == way) & (rows["step"] == rows["step"].max())]
    return rows.set_index("seed")["bits_per_byte"]


def difference(rows: pd.DataFrame, way: str, other: str) -> tuple[float, float, float]:
    """The bits per byte of a way after the last step less those of another: the mean of the pairs
    of the same seed, and its 95 % interval by Student's t."""
    return student(last(rows, way) - last(rows, other))


def met_at(rows: pd.DataFrame, way: str, other: str) -> int | None:
    """The first step after which a way needs no more bits than another after the last, or None."""
    found = curves(rows[rows["way"] == way])
    enough = found.loc[found["mean"] <= last(rows, other).mean(), "step"]
    return None if enough.empty else int(enough.iloc[0])
