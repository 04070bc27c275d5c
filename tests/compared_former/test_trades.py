"""Accelerators with less peak, checked against arithmetic by hand."""

import numpy as np
import pytest

from analysis.compared import figures, trades
from analysis.predicted.transformer import CLASSES


@pytest.fixture(scope="module")
def rows():
    return trades.trades()


def test_only_shipped_accelerators_with_both_ceilings_are_changed(rows):
    chips = trades.accelerators()
    assert len(chips) > 20 and chips["name"].is_unique
    assert (chips["peak"] / chips["bandwidth"]).between(10, 2000).all()
    h100 = chips.set_index("name").loc["H100 SXM5 80GB"]
    assert (h100["peak"], h100["bandwidth"]) == (989.4e12, 3.35e12)
    assert len(rows) == len(chips) * len(trades.work()) * 2 * len(trades.FACTORS)


def test_time_is_the_sum_of_the_classes_each_at_its_slower_ceiling(rows):
    chip = trades.accelerators().iloc[-1]
    costs = trades.work()["encode"].costs
    by_hand = sum(
        max(costs[c].flops / (chip["peak"] / 4), costs[c].bytes / chip["bandwidth"])
        for c in CLASSES
    )
    found = rows[(rows["name"] == chip["name"]) & (rows["change"] == "peak cut")]
    found = found[(found["work"] == "encode") & (found["factor"] == 4)]
    assert found["seconds"].item() == pytest.approx(by_hand)


def test_what_memory_bounds_loses_nothing_and_gains_all(rows):
    """One sequence's step has an intensity near 1, far below any ridge point over 8."""
    step = rows[rows["work"] == "decode"]
    cut = step[step["change"] == "peak cut"]["relative"]
    assert cut.to_numpy() == pytest.approx(1)
    traded = step[step["change"] == "bandwidth for peak"]
    assert (traded[traded["factor"] == 2]["relative"] < 0.51).all()


def test_no_change_is_none_and_a_cut_never_gains(rows):
    assert np.allclose(rows[rows["factor"] == 1]["relative"], 1)
    assert (rows[rows["change"] == "peak cut"]["relative"] >= 1 - 1e-12).all()
    assert (rows["relative"] <= rows["factor"] + 1e-9).all()


def test_tables_and_figure(rows):
    assert figures.traded(rows).svg().count("<svg") == 1
    for table in (trades.trade_table(rows, "tab"), trades.accelerator_table(None, "tab")):
        assert ":name: tab" in table._repr_mimebundle_()["text/markdown"]
