"""The general drawings: lines, and scattered points.

Where rows have a column `run`, the reference is drawn strong and filled, here over it, thin and
hollow. What the paper prints is dashed, what is predicted dotted. A column Y may have the ends of
its interval beside it, as Y_low and Y_high.
"""

import textwrap
from collections.abc import Iterable

import numpy as np
import pandas as pd
import textalloc
from matplotlib.collections import LineCollection, PathCollection

from analysis.compared.figures import style
from analysis.compared.page import name

STRONG = {"lw": 1.8, "ms": 5, "zorder": 3}
THIN = {"lw": 1.0, "ms": 5, "mfc": "white", "zorder": 4}
# Points between a name and marks or lines, and at least and at most between it and its own.
MARGIN, NEAREST, FURTHEST = 3.5, 5, 26


@style.drawn
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
    band: bool = False,
    level: float | None = None,
    markers: bool = True,
    height: float = 4.2,
):
    """Draw `y` against `x`, a line for each value of `by`, a panel for each value of `panels`.

    ylabel: one text, of panels that share their scale, or one for each panel. predicted: a column
    of `rows`. band: whether intervals are bands, not bars. level: a line across, at which both
    sides of a ratio are equal. log: the axes that are logarithmic. What is printed are the rows of
    the run "paper".
    """
    parts = list(rows.groupby(panels, sort=False)) if panels else [("", rows)]
    known, runs = style.looks(rows[by]), set(rows.get("run", ()))
    # What the paper prints is dashed, or dots on lines that are finer than it prints.
    dashed = {"ls": "--", "lw": 1.2, "marker": ""}
    printed_as = dashed if markers else {"ls": "none", "marker": "o", "ms": 5}
    others = {"here": (THIN, ", here"), "paper": (printed_as, ", the paper")}
    # What is predicted is dotted, or a tick where each line is a single point.
    each = [column for column in (panels, by, "run") if column in rows]
    dotted = rows.duplicated(each).any()
    foretold = {"ls": ":", "lw": 1.4} if dotted else {"ls": "none", "marker": "_", "ms": 16}
    if runs:  # dashes are the paper's
        known = {which: look._replace(dash="-") for which, look in known.items()}
    alike = ylabel != "" and isinstance(ylabel, str)  # panels of one quantity have one scale
    columns = 1 if len(parts) % 2 else 2
    figure, grid = style.axes(height, len(parts), columns, sharex=True, sharey=alike)
    for ax, (panel, part) in zip(grid, parts, strict=True):
        if level is not None:
            ax.axhline(level, color="black", lw=0.8)
        part = part.assign(run=part.get("run", "reference"))
        for (run, which), some in part.groupby(["run", by], sort=False):
            look, (how, said) = known[which], others.get(run, (STRONG, ""))
            line = _line(ax, some, x, y, look, how, markers, band)
            name(line, [look.label + said])
            if predicted and how is STRONG:
                (line,) = ax.plot(some[x], some[predicted], color=look.colour, **foretold)
                name(line, [f"{look.label}, predicted"])
        ax.set_ylabel(ylabel[panel] if isinstance(ylabel, dict) else ylabel)
        if panels and not isinstance(ylabel, dict):
            ax.set_title(panel, loc="left")
    ticks = rows[rows["run"] == "paper"] if "paper" in runs else rows
    for ax in grid:  # once all is drawn
        for axis in log:
            style.scale(ax, axis, ticks[x] if axis == "x" else ())
        if "y" not in log:
            low, high = ax.get_ylim()
            ax.set_ylim(low if low > high / 3 else min(0, low))
        if ax.get_subplotspec().is_last_row():
            ax.set_xlabel(style.wrapped(xlabel, figure) if len(parts) == 1 else
                          textwrap.fill(xlabel, 34))  # fmt: skip
        if alike:
            ax.label_outer()
    styles = {
        look.label: {"color": look.colour, "ls": look.dash, "ms": 5,
                     "marker": look.marker if markers else ""}
        for look in known.values()
    }  # fmt: skip
    if "here" in runs:
        plain = {"color": style.GREY, "marker": "o" if markers else ""}
        styles |= {"reference": plain | STRONG, "here": plain | THIN}
    if "paper" in runs:
        styles["paper"] = {"color": style.GREY, **printed_as}
    if predicted:
        styles["predicted"] = {"color": style.GREY, **foretold}
    style.legend(figure, styles)
    return figure, rows


def _line(ax, rows, x: str, y: str, look: style.Look, how: dict, markers: bool, band: bool):
    drawn_as = {"color": look.colour, "ls": look.dash, "marker": look.marker if markers else ""}
    drawn_as |= how
    low, high = f"{y}_low", f"{y}_high"
    if band:
        ax.fill_between(rows[x], rows[low], rows[high], color=look.colour, alpha=0.15, lw=0)
    elif low in rows and rows[low].notna().any():
        errors = [rows[y] - rows[low], rows[high] - rows[y]]
        return ax.errorbar(rows[x], rows[y], yerr=errors, elinewidth=1, **drawn_as).lines[0]
    return ax.plot(rows[x], rows[y], **drawn_as)[0]


