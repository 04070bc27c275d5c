import subprocess
import sys
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.errors import InputError
from analysis.predicted.architectures import (
    ARCHITECTURES,
    BERT_BASE,
    GPT2,
    Architecture,
)
from analysis.predicted.operations import CONVENTIONS, FUSED, PUBLISHED, UNFUSED
from analysis.predicted.transformer import (
    CLASSES,
    decoder_step,
    encoder_pass,
    generation,
    matmul_flops,
    prefill,
)


def test_matmul_totals_that_others_publish():
    assert matmul_flops(encoder_pass(BERT_BASE, 128, UNFUSED)) == 22_348_431_360
    assert matmul_flops(prefill(GPT2, 128, UNFUSED)) == 32_228_179_968
    assert matmul_flops(prefill(GPT2, 1024, UNFUSED)) == 291_648_307_200


def test_a_step_by_hand():
    arch = Architecture(
        "tiny", "decoder", 1, 8, 2, 16, 10, 5, n_kv_heads=1, gated_ffn=True, activation="silu",
        norm="rmsnorm", qk_norm=True, positions="rotary", qkv_bias=False, out_bias=False,
        ffn_bias=False, lm_head=True, tied_embeddings=False,
    )  # fmt: skip
    counts = decoder_step(arch, 3, UNFUSED.with_bytes(1))
    assert counts["mha_projections"].bytes == (8 + 64 + 8) * 2 + (8 + 32 + 4) * 2
    assert counts["act_to_act"].flops == 2 * 2 * 3 * 4 * 2
    assert counts["act_to_act"].bytes == (8 + 12 + 6) + (6 + 12 + 8)
    assert counts["ffn_projections"].flops == 2 * (3 * 8 * 16 + 8 * 10)
    assert counts["other"].bytes == (
        2 * 2 * 6  # scale and softmax
        + 2 * 16 + 3 * 16  # activation and gate
        + 2 * (16 + 8) + 2 * 3 * 8  # norms and residual adds
        + (16 + 4) + (8 + 4)  # query and key norms
        + (16 + 8) + (8 + 8)  # rotary
        + 2 * 8  # cache
        + 2 * 8 + (16 + 8)  # token rows, final norm
    )  # fmt: skip


