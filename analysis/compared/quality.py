"""Quality, in bits per byte, of the byte-level decoder: in a run after each remedy, with what
pruning does to a step's time, and in short trainings, by numbers, computing again and optimizer."""

from math import nan
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.compared.claims import EITHER, Interval, claim, interval
from analysis.compared.ratios import matched, ratios, student
from analysis.measured.run import Run
from analysis.predicted.architectures import GPT2
from analysis.predicted.footprint import GROUP, smaller
from analysis.published.claims import NO_LOSS
from analysis.published.tables import load_table

MODEL = "byte-decoder"
NAMES = {  # how of a remedy -> its family, and what n is
    "none": ("float32", ""),
    "bfloat16": ("bfloat16, activations too", ""),
    "float16": ("float16, activations too", ""),
    "int row": ("a scale for each row", ": {} bits"),
    "int group": (f"a scale for {GROUP} inputs", ": {} bits"),
    "int activations": ("a scale for each row, activations too", ": {} bits"),
    "structured": ("heads and neurons", ": {} %"),
    "unstructured": ("single weights", ": {} %"),
    "tuned": ("float32, tuned", ""),
    "tuned structured": ("heads and neurons, tuned", ": {} %"),
    "tuned unstructured": ("single weights, tuned", ": {} %"),
}
KINDS = {
    "structured": "without heads and neurons",
    "zeros": "zeros, dense matrices",
    "csr": "zeros, sparse rows",
}


def scores(run: Run) -> pd.DataFrame:
    """The quality that remedies leave the trained decoder, one a row, by how and n (bits, or per
    cent pruned).

    Columns besides those of `Run.rows`: family and remedy (its name, and that with n),
    bits_per_byte and difference (from before the remedy) with their ends, more (times the bits of
    before) with its ends, weight_bytes (as stored), sparse_bytes (with zeros in sparse rows; NaN
    without zeros), smaller (times, by the bytes that are fewer).
    """
    rows = run.rows("quality", model=MODEL)
    rows = rows[rows["how"].isin(NAMES)]
    rows = rows.sort_values("how", key=lambda how: how.map(list(NAMES).index), kind="stable")
    rows = rows.rename(columns={"bits_low": "bits_per_byte_low", "bits_high": "bits_per_byte_high"})
    before = rows["bits_per_byte"] - rows["difference"]
    ends = {f"more{end}": 1 + rows[f"difference{end}"] / before for end in ("", "_low", "_high")}
    # Training more changes no size, so that those who were trained more have the others'.
    pruned_so = [rows["how"].str.removeprefix("tuned "), rows["n"]]
    sparse = rows.get("sparse_bytes", pd.Series(nan, rows.index))
    sparse = sparse.groupby(pruned_so).transform("max")
    whole = run.row("quality", model=MODEL, how="none")["weight_bytes"]
    family, unit = zip(*rows["how"].map(NAMES), strict=True)
    units = [each.format(n) for each, n in zip(unit, rows["n"], strict=True)]
    return rows.assign(
        family=family, remedy=np.char.add(family, units), sparse_bytes=sparse,
        smaller=whole / sparse.fillna(rows["weight_bytes"]), **ends,
    )  # fmt: skip


@claim("int8_quality", how="int row", n=8)
@claim("int4_quality", how="int group", n=4)
@claim("structured_pruning", how="tuned structured")
@claim("unstructured_pruning", how="tuned unstructured")
def more_bits(run: Run, **where) -> Interval:
    """The bits per byte after a remedy over those before it, with its interval; Missing where it
    was not scored."""
    row = run.row("quality", model=MODEL, **where)
    before = row["bits_per_byte"] - row["difference"]
    return tuple(1 + each / before for each in interval(row, "difference"))


@claim("int4_size")
def int4_smaller(data: Path | None = None) -> float:
    """How many times smaller GPT-2 is with projections of 4 bits, a scale for each group."""
    return smaller("int group", 4, GPT2)


def steps(run: Run) -> pd.DataFrame:
    """Steps of a pruned model of GPT-2's size, by how and n (per cent). Columns besides those of
    `Run.rows`: kind (its name), gain (over the whole model of the same turn) with its ends, and
    predicted (gain, by the bytes of a step)."""
    rows = run.rows("prune", model="gpt2")
    rows = rows[rows["how"].isin(KINDS)]
    rows, whole = matched(rows, rows[rows["n"] == 0], ["turn"])
    rows = rows.assign(**ratios(whole, rows, "gain"))
    return rows.assign(kind=rows["how"].map(KINDS), predicted=whole["bytes"] / rows["bytes"])


def losses(data: Path | None = None) -> pd.DataFrame:
    """The loss of the first steps: way (a data type of products), seed, step, bits_per_byte."""
    return load_table("byte_losses", data).rename(columns={"dtype": "way"})


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
