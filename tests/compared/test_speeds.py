"""Speeds that others measured: bounded by hand, beaten by none, and fitted as made-up ones are."""

import csv
import shutil

import numpy as np
import pandas as pd
import pytest

from analysis.compared import speeds
from analysis.errors import InputError
from analysis.published.tables import DATA, load_table


@pytest.fixture(scope="module")
def rows():
    return speeds.speeds()


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(DATA, tmp_path / "data")


def test_no_published_speed_beats_what_bytes_and_flops_allow(rows):
    assert len(rows) == 811
    assert rows["share"].max() < 1 and rows["share"].min() > 0
    assert set(rows[rows["phase"] == "generate"]["limit"]) == {"memory"}
    assert set(rows[rows["phase"] == "prompt"]["limit"]) == {"compute"}


def test_every_device_has_peaks_and_memory(rows):
    chips = load_table("accelerators").groupby("name")["quantity"].agg(set)
    asked = {"peak_fp32", "peak_16bit_dense", "memory_bandwidth", "memory_capacity"}
    assert rows["device"].nunique() == 21
    assert all(asked <= chips[name] for name in rows["device"].unique())


def test_sums_in_32_bits_would_have_been_beaten(rows):
    """An RTX 4080 read a prompt in F16 faster than its peak with sums in FP32, 97.5 TFLOP/s."""
    fastest = rows[(rows["device"] == "RTX 4080 16GB") & (rows["phase"] == "prompt")]
    done = fastest["tokens_per_s"] * fastest["flops"]
    assert 97.5e12 < done.max() < 194.9e12


def test_bits_are_those_of_the_files():
    """Llama 3 8B: 8.03e9 weights; 14.96 GiB are 16 bits each, 4.58 GiB some five."""
    bits = speeds.weight_bits()
    assert bits["Llama 3 8B", "F16"] == pytest.approx(16, rel=1e-3)
    assert bits["Llama 3 8B", "Q4_K_M"] == pytest.approx(4.58 * 2**30 * 8 / 8.03e9, rel=1e-3)
    assert bits["Llama 2 70B", "INT4 G32"] == 4


def test_a_bound_by_hand(rows):
    """RTX 3090, Llama 3 8B in F16: layers of 218e6 weights, norms and the head; a cache of 131,072
    bytes a token, of which 255.5 are there in the mean; 936.2 GB/s."""
    layer = 4096 * (4096 + 2 * 1024) + 4096 * 4096 + 3 * 4096 * 14336 + 2 * 4096
    weights = 32 * layer + 4096 + 128256 * 4096
    bits = speeds.weight_bits()["Llama 3 8B", "F16"]
    moved = weights * bits / 8 + 255.5 * 131072
    one = speeds.alone(rows, "generate", "F16").set_index("device").loc["RTX 3090"]
    assert one["bound"] == pytest.approx(936.2e9 / moved)
    prompt = speeds.alone(rows, "prompt", "F16").set_index("device").loc["RTX 3090"]
    matmuls = 2 * (weights - 128256 * 4096 - 65 * 4096)
    assert prompt["flops"] == pytest.approx(matmuls + 4 * 4096 * 32 * 256.5, rel=1e-9)
    assert prompt["bound"] == pytest.approx(142e12 / prompt["flops"])


def test_chips_and_models_are_those_of_the_data_that_are_asked_for(rows, copy):
    """A bandwidth of ten times, and half the layers."""
    for path, old, new in (
        ("hardware/accelerators.csv", ",936.2,", ",9362,"),
        ("models/architectures.csv", "Llama 3 8B,2024-04-18,32,", "Llama 3 8B,2024-04-18,16,"),
    ):
        text = (copy / path).read_text("utf-8")
        assert old in text
        (copy / path).write_text(text.replace(old, new), "utf-8")
    theirs = (rows["device"] == "RTX 3090") & (rows["model"] == "Llama 3 8B")
    before, after = (some[theirs] for some in (rows, speeds.speeds(copy)))
    assert np.allclose(after["bandwidth"], 10 * before["bandwidth"])
    assert (after["flops"] < 0.7 * before["flops"]).all()


def test_layers_take_turns_and_tensors_are_read_at_once(rows):
    named = rows.set_index(["device", "devices", "model", "format", "phase", "tokens"])["memory"]
    one, two, four = (named["RTX 3090", n, "Llama 3 8B", "F16", "generate", 512] for n in (1, 2, 4))
    assert one == two == four
    one, eight = (named["A100 SXM4 80GB", n, "Llama 2 7B", "BF16", "generate", 200] for n in (1, 8))
    assert eight == pytest.approx(8 * one)
    half = named["Instinct MI250X", 0.5, "Llama 2 7B", "BF16", "generate", 200]
    assert half / one == pytest.approx(3276.8 / 2 / 2039)


