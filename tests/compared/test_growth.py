"""The paper's trends from the authors' points, to four figures."""

import pytest

from analysis.compared import growth

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
