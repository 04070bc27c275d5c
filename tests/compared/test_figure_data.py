"""The CSV under a figure holds what the figure draws, in the units of its axes."""

import io
import re
from pathlib import Path

import matplotlib.dates
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.patches import FancyArrowPatch, Polygon, Rectangle

from analysis.compared.page import Plot

# Figures whose rows are labels, so that the height of a mark is a place and no number.
ROWS = {
    "fig-growth-sensitivity", "fig-like-with-like", "fig-rates", "fig-answer-since", "fig-refits",
    "fig-training-memory", "fig-breakdown", "fig-formats",
}  # fmt: skip
ROOT = Path(__file__).resolve().parents[2]
EQUAL = 1.0  # a line across a panel at which both sides of a ratio are equal: no data


def named() -> set[str]:
    """The names of all figures of chapters and pages."""
    found = set()
    for path in [*ROOT.glob("notebooks/*.md"), *ROOT.glob("book/*.md")]:
        found |= set(re.findall(r"^ +name: (fig-[a-z-]+)$", path.read_text("utf-8"), re.M))
    return found


def numbers(plot) -> np.ndarray:
    """The data as it is downloaded: numbers, and dates as matplotlib counts them."""
    text = plot._repr_mimebundle_()["text/csv"]
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


def drawn(ax):
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
        for artist, points, only in drawn(ax):
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