def made(bandwidth_power: float, peak_power: float, noise: float = 0.0) -> pd.DataFrame:
    random = np.random.default_rng(3)
    rows = pd.DataFrame({"bandwidth": np.geomspace(100, 3000, 12)})
    rows["peak"] = random.permutation(np.geomspace(5, 900, 12))
    speed = rows["bandwidth"] ** bandwidth_power * rows["peak"] ** peak_power
    return rows.assign(tokens_per_s=speed * np.exp(noise * random.normal(size=12)))


@pytest.mark.parametrize("powers", [(1.0, 0.0), (0.0, 1.0), (0.44, 0.21)])
def test_elasticities_are_those_that_speeds_were_made_with(powers):
    found = speeds.elasticity(made(*powers)).set_index("on")
    assert found.loc[["bandwidth", "peak"], "value"].to_list() == pytest.approx(powers, abs=1e-9)
    noisy = speeds.elasticity(made(*powers, noise=0.2)).set_index("on")
    for on, power in zip(("bandwidth", "peak"), powers, strict=True):
        assert noisy.loc[on, "value_low"] < power < noisy.loc[on, "value_high"]
        assert noisy.loc[on, "least"] <= noisy.loc[on, "value"] <= noisy.loc[on, "most"]
    with pytest.raises(InputError, match="needs 5 devices; there are 4"):
        speeds.elasticity(made(*powers).head(4))


def test_intervals_hold_the_truth_as_often_as_they_say():
    """500 samples of 95 %: fewer than 91 % or more than 98.5 % in less than 1 of 1000 tests."""
    random, hits, rows = np.random.default_rng(4), 0, made(1.0, 0.0)
    for _ in range(500):
        noise = np.exp(0.3 * random.normal(size=len(rows)))
        found = speeds.elasticity(rows.assign(tokens_per_s=rows["bandwidth"] * noise)).iloc[0]
        hits += found["value_low"] <= 1 <= found["value_high"]
    assert 0.91 <= hits / 500 <= 0.985


def test_what_the_chapter_says_of_the_reference_devices(rows):
    """16-bit weights: elasticity well below one over all, since cards of 2 TB/s reach half."""
    found = speeds.elasticities(speeds.alone(rows, "generate", "F16")).set_index(["over", "on"])
    assert found.loc[("all", "bandwidth"), "value_high"] < 0.75
    assert found.loc[("below 1.5 TB/s", "bandwidth"), "value"] > 0.8
    assert set(found.index.get_level_values("over")) == {"all", "below 1.5 TB/s", "NVIDIA"}
    reached = load_table("speeds_reached").set_index(["phase", "memory"])["middle"]
    assert reached["generate", "above"] < 0.5 < reached["generate", "below 1.5 TB/s"]


def test_gains_and_several_devices_are_pairs_of_speeds():
    gains = speeds.gains().set_index(["phase", "device"])
    assert gains.loc[("generate", "RTX 3090"), "value"] == pytest.approx(115.42 / 47.40)
    assert set(gains.loc["prompt", "predicted"]) == {1.0}
    several = speeds.several().set_index(["device", "devices", "format", "phase", "tokens"])
    two = several.loc[("RTX 3090", 2, "F16", "generate", 512), "value"]
    assert two.squeeze() == pytest.approx(47.72 / 47.40)


FAULTS = {
    "a speed that is no number": (
        "speeds",
        "tokens_per_s",
        "fast",
        "column tokens_per_s: expected",
    ),
    "a device without a data sheet": ("speeds", "device", "Abacus", "column device: no Abacus"),
    "a format without bits": (
        "speeds",
        "format",
        "INT8",
        "column format: no ('Llama 3 8B', 'INT8')",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line_with_file_line_and_column(fault, copy):
    table, column, value, expected = FAULTS[fault]
    path = copy / "published" / f"{table}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    rows[0][column] = value
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(InputError) as error:
        speeds.speeds(copy)
    text = str(error.value)
    assert text.startswith("published/speeds.csv, line 2, column") and expected in text
    assert "\n" not in text


def test_speeds_that_do_not_go_with_memory_are_not_said_to(monkeypatch):
    """Shuffled among devices, neither claim would be reproduced."""
    random, true = np.random.default_rng(5), speeds.speeds()
    order = random.permutation(len(true))
    shuffled = true.assign(tokens_per_s=true["tokens_per_s"].to_numpy()[order])
    monkeypatch.setattr(speeds, "speeds", lambda data=None: shuffled)
    for phase, on in (("generate", "bandwidth"), ("prompt", "peak")):
        value, low, high = speeds.follows(None, phase, on)
        assert not 0.9 <= low <= high <= 1.1
