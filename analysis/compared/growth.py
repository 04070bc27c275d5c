"""The paper's trends: refitted, with like compared with like, and against what came since."""

from pathlib import Path

import numpy as np
import pandas as pd

from analysis.compared.claims import Interval, claim, judge
from analysis.compared.page import times
from analysis.predicted.trends import Growth, fit_growth, predict, simulated
from analysis.published.claims import load_claims
from analysis.published.tables import load_table

# Trend -> the series of data/published/figure_points.csv that it is fitted to.
TRENDS = {
    "peak_flops": ("peak_flops",),
    "dram_bandwidth": ("dram_bandwidth",),
    "interconnect": ("interconnect",),
    "transformer_parameters": ("transformer_parameters",),
    "accelerator_memory": ("accelerator_memory",),
    "transformer_training_compute": ("transformer_training_compute",),
    "all_training_compute": ("transformer_training_compute", "other_training_compute"),
}
HARDWARE = ("peak_flops", "dram_bandwidth", "interconnect")
FP32 = "FP32 points, with the FP32 rates of P100 to H100"
WHOLE = "bandwidth of the whole link"

CHIPS = {"kind": ("accelerator",)}
LANGUAGE = {"kind": ("decoder", "mixture of experts", "encoder", "encoder-decoder", "undisclosed")}
LINKS = {"family": ("PCIe", "NVLink")}
# Trend -> the table of data/ that has what came after the paper, its quantity, and which rows; and
# what it is called.
LATER = {
    "peak_flops": ("accelerators", "peak_16bit_dense", CHIPS, "peak FLOPS"),
    "dram_bandwidth": ("accelerators", "memory_bandwidth", CHIPS, "DRAM bandwidth"),
    "interconnect": ("interconnects", "lane_rate", LINKS, "interconnect"),
    "accelerator_memory": ("accelerators", "memory_capacity", CHIPS, "accelerator memory"),
    "transformer_parameters": ("models", "parameters", LANGUAGE, "Transformer size"),
    "transformer_training_compute": ("models", "training_compute", LANGUAGE, "training compute"),
}
# What the paper draws already, under another date.
DRAWN = {
    "accelerator_memory": ("H100 SXM5 80GB", "H100 PCIe 80GB"),
    "transformer_parameters": ("MT-NLG 530B",),
}
FEWEST = 3  # later points; through two a line has no scatter
# Verdict on a rate since the paper, and on which side of it -> what became of it.
SINCE = {"reproduced": "continued", "undecided": "undecided", "not measured": "too few points"}
DRAWS = 2000  # of each world
WORLDS = {"went on": 1.0, "halved": 0.5, "stopped": 0.0}  # times the paper's exponent


def trend_points(trend: str, data: Path | None = None) -> pd.DataFrame:
    """Return the rows of figure_points.csv that `trend` is fitted to, by date."""
    points = load_table("figure_points", data)
    return points[points["series"].isin(TRENDS[trend])].sort_values("date", kind="stable")


def fit(points: pd.DataFrame) -> Growth:
    """Fit growth to the columns `date` and `value` of `points`."""
    return fit_growth(points["date"].to_numpy(), points["value"].to_numpy())


def fit_trends(data: Path | None = None) -> dict[str, Growth]:
    """Return the growth of every trend of the paper's figures, keyed as in TRENDS."""
    return {trend: fit(trend_points(trend, data)) for trend in TRENDS}


def grown(data: Path | None = None, *, trend: str, years: float) -> float:
    """Return the factor by which a trend of the paper's figures grows over `years`."""
    return fit(trend_points(trend, data)).over(years)


for _trend in TRENDS:
    claim(f"{_trend}_two_years", trend=_trend, years=2)(grown)
for _trend in HARDWARE:
    claim(f"{_trend}_twenty_years", trend=_trend, years=20)(grown)