def test_importing_the_counts_imports_neither_torch_nor_pandas():
    code = (
        "import sys, analysis.predicted.transformer, analysis.predicted.configs;"
        "sys.exit(bool({'torch', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@st.composite
def architectures(draw, kind=None):
    size = st.integers(1, 6)
    n_kv_heads, group, head_dim = draw(size), draw(st.integers(1, 3)), draw(size)
    n_heads = n_kv_heads * group
    flags = ("gated_ffn", "qk_norm", "qkv_bias", "out_bias", "ffn_bias", "pooler", "lm_head")
    return Architecture(
        "any",
        kind or draw(st.sampled_from(["encoder", "decoder"])),
        n_layers=draw(size),
        d_model=n_heads * head_dim,
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        d_ff=draw(st.integers(1, 40)),
        vocab_size=draw(st.integers(1, 99)),
        n_positions=draw(size),
        norm=draw(st.sampled_from(["layernorm", "rmsnorm"])),
        positions=draw(st.sampled_from(["learned", "rotary"])),
        token_types=draw(st.integers(0, 2)),
        **{flag: draw(st.booleans()) for flag in flags},
    )


conventions = st.sampled_from(list(CONVENTIONS.values()))
lengths = st.integers(1, 40)
batches = st.integers(1, 4)


def phases(arch):
    return (encoder_pass,) if arch.kind == "encoder" else (prefill, decoder_step, generation)


@given(architectures(), conventions, lengths, batches)
def test_counts_are_additive_over_layers(arch, convention, length, batch):
    for phase in phases(arch):
        one, two, three = (
            phase(arch.replace(n_layers=n), length, convention, batch) for n in (1, 2, 3)
        )
        for name in one:
            for part in ("flops", "bytes_read", "bytes_written"):
                first, second, third = (getattr(c[name], part) for c in (one, two, three))
                assert third - second == second - first > 0 or name != "total"
                assert third - second == second - first >= 0


@given(architectures(), conventions, lengths, batches)
def test_counts_grow_with_length(arch, convention, length, batch):
    for phase in phases(arch):
        counts = phase(arch, np.array([length, length + 1]), convention, batch)
        for name, cost in counts.items():
            for part in (cost.flops, cost.bytes):
                assert part[0] < part[1] or name != "total"
                assert part[0] <= part[1]


@given(architectures(), conventions, lengths, batches)
def test_flops_are_linear_in_batch(arch, convention, length, batch):
    for phase in phases(arch):
        one, many = (phase(arch, length, convention, b) for b in (1, batch))
        for name in one:
            assert many[name].flops == batch * one[name].flops
            assert many[name].bytes <= batch * one[name].bytes


@given(architectures(), lengths, batches)
def test_fused_never_moves_more_than_unfused(arch, length, batch):
    for phase in phases(arch):
        fused, unfused = (phase(arch, length, c, batch) for c in (FUSED, UNFUSED))
        for name in fused:
            assert fused[name].bytes <= unfused[name].bytes
            assert fused[name].flops == unfused[name].flops


@given(architectures("decoder"), conventions, lengths, batches)
def test_a_generation_is_the_sum_of_its_steps(arch, convention, length, batch):
    whole = generation(arch, length, convention, batch)
    steps = [decoder_step(arch, t, convention, batch) for t in range(1, length + 1)]
    for name, cost in whole.items():
        for part in ("flops", "bytes_read", "bytes_written"):
            assert getattr(cost, part) == sum(getattr(step[name], part) for step in steps)


@given(architectures(), conventions)
def test_a_curve_is_its_points(arch, convention):
    for phase in phases(arch):
        curve = phase(arch, np.array([[1], [7]]), convention, batch=[1, 2, 3])
        for i, length in enumerate((1, 7)):
            for j, batch in enumerate((1, 2, 3)):
                point = phase(arch, length, convention, batch)
                for name in point:
                    assert curve[name].bytes[i, j] == point[name].bytes
                    assert curve[name].flops[i, j] == point[name].flops


def test_the_total_is_the_sum_of_the_four_classes():
    counts = encoder_pass(BERT_BASE, 128, PUBLISHED)
    assert tuple(counts) == (*CLASSES, "total")
    assert counts["total"].flops == sum(counts[name].flops for name in CLASSES)


@pytest.mark.parametrize("convention", CONVENTIONS.values(), ids=CONVENTIONS)
def test_counts_are_whole_numbers_at_any_size(convention):
    arch = ARCHITECTURES["gpt2-xl"].replace(n_layers=10**6)
    for part in vars(generation(arch, 10**6, convention, batch=10**3)["total"]).values():
        assert isinstance(part, int)


def test_weights_are_read_once_for_a_batch():
    one, two = (decoder_step(GPT2, 1, PUBLISHED, batch) for batch in (1, 2))
    more = two["ffn_projections"].bytes - one["ffn_projections"].bytes
    assert more == GPT2.n_layers * 2 * (GPT2.d_model + GPT2.d_ff)


def test_half_bytes():
    step = decoder_step(GPT2, 100, FUSED.with_bytes(0.5, 2, 0.5))["mha_projections"]
    weights = 4 * prod((GPT2.d_model, GPT2.d_model + 1)) * GPT2.n_layers
    assert step.bytes == weights * 0.5 + 4 * 2 * GPT2.d_model * GPT2.n_layers * 2


@pytest.mark.parametrize("value", [0, -1, 1.0, "128", None, True, [], [1, 0]])
def test_lengths_and_batches_are_positive_integers(value):
    with pytest.raises(InputError, match="sequence_length.*integer >= 1"):
        encoder_pass(BERT_BASE, value, PUBLISHED)
    with pytest.raises(InputError, match="batch.*integer >= 1"):
        generation(GPT2, 1, PUBLISHED, batch=value)


def test_a_phase_needs_its_kind_of_model():
    with pytest.raises(InputError, match="encoder pass needs a model of kind encoder; GPT-2"):
        encoder_pass(GPT2, 1, PUBLISHED)
    for phase in (prefill, decoder_step, generation):
        with pytest.raises(InputError, match="BERT-Base is of kind encoder"):
            phase(BERT_BASE, 1, PUBLISHED)
