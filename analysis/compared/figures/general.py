"""The general drawings: lines, and scattered points.

Where rows have a column `run`, the reference is drawn strong and filled, here over it, thin and
hollow. What the paper prints is dashed, what is predicted dotted. A column Y may have the ends of
its interval beside it, as Y_low and Y_high.
"""

from collections.abc import Iterator

import pandas as pd
import seaborn
from matplotlib.dates import AutoDateLocator

from analysis.compared.figures.style import (
    GREY,
    HALO,
    Look,
    axes,
    data_of,
    label_points,
    legend,
    looks,
    scale,
    spread,
)
from analysis.compared.page import Plot, styled

STRONG = {"lw": 1.8, "ms": 5, "zorder": 3}
THIN = {"lw": 1.0, "ms": 5, "mfc": "white", "zorder": 4}


def lines(
    rows: pd.DataFrame,
    x: str,
    y: str,
    by: str,
    xlabel: str,
    ylabel: str | dict[str, str],
    panels: str | None = None,
    log: str = "xy",
    predicted: str | None = None,
    paper: pd.DataFrame | None = None,
    band: bool = False,
    level: float | None = None,
    span: tuple[float, float, str] | None = None,
    markers: bool = True,
    height: float = 4.2,
) -> Plot:
    """Draw `y` against `x`, a line for each value of `by`, a panel for each value of `panels`.

    ylabel: one text, or one for each panel. predicted: a column of `rows`. paper: rows of what is
    printed, with the same columns. band: whether intervals are bands, not bars. level: a line
    across, at which both sides of a ratio are equal. span: low, high and name of a band across.
    log: the axes that are logarithmic.
    """
    names = list(rows[panels].unique()) if panels else [""]
    known, runs = looks(rows[by]), "run" in rows
    # What the paper prints is dashed, or dots on lines that are finer than it prints.
    printed_as = {"ls": "--", "lw": 1.2} if markers else {"ls": "none", "marker": "o", "ms": 5}
    # What is predicted is dotted, or a tick where each line is a single point.
    each = [column for column in (panels, by, "run") if column in rows]
    dotted = rows.duplicated(each).any()
    foretold = {"ls": ":", "lw": 1.4} if dotted else {"ls": "none", "marker": "_", "ms": 16}
    if runs:  # dashes are the paper's
        known = {name: look._replace(dash="-") for name, look in known.items()}
    with styled():
        figure, grid = axes(height, nrows=len(names), sharex=True, squeeze=False)
        for ax, panel in zip(grid[:, 0], names, strict=True):
            part = rows[rows[panels] == panel] if panels else rows
            if span:
                ax.axhspan(*span[:2], color="#dddddd")
                middle = (span[0] * span[1]) ** 0.5
                ax.text(part[x].min(), middle, f" {span[2]}", va="center", fontsize=9)
            if level is not None:
                ax.axhline(level, color="black", lw=0.8)
            for look, how, some in _by_run(part, by, known):
                _line(ax, some, x, y, look, how, markers, band)
                if predicted and how is STRONG:
                    ax.plot(some[x], some[predicted], color=look.colour, **foretold)
            if paper is not None:
                drawn = paper[paper[panels] == panel] if panels else paper
                for name, some in drawn.groupby(by, sort=False):
                    ax.plot(some[x], some[y], color=known[name].colour, **printed_as)
            ax.set_ylabel(ylabel[panel] if isinstance(ylabel, dict) else ylabel)
            if panels and not isinstance(ylabel, dict):
                ax.set_title(panel, loc="left")
            for axis in log:
                scale(ax, axis, (part if paper is None else paper)[x] if axis == "x" else ())
            if "y" not in log:
                ax.set_ylim(min(0, ax.get_ylim()[0]))
        ax.set_xlabel(xlabel)
        styles = {
            look.label: {"color": look.colour, "ls": look.dash, "ms": 5,
                         "marker": look.marker if markers else ""}
            for look in known.values()
        }  # fmt: skip
        if runs and "here" in set(rows["run"]):
            plain = {"color": GREY, "marker": "o" if markers else ""}
            styles |= {"reference": plain | STRONG, "here": plain | THIN}
        if paper is not None:
            styles["paper"] = {"color": GREY, **printed_as}
        if predicted:
            styles["predicted"] = {"color": GREY, **foretold}
        legend(figure, styles)
    printed = [] if paper is None else [paper.assign(run="paper")]
    return Plot(figure, data_of(pd.concat([rows, *printed], ignore_index=True)))


