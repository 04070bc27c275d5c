"""What a model does on a chip: exact figures by hand, and properties of all."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.errors import InputError
from analysis.predicted.answer import Setting, answer, batch_past_memory, fit, held
from analysis.predicted.architectures import BERT_BASE, GPT2
from analysis.predicted.chips import Chip, chip_named, model_named, open_models
from analysis.predicted.needs import needs_of, step
from analysis.predicted.printed import amount, duration, lines
from analysis.predicted.serving import MOST

H100 = chip_named("H100 SXM5 80GB")
LLAMA = model_named("Llama 3 8B")
SETTING = Setting(context=1000, prompt=500)
CHIP = Chip("chip", 1e12, {16: 1e14}, 100e9, 1e11)


def test_a_step_of_llama_by_hand():
    found = answer(needs_of(LLAMA), CHIP, SETTING, LLAMA)
    weights, cache = 8_030_261_248 - 128_256 * 4096, 32 * 2 * 1024 * 1000
    assert found["step"]["bytes"] == 2 * (weights + cache)
    flops = 2 * (weights - 65 * 4096) + 32 * 4 * 4096 * 1000  # norms multiply no matrix
    assert found["step"]["flops"] == flops
    assert found["step"]["seconds"] == 2 * (weights + cache) / 1e12
    assert found["step"]["limit"] == "memory" and found["prompt"]["limit"] == "compute"
    assert found["memory"]["left"] == 100e9 - 2 * (8_030_261_248 + cache)
    assert found["step"]["tokens_per_s_reached"][1] < found["step"]["tokens_per_s"]
    assert [each["change"] for each in found["changes"]] == [
        "weights of 8 bits", "weights of 4 bits", "a batch of 8", "twice the bandwidth",
    ]  # fmt: skip


def test_costs_follow_from_the_price():
    step = answer(needs_of(GPT2), CHIP, replace(SETTING, price=3.6))["step"]
    assert step["cost_per_million"] == pytest.approx(1e3 / step["tokens_per_s"])
    low, high = step["cost_per_million_reached"]
    assert step["cost_per_million"] < low < high


def test_links_carry_two_sums_a_layer():
    needs, two = needs_of(LLAMA), replace(CHIP, n=2, link=1e6)
    found = answer(needs, two, SETTING)["step"]
    assert found["limit"] == "links" and found["seconds"] == 2 * 32 * 4096 * 2 / 1e6
    assert found["seconds_reached"] is None
    with pytest.raises(InputError, match="links are not known"):
        answer(needs, replace(two, link=None), SETTING)


def test_an_encoder_has_no_step():
    found = answer(needs_of(BERT_BASE), CHIP, SETTING, BERT_BASE)
    assert "step" not in found and found["memory"]["cache"] == 0
    assert any("whole prompt" in line for line in lines(found))


MODELS = st.sampled_from(list(open_models().values()))
SETTINGS = st.builds(
    Setting, st.integers(1, 10**6), st.integers(1, 10**5), st.integers(1, 1000),
    st.sampled_from([4, 8, 16, 32]), st.sampled_from([4, 8, 16, 32]),
)  # fmt: skip


@given(MODELS, SETTINGS)
def test_what_is_said_to_fit_fits_and_one_more_does_not(arch, setting):
    needs = needs_of(arch)
    found, memory = fit(needs, H100, setting), H100.memory
    if needs.kind == "encoder":
        return
    weights, cache = held(needs, setting)
    batch = found["largest_batch"]
    assert weights + (batch + 1) * cache > memory
    assert not batch or weights + batch * cache <= memory
    longest = found["longest_context"]
    for context, fits in ((longest, True), ((longest or 0) + 1, False)):
        if context:
            longer = held(needs, replace(setting, context=context))[1]
            assert (weights + setting.batch * longer <= memory) == (fits or longest is None)


@given(MODELS, SETTINGS)
def test_from_the_batch_that_is_said_on_a_step_waits_for_compute(arch, setting):
    needs = needs_of(arch)
    if needs.kind == "encoder":
        return
    batch = batch_past_memory(needs, H100, setting)

    def waits_for_compute(n):
        work = step(needs, setting.context, n)
        read = (work.weights * setting.weights + work.cache * setting.cache) / 8
        return work.flops / H100.peak(16) >= read / H100.bandwidth

    if batch is None:
        assert not waits_for_compute(MOST)
        return
    assert waits_for_compute(batch) and (batch == 1 or not waits_for_compute(batch - 1))


@given(MODELS, SETTINGS)
def test_a_change_never_makes_a_bound_worse(arch, setting):
    for each in answer(needs_of(arch), H100, setting, arch)["changes"]:
        assert each["gain"] >= 1 - 1e-9


def test_grouped_heads_are_offered_where_there_are_more():
    old = model_named("LLaMA-65B")
    found = answer(needs_of(old), CHIP, replace(SETTING, context=8192), old)["changes"]
    (one,) = [each for each in found if each["change"] == "grouped heads"]
    fewer = needs_of(old.replace(n_kv_heads=8))
    assert one["seconds"] == answer(fewer, CHIP, replace(SETTING, context=8192))["step"]["seconds"]


def test_chips_and_models_are_found_whatever_their_case_and_spaces():
    assert chip_named("h100-sxm5 80gb") == H100
    assert (H100.bandwidth, H100.peak(16), H100.memory) == (3.35e12, 9.894e14, 80 * 2**30)
    assert H100.link == 450e9 and H100.peak(4) == H100.peak(8) == 1.979e15
    assert model_named("llama-3-8b") == LLAMA and model_named("gpt2") == GPT2


@pytest.mark.parametrize(
    "name, told",
    [("h100", "H100 SXM5 80GB"), ("rtx4091", "RTX 4090"), ("", "none is like it"),
     ("\x1b[2J", "no chip"), ("a" * 10**5, "no chip")],
)  # fmt: skip
def test_an_unknown_chip_has_its_nearest_told(name, told):
    with pytest.raises(InputError, match=told) as caught:
        chip_named(name)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 300


def test_a_chip_without_a_peak_so_wide_is_refused():
    with pytest.raises(InputError, match="no peak is known at 32 bits"):
        CHIP.peak(32)


def test_quantities_have_units_that_suit_them():
    assert amount(3.35e12, "B/s") == "3.35 TB/s" and amount(5, "B") == "5 B"
    assert amount(None, "B") == "unknown"
    assert (duration(0.0123), duration(2.5e-7), duration(90)) == ("12.3 ms", "250 ns", "90 s")
