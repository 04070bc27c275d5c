"""Rows of a figure: horizontal intervals, and stacked bars; a row for each label, top down.

Where rows have a column `run`, the reference is filled, and here under it hollow or pale.
"""

import textwrap

import pandas as pd

from analysis.compared.figures import style
from analysis.compared.page import between, name, number, times

DOT = {"marker": "o", "ls": "none"}


@style.drawn
def intervals(
    rows: pd.DataFrame,
    label: str,
    value: str,
    xlabel: str,
    by: str | None = None,
    panels: str | None = None,
    base: str | None = None,
    base_name: str = "the paper's points alone",
    mark: str | None = None,
    predicted: str | None = None,
    log: bool = False,
    written: bool = False,
    own: bool = False,
    row_height: float = 0.36,
):
    """Draw a value and its interval in a row for each `label`, top down, in panels if asked for.

    by: the column whose looks a row has, by default the panel. base: a column whose value and
    interval lie in grey behind. mark: a column whose value is a dashed line across the panel.
    predicted: a column drawn as a diamond. written: whether the value stands beside its dot.
    own: whether each panel has an axis of its own.
    """
    parts = list(rows.groupby(panels, sort=False)) if panels else [("", rows)]
    by = by or panels or label
    known = style.looks(rows[by][rows[value].notna()])
    heights = [part[label].nunique() for _, part in parts]
    height = row_height * sum(heights) + 0.5 * len(parts) + 0.9 + 0.4 * own * len(parts)
    figure, grid = style.axes(height, len(parts), height_ratios=heights, sharex=not (mark or own))
    if not style.wide(figure):  # names take several lines
        lines = max(len(textwrap.wrap(str(each), 20)) for each in rows[label])
        figure.set_figheight(height + max(0, 0.17 * lines - row_height) * sum(heights))
    for ax, (panel, part) in zip(grid, parts, strict=True):
        if log:
            ax.set_xscale("log")
        ax.margins(x=0.14 if written else 0.05)  # room for the numbers
        places = {each: -i for i, each in enumerate(part[label].unique())}
        there = part.assign(run=part.get("run", "")).dropna(subset=value)
        shifts = {"reference": 0.14, "here": -0.16} if there["run"].nunique() > 1 else {}
        for (run, which), some in there.groupby(["run", by], sort=False):
            y = some[label].map(places) + shifts.get(run, 0)
            _row_of_intervals(ax, some, y, label, value, known[which], base, run == "here", written)
        if predicted:
            first = part.drop_duplicates(label)
            (line,) = ax.plot(first[predicted], first[label].map(places), "D", mfc="none", ms=7,
                              color="black", ls="none")  # fmt: skip
            name(line, ["allowed by bytes"])
        if mark:
            ax.axvline(part[mark].iloc[0], color="#d55e00", ls="--", lw=1.4)
        names = [textwrap.fill(str(each), 44 if style.wide(figure) else 20) for each in places]
        ax.set_yticks(list(places.values()), names, fontsize=9)
        ax.set_ylim(-len(places) + 0.4, 0.6)
        ax.grid(axis="y", visible=False)
        if panels:
            ax.set_title(style.looks([panel])[panel].label, loc="left", fontsize=10)
        if log:
            style.scale(ax, "x")
    grid[-1].set_xlabel(style.wrapped(xlabel, figure, 24))
    shared = panels != by != label and rows[by].nunique() < rows[label].nunique()
    styles = {
        look.label: {**DOT, "color": look.colour, "marker": look.marker}
        for look in known.values() if shared
    }  # fmt: skip
    if "run" in rows and "here" in set(rows["run"]):
        styles["reference"] = {"color": style.GREY, **DOT}
        styles["here"] = {"color": style.GREY, "mfc": "white", **DOT}
    if predicted:
        styles["allowed by bytes"] = {**DOT, "color": "black", "mfc": "none", "marker": "D"}
    if base:
        styles[base_name] = {"color": style.FAINT, "lw": 8}
    if mark:
        styles["printed by the paper"] = {"color": "#d55e00", "ls": "--", "lw": 1.4}
    style.legend(figure, styles)
    return figure, rows


