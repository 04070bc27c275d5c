"""Coefficients give what the formulas count, at every size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.errors import InputError
from analysis.predicted.architectures import ARCHITECTURES, BERT_BASE, GPT2
from analysis.predicted.chips import open_models
from analysis.predicted.needs import needs_of, prompt, step
from analysis.predicted.operations import UNFUSED
from analysis.predicted.roofline import compulsory_bytes
from analysis.predicted.transformer import decoder_step, encoder_pass, matmul_flops, prefill
from analysis.predicted.variants import Window

DECODERS = [arch for arch in open_models().values() if arch.kind == "decoder"]
SIZES = st.integers(1, 20_000)


@given(st.sampled_from(DECODERS), SIZES, st.integers(1, 500))
def test_a_step_is_that_of_the_formulas(arch, context, batch):
    needs = needs_of(arch)
    work = step(needs, context, batch)
    assert work.flops == matmul_flops(decoder_step(arch, context, UNFUSED, batch))
    assert work.cache == batch * arch.cached(context)
    alone = step(needs, context)
    assert alone.weights + alone.cache == pytest.approx(compulsory_bytes(arch, context, 1))
    assert needs.fixed_weights < work.weights <= needs.parameters or not arch.experts


@given(st.sampled_from([arch for arch in DECODERS if not arch.latent]), st.integers(1, 60))
def test_a_prompt_is_the_steps_that_it_spares_with_one_head(arch, length):
    arch = arch.replace(window=Window(7, 1))
    bare = arch.replace(lm_head=False)
    steps = sum(matmul_flops(decoder_step(bare, n, UNFUSED)) for n in range(1, length + 1))
    head = 2 * arch.d_model * arch.vocab_size
    assert prompt(needs_of(arch), length).flops == steps + head


@pytest.mark.parametrize("arch", ARCHITECTURES.values(), ids=ARCHITECTURES)
@pytest.mark.parametrize("length, batch", [(1, 1), (100, 3)])
def test_an_encoder_attends_to_all_and_a_decoder_to_what_came_before(arch, length, batch):
    found = prompt(needs_of(arch), length, batch).flops
    if arch.kind == "encoder":
        assert found == matmul_flops(encoder_pass(arch, length, UNFUSED, batch))
        return
    whole = prefill(arch.replace(lm_head=False), length, UNFUSED, batch)
    spared = whole["act_to_act"].flops * (length - 1) // (2 * length)
    head = 2 * batch * arch.d_model * arch.vocab_size
    assert found == matmul_flops(whole) - spared + head


def test_an_encoder_s_window_reaches_to_both_sides():
    wide, narrow = (
        prompt(needs_of(BERT_BASE.replace(window=window)), 10).flops
        for window in (None, Window(5, 12))
    )
    pairs = sum(min(10, i + 3) - max(0, i - 2) for i in range(10))
    assert wide - narrow == (100 - pairs) * 4 * 768 * 12


def test_experts_are_read_as_often_as_they_are_chosen():
    mixtral = needs_of(open_models()["Mixtral 8x7B"])
    assert mixtral.expert_weights == 32 * 8 * 3 * 4096 * 14336
    one, all_of_them = mixtral.weights_read(1), mixtral.weights_read(10**6)
    assert all_of_them - one == pytest.approx(0.75 * mixtral.expert_weights)


def test_an_encoder_takes_no_steps():
    with pytest.raises(InputError, match="takes no decoder steps"):
        step(needs_of(BERT_BASE), 10)
    assert needs_of(GPT2).cached(10) == GPT2.cached(10)
