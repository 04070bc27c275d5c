"""The paper's trends from the authors' points, to four figures."""

import numpy as np
import pytest

from analysis.compared import scaling
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
    return scaling.fit_trends()


@pytest.mark.parametrize("trend", scaling.TRENDS)
def test_fits_equal_the_drawn_lines_to_four_figures(growths, trend):
    two, twenty, n = DRAWN[trend]
    growth = growths[trend]
    assert as_printed(growth.over(2), two) == two
    if twenty:
        assert as_printed(growth.over(20), twenty) == twenty
    assert growth.n == n


def test_json_has_the_documented_shape(growths):
    shown = scaling.trends_json(growths)
    assert list(shown) == list(DRAWN)
    for trend in shown.values():
        assert list(trend) == [
            "per_two_years",
            "per_twenty_years",
            "interval_two_years",
            "interval_twenty_years",
            "n",
        ]
        low, high = trend["interval_two_years"]
        assert low < trend["per_two_years"] < high


def test_points_are_those_that_the_figure_fits():
    for trend in set(scaling.TRENDS) - {"all_training_compute"}:
        assert scaling.trend_points(trend)["fitted"].all(), trend


def test_like_with_like_changes_only_what_it_says():
    choices = {(c.trend, c.points): c.growth for c in scaling.choices()}
    counts = {name: growth.n for name, growth in choices.items()}
    assert counts["peak_flops", "FP32 points only"] == 30
    assert counts["peak_flops", "FP32 points, with the FP32 rates of P100 to H100"] == 34
    assert counts["dram_bandwidth", "with the H100's own HBM3 added"] == 13
    assert counts["interconnect", "bandwidth of the whole link"] == 10
    assert (
        counts["interconnect", "whole link, PCIe only"]
        + counts["interconnect", "whole link, NVLink only"]
    ) == 10


def test_whole_links_keep_the_dates_of_the_lanes():
    lanes = scaling.trend_points("interconnect").set_index("label")["date"]
    alike = scaling.load_table("like_with_like")
    links = alike[alike["quantity"] == "link_bandwidth_both_directions"].set_index("label")["date"]
    assert lanes.sort_index().equals(links.sort_index())


def test_lines_cross_where_both_have_the_same_value():
    days = np.array(["2000-01-01", "2001-01-01", "2003-01-01"], "datetime64[D]")
    steep = fit_growth(days + 100, [1.0, 10.0, 950.0])
    flat = fit_growth(days, [20.0, 21.0, 25.0])
    day = np.datetime64(scaling.crossing(steep, flat), "D")
    assert steep.at(day) == pytest.approx(flat.at(day), rel=0.01)  # a day is 0.6 % of growth
