"""Figures of growth and of the paper's own tables."""

import textwrap
from collections.abc import Iterable

import numpy as np
import pandas as pd

from analysis.compared.figures.style import (
    COLOURS,
    NAMES,
    axes,
    label_points,
    plain_log_ticks,
    spread,
)
from analysis.compared.page import Plot, styled, times
from analysis.compared.scaling import Choice
from analysis.compared.training_memory import PARTS
from analysis.predicted.trends import Growth, years_since


def _line(ax, growth: Growth, dates, scale: float, colour: str, label: str, **style):
    ends = np.array([np.min(dates), np.max(dates)], "datetime64[D]")
    ax.plot(ends, growth.at(ends) / scale, color=colour, label=label, **style)
    return ends, growth.at(ends) / scale


def scaling_disparity(points: pd.DataFrame, growths: dict[str, Growth]) -> Plot:
    """Draw the paper's Fig. 1: each hardware series relative to its first point, with its fit.

    points: rows of figure_points.csv (series, label, date, value, plotted_value); growths: by
    series. `fitted_value` of the data is in the drawn, relative unit.
    """
    points = points.copy()
    with styled():
        figure, ax = axes(6.4)
        texts = []
        for series, growth in growths.items():
            rows = points[points["series"] == series]
            unit = rows["value"].iloc[0] / rows["plotted_value"].iloc[0]
            points.loc[rows.index, "fitted_value"] = growth.at(rows["date"].to_numpy()) / unit
            _line(
                ax,
                growth,
                rows["date"].to_numpy(),
                unit,
                COLOURS[series],
                f"{NAMES[series]}: {times(growth.over(20))} in 20 years",
            )
            ax.scatter(rows["date"], rows["plotted_value"], s=16, color=COLOURS[series], zorder=4)
            texts += label_points(ax, rows, "plotted_value", COLOURS[series])
        ax.set(yscale="log", ylabel="relative to the first point (1)", xlabel="year")
        ax.legend(loc="upper left")
        spread(ax, texts)
    keep = ["series", "label", "date", "value", "unit", "plotted_value", "fitted_value"]
    return Plot(figure, points[keep])


def _intervals(ax, rows: pd.DataFrame) -> None:
    """Draw one row a line, top down: its label, its growth and its interval."""
    y = -np.arange(len(rows))
    colours = [COLOURS[s] for s in rows["series"]]
    ax.hlines(y, rows["low"], rows["high"], color=colours, lw=2.2)
    ax.scatter(rows["growth"], y, color=colours, s=34, zorder=3)
    ax.set_yticks(y, rows["label"])
    ax.grid(axis="y", visible=False)


def growth_sensitivity(growths: dict[str, Growth], printed: dict[str, float]) -> Plot:
    """Draw each trend's 20-year growth with three spreads: t, bootstrap, one point left out.

    growths: by hardware series; printed: the paper's factor by series.
    """
    records = []
    for series, growth in growths.items():
        without = growth.without_over(20)
        for label, (low, high) in (
            ("Student's t, 95 %", growth.interval_over(20)),
            ("bootstrap, 95 %", growth.bootstrap_over(20)),
            ("any one point left out", (without.min(), without.max())),
        ):
            records.append(
                {
                    "series": series,
                    "label": label,
                    "growth": growth.over(20),
                    "low": low,
                    "high": high,
                    "printed": printed[series],
                }
            )
    rows = pd.DataFrame(records)
    with styled():
        figure, panels = axes(5.2, nrows=len(growths))
        for ax, (series, part) in zip(panels, rows.groupby("series", sort=False), strict=True):
            _intervals(ax, part.reset_index())
            ax.axvline(printed[series], color="#d55e00", ls="--", lw=1.4)
            ax.set(xscale="log", ylim=(-2.6, 0.6))
            ax.set_title(
                f"{NAMES[series]} (paper: {times(printed[series])})",
                loc="left",
                fontsize=10,
            )
            plain_log_ticks(ax)
        panels[-1].set_xlabel("growth over 20 years (factor)")
    return Plot(figure, rows)


def growth_choices(choices: Iterable[Choice]) -> Plot:
    """Draw the growth per 2 years of each way to choose a trend's points, with its t interval."""
    rows = pd.DataFrame(
        [
            {
                "series": c.trend,
                "label": c.points,
                "growth": c.growth.over(2),
                "n": c.growth.n,
                "low": c.growth.interval_over(2)[0],
                "high": c.growth.interval_over(2)[1],
            }
            for c in choices
        ]
    )
    parts = rows.groupby("series", sort=False)
    with styled():
        figure, panels = axes(6.0, nrows=len(parts), sharex=True, height_ratios=parts.size())
        for ax, (series, part) in zip(panels, parts, strict=True):
            _intervals(ax, part)
            labels = [textwrap.fill(label, 27) for label in part["label"]]
            ax.set_yticks(ax.get_yticks(), labels, fontsize=9)
            for y, growth in enumerate(part["growth"]):
                ax.annotate(
                    times(growth),
                    (growth, -y),
                    (0, 5),
                    textcoords="offset points",
                    ha="center",
                    fontsize=9,
                    color=COLOURS[series],
                )
            ax.set_ylim(-len(part) + 0.4, 0.8)
            ax.set_title(NAMES[series], loc="left", fontsize=10)
        panels[-1].set_xlabel("growth over 2 years (factor)")
    return Plot(figure, rows)


