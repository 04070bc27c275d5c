"""Every figure draws, says what it shows, and has no label on another."""

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection

from analysis.compared import figures, models, ridges, scaling, sensitivity, since
from analysis.compared.training_memory import breakdown
from analysis.published.claims import load_claims
from analysis.published.tables import load_table


def _figures():
    points, growths, claims = load_table("figure_points"), scaling.fit_trends(), load_claims()
    hardware = {series: growths[series] for series in scaling.HARDWARE}
    of = {name: points[points["figure"] == name] for name in points["figure"].unique()}
    yield figures.scaling_disparity(of["hw_scaling"], hardware)
    yield figures.growth_sensitivity(
        hardware, {series: claims[f"{series}_twenty_years"].value for series in hardware}
    )
    yield figures.growth_choices(scaling.choices())
    yield figures.gap(hardware)
    yield figures.labelled_growth(
        of["model_size"],
        {s: growths[s] for s in ("transformer_parameters", "accelerator_memory")},
        "plotted_value",
        "parameters (billions)",
    )
    yield figures.labelled_growth(
        of["training_compute"],
        {s: growths[s] for s in ("transformer_training_compute", "all_training_compute")},
        "value",
        "training compute (FLOP)",
        reference=("Moore's law", 2),
    )
    yield figures.training_memory(breakdown("figure"))
    yield from _after()


def _after():
    found = since.outcomes()
    papers = {trend: scaling.trend_points(trend) for trend in found}
    yield figures.foretold(found, papers, {trend: since.left_out(trend) for trend in found})
    yield figures.rates_then_and_now(found)
    yield figures.refits(sensitivity.hardware_variants())
    walls = ridges.ridges(unshipped=True)
    yield figures.ridge_points(walls, {"16": (ridges.since_the_paper(), "#000000")})
    yield figures.by_context(models.by_context([128, 4096, 131072]))
    yield figures.by_batch(models.by_batch([1, 64, 4096], 4096), walls.query("bits == 16"))
    rows = load_table("architectures")[["name", "date", "parameters"]]
    yield figures.largest_served(models.holders(), rows)


@pytest.fixture(scope="module")
def plots():
    return list(_figures())


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


def test_no_label_lies_on_another(plots):
    assert [pairs for plot in plots if (pairs := overlapping(plot.figure))] == []


def test_an_overlap_would_be_seen(plots):
    ax = plots[0].figure.axes[0]
    planted = [ax.text(0.5, 0.5, "one", transform=ax.transAxes) for _ in range(2)]
    assert overlapping(plots[0].figure)
    for text in planted:
        text.remove()


def test_no_text_leaves_the_figure(plots):
    for plot in plots:
        width, height = plot.figure.canvas.get_width_height()
        for boxes in texts(plot.figure):
            for text, box in boxes:
                assert box.x0 > -1 and box.x1 < width + 1, text
                assert box.y0 > -1 and box.y1 < height + 1, text


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


def test_no_legend_covers_what_is_drawn(plots):
    assert [found for plot in plots for found in covered(plot.figure)] == []


def test_the_data_of_a_figure_has_every_point_that_it_draws(plots):
    """A point counts by the one of its coordinates that is data; the other may be a place."""
    for plot in plots:
        numbers = plot.data.select_dtypes("number").to_numpy().ravel()

        def known(values, numbers=numbers):
            return np.isclose(np.asarray(values, float)[:, None], numbers, rtol=1e-9).any(axis=1)

        marks = 0
        for ax in plot.figure.axes:
            for drawn in ax.collections:
                if isinstance(drawn, PathCollection):
                    x, y = drawn.get_offsets().data.T
                    assert (known(x) | known(y)).all()
                    marks += len(x)
                elif isinstance(drawn, LineCollection):
                    assert known(
                        [x for segment in drawn.get_segments() for x in segment[:, 0]]
                    ).all()
            for line in ax.lines:
                if len(line.get_ydata()) > 2:  # a fit or a reference is drawn by its two ends
                    assert known(line.get_ydata()).all()
                    marks += len(line.get_ydata())
        assert marks


def test_the_data_of_a_figure_is_what_it_draws(plots):
    for plot in plots:
        bundle = plot._repr_mimebundle_()
        back = pd.read_csv(io.StringIO(bundle["text/csv"]))
        assert len(back) == len(plot.data) > 0
        assert bundle["image/svg+xml"].count("<svg") == 1
    first = plots[0]
    drawn = np.concatenate([c.get_offsets()[:, 1] for c in first.figure.axes[0].collections])
    assert sorted(drawn) == pytest.approx(sorted(first.data["plotted_value"]))


def test_the_same_figure_has_the_same_bytes():
    growths = {s: g for s, g in scaling.fit_trends().items() if s in scaling.HARDWARE}
    assert figures.gap(growths).svg() == figures.gap(growths).svg()
