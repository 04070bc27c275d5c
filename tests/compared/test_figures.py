"""Every figure draws, has no label on another, and its CSV holds what it draws, in drawn units."""

import io
import re
from pathlib import Path

import matplotlib.dates
import numpy as np
import pandas as pd
import pytest
from marks import marks_of, within
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle

from analysis.compared.figures.general import beside
from analysis.compared.figures.style import scale
from analysis.compared.page import Plot

# Figures whose rows are labels, so that the height of a mark is a place and no number.
ROWS = {
    "fig-growth-sensitivity", "fig-like-with-like", "fig-rates", "fig-answer-since", "fig-refits",
    "fig-training-memory", "fig-breakdown", "fig-formats", "fig-verdicts",
}  # fmt: skip
ROOT = Path(__file__).resolve().parents[2]
EQUAL = 1.0  # a line across a panel at which both sides of a ratio are equal: no data


@pytest.fixture(scope="module")
def drawn(plots):
    """Every drawing there is, wide and narrow, with its name; all of it is in its place."""
    found = [(f"{name}, {kind}", figure) for name, plot in plots.items()
             for kind, figure in zip(("wide", "narrow"), plot.figures, strict=True)]  # fmt: skip
    for _, figure in found:
        figure.draw_without_rendering()
    return found


def texts(figure):
    """The boxes of all texts drawn inside the axes, of the labels of ticks, and of titles."""
    for ax in figure.axes:
        shown = [t for t in ax.texts if t.get_text()]
        yield [(t.get_text(), t.get_window_extent()) for t in shown]
        for axis, (low, high) in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
            at = [t.get_loc() for t in axis.get_major_ticks()]
            ticks = [
                t.label1
                for t, place in zip(axis.get_major_ticks(), at, strict=True)
                if min(low, high) <= place <= max(low, high)
            ]
            yield [(t.get_text(), t.get_window_extent()) for t in ticks]
        titles = [t for t in (ax._left_title, ax.xaxis.label, ax.yaxis.label) if t.get_text()]
        yield [(t.get_text(), t.get_window_extent()) for t in titles]


def overlapping(figure, slack=1.0):
    """Pairs of texts whose boxes share more than `slack` pixels each way."""
    found = []
    for boxes in texts(figure):
        for i, (one, a) in enumerate(boxes):
            for other, b in boxes[:i]:
                wide, high = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
                if wide > slack and high > slack:
                    found.append((one, other))
    return found


def test_no_label_lies_on_another(drawn):
    assert [(name, pairs) for name, figure in drawn if (pairs := overlapping(figure))] == []


def test_an_overlap_would_be_seen(plots, drawn):
    figure = plots["fig-gap"].figures[0]
    ax = figure.axes[0]
    planted = [ax.text(0.5, 0.5, "one", transform=ax.transAxes) for _ in range(2)]
    assert overlapping(figure)
    for text in planted:
        text.remove()


def test_no_text_leaves_the_figure(drawn):
    for name, figure in drawn:
        width, height = figure.canvas.get_width_height()
        for boxes in texts(figure):
            for text, box in boxes:
                assert box.x0 > -1 and box.x1 < width + 1, (name, text)
                assert box.y0 > -1 and box.y1 < height + 1, (name, text)


def touched(figure):
    """Labels inside the axes that lie on a marker or a line, as (label, place in pixels)."""
    for ax in figure.axes:
        marks = marks_of(ax, figure.dpi / 72)
        for text in ax.texts:
            if text.get_text() and len(under := marks[within(text.get_window_extent(), marks)]):
                yield text.get_text(), under[0].round()


NAMED = ("fig-scaling-disparity", "fig-models-memory", "fig-training-compute",
         "fig-generating", "fig-prompts")  # fmt: skip


@pytest.mark.parametrize("name", NAMED)
def test_no_name_lies_on_a_marker_or_a_line(plots, drawn, name):
    for figure in plots[name].figures:
        assert list(touched(figure)) == [], name
    assert any(ax.texts for ax in plots[name].figures[0].axes)


def test_a_name_without_a_free_place_is_left_to_the_hover():
    figure = Figure(figsize=(2, 2), layout="constrained")
    ax = figure.subplots()
    x, y = np.meshgrid(np.arange(30), np.arange(30))
    ax.scatter(x, y)
    beside(ax, [(15, 15, "a name that is too long", "#000000")])
    assert list(ax.texts) == []


def test_no_legend_lies_among_what_is_drawn(drawn):
    assert [name for name, figure in drawn for ax in figure.axes if ax.get_legend()] == []


