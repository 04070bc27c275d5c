"""What limits a model is told by its time: costs that are put in come out, whichever is largest."""

import numpy as np
import pandas as pd
import pytest

from analysis.compared import regimes
from analysis.compared.claims import EITHER
from analysis.measured.run import Missing
from analysis.measured.schema import Point
from analysis.predicted.architectures import ARCHITECTURES, SIZES
from analysis.predicted.operations import FUSED, UNFUSED
from analysis.predicted.roofline import compulsory_bytes
from analysis.predicted.transformer import decoder_step, encoder_pass, matmul_flops

BYTES, FLOPS = 1 / 30e9, 1 / 200e9  # seconds
LENGTHS = (128, 256, 512, 1024, 2048, 4096)


def timed(layer: float = 0.0, byte: float = BYTES, flop: float = FLOPS) -> list[Point]:
    """Steps and passes of a machine on which a layer, a byte and a FLOP cost so many seconds."""
    points = []
    for tokens in (1, 64, *LENGTHS):
        points.append(("step", "gpt2", tokens, 1, "fused", 0))
    points += [("batch", "gpt2", 64, n, "", 0) for n in (1, 4, 16)]
    points += [("heads", "gpt2", 4096, 4, "", n) for n in (12, 1)]
    points += [("size", name, 128, 1, "cold", 0) for name in SIZES]
    points += [("encode", name, n, 1, how, 0) for name in ("bert-base", "bert-large")
               for n in LENGTHS for how in ("fused", "unfused")]  # fmt: skip
    made = []
    for what, model, tokens, batch, how, n in points:
        arch = (ARCHITECTURES | SIZES)[model]
        if what == "encode":
            costs = encoder_pass(arch, tokens, FUSED if how == "fused" else UNFUSED)
            moved = costs["total"].bytes
        else:
            arch = arch.replace(n_kv_heads=n) if n else arch
            costs = decoder_step(arch, tokens, FUSED, batch)
            moved = compulsory_bytes(arch) + batch * arch.cached(tokens) * 4
        seconds = (
            layer * arch.n_layers * (17 / 11 if how == "unfused" else 1)
            + byte * moved
            + flop * matmul_flops(costs)
        )
        named = {"what": what, "model": model, "tokens": tokens, "batch": batch, "how": how}
        size = {"parameters": arch.n_parameters}
        made.append(Point(**named, n=n, seconds=[[seconds] * 3], bytes=int(moved), details=size))
    return made


@pytest.fixture
def known(reference):
    return lambda **costs: reference.model_copy(update={"points": timed(**costs)})


def shares(run, model: str, tokens: int) -> pd.Series:
    rows = regimes.regimes(run).query("model == @model and tokens == @tokens")
    return rows.set_index("cause")


def test_shares_are_those_of_the_costs_that_were_put_in(known):
    step = decoder_step(SIZES["gpt2"], 512, FUSED)
    parts = np.array([12 * 2e-4, compulsory_bytes(SIZES["gpt2"], 512) * BYTES,
                      matmul_flops(step) * FLOPS])  # fmt: skip
    found = shares(known(layer=2e-4), "GPT-2", 512)
    assert found["share"].to_list() == pytest.approx(parts / parts.sum(), rel=1e-6)
    assert (found["share_high"] - found["share_low"]).max() < 1e-6  # no point says otherwise
    assert set(found["regime"]) == {"memory-bound"}


@pytest.mark.parametrize(
    ("costs", "decoder", "encoder", "decoding", "encoding"),
    [
        ({}, "memory-bound", "compute-bound", 1, 1),
        ({"layer": 1.0}, "overhead-bound", "overhead-bound", 0, 1),
        ({"flop": 1 / 2e9}, "compute-bound", "compute-bound", 0, 1),
        ({"flop": 1 / 2e13}, "memory-bound", "memory-bound", 1, 0),
    ],
)
def test_the_greatest_cost_names_the_regime(known, costs, decoder, encoder, decoding, encoding):
    run = known(**costs)
    assert set(shares(run, "GPT-2", 128)["regime"]) == {decoder}
    assert set(shares(run, "BERT-Base", 128)["regime"]) == {encoder}
    assert regimes.follows_bytes(run, "GPT-2") == decoding
    assert regimes.follows_bytes(run, "BERT-Base", holds=False) == encoding


def test_points_that_contradict_each_other_leave_it_undecided(known):
    run = known()
    for i, point in enumerate(p for p in run.points if p.what != "encode"):
        point.seconds = [[each * 4 ** (-1) ** i for each in visit] for visit in point.seconds]
    assert set(shares(run, "GPT-2", 128)["regime"]) == {"undecided"}
    assert regimes.follows_bytes(run, "GPT-2") is EITHER


def test_too_few_points_tell_nothing(known, reference):
    few = [p for p in timed() if p.what == "encode"][:2]
    with pytest.raises(Missing, match="points to tell what limits them"):
        regimes.regimes(reference.model_copy(update={"points": few}))
    with pytest.raises(Missing):
        regimes.follows_bytes(reference.model_copy(update={"points": []}), "GPT-2")