def _row_of_intervals(ax, rows, y, label, value, look, base, hollow, written) -> None:
    if base and not hollow:
        ax.hlines(y, rows[f"{base}_low"], rows[f"{base}_high"], color=style.FAINT, lw=8)
        ax.scatter(rows[base], y, color=style.PAPER, marker="|", s=60)
    low, high = rows[f"{value}_low"], rows[f"{value}_high"]
    ax.hlines(y, low, high, color=look.colour, lw=1.6)
    for end in (low, high):  # caps that are taller than the dot show the narrowest interval
        ax.scatter(end, y, marker="|", s=70, linewidths=1.2, color=look.colour)
    dots = ax.scatter(rows[value], y, edgecolor=look.colour, marker=look.marker, s=18, zorder=3,
                      color="white" if hollow else look.colour)  # fmt: skip
    said = zip(rows[label], rows[value], low, high, strict=True)
    name(dots, [f"{at}: {number(v)} ({between((a, b))})" for at, v, a, b in said])
    for at, seen in zip(y, rows[value] if written else (), strict=False):
        ax.annotate(times(seen), (seen, at), (0, 7), textcoords="offset points", ha="center",
                    fontsize=9)  # fmt: skip


@style.drawn
def stacked(
    rows: pd.DataFrame,
    label: str,
    part: str,
    value: str,
    xlabel: str,
    panels: str | None = None,
    limit: str | None = None,
    limit_name: str = "",
):
    """Draw horizontal bars of `value`, one a `label`, stacked by `part`; of several runs the bars
    lie under each other, that of here pale. limit: a column marked with a tick."""
    groups = list(rows.groupby(panels, sort=False)) if panels else [("", rows)]
    known = style.looks(rows[part])
    runs = list(rows["run"].unique()) if "run" in rows else [""]
    heights = [group[label].nunique() for _, group in groups]
    height = 0.5 * (sum(heights) + len(groups)) + 1.3
    figure, grid = style.axes(height, len(groups), height_ratios=heights, sharex=True)
    for ax, (panel, group) in zip(grid, groups, strict=True):
        places = {each: -i for i, each in enumerate(group[label].unique())}
        for i, run in enumerate(runs):
            some = group if run == "" else group[group["run"] == run]
            thick, shift = 0.74 / len(runs), 0.37 - 0.74 * (i + 0.5) / len(runs)
            left = dict.fromkeys(places, 0.0)
            for which, look in known.items():
                each = some[some[part] == which].set_index(label)[value]
                y = [places[at] + shift for at in each.index]
                bars = ax.barh(y, each, left=[left[at] for at in each.index], height=thick,
                               color=look.colour, alpha=0.55 if run == "here" else 1)  # fmt: skip
                for bar, at in zip(bars, each.index, strict=True):
                    name(bar, [f"{at}, {look.label}: {number(each[at])}"])
                left |= {at: left[at] + each[at] for at in each.index}
        if limit:
            first = group.drop_duplicates(label)
            ax.scatter(first[limit], first[label].map(places), marker="|", s=260, color="black",
                       linewidths=2.4)  # fmt: skip
        ax.set_yticks(list(places.values()), [str(each) for each in places], fontsize=9)
        ax.grid(axis="y", visible=False)
        ax.set_title(panel, loc="left")
    ax.set_xlabel(style.wrapped(xlabel, figure, 24))
    styles = {look.label: {"color": look.colour, "lw": 8} for look in known.values()}
    if limit:
        tick = {"marker": "|", "ms": 12, "mew": 2.4, "ls": "none"}
        styles[limit_name] = {"color": "black", **tick}
    if "here" in runs and len(runs) > 1:
        styles["pale: here"] = {"color": "#cfcfcf", "lw": 8}
    style.legend(figure, styles)
    return figure, rows
