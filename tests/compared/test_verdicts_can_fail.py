"""No verdict on data is one that any data would get: where what decides it is changed, so is it."""

import pytest

from analysis.compared import (
    counts,
    growth,
    memory,
    models,
    quality,
    ridges,
    speeds,
)
from analysis.compared.claims import judge, ours
from analysis.published.claims import load_claims


def made(**columns):
    """What gives a function's table other columns: numbers, or what they are made of."""
    return lambda true: lambda *args, **options: true(*args, **options).assign(**columns)


def times(factor: float):
    """What multiplies the values of a function's table."""
    return made(value=lambda rows: factor * rows["value"])


def faster_chips(true):
    """Processors, tenfold."""
    found = made(value=lambda f: f["value"].where(f["kind"] != "processor", 10 * f["value"]))
    return found(true)


def tuned(bits: float):
    return lambda true: (
        lambda *args: true(*args).where(lambda lost: lost.index != "second-order", bits)
    )


CASES = [
    ("training_memory_over_state", memory, "breakdown",
     made(activations=lambda f: 0.9 * f["activations"]), "reproduced"),
    ("models_fit_their_accelerators", memory, "breakdown",
     made(gpu_limit=lambda f: f["gpu_limit"].shift(fill_value=1)), "differs"),  # a year earlier
    ("recommenders_reach_ten_terabytes", models, "facts", times(1e-3), "differs"),
    ("gpt2_moves_more_bytes", counts, "counted", lambda true: lambda *args: 1.0, "differs"),
    ("second_order_tuning", quality, "spreads", tuned(0.1), "reproduced"),
    ("second_order_tuning", quality, "spreads", tuned(0.5), "differs"),
    ("half_precision_compute", ridges, "half_over_single",
     lambda true: lambda *args: 4 * true(*args), "reproduced"),
    ("half_precision_compute", ridges, "half_over_single",
     lambda true: lambda *args: true(*args) / 4, "differs"),
    ("cpu_peak_below_accelerators", ridges, "facts", faster_chips, "differs"),
    ("bandwidth_instead_of_peak", ridges, "ridges", made(value=0.25), "differs"),
    ("int4_size", quality, "smaller", lambda true: lambda *args: 2.0, "differs"),
    ("generating_follows_bandwidth", speeds, "speeds",
     made(tokens_per_s=lambda f: f["bandwidth"]), "reproduced"),
    ("prompts_follow_peak", speeds, "speeds", made(tokens_per_s=lambda f: f["peak"]), "reproduced"),
    ("four_bits_on_others_machines", speeds, "speeds", made(tokens_per_s=lambda f: f["memory"]),
     "reproduced"),
    ("more_devices_bring_no_faster_token", speeds, "speeds",
     made(tokens_per_s=lambda f: f["tokens_per_s"] * f["devices"]), "differs"),
    ("longer_texts_cost_their_cache", speeds, "speeds",
     made(tokens_per_s=lambda f: 0.3 * f["memory"]), "reproduced"),
    ("interconnect_to_2026", growth, "later_points",
     lambda true: lambda trend, data=None: true("dram_bandwidth", data), "differs"),
]  # fmt: skip


@pytest.mark.parametrize(("id", "module", "name", "change", "word"), CASES)
def test_other_data_gives_another_verdict(id, module, name, change, word, monkeypatch):
    claim = load_claims()[id]
    before = judge(claim, ours(claim, None))
    monkeypatch.setattr(module, name, change(getattr(module, name)))
    assert judge(claim, ours(claim, None)) == word != before
