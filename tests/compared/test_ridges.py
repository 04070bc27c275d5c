"""Ridge points of accelerators: peak over bandwidth, of what has shipped."""

import pytest

from analysis.compared import growth, ridges
from analysis.published.tables import load_table


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
    assert set(h100["memory"]) == {80 * 2**30}


def test_each_accelerator_has_one_row_a_precision_and_has_shipped(rows):
    assert not rows.duplicated(["name", "bits"]).any() and rows.notna().all().all()
    assert set(rows["stage"]) == {"shipped"}
    assert set(ridges.ridges(unshipped=True)["stage"]) == {"shipped", "announced"}
    doubtful = load_table("accelerators").query("status == 'to_verify'")
    sure = load_table("accelerators").query("status == 'sourced'")
    for bits, peaks in ridges.PEAKS.items():
        unsure, known = (
            set(each[each["quantity"].isin(peaks)]["name"]) for each in (doubtful, sure)
        )
        unsure -= known  # of another format of as many bits
        assert not set(rows[rows["bits"] == bits]["name"]) & unsure


def test_the_fewest_bits_of_each_are_its_highest_ridge_point(rows):
    fewest = ridges.choices()["at the fewest bits of each"]
    assert set(fewest["name"]) == set(rows["name"]) and fewest["name"].is_unique
    assert fewest.set_index("name")["value"].equals(
        rows.groupby("name")["value"].max().reindex(fewest["name"])
    )


def test_ridge_points_since_the_paper_are_judged_by_what_came_after_both_series(growths):
    recent = ridges.choices()[ridges.SINCE]
    last = max(growth.trend_points(t)["date"].max() for t in ("peak_flops", "dram_bandwidth"))
    assert recent["date"].min() > last and set(recent["bits"]) == {16}
    found = growths[ridges.SINCE]
    assert ridges.outgrown() == (found.over(2), *found.interval_over(2))


def test_half_precision_is_over_fp32_and_its_median_has_an_interval():
    """NVIDIA's A100: 312 TFLOP/s at 16 bits, 19.5 at FP32."""
    assert ridges.half_over_single()["A100 SXM4 80GB"] == 16
    value, low, high = ridges.half_precision()
    assert low <= value <= high and {low, high} < set(ridges.half_over_single())


def test_a_processor_is_set_beside_accelerators_of_its_time(tmp_path):
    """Xeon Gold 6242, April 2019, 2.867 TFLOP/s: in the two years before came TPU v2 with 3, T4
    with 8.1, V100s with 14.13 and twice 15.7."""
    assert ridges.over_processors() == pytest.approx(14.13 / 2.867, rel=1e-3)


def test_machines_to_compare_with_have_shipped():
    machines = ridges.shipped_machines().set_index("name")
    assert {"Xeon Gold 6242", "H100 SXM5 80GB"} <= set(machines.index)
    assert not set(machines.index) & {"Rubin GPU (VR200 NVL72, per GPU)", "M2 Ultra", "EPYC 9654"}
    assert machines["bandwidth"]["H100 SXM5 80GB"] == 3350  # GB/s
