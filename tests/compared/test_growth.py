"""The paper's trends from the authors' points, to four figures."""

import numpy as np
import pytest

from analysis.compared import growth
from analysis.predicted.trends import fit_growth

# Slopes of the lines drawn in the authors' vector figures (github.com/amirgholami/
# ai_and_memory_wall, imgs/pdfs, commit a1f1d67), rounded: factor per 2 years, per 20 years, points.
DRAWN = {
    "peak_flops": ("3.0257", "64313", 37),
    "dram_bandwidth": ("1.5915", "104.3", 12),
    "interconnect": ("1.4151", "32.19", 10),
    "transformer_parameters": ("413.1", None, 10),
    "accelerator_memory": ("1.863", None, 7),
    "transformer_training_compute": ("755.0", None, 10),
    "all_training_compute": ("14.79", None, 21),
}


def as_printed(value, printed):
    """`value` with as many decimals as `printed` has."""
    return f"{value:.{len(printed.partition('.')[2])}f}"


@pytest.fixture(scope="module")
def growths():
    return growth.fit_trends()


@pytest.mark.parametrize("trend", DRAWN)
def test_fits_equal_the_drawn_lines_to_four_figures(growths, trend):
    two, twenty, n = DRAWN[trend]
    found = growths[trend]
    assert as_printed(found.over(2), two) == two
    assert as_printed(growth.grown(trend=trend, years=2), two) == two
    if twenty:
        assert as_printed(found.over(20), twenty) == twenty
    assert found.n == n


def test_every_trend_is_fitted(growths):
    assert list(growths) == list(DRAWN)


def test_points_are_those_that_the_figure_fits():
    for trend in set(growth.TRENDS) - {"all_training_compute"}:
        assert growth.trend_points(trend)["fitted"].all(), trend


def test_like_with_like_changes_only_what_it_says():
    counts = {way: len(rows) for way, rows in growth.like_with_like().items()}
    assert counts["peak_flops", "FP32 points only"] == 30
    assert counts["peak_flops", growth.FP32] == 34
    assert counts["dram_bandwidth", "with the H100's own HBM3 added"] == 13
    assert counts["interconnect", growth.WHOLE] == 10
    parts = [counts["interconnect", f"whole link, {family} only"] for family in ("PCIe", "NVLink")]
    assert sum(parts) == 10 and all(parts)
    drawn = [n for (_, way), n in counts.items() if way.startswith("as drawn:")]
    assert drawn == [37, 12, 10]


def test_whole_links_are_dated_as_lanes_and_are_of_two_families():
    lanes = growth.trend_points("interconnect").set_index("label")["date"]
    links = growth.like_with_like()["interconnect", growth.WHOLE].set_index("label")["date"]
    assert lanes.sort_index().equals(links.sort_index())
    assert set(links.index.str.split().str[0]) == {"PCIe", "NVLink"}


def test_lines_cross_where_both_have_the_same_value():
    days = np.array(["2000-01-01", "2001-01-01", "2003-01-01"], "datetime64[D]")
    steep = fit_growth(days + 100, [1.0, 10.0, 950.0])
    flat = fit_growth(days, [20.0, 21.0, 25.0])
    day = np.datetime64(growth.crossing(steep, flat), "D")
    assert steep.at(day) == pytest.approx(flat.at(day), rel=0.01)  # a day is 0.6 % of growth


def test_spreads_of_points_on_a_line_are_nil_and_one_off_it_is_seen():
    days = np.array(["2000-01-01", "2001-01-01", "2002-01-01", "2003-01-01"], "datetime64[D]")
    on = growth.spreads(fit_growth(days, 10.0 ** ((days - days[0]).astype(float) / 365.25)), 2)
    assert on[["value", "value_low", "value_high"]].to_numpy() == pytest.approx(100)
    off = growth.spreads(fit_growth(days, [1, 10, 100, 10]), 2).set_index("spread")
    # Without its last point the rest grow 10 times a year (of 365.25 days, in two of 366 and 365).
    assert off.loc["any one point left out", "value_high"] == pytest.approx(100, rel=0.01)
    assert (off["value_low"] < off["value"]).all() and (off["value"] < off["value_high"]).all()
    low, high = off.loc["Student's t, 95 %", ["value_low", "value_high"]]
    assert low * high == pytest.approx(off["value"].iloc[0] ** 2)  # symmetric in the logarithm
