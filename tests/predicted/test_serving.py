"""A token in a batch: what is shared, what is not, and the batch that reaches a ridge point."""

import pytest

from analysis.errors import InputError
from analysis.predicted.architectures import GPT2, GPT2_XL
from analysis.predicted.operations import FUSED
from analysis.predicted.roofline import Ceilings, compulsory_bytes
from analysis.predicted.serving import (
    batch_to_reach,
    draft_speed_up,
    expected_tokens,
    intensity,
    knee,
    memory_bytes,
    projection_bytes,
    step_bytes,
    token_cost,
)
from analysis.predicted.transformer import decoder_step

HALF = FUSED.with_bytes(2)


def test_a_token_alone_is_a_decoder_step():
    assert token_cost(GPT2_XL, 100, HALF) == decoder_step(GPT2_XL, 100, HALF)["total"]


def test_a_batch_shares_the_weights_and_nothing_else():
    one, many = (token_cost(GPT2_XL, 100, HALF, batch) for batch in (1, 1000))
    assert many.flops == one.flops
    shared = one.bytes - many.bytes
    matrices = GPT2_XL.n_parameters - 1024 * 1600  # of positions one row is read
    assert shared == pytest.approx(0.999 * 2 * matrices, rel=2e-3)


@pytest.mark.parametrize("ridge", [1.5, 5.0, 8.0])
def test_the_batch_found_is_the_least(ridge):
    batch = batch_to_reach(GPT2_XL, ridge, 256, HALF)
    assert intensity(GPT2_XL, 256, HALF, batch) >= ridge
    assert batch == 1 or intensity(GPT2_XL, 256, HALF, batch - 1) < ridge


def test_no_batch_outruns_its_own_caches():
    """Multi-head attention: one FLOP for each cached byte, however many sequences."""
    assert batch_to_reach(GPT2_XL, 10.0, 100_000, HALF) is None
    limit = intensity(GPT2_XL, 10**9, HALF, 2**30)
    assert limit == pytest.approx(1, rel=0.2)


def test_a_batch_of_one_can_suffice():
    assert batch_to_reach(GPT2_XL, 0.1, 10, HALF) == 1


def test_memory_is_weights_and_caches():
    held = memory_bytes(GPT2_XL, 10, HALF, 3) - memory_bytes(GPT2_XL, 10, HALF, 2)
    assert held == 2 * 2 * 48 * 1600 * 10
    assert memory_bytes(GPT2_XL, 1, FUSED.with_bytes(0.5, 2)) == pytest.approx(
        GPT2_XL.n_parameters / 2 + 2 * 2 * 48 * 1600
    )


@pytest.mark.parametrize("ridge", [0, -1, float("nan")])
def test_a_ridge_point_is_positive(ridge):
    with pytest.raises(InputError, match="ridge point"):
        batch_to_reach(GPT2_XL, ridge, 10, HALF)


def test_projections_are_the_weights_of_a_step_but_for_biases_and_norms():
    whole = compulsory_bytes(GPT2, 512)
    ours = step_bytes(GPT2, 512, projection_bytes(GPT2))
    assert ours == pytest.approx(whole, rel=1e-3) and ours < whole


def test_fewer_bits_and_their_scales():
    whole = projection_bytes(GPT2, 32)
    assert whole / projection_bytes(GPT2, 4) == 8
    assert whole / projection_bytes(GPT2, 4, 64, 4) == pytest.approx(32 / 4.5)
    rows = 12 * (2304 + 768 + 3072 + 768) + 50257
    assert projection_bytes(GPT2, 8, None, 2) - projection_bytes(GPT2, 8) == 2 * rows


def test_fewer_heads_cache_less():
    few = GPT2.replace(n_kv_heads=4)
    caches = [step_bytes(arch, 100, 0, batch=3) for arch in (GPT2, few)]
    assert caches == [3 * 12 * 2 * 768 * 100 * 4, 3 * 12 * 2 * 256 * 100 * 4]
    assert projection_bytes(few) == projection_bytes(GPT2) - 12 * 2 * 512 * 768 * 4


def test_a_knee_is_where_compute_takes_over():
    roof = Ceilings(1e10, 1e11)
    batches = [1, 2, 4, 8, 16, 32, 64]
    seconds = [float(roof.lower_bound(2e8 * n, 4e8)) for n in batches]
    assert knee(batches, seconds) == pytest.approx(0.04 / 2e-3)  # intensity 20 / 2 = the ridge
    with pytest.raises(InputError, match="one sequence"):
        knee([2, 4, 8], [1, 2, 3])


def test_a_draft_by_hand():
    """Of two drafted tokens both, one or none is accepted: 3, 2 or 1 tokens."""
    a = 0.7
    by_hand = a * a * 3 + a * (1 - a) * 2 + (1 - a) * 1
    assert expected_tokens(a, 2) == pytest.approx(by_hand)
    assert (expected_tokens(1, 4), expected_tokens(0, 4), expected_tokens(0.5, 0)) == (5, 1, 1)
    assert draft_speed_up(a, 2, 0.1) == pytest.approx(by_hand / 1.2)
    assert draft_speed_up(1, 3, 0, check=2) == 2
    with pytest.raises(InputError, match="from 0 to 1"):
        expected_tokens(1.1, 2)
