"""The paper's trends refitted from the authors' points, and again with like compared with like."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.compared.page import Table, number, times
from analysis.predicted.trends import DAYS_PER_YEAR, Growth, fit_growth, years_since
from analysis.published.tables import load_table

# Trend -> the series it is fitted to. A series names points of data/published/figure_points.csv.
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


@dataclass(frozen=True)
class Choice:
    """One way to choose the points of a trend, and the growth that follows."""

    trend: str
    points: str
    growth: Growth


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


def trends_json(growths: dict[str, Growth]) -> dict[str, dict]:
    """Return what `python -m analysis trends --json` prints."""
    return {
        trend: {
            "per_two_years": g.over(2),
            "per_twenty_years": g.over(20),
            "interval_two_years": list(g.interval_over(2)),
            "interval_twenty_years": list(g.interval_over(20)),
            "n": g.n,
        }
        for trend, g in growths.items()
    }


def choices(data: Path | None = None) -> list[Choice]:
    """Return each hardware trend as drawn, then as it becomes when like is compared with like."""
    flops, dram, links = (trend_points(trend, data) for trend in HARDWARE)
    alike = load_table("like_with_like", data)
    fp32 = alike[alike["quantity"] == "peak_fp32"]
    bandwidth = alike[alike["quantity"] == "memory_bandwidth"]
    whole_link = alike[alike["quantity"] == "link_bandwidth_both_directions"]
    only_fp32 = flops[flops["number_format"] == "fp32"]
    chosen = [
        ("peak_flops", "as drawn: FP32 and 16-bit rates mixed", flops),
        ("peak_flops", "FP32 points only", only_fp32),
        (
            "peak_flops",
            "FP32 points, with the FP32 rates of P100 to H100",
            pd.concat([only_fp32, fp32]),
        ),
        (
            "peak_flops",
            "as drawn, from the first DRAM point on",
            flops[flops["date"] >= dram["date"].min()],
        ),
        ("dram_bandwidth", "as drawn: ends with the A100's HBM2E", dram),
        ("dram_bandwidth", "with the H100's own HBM3 added", pd.concat([dram, bandwidth])),
        ("interconnect", "as drawn: signalling rate of one lane", links),
        ("interconnect", "bandwidth of the whole link", whole_link),
        (
            "interconnect",
            "whole link, PCIe only",
            whole_link[whole_link["label"].str.startswith("PCIe")],
        ),
        (
            "interconnect",
            "whole link, NVLink only",
            whole_link[whole_link["label"].str.startswith("NVLink")],
        ),
    ]
    return [Choice(trend, points, fit(rows)) for trend, points, rows in chosen]


def crossing(one: Growth, other: Growth) -> pd.Timestamp:
    """Return the day on which two fitted lines, in the same unit, meet."""
    gap = other.intercept + other.slope * years_since(other.origin, one.origin) - one.intercept
    days = gap / (one.slope - other.slope) * DAYS_PER_YEAR
    return pd.Timestamp(one.origin) + pd.Timedelta(days=float(days))


def influence_table(growths: dict[str, Growth], name: str, caption: str, most: int = 3) -> Table:
    """Show the `most` points of each trend whose absence moves its 20-year growth furthest."""
    records = []
    for trend, growth in growths.items():
        points = trend_points(trend).assign(without=growth.without_over(20))
        moved = abs(growth.slope_without - growth.slope)
        for row in points.assign(moved=moved).nlargest(most, "moved").itertuples():
            records.append(
                {
                    "Trend": trend.replace("_", " "),
                    "Point": row.label or f"unnamed, {number(row.value)} {row.unit}",
                    "Date": f"{row.date:%Y-%m-%d}",
                    "All points": times(growth.over(20)),
                    "Without it": times(row.without),
                }
            )
    return Table(pd.DataFrame(records), name, caption)


def differences_table(differing: pd.DataFrame, name: str, caption: str) -> Table:
    """Show what `errata.drawn_against_printed` returns."""
    rows = [
        {
            "Drawn as": r.label,
            "Printed as": r.model,
            "Quantity": r.quantity.replace("_", " "),
            "Drawn": number(r.drawn),
            "Printed": number(r.printed),
            "Ratio": number(r.ratio),
        }
        for r in differing.itertuples()
    ]
    return Table(pd.DataFrame(rows), name, caption)
