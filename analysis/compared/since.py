"""The paper's trends against what came after its last points."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.compared.page import Table, between, number, times
from analysis.compared.scaling import fit, trend_points
from analysis.predicted.forecast import Break, line_break, predict
from analysis.predicted.trends import Growth
from analysis.published.tables import load_table

LANGUAGE = ("decoder", "mixture of experts", "encoder", "encoder-decoder", "undisclosed")
CHIPS = {"kind": ("accelerator",)}


@dataclass(frozen=True)
class Later:
    """Where points after the paper's come from: a table of data/, and which of its rows.

    `same` are rows that the paper draws already, under another date. `largest_of_year`: the paper
    draws the largest models of their time, so only the largest of each year compare.
    """

    table: str
    quantity: str
    where: dict[str, tuple[str, ...]]
    same: tuple[str, ...] = ()
    largest_of_year: bool = False


SERIES = {
    "peak_flops": Later("accelerators", "peak_16bit_dense", CHIPS),
    "dram_bandwidth": Later("accelerators", "memory_bandwidth", CHIPS),
    "interconnect": Later("interconnects", "lane_rate", {"family": ("PCIe", "NVLink")}),
    "accelerator_memory": Later(
        "accelerators", "memory_capacity", CHIPS, ("H100 SXM5 80GB", "H100 PCIe 80GB")
    ),
    "transformer_parameters": Later(
        "models", "parameters", {"kind": LANGUAGE}, ("MT-NLG 530B",), largest_of_year=True
    ),
    "transformer_training_compute": Later(
        "models", "training_compute", {"kind": LANGUAGE}, largest_of_year=True
    ),
}
NAMES = {
    "peak_flops": "peak FLOPS",
    "dram_bandwidth": "DRAM bandwidth",
    "interconnect": "interconnect",
    "accelerator_memory": "accelerator memory",
    "transformer_parameters": "Transformer size",
    "transformer_training_compute": "training compute",
}
# With six tests at this level each, one false alarm in all has a chance of 5 % (Bonferroni).
LEVEL = 0.05 / len(SERIES)
FEWEST = 5  # later points; with fewer, a rate is left undecided


def usable(
    table: str, quantity: str, data: Path | None = None, unshipped: bool = False, **where
) -> pd.DataFrame:
    """Return the rows of a table of facts that a fit may use, by date.

    Only rows whose status is "sourced", and, unless `unshipped`, none that is merely announced.
    `where`: column -> values that are allowed.
    """
    rows = load_table(table, data)
    rows = rows[(rows["quantity"] == quantity) & (rows["status"] == "sourced")]
    if "stage" in rows and not unshipped:
        rows = rows[rows["stage"] != "announced"]
    for column, allowed in where.items():
        rows = rows[rows[column].isin(allowed)]
    return rows.sort_values("date", kind="stable").reset_index(drop=True)


def later_points(trend: str, data: Path | None = None, **changes) -> pd.DataFrame:
    """Return the usable points after the paper's last of `trend`; `changes` go to `usable`, but
    for `quantity` and `largest_of_year`, which replace those of SERIES."""
    series = SERIES[trend]
    quantity = changes.pop("quantity", series.quantity)
    largest = changes.pop("largest_of_year", series.largest_of_year)
    rows = usable(series.table, quantity, data, **{**series.where, **changes})
    last = trend_points(trend, data)["date"].max()
    rows = rows[(rows["date"] > last) & ~rows["name"].isin(series.same)]
    return largest_of_each_year(rows) if largest else rows


def largest_of_each_year(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the row of greatest value of each year."""
    return rows.loc[rows.groupby(rows["date"].dt.year)["value"].idxmax()]


def refit(trend: str, later: pd.DataFrame, data: Path | None = None) -> Growth:
    """Fit the paper's points of `trend` and `later` ones together; with none, the paper's fit."""
    return fit(pd.concat([trend_points(trend, data), later]))


def foretold(paper: pd.DataFrame, later: pd.DataFrame) -> pd.DataFrame:
    """Return `later` with what the `paper` points foretell for its dates: line, low, high."""
    at = predict(paper["date"].to_numpy(), paper["value"].to_numpy(), later["date"].to_numpy())
    return later.assign(line=at.line, low=at.low, high=at.high)


@dataclass(frozen=True)
class Outcome:
    """What became of one trend. `points` are the later ones, as `foretold` returns them."""

    trend: str
    paper: Growth
    refit: Growth
    points: pd.DataFrame
    parting: Break

    @property
    def inside(self) -> int:
        """How many later points lie within the paper's prediction interval."""
        return int(self.points["value"].between(self.points["low"], self.points["high"]).sum())

    @property
    def ratio(self) -> float:
        """Median of later values over what the paper's line foretells."""
        return float((self.points["value"] / self.points["line"]).median())

    @property
    def word(self) -> str:
        """continued, slowed, quickened, or undecided where there are too few points."""
        if len(self.points) < FEWEST:
            return "undecided"
        if self.parting.p_slope < LEVEL:
            return "slowed" if self.parting.change < 1 else "quickened"
        return "continued" if 2 * self.inside > len(self.points) else "undecided"


def outcome(
    trend: str,
    later: pd.DataFrame,
    data: Path | None = None,
    paper: pd.DataFrame | None = None,
) -> Outcome:
    """Compare `later` points with the paper's of `trend`, or with those given as `paper`."""
    paper = trend_points(trend, data) if paper is None else paper
    both = pd.concat([paper, later])
    parting = line_break(both["date"].to_numpy(), both["value"].to_numpy(),
                         np.arange(len(both)) >= len(paper))  # fmt: skip
    return Outcome(trend, fit(paper), fit(both), foretold(paper, later), parting)


def outcomes(data: Path | None = None) -> dict[str, Outcome]:
    """Return the outcome of each of the paper's six rates."""
    return {trend: outcome(trend, later_points(trend, data), data) for trend in SERIES}


def left_out(trend: str, data: Path | None = None) -> pd.DataFrame:
    """Return later rows that no fit uses, to draw them as such: to be verified, or announced."""
    series = SERIES[trend]
    rows = load_table(series.table, data)
    rows = rows[rows["quantity"] == series.quantity]
    for column, allowed in series.where.items():
        rows = rows[rows[column].isin(allowed)]
    out = rows["status"] == "to_verify"
    if "stage" in rows:
        out |= rows["stage"] == "announced"
    return rows[out & (rows["date"] > trend_points(trend, data)["date"].max())]


def outcomes_table(found: dict[str, Outcome], name: str) -> Table:
    """Show each rate: the paper's, refitted with all points, the later points, the break."""
    rows = [
        {
            "Rate": NAMES[o.trend],
            "Paper, per 2 years": times(o.paper.over(2)),
            "With all points": f"{times(o.refit.over(2))} ({between(o.refit.interval_over(2))})",
            "Later points foretold": f"{o.inside} of {len(o.points)}",
            "Value over line": times(o.ratio, 2),
            "Same slope, p": number(o.parting.p_slope, 2),
            "Same line, p": number(o.parting.p_line, 2),
            "So it": o.word,
        }
        for o in found.values()
    ]
    return Table(pd.DataFrame(rows), name, "The six rates after the paper's last points.")