def test_the_data_of_a_figure_is_what_it_draws(plots):
    for plot in plots.values():
        back = pd.read_csv(io.StringIO(plot.data.to_csv(index=False)))
        assert len(back) == len(plot.data) > 0


def named() -> set[str]:
    """The names of all figures of chapters and pages."""
    found = set()
    for path in [*ROOT.glob("notebooks/*.md"), *ROOT.glob("book/*.md")]:
        found |= set(re.findall(r"^ +name: (fig-[a-z-]+)$", path.read_text("utf-8"), re.M))
    return found


def numbers(plot) -> np.ndarray:
    """The data as it is downloaded: numbers, and dates as matplotlib counts them."""
    text = plot.data.to_csv(index=False)
    frame = pd.read_csv(io.StringIO(text)).select_dtypes(exclude="bool")
    columns = [frame[c] for c in frame.select_dtypes("number")]
    for name in frame.columns[frame.columns == "date"]:
        columns.append(matplotlib.dates.date2num(pd.to_datetime(frame[name], format="ISO8601")))
    return np.column_stack(columns).astype(float)


def axis_of(artist, ax):
    """The coordinate that is data of what spans its panel; None where both are."""
    transform = artist.get_data_transform() if hasattr(artist, "get_data_transform") else None
    transform = transform or artist.get_transform()
    if transform == ax.get_xaxis_transform(which="grid"):
        return "x"
    return "y" if transform == ax.get_yaxis_transform(which="grid") else None


def artists(ax):
    """What an axes draws: a name, points, and which coordinate alone counts, if any."""
    for artist in [*ax.lines, *ax.collections, *ax.patches]:
        match artist:
            case LineCollection():
                points = np.concatenate([np.empty((0, 2)), *artist.get_segments()])
            case PathCollection():
                points = artist.get_offsets().data
            case PolyCollection():
                points = np.concatenate([path.vertices for path in artist.get_paths()])
            case Rectangle() if axis_of(artist, ax):
                points = artist.get_bbox().get_points()
            case Rectangle():  # a bar; of stacked ones the data has the lengths
                points = np.array([[artist.get_width(), artist.get_height()]])
            case Polygon():
                points = artist.get_xy()
            case _:
                points = np.asarray(artist.get_xydata(), float)
        yield artist, np.asarray(points, float), axis_of(artist, ax)


def unknown(plot, place: str | None) -> list:
    """What `plot` draws and no row of its data has."""
    rows, found, marks = numbers(plot), [], 0
    for ax in [ax for figure in plot.figures for ax in figure.axes]:
        for artist, points, only in artists(ax):
            points = points[~np.isnan(points).any(axis=1)]
            for point in points:
                wanted = dict(zip("xy", point, strict=True))
                if only:
                    wanted = {only: wanted[only]}
                    if wanted[only] == EQUAL:
                        continue
                else:
                    wanted.pop(place, None)
                    marks += 1
                there = [np.isclose(rows, value, rtol=1e-9, atol=0).any(axis=1)
                         for value in wanted.values()]  # fmt: skip
                if not np.logical_and.reduce(there).any():
                    found.append((type(artist).__name__, wanted))
    assert marks
    return found


def test_every_figure_of_the_book_is_drawn_here(plots):
    assert named() == set(plots)


@pytest.mark.parametrize("name", sorted(named()))
def test_the_data_of_a_figure_has_every_point_that_it_draws(plots, name):
    assert unknown(plots[name], "y" if name in ROWS else None) == []


@pytest.mark.parametrize(
    "name, column",
    {
        "fig-foretold": "value",  # a line
        "fig-refits": "paper_high",  # a line from low to high
        "fig-traded": "relative_high",  # a band
        "fig-roofline": "rate_gflop_per_s",  # points
        "fig-links": "bandwidth_low",  # an interval's end
        "fig-growth-sensitivity": "printed",  # a line across the panel
        "fig-training-memory": "memory_gb",  # bars
    }.items(),
)
def test_a_number_that_the_data_lacks_would_be_seen(plots, name, column):
    plot = plots[name]
    off = Plot(plot.figures, plot.data.assign(**{column: plot.data[column] * (1 + 1e-6)}))
    assert unknown(off, "y" if name in ROWS else None)


def test_numbers_of_a_log_axis_that_are_near_each_other_are_not_all_written():
    ax = Figure().subplots()
    ax.plot([55, 141], [1, 2])
    scale(ax, "x", [55, 59, 95, 112, 139, 141])
    assert list(ax.get_xticks()) == [55, 95, 112, 139]
