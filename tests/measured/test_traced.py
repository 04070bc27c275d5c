"""Counting what torch dispatches: by hand, and against torch's own counter."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from analysis.measured import linear
from analysis.measured.libraries import PLAIN
from analysis.measured.networks import Decoder, Encoder
from analysis.measured.traced import trace
from analysis.predicted.architectures import BERT_BASE, GPT2
from analysis.predicted.operations import Cost
from analysis.predicted.transformer import CLASSES

SMALL = {"n_layers": 2, "d_model": 48, "n_heads": 4, "d_ff": 192, "vocab_size": 101}


def cost(function, *args, **kwargs):
    counts = trace(function, *args, **kwargs)
    assert counts.uncounted == {}
    return counts.classes["total"]


def matmul_flops(counts):
    return sum(counts.classes[name].flops for name in CLASSES if name != "other")


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_one_linear(device):
    x, w, b = (torch.randn(*shape, device=device) for shape in ((3, 5), (7, 5), (7,)))
    expected = Cost(2 * 3 * 5 * 7, 4 * (3 * 5 + 7 * 5 + 7), 4 * 3 * 7)
    assert cost(F.linear, x, w, b) == expected
    with torch.inference_mode():  # where torch hands composite operators over whole
        assert cost(F.linear, x, w, b) == expected
    assert cost(F.linear, x.bfloat16(), w.bfloat16()) == Cost(210, 2 * (15 + 35), 2 * 21)


def test_one_bmm_and_one_softmax():
    a, b = torch.randn(4, 3, 5), torch.randn(4, 5, 7)
    assert cost(torch.bmm, a, b) == Cost(2 * 4 * 3 * 5 * 7, 4 * (60 + 140), 4 * 84)
    assert cost(torch.baddbmm, torch.randn(4, 1, 7), a, b).bytes_read == 4 * (60 + 140 + 28)
    assert cost(torch.softmax, a, -1) == Cost(5 * 60, 4 * 60, 4 * 60)


def test_views_are_free_and_what_is_expanded_is_read_once():
    x = torch.randn(3, 4)
    free = cost(lambda: x.t().reshape(2, 6) if x.t().is_contiguous() else x.view(2, 6).t()[1:])
    assert free == Cost()
    wide = torch.randn(1, 4).expand(3, 4)
    assert cost(torch.add, x, wide) == Cost(12, 4 * (12 + 4), 4 * 12)
    assert cost(torch.mul, x, x) == Cost(12, 4 * 12, 4 * 12)


def test_moves_have_bytes_and_no_flops():
    x, table = torch.randn(3, 4), torch.randn(100, 4)
    assert cost(x.clone) == Cost(0, 48, 48)
    assert cost(torch.empty(3, 4).copy_, x) == Cost(0, 48, 48)
    assert cost(x.add_, 1) == Cost(12, 48, 48)
    ids = torch.tensor([1, 2, 2])
    assert cost(F.embedding, ids, table) == Cost(0, 48 + 3 * 8, 48)


@pytest.mark.parametrize("function", [torch.cumsum, torch.sort, torch.fft.fft])
def test_an_operator_that_cannot_be_counted_is_listed_with_its_calls(function):
    x = torch.randn(3, 4)

    def twice():
        function(x, dim=0), function(x, dim=0)
        return x + x

    counts = trace(twice)
    assert list(counts.uncounted.values()) == [2]
    assert function.__name__.removeprefix("fft_") in next(iter(counts.uncounted))
    assert counts.classes["total"].flops == 12


def test_a_custom_operator_is_listed():
    library = torch.library.Library("memory_wall_test", "FRAGMENT")
    library.define("double(Tensor x) -> Tensor")
    library.impl("double", lambda x: torch.from_numpy(x.numpy() * 2), "CPU")
    counts = trace(torch.ops.memory_wall_test.double, torch.randn(3))
    assert counts.uncounted == {"memory_wall_test.double": 1}


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_networks_agree_with_torchs_own_counter(device, monkeypatch):
    monkeypatch.setattr(linear, "fastest", lambda *_: PLAIN)  # torch counts no other library
    encoder = Encoder(BERT_BASE.replace(**SMALL), "unfused", device=device)
    decoder = Decoder(GPT2.replace(**SMALL), "unfused", batch=2, max_length=32, device=device)
    ids = torch.zeros(2, 16, dtype=torch.long, device=device)
    for call, args in (
        (encoder, (ids,)),
        (decoder.prefill, (ids,)),
        (decoder.step, (ids[:, :1], 7)),
    ):
        with FlopCounterMode(display=False) as theirs:
            call(*args)
        ours = trace(call, *args)
        assert ours.uncounted == {}
        assert matmul_flops(ours) == theirs.get_total_flops()


def test_a_sliced_row_agrees_with_torchs_own_counter_too():
    decoder = Decoder(GPT2.replace(**SMALL), "unfused", max_length=32)
    token = torch.zeros(1, 1, dtype=torch.long)
    with FlopCounterMode(display=False) as theirs:
        decoder.step(token, 7)
    ours = trace(decoder.step, token, 7)
    assert ours.uncounted == {}
    assert matmul_flops(ours) == theirs.get_total_flops()


def test_classes_follow_the_weights():
    arch = BERT_BASE.replace(**SMALL)
    counts = trace(
        Encoder(arch, "unfused", device="meta"), torch.zeros(1, 8, dtype=torch.long, device="meta")
    )
    d = arch.d_model
    assert counts.classes["mha_projections"].flops == 2 * (2 * 8 * d * 4 * d)
    assert counts.classes["ffn_projections"].flops == 2 * (2 * 8 * d * 8 * d) + 2 * d * d
    assert counts.classes["act_to_act"].flops == 2 * (2 * 2 * 8 * 8 * d)
    total = sum((counts.classes[name] for name in CLASSES), Cost())
    assert counts.classes["total"] == total