def _by_run(rows: pd.DataFrame, by: str, known: dict[str, Look]) -> Iterator[tuple]:
    """(look, style, rows) of each line, here after the reference."""
    for run in rows["run"].unique() if "run" in rows else [None]:
        part = rows if run is None else rows[rows["run"] == run]
        for name, look in known.items():
            some = part[part[by] == name]
            if len(some):
                yield look, THIN if run == "here" else STRONG, some


def _line(ax, rows, x: str, y: str, look: Look, how: dict, markers: bool, band: bool) -> None:
    style = {"color": look.colour, "ls": look.dash, **how}
    style |= {"marker": look.marker} if markers else {}
    low, high = f"{y}_low", f"{y}_high"
    if band:
        ax.plot(rows[x], rows[y], **style)
        ax.fill_between(rows[x], rows[low], rows[high], color=look.colour, alpha=0.15, lw=0)
    elif low in rows and rows[low].notna().any():
        errors = [rows[y] - rows[low], rows[high] - rows[y]]
        ax.errorbar(rows[x], rows[y], yerr=errors, elinewidth=1, **style)
    else:
        ax.plot(rows[x], rows[y], **style)


def scatter(
    rows: pd.DataFrame,
    x: str,
    y: str,
    by: str,
    xlabel: str,
    ylabel: str,
    hollow: str | None = None,
    lines: pd.DataFrame | None = None,
    steps: bool = False,
    stars: pd.DataFrame | None = None,
    label: str | None = None,
    log: str = "xy",
    height: float = 5.0,
) -> Plot:
    """Draw points coloured by `by`: a name, or a number such as a year.

    label: a column of names to write beside points, "" for none. hollow: a column of truths, whose
    points are not filled. lines: rows of x, y and `by` to join,
    dashed, or as `steps`. stars: rows of x, y and `name`, which stand out and are named.
    """
    numeric = pd.api.types.is_numeric_dtype(rows[by])
    known = {} if numeric else looks([*rows[by], *([] if lines is None else lines[by])])
    palette = "viridis" if numeric else {name: look.colour for name, look in known.items()}
    filled = rows if hollow is None else rows[~rows[hollow]]
    with styled():
        figure, ax = axes(height)
        seaborn.scatterplot(filled, x=x, y=y, hue=by, palette=palette, s=28, linewidth=0, ax=ax,
                            legend="brief" if numeric else False, zorder=4)  # fmt: skip
        if hollow is not None:
            for name, some in rows[rows[hollow]].groupby(by, sort=False):
                ax.scatter(some[x], some[y], s=26, facecolor="none", zorder=4,
                           edgecolor=known[name].colour)  # fmt: skip
        for name, some in [] if lines is None else lines.groupby(by, sort=False):
            style = {"drawstyle": "steps-post"} if steps else {"ls": "--"}
            ax.plot(some[x], some[y], color=known[name].colour, lw=1.4, **style)
        for row in [] if stars is None else stars.to_dict("records"):
            ax.scatter(row[x], row[y], marker="*", s=150, color="#d55e00", zorder=5)
            ax.annotate(row["name"], (row[x], row[y]), (8, -3), textcoords="offset points",
                        color="#b34a00", fontsize=9, path_effects=HALO,
                        parse_math=False)  # fmt: skip
        ax.set(xlabel=xlabel, ylabel=ylabel)
        for axis in log:
            scale(ax, axis)
        if label:
            spread(ax, label_points(ax, rows, x, y, label, GREY))
        if pd.api.types.is_datetime64_dtype(rows[x]):
            ax.xaxis.set_major_locator(AutoDateLocator(maxticks=7))
        point, line = {"marker": "o", "ls": "none"}, {"ls": "-" if steps else "--"}
        drawn = set(rows[by])
        legend(figure, {
            look.label: {"color": look.colour, **(point if name in drawn else line)}
            for name, look in known.items()
        })  # fmt: skip
    more = [frame for frame in (lines, stars) if frame is not None]
    return Plot(figure, data_of(pd.concat([rows, *more], ignore_index=True)))
