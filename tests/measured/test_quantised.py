"""Rounded weights, and each kernel against the weight that its integers stand for."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.errors import InputError
from analysis.measured import quantised as module
from analysis.measured.linear import Linear
from analysis.measured.networks import Decoder
from analysis.measured.quantised import (
    FORMATS,
    dequantised,
    quantise,
    saturates,
    with_projections,
)
from analysis.predicted.architectures import GPT2

SMALL = GPT2.replace(n_layers=2, d_model=64, n_heads=4, d_ff=128, vocab_size=101, n_positions=16)


def linear(weight, bias=None):
    return Linear(weight, bias, "other")


def weight(n_out=48, n_in=64, seed=0):
    return torch.randn(n_out, n_in, generator=torch.Generator().manual_seed(seed))


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 16), st.sampled_from([None, 1, 8, 32, 64]), st.integers(0, 99))
def test_no_weight_is_off_by_more_than_half_a_step(bits, group, seed):
    w = weight(4, seed=seed)
    found = quantise(w, bits, group)
    grouped = w.unflatten(1, (-1, group or 64))
    step = grouped.abs().amax(2, keepdim=True) / (2 ** (bits - 1) - 1)
    off = (found.dequantised().view_as(grouped) - grouped).abs()
    assert (off <= 0.51 * step + 1e-6).all()
    assert found.group == (group or 64)
    assert found.codes.abs().max() <= 2 ** (bits - 1) - 1


def test_zeros_stay_zeros_and_bytes_are_those_of_the_bits():
    assert not quantise(torch.zeros(2, 8), 4).dequantised().any()
    assert quantise(weight(), 8).nbytes == 48 * 64 + 2 * 48
    assert quantise(weight(), 4, 32).nbytes == 48 * 64 / 2 + 2 * 2 * 48


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("n_out", [48, 101])  # neither is a multiple of a kernel's block
@pytest.mark.parametrize(
    ("name", "bits", "group", "within"),
    [("int8", 8, None, 0.01), ("int8-planes", 8, None, 0.01), ("int8-dynamic", 8, None, 0.03),
     ("int4", 4, 64, 0.01)],
)  # fmt: skip
def test_a_kernel_multiplies_by_what_its_integers_stand_for(name, bits, group, within, n_out, rows):
    if name == "int8-dynamic" and saturates():
        pytest.skip("8-bit activations overflow on this processor, which is refused")
    whole = linear(weight(n_out), torch.randn(n_out))
    x = weight(rows, seed=1)
    ours, expected = FORMATS[name](whole)(x), dequantised(whole, bits, group)(x)
    assert ours.dtype == x.dtype and ours.shape == expected.shape
    assert (ours - expected).norm() <= within * expected.norm()
    assert not torch.equal(ours, expected)


def test_a_dequantised_projection_is_one_with_the_weight_of_its_integers():
    whole, found = linear(weight()), quantise(weight(), 6, 32)
    ours = dequantised(whole, 6, 32)
    assert torch.equal(ours.weight, found.dequantised()) and ours.nbytes == found.nbytes
    assert whole.nbytes == 4 * 48 * 64


def test_a_kernel_that_overflows_is_refused_in_one_line(monkeypatch):
    monkeypatch.setattr(module, "saturates", lambda: True)
    with pytest.raises(InputError, match="8-bit activations overflow") as caught:
        FORMATS["int8-dynamic"](linear(weight()))
    assert "\n" not in str(caught.value)


def test_an_overflow_of_pairs_is_noticed(monkeypatch):
    """A stand-in that holds at most 16 bits of two products, and one that holds all."""
    for most, wrong in ((2**15 - 1, True), (2**31, False)):

        def multiply(x, most=most):
            pairs = torch.full((1, 32), 2 * 255 * 127.0).clamp(max=most)
            return pairs.sum(1, keepdim=True) / 255

        saturates.cache_clear()
        monkeypatch.setattr(module, "_with_activations", lambda weight, m=multiply: m)
        assert saturates() == wrong
    saturates.cache_clear()


def test_bytes_of_a_packed_weight():
    """Scales of two bytes; in groups also a zero point, and outputs filled up to a block."""
    sizes = [FORMATS[name](linear(weight())).nbytes for name in ("int8", "int4")]
    assert sizes == [48 * 64 + 2 * 48, 64 * 64 // 2 + 4 * 64]


def test_a_network_quantised_at_16_bits_equals_the_original():
    ours = Decoder(SMALL, max_length=8)
    ids = torch.arange(8).view(1, 8)
    whole, cache = ours.prefill(ids), ours.cache.clone()
    same = with_projections(ours, lambda each: dequantised(each, 16))
    assert same.cache.data_ptr() == ours.cache.data_ptr() and same.layers[0] is not ours.layers[0]
    assert (same.prefill(ids) - whole).abs().max() <= 1e-4 * whole.abs().max()
    assert (same.cache - cache).abs().max() <= 1e-4 * cache.abs().max()
    assert torch.equal(ours.prefill(ids), whole)  # which is left as it was


def test_fewer_bits_are_further_off():
    ours = Decoder(SMALL, max_length=8)
    ids = torch.arange(8).view(1, 8)
    whole = ours.prefill(ids)
    names = ["bfloat16", "int8", *([] if saturates() else ["int8-dynamic"]), "int4"]
    formats = [with_projections(ours, FORMATS[name]) for name in names]
    off = [float((each.prefill(ids) - whole).norm() / whole.norm()) for each in formats]
    assert 0 < off[0] and sorted(off) == off and off[-1] < 0.3
    steps = [each.step(ids[:, :1], 8) for each in (ours, formats[1])]
    assert 0 < (steps[0] - steps[1]).norm() < 0.05 * steps[0].norm()


@pytest.mark.parametrize(
    ("how", "text"), [((1,), "1 bits"), ((17,), "17 bits"), ((4, 48), "48 do not divide 64")]
)
def test_what_cannot_be_is_one_line(how, text):
    with pytest.raises(InputError, match=text):
        quantise(weight(), *how)


def test_two_planes_are_the_same_integers():
    whole, halves = (FORMATS[name](linear(weight())) for name in ("int8", "int8-planes"))
    x = torch.eye(64)
    assert (whole(x) - halves(x)).abs().max() <= 2**-8 * whole(x).abs().max()
    # Outputs filled up to a block; scale and zero, twice.
    assert halves.nbytes == 64 * 64 + 4 * 2 * 64
    with pytest.raises(RuntimeError, match="qGroupSize"):  # 48 inputs, in groups of 16
        FORMATS["int8-planes"](linear(weight(n_in=48)))(torch.ones(1, 48))


def test_unfused_attention_and_devices_without_a_kernel_are_refused():
    with pytest.raises(InputError, match="fused"):
        with_projections(Decoder(SMALL, "unfused", max_length=8), FORMATS["int8"])
    with pytest.raises(InputError, match="8-bit kernel for meta"):
        FORMATS["int8"](linear(torch.empty(64, 64, device="meta")))
