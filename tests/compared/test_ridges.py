"""Ridge points of accelerators: peak over bandwidth, of what has shipped."""

import pytest

from analysis.compared import growth, ridges
from analysis.published.tables import load_table

WALL = 3.0 / 1.6  # growth of ridge points in two years by the paper's rates


@pytest.fixture(scope="module")
def rows():
    return ridges.ridges()


@pytest.fixture(scope="module")
def growths():
    return {choice: growth.fit(rows) for choice, rows in ridges.choices().items()}


def test_ridge_points_are_peak_over_bandwidth(rows):
    """NVIDIA's H100 data sheet: 989.4 TFLOP/s at 16 bits, 1979 at 8, over 3.35 TB/s; 80 GB."""
    h100 = rows.query("name == 'H100 SXM5 80GB'").set_index("bits")
    assert h100["value"][16] == pytest.approx(989.4 / 3.35)
    assert h100["value"][8] == pytest.approx(1979 / 3.35)
    assert h100["batch"][16] == pytest.approx(989.4 / 3.35)  # 2 bytes a weight, 2 FLOPs
    assert h100["batch"][8] == pytest.approx(1979 / 3.35 / 2)
    assert set(h100["memory"]) == {80e9}


def test_each_accelerator_has_one_row_a_precision_and_has_shipped(rows):
    assert not rows.duplicated(["name", "bits"]).any() and rows.notna().all().all()
    assert set(rows["stage"]) == {"shipped"}
    assert set(ridges.ridges(unshipped=True)["stage"]) == {"shipped", "announced"}
    doubtful = load_table("accelerators").query("status == 'to_verify'")
    for bits, peak in ridges.PEAKS.items():
        unsure = doubtful[doubtful["quantity"] == peak]["name"]
        assert not set(rows[rows["bits"] == bits]["name"]) & set(unsure)


def test_the_fewest_bits_of_each_are_its_highest_ridge_point(rows):
    fewest = ridges.choices()["at the fewest bits of each"]
    assert set(fewest["name"]) == set(rows["name"]) and fewest["name"].is_unique
    assert fewest.set_index("name")["value"].equals(
        rows.groupby("name")["value"].max().reindex(fewest["name"])
    )


def test_at_one_precision_the_wall_no_longer_rises_as_the_paper_says(growths):
    assert growths[ridges.SINCE].interval_over(2)[1] < WALL
    assert ridges.outgrown() == growths[ridges.SINCE].over(2)
    low, high = growths["at the fewest bits of each"].interval_over(2)
    assert low < WALL < high


def test_since_the_paper_is_after_its_last_memory():
    last = growth.trend_points("dram_bandwidth")["date"].max()
    recent = ridges.choices()[ridges.SINCE]
    assert recent["date"].min() > last and set(recent["bits"]) == {16} and len(recent) == 28


def test_machines_to_compare_with_have_shipped():
    machines = ridges.shipped_machines().set_index("name")
    assert {"Xeon Gold 6242", "H100 SXM5 80GB"} <= set(machines.index)
    assert not set(machines.index) & {"Rubin GPU (VR200 NVL72, per GPU)", "M2 Ultra", "EPYC 9654"}
    assert machines["bandwidth"]["H100 SXM5 80GB"] == 3350  # GB/s
