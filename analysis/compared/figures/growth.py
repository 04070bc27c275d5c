"""Figures of growth: labelled points with their fitted lines, and what a line foretold."""

import textwrap

import numpy as np
import pandas as pd

from analysis.compared.figures.labels import beside
from analysis.compared.figures.style import (
    LOOKS,
    PAPER,
    axes,
    dates,
    drawn,
    legend,
    looks,
    scale,
    wide,
)
from analysis.compared.page import name, times
from analysis.predicted.trends import Growth, predict, years_since

COLUMNS = "what series label date value unit plotted_value plotted_unit fitted_value".split()


@drawn
def growth(
    points: pd.DataFrame,
    growths: dict[str, Growth],
    y: str,
    ylabel: str,
    years: float = 2,
    named: tuple[str, ...] = (),
    moore: tuple[str, float] | None = None,
    height: float = 5.0,
):
    """Draw points by series on a log axis, with the fit of each series that has one.

    points: rows of figure_points.csv; y: the column to draw, "value" or "plotted_value"; growths:
    by series, or "all_training_compute", which is drawn over all points. named: labels to write
    beside their points if there is room, besides the first and the last of each series; all show
    on hover. moore: a name and a factor per 2 years of a line from the first point on.
    """
    rows_of, styles, wanted = [points.assign(what="point")], {}, []
    points = points.assign(label=points["label"].fillna(""))
    figure, (ax,) = axes(height)
    ax.set(yscale="log", ylabel=ylabel, xlabel="year")
    for series, rows in points.groupby("series", sort=False):
        colour = LOOKS[series].colour
        dots = ax.scatter(rows["date"], rows[y], s=16, color=colour, zorder=4)
        years_of = rows["date"].dt.year.astype(str)
        known = looks([series])[series].label + ", " + rows["label"]
        name(dots, known.str.removesuffix(", ") + ", " + years_of)
        ends = rows[rows["label"] != ""].sort_values("date", kind="stable").iloc[[0, -1]].index
        some = [
            *dict.fromkeys(ends),
            *rows.index[rows["label"].isin(named) & ~rows.index.isin(ends)],
        ]
        wanted += [
            (row["date"], row[y], row["label"].split(" (")[0], colour)
            for row in rows.loc[some].to_dict("records")
        ]
    for series, fitted in growths.items():
        look = looks([series])[series]
        rows = points[points["series"] == series] if series in set(points["series"]) else points
        unit = rows["value"].iloc[0] / rows[y].iloc[0]
        ends = rows["date"].agg(["min", "max"]).to_numpy()
        label = f"{look.label}: {times(fitted.over(years))} in {years} years"
        style = {"color": look.colour, "ls": look.dash}
        (line,) = ax.plot(ends, fitted.at(ends) / unit, **style)
        name(line, [label])
        styles[label] = style
        rows_of[0].loc[rows.index, "fitted_value"] = fitted.at(rows["date"].to_numpy()) / unit
        fit = {"series": series, "what": "fit", "date": ends, y: fitted.at(ends) / unit}
        rows_of.append(pd.DataFrame(fit))
    if moore:
        rows_of.append(_from_first(ax, points, y, *moore))
        styles[moore[0]] = {"color": PAPER, "ls": ":"}
    ax.margins(y=0.08)
    scale(ax, "y")
    dates(ax)
    legend(figure, styles)
    beside(ax, wanted)
    rows = pd.concat(rows_of, ignore_index=True)
    return figure, rows.reindex(columns=[c for c in COLUMNS if c in rows])


def _from_first(ax, points: pd.DataFrame, y: str, label: str, factor: float) -> pd.DataFrame:
    """Draw growth by `factor` per 2 years from the first point on; returns what was drawn."""
    first, ends = points.sort_values("date").iloc[0], points["date"].agg(["min", "max"]).to_numpy()
    at = first[y] * factor ** (years_since(ends[0], ends) / 2)
    (line,) = ax.plot(ends, at, color=PAPER, ls=":")
    name(line, [label])
    return pd.DataFrame({"series": label, "what": "line", "date": ends, y: at})


@drawn
def foretold(rows: pd.DataFrame, names: dict[str, str], until: str):
    """Draw each series: the paper's points, what they foretell to `until`, and later points.

    rows: columns trend, points ("the paper's points", "later points", "later, not used"), date,
    value, and name where a point has one; names: the title of each trend's panel.
    """
    rows_of = [rows]
    figure, panels = axes(10.5, n=6, columns=3)
    for ax, (trend, part) in zip(panels, rows.groupby("trend", sort=False), strict=True):
        groups = dict(list(part.groupby("points", sort=False)))
        paper, colour = groups["the paper's points"], LOOKS[trend].colour
        start = paper["date"].min().to_datetime64()
        days = np.arange(start, np.datetime64(until), np.timedelta64(60, "D"))
        at = predict(paper["date"].to_numpy(), paper["value"].to_numpy(), days)
        ax.fill_between(days, at.low, at.high, color="#dddddd")
        (line,) = ax.plot(days, at.line, color=PAPER, lw=1.2)
        name(line, ["the paper's line"])
        band = {"date": days, "line": at.line, "low": at.low, "high": at.high}
        rows_of.append(pd.DataFrame(band).assign(trend=trend, points="the paper's line"))
        for label, style in (
            ("the paper's points", {"color": PAPER}),
            ("later points", {"color": colour}),
            ("later, not used", {"facecolor": "none", "edgecolor": colour, "lw": 0.8}),
        ):
            if label in groups:
                some = groups[label]
                dots = ax.scatter(some["date"], some["value"], s=13, zorder=4, **style)
                known = some["name"].fillna(some["label"])
                name(dots, known + ", " + some["date"].dt.year.astype(str))
        scale(ax, "y")
        ax.set_title(textwrap.fill(names[trend], 26 if wide(figure) else 60), loc="left",
                     fontsize=9.5)  # fmt: skip
        dates(ax)
    dot = {"marker": "o", "ms": 4, "ls": "none"}
    legend(figure, {
        "95 % of new points": {"color": "#dddddd", "lw": 8},
        "the paper's line": {"color": PAPER, "lw": 1.2},
        "the paper's points": {"color": PAPER, **dot},
        "later points (coloured)": {"color": "#000000", **dot},
        "later, not used": {"color": "#000000", "mfc": "none", **dot},
    })  # fmt: skip
    return figure, pd.concat(rows_of, ignore_index=True)
