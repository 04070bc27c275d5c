"""What a longer text costs: a device by hand, and made-up machines whose reasons are known."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from analysis.compared import speeds
from analysis.predicted.chips import model_named

CACHED = {"Llama 3 8B": 131072, "Llama 3 70B": 327680}  # bytes a token: 2 x layers x 8 x 128 x 2


@pytest.fixture
def machine(monkeypatch):
    """What sets speeds to those of a made-up machine: `seconds` of a token from the rows and the
    tokens before it."""
    true = speeds.speeds

    def make(seconds):
        def made_up(data=None):
            rows = true(data)
            return rows.assign(tokens_per_s=1 / seconds(rows, (rows["tokens"] - 1) / 2))

        monkeypatch.setattr(speeds, "speeds", made_up)

    return make


def found(what: str) -> pd.DataFrame:
    return speeds.causes().set_index(["what", "over"]).loc[what]


def test_spread_is_that_of_repetitions(monkeypatch):
    """Logarithms 0, 1, 2 and 0, 2, 4: variances 1 and 4, two degrees of freedom each."""
    rows = pd.DataFrame({"device": [*"aaabbb"], "format": "F16"})
    rows["tokens_per_s"] = np.exp([0, 1, 2, 0, 2, 4])
    monkeypatch.setattr(speeds, "load_table", lambda name, data: rows)
    assert speeds.spread() == pytest.approx(t.ppf(0.975, 4) * np.sqrt(2 * 2.5))


def test_a_longer_text_by_hand():
    """RTX 3090, Llama 3 8B in F16: 47.40 tokens/s of 512, 44.79 of 4096 and 42.62 of 8192; 3840
    tokens more in the mean, each of 131,072 bytes that heads of queries share by fours, and of
    4 x 4096 FLOPs a layer."""
    rows = speeds.contexts().set_index(["device", "devices", "model", "format"])
    row = rows.loc[("RTX 3090", 1, "Llama 3 8B", "F16")]
    off = np.exp(speeds.spread())
    assert row["value"] == pytest.approx(42.62 / 47.40)
    assert row["value_low"] == pytest.approx(42.615 / 47.405 / off)
    assert row["value_high"] == pytest.approx(42.625 / 47.395 * off)
    seconds = 1 / 42.62 - 1 / 47.40
    assert row["seconds"] == pytest.approx(seconds)
    assert row["cache"] == pytest.approx(131072 * 3840 / seconds / 1e9)
    assert row["queries"] == pytest.approx(4 * row["cache"])
    assert row["flops"] == pytest.approx(4 * 4096 * 32 * 3840 / seconds / 1e12, rel=1e-6)
    latter, first = 1 / 42.62 - 1 / 44.79, 1 / 44.79 - 1 / 47.40
    assert row["length"] == pytest.approx(latter / 2048 / (first / 1792))
    assert not row["within"] and len(rows) == 98


def test_a_machine_that_waits_for_memory_costs_its_bytes(machine):
    machine(lambda rows, before: rows["bytes"] / rows["bandwidth"] / 0.8e9)
    rows = speeds.contexts()
    assert rows["within"].all() and np.allclose(rows["value"], rows["predicted"])
    assert np.allclose(rows[["cache", "weights"]].div(rows["bandwidth"], axis=0), 0.8)
    for what, value in {"format": 1, "model": 2.5, "length": 1, "cache_weights": 1,
                        "cache_bandwidth": 0.8, "queries_bandwidth": 3.2}.items():  # fmt: skip
        assert found(what)["value"].to_list() == pytest.approx([value] * 4)
    assert speeds.cache_as_weights() == pytest.approx((1, 1, 1))
    one = speeds.general(rows[rows["format"] == "Q4_K_M"])
    slopes = speeds.elasticities(one.assign(tokens_per_s=one["cache"])).set_index(["over", "on"])
    assert slopes["value"]["all", "bandwidth"] == pytest.approx(1)
    assert slopes["value"]["all", "peak"] == pytest.approx(0, abs=1e-9)


def test_a_machine_whose_heads_of_queries_read_for_themselves_is_told(machine):
    """Four share a cache in 8B, eight in 70B: twice as much to read for each byte."""
    sharing = {"Llama 3 8B": 4, "Llama 3 70B": 8}

    def seconds(rows, before):
        cached = rows["model"].map(CACHED) * before * rows["model"].map(sharing)
        weights = rows["bytes"] - rows["model"].map(CACHED) * before
        return (weights + cached) / rows["bandwidth"] / 1e9

    machine(seconds)
    assert found("model")["value"].to_list() == pytest.approx([5] * 4)
    assert found("queries_bandwidth")["value"].to_list() == pytest.approx([1] * 4)
    assert found("format")["value"].to_list() == pytest.approx([1] * 4)
    assert not speeds.contexts()["within"].all()


def test_cached_bytes_are_those_of_the_architectures():
    for name, expected in CACHED.items():
        assert 2 * model_named(name).cached(1) == expected


def test_what_the_chapter_says_of_the_reference_devices():
    """The same in both formats, and on cards with stacked memory as heads of queries say."""
    assert speeds.contexts()["within"].sum() < 10
    assert 0.9 < found("format").loc["all", "value_low"]
    assert found("format").loc["all", "value_high"] < 1.1
    model = found("model")
    assert 2.5 < model.loc["cards above", "value_low"] < 5 < model.loc["cards above", "value_high"]
    assert model["n"].to_dict() == {
        "all": 14,
        "cards below 1.5 TB/s": 8,
        "cards above": 3,
        "Apple": 3,
    }