def gap(growths: dict[str, Growth], years: int = 20) -> Plot:
    """Draw how many times more compute has grown than memory and links, year by year."""
    elapsed, compute = np.arange(years + 1), growths["peak_flops"]
    rows = pd.DataFrame(
        [
            {"series": series, "years": t, "ratio": compute.over(t) / growths[series].over(t)}
            for series in ("interconnect", "dram_bandwidth")
            for t in elapsed
        ]
    )
    with styled():
        figure, ax = axes(3.8)
        for series, part in rows.groupby("series", sort=False):
            last = times(part["ratio"].iloc[-1])
            ax.plot(
                part["years"],
                part["ratio"],
                color=COLOURS[series],
                label=f"{NAMES[series]}: {last} behind after {years} years",
            )
        ax.set(
            yscale="log",
            xlabel="years",
            xticks=elapsed[::5],
            ylabel="growth of peak FLOPS\nover growth of this (factor)",
        )
        figure.legend(loc="outside upper left")
    return Plot(figure, rows)


def labelled_growth(
    points: pd.DataFrame,
    growths: dict[str, Growth],
    y: str,
    ylabel: str,
    years: float = 2,
    reference: tuple[str, float] | None = None,
) -> Plot:
    """Draw labelled points by series on a log axis, with the fit of each series that has one.

    points: rows of figure_points.csv; y: the column to draw; growths: by series or by
    "all_training_compute", which is drawn over all points. `reference` (label, factor per
    2 years) adds a line from the first point on, for example Moore's law.
    """
    with styled():
        figure, ax = axes(5.4)
        texts, drawn = [], [points.assign(what="point")]
        unit = {"value": "unit", "plotted_value": "plotted_unit"}[y]
        for series, rows in points.groupby("series", sort=False):
            ax.scatter(rows["date"], rows[y], s=18, color=COLOURS[series], zorder=4)
            texts += label_points(ax, rows, y, COLOURS[series])
        for series, growth in growths.items():
            overall = series == "all_training_compute"
            rows = points if overall else points[points["series"] == series]
            scale = rows["value"].iloc[0] / rows[y].iloc[0]
            ends, at = _line(
                ax,
                growth,
                rows["date"].to_numpy(),
                scale,
                COLOURS.get(series, "#6b6b6b"),
                f"{NAMES[series]}: {times(growth.over(years))} in {years} years",
                ls="--" if overall else "-",
            )
            fit = {"series": series, "what": "fit", "date": ends, y: at, unit: rows[unit].iloc[0]}
            drawn.append(pd.DataFrame(fit))
        if reference:
            label, factor = reference
            first = points.sort_values("date").iloc[0]
            ends = points["date"].agg(["min", "max"]).to_numpy()
            span = years_since(ends[0], ends)
            at = first[y] * factor ** (span / 2)
            ax.plot(ends, at, color="#8a8a8a", ls=":", label=label)
            line = {"series": label, "what": "line", "date": ends, y: at, unit: first[unit]}
            drawn.append(pd.DataFrame(line))
        ax.set(yscale="log", ylabel=ylabel, xlabel="year")
        ax.margins(y=0.12)
        figure.legend(loc="outside upper left", fontsize=9.5)
        spread(ax, texts)
    rows = pd.concat(drawn, ignore_index=True)
    keep = "what series label date value unit plotted_value plotted_unit".split()
    return Plot(figure, rows[keep])


def training_memory(rows: pd.DataFrame) -> Plot:
    """Draw the memory of a training step by part, and the limit of that year's GPU.

    rows: columns model, year, parameters, optimizer, activations, gpu_limit, in GB.
    """
    with styled():
        figure, ax = axes(4.8)
        y = -np.arange(len(rows))
        left = np.zeros(len(rows))
        for part in PARTS:
            ax.barh(y, rows[part], left=left, color=COLOURS[part], label=part, height=0.62)
            left += rows[part].to_numpy()
        ax.scatter(
            rows["gpu_limit"],
            y,
            marker="|",
            s=260,
            color="black",
            linewidths=2.4,
            label="GPU memory of that year",
        )
        ax.set_yticks(
            y,
            [f"{m} ({year})" for m, year in zip(rows["model"], rows["year"], strict=True)],
            fontsize=9,
        )
        ax.grid(axis="y", visible=False)
        ax.set(xlabel="memory of one training step (GB)")
        figure.legend(loc="outside upper center", ncols=2, fontsize=9.5)
    units = {part: f"{part}_gb" for part in (*PARTS, "gpu_limit")}
    return Plot(figure, rows.rename(columns=units))
