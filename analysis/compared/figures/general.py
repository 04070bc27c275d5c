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
    BAND,
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

    ylabel: one text, of panels that share their scale, or one for each panel. predicted: a column
    of `rows`. paper: rows of what is printed, with the same columns. band: whether intervals are
    bands, not bars. level: a line across, at which both sides of a ratio are equal. span: low, high
    and name of a band across.
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
    alike = ylabel != "" and isinstance(ylabel, str)  # panels of one quantity have one scale
    figure, grid = axes(height, len(names), 1 if len(names) % 2 else 2, sharex=True, sharey=alike)
    for ax, panel in zip(grid, names, strict=True):
        part = rows[rows[panels] == panel] if panels else rows
        if span:
            ax.axhspan(*span[:2], color=BAND)
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
    for ax in grid:  # once all is drawn
        for axis in log:
            scale(ax, axis, (rows if paper is None else paper)[x] if axis == "x" else ())
        if "y" not in log:
            low, high = ax.get_ylim()
            ax.set_ylim(low if low > high / 3 else min(0, low))
        if ax.get_subplotspec().is_last_row():
            ax.set_xlabel(wrapped(xlabel, figure) if len(names) == 1 else
                          textwrap.fill(xlabel, 34))  # fmt: skip
        if alike:
            ax.label_outer()
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
    panels: str | None = None,
    marker: str | None = None,
    hollow: str | None = None,
    lines: pd.DataFrame | None = None,
    solid: bool = False,
    steps: bool = False,
    stars: pd.DataFrame | None = None,
    label: str | None = None,
    title: str | None = None,
    log: str = "xy",
    height: float = 4.6,
):
    """Draw points coloured by `by`: a name, or a number such as a year; a panel for each value of
    `panels`.

    marker: a column whose looks give markers, in place of `by`. label: a column of names to write
    beside points where they touch nothing, the first ones first, "" for none. title: a column of
    names to show on hover. hollow: a column of truths, whose points are not filled. lines: rows of
    x, y and `by` to join, dashed, as their looks are (`solid`) or as `steps`, over a band if they
    have an interval; a column `name` says more of each. stars: rows of x, y and `name`,
    which stand out and are named.
    """
    numeric = pd.api.types.is_numeric_dtype(rows[by])
    rows = rows.assign(_class=_classes(rows[by]) if numeric else rows[by])
    lines = pd.DataFrame(columns=[by]) if lines is None else lines
    known, shapes = looks([*rows["_class"], *lines[by]]), looks(rows[marker or "_class"])
    names = list(rows[panels].unique()) if panels else [""]
    figure, grid = axes(height, len(names), 1 if len(names) % 2 else 2)
    for ax, panel in zip(grid, names, strict=True):
        part, joined = (
            frame[frame[panels] == panel] if panels and len(frame) else frame
            for frame in (rows, lines)
        )
        for which, some in joined.groupby(by, sort=False):
            look = known[which]
            style = {"ls": look.dash, "lw": 1.8} if solid else {"ls": "--", "lw": 1.4}
            style = {"drawstyle": "steps-post", "lw": 1.4} if steps else style
            (line,) = ax.plot(some[x], some[y], color=look.colour, **style)
            name(line, [_called(some, look)])
            if f"{y}_low" in some:
                band = some[f"{y}_low"].astype(float), some[f"{y}_high"].astype(float)
                ax.fill_between(some[x], *band, color=BAND)
        _points(ax, part, x, y, known, shapes, marker or "_class", hollow, title,
                14 if panels else 22)  # fmt: skip
        for star in [] if stars is None else stars.to_dict("records"):
            name(ax.scatter(star[x], star[y], marker="*", s=150, color=STAR, zorder=5),
                 [star["name"]])  # fmt: skip
        ax.set_ylabel("" if panels else ylabel)
        if panels:
            ax.set_title(textwrap.fill(panel, 34), loc="left", fontsize=9.5)
        if ax.get_subplotspec().is_last_row():
            ax.set_xlabel(wrapped(xlabel, figure))
        for axis in log:
            scale(ax, axis)
        if pd.api.types.is_datetime64_dtype(rows[x]):
            dates(ax)
    styles = {}
    for which, look in known.items():
        line = lines[lines[by] == which]
        style = {"color": look.colour, "ls": "none", "ms": 5}
        if len(line):
            style["ls"] = "-" if steps else look.dash if solid else "--"
        if which in set(rows["_class"]) and not marker:
            style["marker"] = look.marker
        styles[_called(line, look)] = style
    if marker:
        dot = {"color": GREY, "ls": "none", "ms": 5}
        styles |= {each.label: dot | {"marker": each.marker} for each in shapes.values()}
    if hollow is not None and rows[hollow].any():
        styles[f"hollow: {hollow}"] = {"color": GREY, "marker": "o", "mfc": "none", "ls": "none"}
    texts = [] if stars is None else [(*star, STAR_NAME) for star in stars[[x, y, "name"]].values]
    if len(texts) == 1:
        styles[texts.pop()[2]] = {"color": STAR, "marker": "*", "ls": "none", "ms": 11}
    legend(figure, styles)
    if label:
        some = rows[rows[label] != ""]
        colours = [known[which].colour for which in some["_class"]]
        texts += zip(some[x], some[y], some[label], colours, strict=True)
    beside(grid[0], texts, size=9)
    return figure, data_of(pd.concat([rows.drop(columns="_class"), lines, stars]))


def _called(line: pd.DataFrame, look: Look) -> str:
    return f"{look.label}: {line['name'].iloc[0]}" if len(line) and "name" in line else look.label


def _points(ax, rows, x, y, known, shapes, marker, hollow, title, size) -> None:
    rows = rows.assign(_hollow=rows[hollow] if hollow else False)
    for (which, shape, empty), some in rows.groupby(["_class", marker, "_hollow"], sort=False):
        look = known[which]
        if f"{y}_low" in some:
            ax.vlines(some[x], some[f"{y}_low"], some[f"{y}_high"], color=look.colour, lw=1)
        dots = ax.scatter(some[x], some[y], s=size, marker=shapes[shape].marker, zorder=4,
                          facecolor="none" if empty else look.colour, edgecolor=look.colour,
                          linewidths=0.8)  # fmt: skip
        said = some[title] if title else pd.Series("", some.index)
        name(dots, [f"{each}, {look.label}".removeprefix(", ") for each in said])


def _classes(values: pd.Series) -> pd.Series:
    """Four spans of whole numbers, such as years, in order."""
    edges = np.linspace(values.min(), values.max() + 1, 5).astype(int)
    names = [f"{low} to {high - 1}" for low, high in zip(edges[:-1], edges[1:], strict=True)]
    return pd.cut(values, edges, right=False, labels=names).astype(str)
