import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.errors import InputError
from analysis.predicted.architectures import BERT_BASE, BERT_LARGE, GPT2
from analysis.predicted.operations import CONVENTIONS, FUSED, UNFUSED, Cost
from analysis.predicted.roofline import (
    Ceilings,
    compulsory_bytes,
    pieces,
    ridge_interval,
)
from analysis.predicted.transformer import decoder_step, encoder_pass, matmul_flops

MACHINE = Ceilings(bandwidth_bytes_per_s=20e9, peak_flop_per_s=150e9)
positive = st.floats(1e-3, 1e15)


def one_line(error):
    return "\n" not in str(error.value)


def test_below_the_ridge_bandwidth_limits_and_above_it_the_peak():
    assert MACHINE.ridge_point == 7.5
    assert list(MACHINE.attainable(np.array([0.5, 7.5, 100]))) == [10e9, 150e9, 150e9]
    assert MACHINE.predicted_time(Cost(150, 15, 5)) == 1e-9
    assert MACHINE.predicted_time(Cost(1, 15, 5)) == 1e-9
    assert MACHINE.predicted_time(Cost(300, 15, 5)) == 2e-9


@given(positive, positive, st.floats(1, 1e18), st.floats(1, 1e18))
def test_predicted_time_is_flops_at_the_attainable_rate(bandwidth, peak, flops, moved):
    ceilings, cost = Ceilings(bandwidth, peak), Cost(flops, moved)
    assert ceilings.predicted_time(cost) == pytest.approx(
        flops / ceilings.attainable(cost.intensity)
    )


@pytest.mark.parametrize("arguments", [(0, 1), (1, -1), (float("nan"), 1)])
def test_ceilings_are_positive(arguments):
    with pytest.raises(InputError) as error:
        Ceilings(*arguments)
    assert one_line(error)


def test_a_step_must_read_the_weights_in_its_layers_and_head_and_the_cache():
    layer = 12 * 768**2 + 13 * 768  # matmuls, their biases and the two norms
    head, last_norm = 50257 * 768, 2 * 768
    assert compulsory_bytes(GPT2) == 4 * (12 * layer + head + last_norm)
    assert compulsory_bytes(GPT2, 100) - compulsory_bytes(GPT2) == 4 * 100 * 2 * 12 * 768
    pooler = 768**2 + 768
    assert compulsory_bytes(BERT_BASE, element_bytes=2) == 2 * (12 * layer + pooler + last_norm)


@pytest.mark.parametrize("ceilings", [MACHINE, Ceilings(3e12, 60e12), Ceilings(1e9, 1e15)])
@pytest.mark.parametrize("name", ["fused", "unfused"])
def test_no_prediction_is_below_the_lower_bound(ceilings, name):
    lengths, convention = np.array([1, 128, 512, 4096]), CONVENTIONS[name]
    for arch in (BERT_BASE, BERT_LARGE):
        costs = encoder_pass(arch, lengths, convention)
        bound = ceilings.lower_bound(matmul_flops(costs), compulsory_bytes(arch))
        assert (bound <= ceilings.time(costs)).all()
        assert (ceilings.predicted_time(costs["total"]) <= ceilings.time(costs) * 1.000001).all()
    costs = decoder_step(GPT2, lengths, convention)
    bound = ceilings.lower_bound(matmul_flops(costs), compulsory_bytes(GPT2, lengths))
    assert (bound <= ceilings.time(costs)).all()


def test_what_a_cache_keeps_is_not_charged():
    assert MACHINE.lower_bound(0, 40e9, cached=20e9) == 1
    assert MACHINE.lower_bound(150e9, 10e9, cached=20e9) == 1


def test_the_ends_of_the_ridge_point_are_those_that_lie_furthest_apart():
    ridge = ridge_interval(bandwidth=(19e9, 21e9), peak=(140e9, 160e9))
    assert ridge == pytest.approx((140 / 21, 160 / 19))


@pytest.mark.parametrize("convention", [FUSED, UNFUSED])
@pytest.mark.parametrize("arch", [BERT_BASE, BERT_LARGE, GPT2])
def test_pieces_hold_every_matmul_and_add_up_at_one_rate(arch, convention):
    found = pieces(arch, 128, convention)
    count = encoder_pass if arch.kind == "encoder" else decoder_step
    costs = count(arch, 128, convention)
    flops, moved = matmul_flops(costs), costs["other"].bytes
    if arch.kind == "decoder":
        flops, moved = flops - costs["act_to_act"].flops, moved + costs["act_to_act"].bytes
    rows = 1 if arch.kind == "decoder" else 128
    assert (
        found[f"{rows}x{arch.d_model}x{arch.d_ff}"]
        == 2 * rows * arch.n_layers * arch.d_model * arch.d_ff
    )
    assert found.pop("other") == moved and sum(found.values()) == flops


def test_products_of_equal_shapes_add_up():
    """A square FFN, over one token: 4 + 1 + 1 products of d x d in each layer, and the pooler."""
    arch = BERT_BASE.replace(d_ff=768)
    assert pieces(arch, 1, FUSED)["1x768x768"] == (12 * 6 + 1) * 2 * 768**2
