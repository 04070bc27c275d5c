"""Every figure draws, has no label on another, and its CSV holds what it draws, in drawn units."""

import io
import re
from pathlib import Path

import matplotlib.dates
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.patches import FancyArrowPatch, Polygon, Rectangle

from analysis.compared import figures
from analysis.compared.page import Plot

# Figures whose rows are labels, so that the height of a mark is a place and no number.
ROWS = {
    "fig-growth-sensitivity", "fig-like-with-like", "fig-rates", "fig-answer-since", "fig-refits",
    "fig-training-memory", "fig-breakdown", "fig-formats",
}  # fmt: skip
ROOT = Path(__file__).resolve().parents[2]
EQUAL = 1.0  # a line across a panel at which both sides of a ratio are equal: no data


@pytest.fixture(scope="module")
def drawn(plots):
    """Every plot there is, with its name."""
    return list(plots.items())


def once(figure) -> FigureCanvasAgg:
    """A canvas on which the figure was drawn."""
    if not isinstance(figure.canvas, FigureCanvasAgg):
        FigureCanvasAgg(figure).draw()
    return figure.canvas


def texts(figure):
    """The boxes of all texts drawn inside the axes, of the labels of ticks, and of titles."""
    canvas = once(figure)
    for ax in figure.axes:
        shown = [t for t in ax.texts if t.get_text()]
        yield [(t.get_text(), t.get_window_extent(canvas.get_renderer())) for t in shown]
        for axis, (low, high) in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
            at = [t.get_loc() for t in axis.get_major_ticks()]
            ticks = [
                t.label1
                for t, place in zip(axis.get_major_ticks(), at, strict=True)
                if min(low, high) <= place <= max(low, high)
            ]
            yield [(t.get_text(), t.get_window_extent(canvas.get_renderer())) for t in ticks]
        titles = [t for t in (ax._left_title, ax.xaxis.label, ax.yaxis.label) if t.get_text()]
        yield [(t.get_text(), t.get_window_extent(canvas.get_renderer())) for t in titles]


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
    assert [(name, pairs) for name, plot in drawn if (pairs := overlapping(plot.figure))] == []


def test_an_overlap_would_be_seen(plots):
    figure = plots["fig-gap"].figure
    ax = figure.axes[0]
    planted = [ax.text(0.5, 0.5, "one", transform=ax.transAxes) for _ in range(2)]
    assert overlapping(figure)
    for text in planted:
        text.remove()


def test_no_text_leaves_the_figure(drawn):
    for name, plot in drawn:
        width, height = plot.figure.canvas.get_width_height()
        for boxes in texts(plot.figure):
            for text, box in boxes:
                assert box.x0 > -1 and box.x1 < width + 1, (name, text)
                assert box.y0 > -1 and box.y1 < height + 1, (name, text)


def covered(figure):
    """Points and lines that lie under a legend inside the axes."""
    canvas = once(figure)
    for ax in figure.axes:
        if not ax.get_legend():
            continue
        box = ax.get_legend().get_window_extent(canvas.get_renderer())
        lines = [line.get_xydata() for line in ax.lines]
        points = [c.get_offsets().data for c in ax.collections if isinstance(c, PathCollection)]
        for xy in lines + points:
            drawn = ax.transData.transform(np.asarray(xy, float))
            steps = np.linspace(drawn[:-1], drawn[1:], 50).reshape(-1, 2) if len(drawn) > 1 else []
            for x, y in [*drawn, *(steps if any(xy is line for line in lines) else [])]:
                if box.contains(x, y):
                    yield ax.get_ylabel(), round(x), round(y)


def test_no_legend_covers_what_is_drawn(drawn):
    assert [(name, found) for name, plot in drawn for found in covered(plot.figure)] == []


def test_the_data_of_a_figure_is_what_it_draws(drawn):
    for _, plot in drawn:
        back = pd.read_csv(io.StringIO(plot.data.to_csv(index=False)))
        assert len(back) == len(plot.data) > 0


def test_a_page_is_given_the_drawing_and_its_data(plots):
    plot = plots["fig-gap"]
    bundle = plot._repr_mimebundle_()
    assert bundle["image/svg+xml"].count("<svg") == 1
    assert bundle["text/csv"] == plot.data.to_csv(index=False)


def test_the_same_figure_has_the_same_bytes():
    rows = pd.DataFrame({"x": [1, 10, 100], "y": [1.0, 3.0, 2.0], "name": "GPT-2"})
    first, again = (figures.lines(rows, "x", "y", "name", "x", "y").svg() for _ in range(2))
    assert first == again


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
            case FancyArrowPatch():  # from a label to its point
                continue
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
    for ax in plot.figure.axes:
        if hasattr(ax, "_colorbar"):
            continue
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
        "fig-foretold": "line",  # a line
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
    off = Plot(plot.figure, plot.data.assign(**{column: plot.data[column] * (1 + 1e-6)}))
    assert unknown(off, "y" if name in ROWS else None)
