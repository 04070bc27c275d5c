"""A token in a batch: what is shared, what is not, and the batch that reaches a ridge point."""

import pytest

from analysis.errors import InputError
from analysis.predicted.architectures import GPT2_XL
from analysis.predicted.operations import FUSED
from analysis.predicted.serving import batch_to_reach, intensity, memory_bytes, token_cost
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
