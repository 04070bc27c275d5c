"""Rows beside those that they are compared with: made-up rows whose ratios are known."""

import pandas as pd
import pytest

from analysis.compared.ratios import matched, over_time, ratios
from analysis.measured.run import Missing
from analysis.measured.timing import Sample


def rows(*named: tuple[str, float]) -> pd.DataFrame:
    return pd.DataFrame(
        [{"name": name, "turn": "t", "sample": Sample((s, 2 * s))} for name, s in named]
    )


def test_each_row_stands_beside_the_one_of_its_name():
    found, base = matched(rows(("a", 2), ("b", 1), ("a", 3)), rows(("c", 9), ("a", 6)), ["name"])
    assert found["name"].to_list() == base["name"].to_list() == ["a", "a"]
    assert ratios(base, found, "gain")["gain"].tolist() == [3, 2]
    assert ratios(found, base, "time")["time"].tolist() == pytest.approx([1 / 3, 1 / 2])


def test_without_a_name_one_row_is_the_base_of_all():
    found, base = matched(rows(("a", 2), ("b", 1)), rows(("c", 4)))
    assert (len(found), base["name"].to_list()) == (2, ["c", "c"])


def test_rows_that_nothing_is_beside_are_missing():
    with pytest.raises(Missing):
        matched(rows(("a", 2)), rows(("b", 1)), ["name"])
    with pytest.raises(Missing):
        matched(rows(("a", 2)).iloc[:0], rows(("a", 1)), ["name"])


def test_the_low_end_of_a_rate_takes_longest():
    times = pd.DataFrame({"seconds": [2.0], "low": [1.0], "high": [4.0]})
    found = over_time(lambda seconds: 8 / seconds, times, "rate")
    assert [found[end][0] for end in ("rate_low", "rate", "rate_high")] == [2, 4, 8]
