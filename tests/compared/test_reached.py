"""Predictions beside published speeds: no speed beats a bound, and ranges hold new devices."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.compared import speeds
from analysis.predicted.answer import Setting, bounds, phase
from analysis.predicted.chips import chip_named, model_named, open_models
from analysis.predicted.needs import needs_of, prompt, step
from analysis.published.tables import load_table


def reached(rows):
    """The shares of the bound that others reached in `speeds`, by phase and memory: n, and the
    tenth, half and nine tenths of devices."""
    side = np.where(rows["bandwidth"] < speeds.FAST, speeds.BELOW, "above")
    shares = rows.groupby(["phase", side])["share"]
    found = shares.quantile([0.1, 0.5, 0.9]).unstack().set_axis(["low", "middle", "high"], axis=1)
    return found.assign(n=shares.size()).rename_axis(["phase", "memory"]).reset_index()


@pytest.fixture(scope="module")
def alone():
    rows = speeds.speeds()
    return rows[(rows["devices"] == 1) & (rows["program"] == "llama.cpp")]


def test_the_table_that_predict_reads_has_the_shares_of_the_speeds(alone):
    written, found = load_table("speeds_reached"), reached(alone)
    for column in ("low", "middle", "high"):
        assert written[column].to_list() == pytest.approx(found[column], abs=5e-5)
    assert written[["phase", "memory", "n"]].equals(found[["phase", "memory", "n"]])


def test_no_published_speed_beats_what_predict_calls_the_least_time(alone):
    known = {name: needs_of(arch) for name, arch in open_models().items()}
    for row in alone.itertuples():
        chip, needs = chip_named(row.device), known[row.model]
        asked = Setting(row.tokens, row.tokens, weights=row.bits)
        work = prompt(needs, row.tokens) if row.phase == "prompt" else step(
            needs, (row.tokens + 1) / 2  # of a generation from nothing, the mean
        )  # fmt: skip
        tokens = row.tokens if row.phase == "prompt" else 1
        least = max(bounds(needs, chip, asked, work, tokens).values())
        assert row.tokens_per_s < tokens / least, row


def test_four_fifths_of_devices_lie_in_the_range_of_the_others(alone):
    inside = []
    for (name, what), rows in alone.groupby(["device", "phase"]):
        side = speeds.BELOW if rows["bandwidth"].iloc[0] < speeds.FAST else "above"
        others = reached(alone[alone["device"] != name])
        others = others.set_index(["phase", "memory"]).loc[what, side]
        inside.append(others["low"] <= rows["share"].median() <= others["high"])
    assert len(inside) == 2 * alone["device"].nunique() == 40
    assert np.mean(inside) >= 0.8


def test_a_range_is_that_of_like_memory(alone):
    needs = needs_of(model_named("Llama 3 8B"))
    asked, table = Setting(512, 512), reached(alone).set_index(["phase", "memory"])
    for name, side in (("RTX 4090", speeds.BELOW), ("A100 PCIe 80GB", "above")):
        found = phase(needs, chip_named(name), asked, "step")
        ends = [found["seconds"] / end for end in found["seconds_reached"]]
        assert ends == pytest.approx(table.loc["generate", side][["high", "low"]], abs=5e-5)
    several = replace(chip_named(name), n=2)
    assert phase(needs, several, asked, "step")["seconds_reached"] is None
