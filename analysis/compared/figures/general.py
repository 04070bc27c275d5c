"""The general drawings: lines, and scattered points.

Where rows have a column `run`, the reference is drawn strong and filled, here over it, thin and
hollow. What the paper prints is dashed, what is predicted dotted. A column Y may have the ends of
its interval beside it, as Y_low and Y_high.
"""

import textwrap
from collections.abc import Iterator

import numpy as np
import pandas as pd

from analysis.compared.figures.labels import beside
from analysis.compared.figures.style import (
    GREY,
    Look,
    axes,
    data_of,
    dates,
    drawn,
    legend,
    looks,
    scale,
    wrapped,
)
from analysis.compared.page import name

STRONG = {"lw": 1.8, "ms": 5, "zorder": 3}
STAR, STAR_NAME = "#d55e00", "#b34a00"
THIN = {"lw": 1.0, "ms": 5, "mfc": "white", "zorder": 4}


@drawn
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
):
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
        known = {which: look._replace(dash="-") for which, look in known.items()}
    figure, grid = axes(height, len(names), 1 if len(names) % 2 else 2, sharex=True)
    for ax, panel in zip(grid, names, strict=True):
        part = rows[rows[panels] == panel] if panels else rows
        if span:
            ax.axhspan(*span[:2], color="#dddddd")
            middle = (span[0] * span[1]) ** 0.5
            ax.text(part[x].min(), middle, f" {span[2]}", va="center", fontsize=9)
        if level is not None:
            ax.axhline(level, color="black", lw=0.8)
        for look, how, some in _by_run(part, by, known):
            line = _line(ax, some, x, y, look, how, markers, band)
            name(line, [look.label + ", here" * (how is THIN)])
            if predicted and how is STRONG:
                (line,) = ax.plot(some[x], some[predicted], color=look.colour, **foretold)
                name(line, [f"{look.label}, predicted"])
        if paper is not None:
            printed = paper[paper[panels] == panel] if panels else paper
            for which, some in printed.groupby(by, sort=False):
                (line,) = ax.plot(some[x], some[y], color=known[which].colour, **printed_as)
                name(line, [f"{known[which].label}, the paper"])
        ax.set_ylabel(ylabel[panel] if isinstance(ylabel, dict) else ylabel)
        if panels and not isinstance(ylabel, dict):
            ax.set_title(panel, loc="left")
        for axis in log:
            scale(ax, axis, (part if paper is None else paper)[x] if axis == "x" else ())
        if "y" not in log:
            low, high = ax.get_ylim()
            ax.set_ylim(low if low > high / 3 else min(0, low))
        if ax.get_subplotspec().is_last_row():
            ax.set_xlabel(wrapped(xlabel, figure) if len(names) == 1 else
                          textwrap.fill(xlabel, 34))  # fmt: skip
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
    more = [] if paper is None else [paper.assign(run="paper")]
    return figure, data_of(pd.concat([rows, *more], ignore_index=True))


def _by_run(rows: pd.DataFrame, by: str, known: dict[str, Look]) -> Iterator[tuple]:
    """(look, style, rows) of each line, here after the reference."""
    for run in rows["run"].unique() if "run" in rows else [None]:
        part = rows if run is None else rows[rows["run"] == run]
        for which, look in known.items():
            some = part[part[by] == which]
            if len(some):
                yield look, THIN if run == "here" else STRONG, some


def _line(ax, rows, x: str, y: str, look: Look, how: dict, markers: bool, band: bool):
    style = {"color": look.colour, "ls": look.dash, **how}
    style |= {"marker": look.marker} if markers else {}
    low, high = f"{y}_low", f"{y}_high"
    if band:
        ax.fill_between(rows[x], rows[low], rows[high], color=look.colour, alpha=0.15, lw=0)
    elif low in rows and rows[low].notna().any():
        errors = [rows[y] - rows[low], rows[high] - rows[y]]
        return ax.errorbar(rows[x], rows[y], yerr=errors, elinewidth=1, **style).lines[0]
    return ax.plot(rows[x], rows[y], **style)[0]


@drawn
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
    title: str | None = None,
    log: str = "xy",
    height: float = 4.6,
):
    """Draw points coloured by `by`: a name, or a number such as a year.

    label: a column of names to write beside points where they touch nothing, "" for none. title:
    a column of names to show on hover. hollow: a column of truths, whose points are not filled.
    lines: rows of x, y and `by` to join,
    dashed, or as `steps`. stars: rows of x, y and `name`, which stand out and are named.
    """
    kinds = _classes(rows[by]) if pd.api.types.is_numeric_dtype(rows[by]) else rows[by]
    known = looks([*dict.fromkeys(kinds), *([] if lines is None else lines[by])])
    figure, (ax,) = axes(height)
    for which, some in rows.groupby(kinds, sort=False):
        look, empty = known[which], some[hollow] if hollow else pd.Series(False, some.index)
        for part, face in ((some[~empty], look.colour), (some[empty], "none")):
            if len(part):
                dots = ax.scatter(part[x], part[y], s=26, marker=look.marker, facecolor=face,
                                  edgecolor=look.colour, linewidths=0.8, zorder=4)  # fmt: skip
                said = part[title] if title else pd.Series("", part.index)
                name(dots, [f"{each}, {look.label}".removeprefix(", ") for each in said])
    for which, some in [] if lines is None else lines.groupby(by, sort=False):
        style = {"drawstyle": "steps-post"} if steps else {"ls": "--"}
        (line,) = ax.plot(some[x], some[y], color=known[which].colour, lw=1.4, **style)
        name(line, [known[which].label])
    wanted = [] if stars is None else list(zip(stars[x], stars[y], stars["name"], strict=True))
    for at, value, said in wanted:
        name(ax.scatter(at, value, marker="*", s=150, color=STAR, zorder=5), [said])
    ax.set(xlabel=wrapped(xlabel, figure), ylabel=ylabel)
    for axis in log:
        scale(ax, axis)
    if pd.api.types.is_datetime64_dtype(rows[x]):
        dates(ax)
    point, line = {"ls": "none", "ms": 5}, {"ls": "-" if steps else "--"}
    seen = set(kinds)
    styles = {
        look.label: {
            "color": look.colour,
            **(point | {"marker": look.marker} if which in seen else line),
        }
        for which, look in known.items()
    }
    if hollow is not None and rows[hollow].any():
        styles[f"hollow: {hollow}"] = {"color": GREY, "marker": "o", "mfc": "none", **point}
    if len(wanted) == 1:
        styles[wanted[0][2]] = {"color": STAR, "marker": "*", "ls": "none", "ms": 11}
    legend(figure, styles)
    texts = [(*star, STAR_NAME) for star in wanted if len(wanted) > 1]
    if label:
        some = rows[rows[label] != ""]
        texts += [(*each, GREY) for each in zip(some[x], some[y], some[label], strict=True)]
    beside(ax, texts, size=9)
    more = [frame for frame in (lines, stars) if frame is not None]
    return figure, data_of(pd.concat([rows, *more], ignore_index=True))


def _classes(values: pd.Series) -> pd.Series:
    """Four spans of whole numbers, such as years, in order."""
    edges = np.linspace(values.min(), values.max() + 1, 5).astype(int)
    names = [f"{low} to {high - 1}" for low, high in zip(edges[:-1], edges[1:], strict=True)]
    return pd.cut(values, edges, right=False, labels=names).astype(str)
