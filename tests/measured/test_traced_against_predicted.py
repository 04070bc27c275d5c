"""What torch dispatches is what the arithmetic of `analysis.predicted` says.

On the device "meta": the operators and shapes are torch's, nothing is computed. On a CPU a single
row goes through slices of the weights (see `linear.Linear`), which must move the same.
"""

import pytest
import torch

from analysis.measured.networks import Decoder, Encoder
from analysis.measured.traced import trace
from analysis.predicted import transformer
from analysis.predicted.architectures import BERT_BASE, GPT2
from analysis.predicted.operations import UNFUSED

MATMULS = ("mha_projections", "act_to_act", "ffn_projections")


def ids(length, device="meta"):
    return torch.zeros(1, length, dtype=torch.long, device=device)


def agree(counts, predicted, other=0.02):
    assert counts.uncounted == {}
    for name in MATMULS:
        assert counts.classes[name] == predicted[name], name
    for amount in ("flops", "bytes_read", "bytes_written"):
        ours, theirs = (getattr(each["other"], amount) for each in (counts.classes, predicted))
        assert ours == pytest.approx(theirs, rel=other), amount


@pytest.mark.parametrize("length", [128, 512])
def test_an_encoder_pass(length):
    counts = trace(Encoder(BERT_BASE, "unfused", device="meta"), ids(length))
    agree(counts, transformer.encoder_pass(BERT_BASE, length, UNFUSED))


@pytest.mark.parametrize("context", [1, 128, 1024])
def test_a_decoder_step(context):
    decoder = Decoder(GPT2, "unfused", device="meta")
    agree(trace(decoder.step, ids(1), context), transformer.decoder_step(GPT2, context, UNFUSED))


@pytest.mark.parametrize("length", [128, 1024])
def test_a_prefill(length):
    counts = trace(Decoder(GPT2, "unfused", device="meta").prefill, ids(length))
    agree(counts, transformer.prefill(GPT2, length, UNFUSED))


def test_a_decoder_step_on_a_cpu():
    decoder = Decoder(GPT2, "unfused", max_length=128)
    counts = trace(decoder.step, ids(1, "cpu"), 128)
    agree(counts, transformer.decoder_step(GPT2, 128, UNFUSED))
