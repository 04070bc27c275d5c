"""Accelerators with less peak, checked against arithmetic by hand."""

import numpy as np
import pytest

from analysis.compared import ridges
from analysis.predicted.transformer import CLASSES
from analysis.published.tables import load_table


@pytest.fixture(scope="module")
def rows():
    return ridges.trades()


def test_a_row_for_each_accelerator_work_change_and_factor(rows):
    assert rows["name"].nunique() > 20
    assert len(rows) == rows["name"].nunique() * len(ridges.work()) * 2 * len(ridges.FACTORS)
    printed = load_table("accelerators").set_index(["name", "quantity"])["value"]
    h100 = rows[rows["name"] == "H100 SXM5 80GB"]
    assert printed["H100 SXM5 80GB", "peak_16bit_dense"] == 989_400  # GFLOP/s
    assert h100["ridge"].to_numpy() == pytest.approx(989.4 / 3.35)


def test_time_is_the_sum_of_the_classes_each_at_its_slower_ceiling(rows):
    """In seconds, with the ceilings that the H100's data sheet prints: the ratio is the same."""
    peak, bandwidth, costs = 989.4e12, 3.35e12, ridges.work()["encode"]

    def seconds(peak, bandwidth):
        return sum(max(costs[c].flops / peak, costs[c].bytes / bandwidth) for c in CLASSES)

    found = rows[(rows["name"] == "H100 SXM5 80GB") & (rows["work"] == "encode")]
    found = found[found["factor"] == 4].set_index("change")["relative"]
    before = seconds(peak, bandwidth)
    assert found["peak cut"] == pytest.approx(seconds(peak / 4, bandwidth) / before)
    both = seconds(peak / 4, 4 * bandwidth) / before
    assert found["bandwidth for peak"] == pytest.approx(both)


def test_what_memory_bounds_loses_nothing_and_gains_all(rows):
    """One sequence's step has an intensity near 1, far below any ridge point over 8."""
    step = rows[rows["work"] == "decode"]
    cut = step[step["change"] == "peak cut"]["relative"]
    assert cut.to_numpy() == pytest.approx(1)
    traded = step[step["change"] == "bandwidth for peak"]
    assert traded[traded["factor"] == 2]["relative"].to_numpy() == pytest.approx(0.5)


def test_no_change_is_none_and_a_cut_never_gains(rows):
    assert np.allclose(rows[rows["factor"] == 1]["relative"], 1)
    assert (rows[rows["change"] == "peak cut"]["relative"] >= 1 - 1e-12).all()
    assert (rows["relative"] <= rows["factor"] + 1e-9).all()
