"""Figures of growth: labelled points with their fitted lines, and what a line foretold."""

import matplotlib.dates
import numpy as np
import pandas as pd

from analysis.compared.figures.style import LOOKS, PAPER, axes, label_points, looks, scale, spread
from analysis.compared.page import Plot, styled, times
from analysis.predicted.forecast import predict
from analysis.predicted.trends import Growth, years_since

COLUMNS = "what series label date value unit plotted_value plotted_unit fitted_value".split()


def growth(
    points: pd.DataFrame,
    growths: dict[str, Growth],
    y: str,
    ylabel: str,
    years: float = 2,
    moore: tuple[str, float] | None = None,
    height: float = 6.0,
) -> Plot:
    """Draw labelled points by series on a log axis, with the fit of each series that has one.

    points: rows of figure_points.csv; y: the column to draw, "value" or "plotted_value"; growths:
    by series, or "all_training_compute", which is drawn over all points. moore: a name and a factor
    per 2 years of a line from the first point on.
    """
    drawn = [points.assign(what="point")]
    with styled():
        figure, ax = axes(height)
        texts = []
        for series, rows in points.groupby("series", sort=False):
            colour = LOOKS[series].colour
            ax.scatter(rows["date"], rows[y], s=16, color=colour, zorder=4)
            texts += label_points(ax, rows, "date", y, "label", colour)
        for series, fitted in growths.items():
            look = looks([series])[series]
            rows = points[points["series"] == series] if series in set(points["series"]) else points
            unit = rows["value"].iloc[0] / rows[y].iloc[0]
            ends = rows["date"].agg(["min", "max"]).to_numpy()
            label = f"{look.label}: {times(fitted.over(years))} in {years} years"
            ax.plot(ends, fitted.at(ends) / unit, color=look.colour, ls=look.dash, label=label)
            at = fitted.at(rows["date"].to_numpy()) / unit
            drawn[0].loc[rows.index, "fitted_value"] = at
            line = {"series": series, "what": "fit", "date": ends, y: fitted.at(ends) / unit}
            drawn.append(pd.DataFrame(line))
        if moore:
            drawn.append(_from_first(ax, points, y, *moore))
        ax.set(yscale="log", ylabel=ylabel, xlabel="year")
        ax.margins(y=0.12)
        figure.legend(loc="outside upper left", fontsize=9.5)
        if texts:
            spread(ax, texts)
    rows = pd.concat(drawn, ignore_index=True)
    return Plot(figure, rows.reindex(columns=[c for c in COLUMNS if c in rows]))


def _from_first(ax, points: pd.DataFrame, y: str, label: str, factor: float) -> pd.DataFrame:
    """Draw growth by `factor` per 2 years from the first point on; returns what was drawn."""
    first, ends = points.sort_values("date").iloc[0], points["date"].agg(["min", "max"]).to_numpy()
    at = first[y] * factor ** (years_since(ends[0], ends) / 2)
    ax.plot(ends, at, color=PAPER, ls=":", label=label)
    return pd.DataFrame({"series": label, "what": "line", "date": ends, y: at})


def foretold(rows: pd.DataFrame, names: dict[str, str], until: str) -> Plot:
    """Draw each series: the paper's points, what they foretell to `until`, and later points.

    rows: columns trend, points ("the paper's points", "later points", "later, not used"), date,
    value; names: the title of each trend's panel.
    """
    drawn = [rows]
    with styled():
        figure, panels = axes(8.4, nrows=3, ncols=2)
        for ax, (trend, part) in zip(panels.flat, rows.groupby("trend", sort=False), strict=True):
            groups = dict(list(part.groupby("points", sort=False)))
            paper, colour = groups["the paper's points"], LOOKS[trend].colour
            start = paper["date"].min().to_datetime64()
            dates = np.arange(start, np.datetime64(until), np.timedelta64(60, "D"))
            at = predict(paper["date"].to_numpy(), paper["value"].to_numpy(), dates)
            ax.fill_between(dates, at.low, at.high, color="#dddddd", label="95 % of new points")
            ax.plot(dates, at.line, color=PAPER, lw=1.2, label="the paper's line")
            band = {"date": dates, "line": at.line, "low": at.low, "high": at.high}
            drawn.append(pd.DataFrame(band).assign(trend=trend, points="the paper's line"))
            for label, style in (
                ("the paper's points", {"color": PAPER}),
                ("later points", {"color": colour}),
                ("later, not used", {"facecolor": "none", "edgecolor": colour, "lw": 0.8}),
            ):
                some = groups.get(label, paper.iloc[:0])
                ax.scatter(some["date"], some["value"], s=13, zorder=4, label=label, **style)
            scale(ax, "y")
            ax.set_title(names[trend], loc="left", fontsize=9.5)
            ax.xaxis.set_major_locator(matplotlib.dates.AutoDateLocator(minticks=3, maxticks=4))
            ax.xaxis.set_major_formatter(matplotlib.dates.DateFormatter("%Y"))
        figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center",
                      ncols=2, fontsize=9)  # fmt: skip
    return Plot(figure, pd.concat(drawn, ignore_index=True))
