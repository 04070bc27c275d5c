"""Every figure draws, says what it shows, and has no label on another."""

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection

from analysis.compared import figures


@pytest.fixture(scope="module")
def drawn(plots):
    """Every plot there is, with its name."""
    return list(plots.items())


def texts(figure):
    """The boxes of all texts drawn inside the axes, of the labels of ticks, and of titles."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
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
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
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
        bundle = plot._repr_mimebundle_()
        back = pd.read_csv(io.StringIO(bundle["text/csv"]))
        assert len(back) == len(plot.data) > 0
        assert bundle["image/svg+xml"].count("<svg") == 1


def test_the_same_figure_has_the_same_bytes():
    rows = pd.DataFrame({"x": [1, 10, 100], "y": [1.0, 3.0, 2.0], "name": "GPT-2"})
    first, again = (figures.lines(rows, "x", "y", "name", "x", "y").svg() for _ in range(2))
    assert first == again