def drawn(
    points: pd.DataFrame, growths: dict[str, Growth], y: str, years: int = 2, named: tuple = ()
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return `points` of figures as `figures.scatter` takes them, and the lines of their fits.

    growths: by series, or "all_training_compute", which is of all points. Points have title, shown
    (the label of the first and last of each series and of the `named`) and fitted_value; a line is
    named by its growth over `years`. y: the column drawn, "value" or "plotted_value".
    """
    label = points["label"].fillna("")
    title = (label + ", " + points["date"].dt.year.astype(str)).str.removeprefix(", ")
    known = points[label != ""].sort_values("date", kind="stable").groupby("series", sort=False)
    first = pd.concat([known.head(1), known.tail(1)]).index.unique().sort_values()
    said = label.where(label.isin(named) | label.index.isin(first), "").str.split(" (", regex=False)
    points, lines = points.assign(title=title, shown=said.str[0], fitted_value=np.nan), []
    for series, fitted in growths.items():
        some = points[(points["series"] == series) | (series not in set(points["series"]))]
        unit, dates = some["value"].iloc[0] / some[y].iloc[0], some["date"].to_numpy()
        points.loc[some.index, "fitted_value"] = fitted.at(dates) / unit
        ends = np.array([dates.min(), dates.max()])
        line = {"series": series, "name": f"{times(fitted.over(years))} in {years} years"}
        lines.append(pd.DataFrame(line | {"date": ends, y: fitted.at(ends) / unit}))
    columns = ["series", "label", "title", "shown", "date", "value", "unit", "plotted_value",
               "plotted_unit", "fitted_value"]  # fmt: skip
    points = pd.concat([points.loc[first], points.drop(first)])
    return points[columns], pd.concat(lines, ignore_index=True)


def rate(growth: Growth, years: float = 2, name: str = "value") -> dict[str, float]:
    """Return growth over `years` as `name`, with the ends of its interval, for a row of a table."""
    low, high = growth.interval_over(years)
    return {name: growth.over(years), f"{name}_low": low, f"{name}_high": high}


def like_with_like(data: Path | None = None) -> dict[tuple[str, str], pd.DataFrame]:
    """Return the points of each hardware trend, as drawn and with like compared with like.

    Keys are (trend, how its points are chosen); what is not drawn is of like_with_like.csv."""
    flops, dram, links = (trend_points(trend, data) for trend in HARDWARE)
    alike = dict(list(load_table("like_with_like", data).groupby("quantity")))
    whole = alike["link_bandwidth_both_directions"]
    pcie = whole["label"].str.startswith("PCIe")
    fp32, since = flops[flops["number_format"] == "fp32"], flops["date"] >= dram["date"].min()
    return {
        ("peak_flops", "as drawn: FP32 and 16-bit rates mixed"): flops,
        ("peak_flops", "FP32 points only"): fp32,
        ("peak_flops", FP32): pd.concat([fp32, alike["peak_fp32"]]),
        ("peak_flops", "as drawn, from the first DRAM point on"): flops[since],
        ("dram_bandwidth", "as drawn: ends with the A100's HBM2E"): dram,
        ("dram_bandwidth", "with the H100's own HBM3 added"): pd.concat(
            [dram, alike["memory_bandwidth"]]
        ),
        ("interconnect", "as drawn: signalling rate of one lane"): links,
        ("interconnect", WHOLE): whole,
        ("interconnect", "whole link, PCIe only"): whole[pcie],
        ("interconnect", "whole link, NVLink only"): whole[~pcie],
    }


def drawn_against_printed(data: Path | None = None) -> pd.DataFrame:
    """Return the models whose drawn and printed numbers differ by more than rounding.

    Points of the figures and rows of the README's tables are matched by date, which both carry
    to the day, and by quantity; of two rows of one day, the one nearer in value is meant. The
    tables print two significant digits: anything beyond 5 % is not rounding.
    Columns: label (drawn), model (printed), quantity, drawn, printed, ratio (drawn/printed).
    """
    points, sizes = load_table("figure_points", data), load_table("model_sizes", data)
    quantity = {"parameters": "parameters", "FLOP": "training_compute"}
    drawn = points[points["unit"].isin(quantity)].assign(quantity=points["unit"].map(quantity))
    printed = sizes.assign(
        printed=sizes["value"].where(sizes["unit"] != "PFLOP", sizes["value"] * 1e15)
    )
    both = drawn.merge(printed, on=["date", "quantity"], suffixes=("", "_printed"))
    both = both.assign(drawn=both["value"], ratio=both["value"] / both["printed"])
    both = both.assign(off=(both["ratio"] - 1).abs()).sort_values("off")
    both = both.drop_duplicates(["label", "quantity"]).query("off > 0.05")
    return both[["label", "model", "quantity", "drawn", "printed", "ratio"]]


def facts(table: str, data: Path | None = None, **where) -> pd.DataFrame:
    """Return the rows of a table of facts by date, with a column `used`: whether a fit may.

    It may where a source is verified and what it tells of has shipped. where: column
    -> the values, or the one, that are allowed.
    """
    rows = load_table(table, data)
    for column, allowed in where.items():
        rows = rows[rows[column].isin([allowed] if isinstance(allowed, str) else allowed)]
    stage = rows["stage"] if "stage" in rows else pd.Series("shipped", rows.index)
    used = (rows["status"] == "sourced") & (stage == "shipped")
    return rows.assign(used=used).sort_values("date", kind="stable", ignore_index=True)


def later_facts(trend: str, data: Path | None = None, **where) -> pd.DataFrame:
    """Return all facts after the paper's last point of `trend`; `where` as of `facts`, instead of
    what LATER says."""
    table, quantity, rows, _ = LATER[trend]
    found = facts(table, data, **{"quantity": quantity, **rows, **where})
    later = found["date"] > trend_points(trend, data)["date"].max()
    return found[later & ~found["name"].isin(DRAWN.get(trend, ()))]


def later_points(trend: str, data: Path | None = None, **where) -> pd.DataFrame:
    """Return the later facts of `trend` that a fit may use: of models the largest of each year,
    since the paper draws the largest of their time."""
    found = later_facts(trend, data, **where).query("used")
    return largest_of_each_year(found) if LATER[trend][0] == "models" else found


def largest_of_each_year(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the row of greatest value of each year."""
    return rows.loc[rows.groupby(rows["date"].dt.year)["value"].idxmax()]


def foretold(paper: pd.DataFrame, later: pd.DataFrame) -> pd.DataFrame:
    """Return `later` with what the `paper` points foretell for its dates: line, low, high."""
    at = predict(paper["date"].to_numpy(), paper["value"].to_numpy(), later["date"].to_numpy())
    return later.assign(line=at.line, low=at.low, high=at.high)


def since(later: pd.DataFrame) -> Interval | None:
    """Return growth in two years by later points alone, with its interval; None with too few."""
    if len(later) < FEWEST or later["date"].nunique() < 2:
        return None
    growth = fit(later)
    return growth.over(2), *growth.interval_over(2)


def outcome(trend: str, later: pd.DataFrame, paper: pd.DataFrame) -> dict:
    """Compare `later` points of a trend with those of the `paper`; returns a row of a table.

    Columns: paper, value and pooled, growth in two years by the paper's points, by the later ones
    alone and by all, each with the ends of its interval; later, how many; inside, how many of them
    lie within what the paper's foretell; ratio, the median of their values over its line; so_it,
    continued, slowed, quickened, undecided or too few points, as the later points alone are judged
    by the claim that the rate goes on.
    """
    told, claim = foretold(paper, later), load_claims()[f"{trend}_to_2026"]
    found = since(later)
    word = judge(claim, found)
    if word == "differs":
        word = "slowed" if found[2] < claim.acceptance[0] else "quickened"
    return {
        "trend": trend, **rate(fit(paper), name="paper"),
        **dict(zip(("value", "value_low", "value_high"), found or [np.nan] * 3, strict=True)),
        **rate(fit(pd.concat([paper, later])), name="pooled"), "later": len(later),
        "inside": int(told["value"].between(told["low"], told["high"]).sum()),
        "ratio": (told["value"] / told["line"]).median(), "so_it": SINCE.get(word, word),
    }  # fmt: skip


def outcomes(data: Path | None = None) -> pd.DataFrame:
    """Return the outcome of each of the paper's six rates, by trend, with its `name`."""
    rows = [outcome(t, later_points(t, data), trend_points(t, data)) for t in LATER]
    return pd.DataFrame(rows, index=list(LATER)).assign(name=[name for *_, name in LATER.values()])


def refitted(data: Path | None = None, *, trend: str) -> Interval | None:
    """Return growth in two years since the paper, by the later points alone."""
    return since(later_points(trend, data))


for _trend in LATER:
    claim(f"{_trend}_to_2026", trend=_trend)(refitted)


def powers(data: Path | None = None, draws: int = DRAWS) -> pd.DataFrame:
    """Return how often each verdict is given where the truth is known: by trend and world, the
    share of each word.

    A world has the dates of the later points and their scatter about their own line, and growth
    that went on at the paper's rate, halved (half its exponent) or stopped; `draws` of each.
    """
    rows = []
    for trend in LATER:
        claim, later = load_claims(data)[f"{trend}_to_2026"], later_points(trend, data)
        if since(later) is None:
            continue
        own = fit(later)
        for world, share in WORLDS.items():
            slope = share * np.log10(claim.value) / 2
            ends = simulated(later["date"].to_numpy(), slope, own.scatter, draws)
            words = [judge(claim, tuple(each)) for each in 10 ** (2 * ends)]
            rows.append({"trend": trend, "name": LATER[trend][-1], "world": world, "n": own.n}
                        | {word: words.count(word) / draws for word in
                           ("reproduced", "undecided", "differs")})  # fmt: skip
    return pd.DataFrame(rows)