@style.drawn
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
    label: str | None = None,
    title: str | None = None,
    log: str = "xy",
    height: float = 4.6,
):
    """Draw points coloured by `by`, a panel for each value of `panels`.

    marker: a column whose looks give markers, in place of `by`. label: a column of names to write
    beside points where they touch nothing, the first ones first, "" for none. title: a column of
    names to show on hover. hollow: a column of truths, whose points are not filled. lines: rows of
    x, y and `by` to join, dashed, as their looks are (`solid`), over a band if they have an
    interval; a column `name` says more of each.
    """
    lines = pd.DataFrame(columns=[by]) if lines is None else lines
    known, shapes = style.looks([*rows[by], *lines[by]]), style.looks(rows[marker or by])
    parts = list(rows.groupby(panels, sort=False)) if panels else [("", rows)]
    figure, grid = style.axes(height, len(parts), 1 if len(parts) % 2 else 2)
    for ax, (panel, part) in zip(grid, parts, strict=True):
        joined = lines[lines[panels] == panel] if panels and len(lines) else lines
        for which, some in joined.groupby(by, sort=False):
            look = known[which]
            drawn_as = {"ls": look.dash, "lw": 1.8} if solid else {"ls": "--", "lw": 1.4}
            (line,) = ax.plot(some[x], some[y], color=look.colour, **drawn_as)
            name(line, [_called(some, look)])
            if f"{y}_low" in some:
                band = some[f"{y}_low"].astype(float), some[f"{y}_high"].astype(float)
                ax.fill_between(some[x], *band, color=style.BAND)
        _points(ax, part, x, y, by, known, shapes, marker or by, hollow, title,
                14 if panels else 22)  # fmt: skip
        ax.set_ylabel("" if panels else ylabel)
        if panels:
            ax.set_title(textwrap.fill(panel, 34), loc="left", fontsize=9.5)
        if ax.get_subplotspec().is_last_row():
            ax.set_xlabel(style.wrapped(xlabel, figure))
        for axis in log:
            style.scale(ax, axis)
        if pd.api.types.is_datetime64_dtype(rows[x]):
            style.dates(ax)
    styles = {}
    for which, look in known.items():
        line = lines[lines[by] == which]
        drawn_as = {"color": look.colour, "ls": "none", "ms": 11 if look.marker == "*" else 5}
        if len(line):
            drawn_as["ls"] = look.dash if solid else "--"
        if which in set(rows[by]) and not marker:
            drawn_as["marker"] = look.marker
        styles[_called(line, look)] = drawn_as
    if marker:
        dot = {"color": style.GREY, "ls": "none", "ms": 5}
        styles |= {each.label: dot | {"marker": each.marker} for each in shapes.values()}
    if hollow is not None and rows[hollow].any():
        ring = {"color": style.GREY, "marker": "o", "mfc": "none", "ls": "none"}
        styles[f"hollow: {hollow}"] = ring
    style.legend(figure, styles)
    if label:
        some = rows[rows[label] != ""]
        colours = [known[which].colour for which in some[by]]
        beside(grid[0], zip(some[x], some[y], some[label], colours, strict=True))
    return figure, pd.concat([rows, lines])


def _called(line: pd.DataFrame, look: style.Look) -> str:
    return f"{look.label}: {line['name'].iloc[0]}" if len(line) and "name" in line else look.label


def _points(ax, rows, x, y, by, known, shapes, marker, hollow, title, size) -> None:
    rows = rows.assign(_hollow=rows[hollow] if hollow else False)
    for (which, shape, empty), some in rows.groupby([by, marker, "_hollow"], sort=False):
        look = known[which]
        if f"{y}_low" in some:
            ax.vlines(some[x], some[f"{y}_low"], some[f"{y}_high"], color=look.colour, lw=1)
        marked = shapes[shape].marker
        dots = ax.scatter(some[x], some[y], s=150 if marked == "*" else size, marker=marked,
                          facecolor="none" if empty else look.colour, edgecolor=look.colour,
                          linewidths=0.8, zorder=4)  # fmt: skip
        said = some[title] if title else pd.Series("", some.index)
        name(dots, [f"{each}, {look.label}".removeprefix(", ") for each in said])


def beside(ax, names: Iterable[tuple[float, float, str, str]], size: float = 9) -> None:
    """Write names beside points, each x, y, name and colour, where they touch no mark, no line and
    no other name, the first ones first; one without such a place shows on hover."""
    x, y, texts, colours = map(list, zip(*names, strict=True))
    dots = [each for each in ax.collections if isinstance(each, PathCollection)]
    x_dots, y_dots = np.vstack([each.get_offsets().data for each in dots]).T
    lines = [np.column_stack([ax.convert_xunits(line.get_xdata()), line.get_ydata()])
             for line in ax.lines]  # fmt: skip
    for each in ax.collections:
        lines += each.get_segments() if isinstance(each, LineCollection) else []
    ax.figure.get_layout_engine().execute(ax.figure)  # only then is it known where things are
    pixels = ax.figure.dpi / 72  # of a point
    radii = [np.full(len(each.get_offsets()), pixels * each.get_sizes()[0] ** 0.5 / 2)
             for each in dots]  # fmt: skip
    margin, least, most = (
        each * pixels / ax.get_window_extent().width for each in (MARGIN, NEAREST, FURTHEST)
    )
    textalloc.allocate(
        ax, ax.convert_xunits(x), y, texts, x_scatter=x_dots, y_scatter=y_dots,
        scatter_sizes=np.concatenate(radii), x_lines=[line[:, 0] for line in lines],
        y_lines=[line[:, 1] for line in lines], textsize=size, textcolor=colours, margin=margin,
        min_distance=least, max_distance=most, draw_all=False, draw_lines=False, va="bottom",
        parse_math=False, in_layout=False,
    )  # fmt: skip
