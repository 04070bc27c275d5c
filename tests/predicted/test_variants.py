"""Windows, experts and latent vectors, against sums, simulations and dense networks."""

import numpy as np
import pytest

from analysis.predicted import operations as op
from analysis.predicted.architectures import Architecture
from analysis.predicted.operations import FUSED
from analysis.predicted.transformer import decoder_step, generation, prefill
from analysis.predicted.variants import Experts, Latent, Window

LLAMA = Architecture(
    "llama", "decoder", 4, 512, 8, 1024, 1000, 64, n_kv_heads=2, gated_ffn=True,
    norm="rmsnorm", positions="rotary", qkv_bias=False, out_bias=False, ffn_bias=False,
    lm_head=True, tied_embeddings=False,
)  # fmt: skip
BARE = FUSED.with_bytes(2)


def test_windowed_steps_are_the_sum_over_layers_and_tokens():
    arch = LLAMA.replace(window=Window(5, 3))
    plain = decoder_step(LLAMA, np.arange(1, 12), BARE)["total"]
    mixed = decoder_step(arch, np.arange(1, 12), BARE)["total"]
    cut = decoder_step(LLAMA, np.minimum(np.arange(1, 12), 5), BARE)["total"]
    assert (4 * mixed.bytes == plain.bytes + 3 * cut.bytes).all()
    assert (4 * mixed.flops == plain.flops + 3 * cut.flops).all()
    assert generation(arch, 11, BARE)["total"].flops == mixed.flops.sum()
    assert generation(arch, 11, BARE)["total"].bytes == mixed.bytes.sum()


def test_one_expert_that_everything_visits_is_the_dense_network():
    sparse = LLAMA.replace(experts=Experts(1, 1, LLAMA.d_ff))
    router = op.projection(3, 512, 1, False, BARE) * 4
    for name, cost in decoder_step(sparse, 9, BARE, batch=3).items():
        dense = decoder_step(LLAMA, 9, BARE, batch=3)[name]
        extra = router if name in ("ffn_projections", "total") else op.Cost()
        assert cost.flops == dense.flops + extra.flops
        assert cost.bytes == pytest.approx(dense.bytes + extra.bytes)


def test_experts_are_read_once_each_however_many_tokens_visit():
    """Against a simulation of even, independent choices."""
    rng = np.random.default_rng(0)
    n, k, rows = 16, 3, 7
    visits = [
        np.unique([rng.choice(n, k, replace=False) for _ in range(rows)]).size for _ in range(2000)
    ]
    at = op.routed(rows, (n, k), 10, 10, False, BARE)
    read = (at.bytes_read - rows * k * 10 * 2) / (10 * 10 * 2)
    assert read == pytest.approx(np.mean(visits), rel=0.01)
    assert op.routed(1, (n, k), 10, 10, False, BARE).bytes_read == pytest.approx(k * (20 + 200))


def test_latent_attention_in_a_step_and_in_a_pass():
    arch = LLAMA.replace(n_kv_heads=8, head_dim=64, latent=Latent(96, 128, 16))
    at = decoder_step(arch, [10, 11], BARE)
    rise = np.diff(at["act_to_act"].bytes).item()
    assert rise == 4 * ((96 + 16) * 2 + 8 * 2 * (op.PhaseRule().probabilities_read - 1))
    # Per head and cached token: a product with latent vector and rotary key, a sum of latents
    assert np.diff(at["act_to_act"].flops).item() == 4 * 8 * (2 * (96 + 16) + 2 * 96)
    # Every weight of attention is used once for a token, folded or not
    weights = 4 * (512 * 128 + 128 * 8 * 80 + 512 * 112 + 96 * 2 * 512 + 512 * 512)
    assert at["mha_projections"].flops[0] == 2 * weights
    assert prefill(arch, 1, BARE)["mha_projections"].flops == 2 * weights
    assert arch.n_parameters - LLAMA.n_parameters == weights + 4 * (96 + 128) - 4 * (
        512 * (512 + 2 * 128) + 512 * 512
    )
