"""The ladder: which rungs a machine has, what limits do, and processes that fail."""

import os
from dataclasses import replace
from unittest import mock

import pytest
import torch
import torch.nn.functional as F

from analysis.errors import InputError
from analysis.measured import ladder, networks, rungs
from analysis.measured.rungs import RUNGS, Rung, by_heads, check_limit, limited, tiled
from analysis.measured.timing import BUDGETS
from analysis.measured.works import Works
from analysis.predicted.architectures import BERT_BASE, GPT2
from tests.measured import tiny_rungs

X86 = ["sse4_1", "avx", "avx2", "fma"]
ONEDNN = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="torch has no oneDNN here"
)


def names(found: list[Rung]) -> list[str]:
    return [rung.name for rung in found]


@ONEDNN
@pytest.mark.parametrize(
    "flags, expected",
    [
        (X86, ["SSE4.1", "AVX", "AVX2"]),
        ([*X86, "avx512f"], ["SSE4.1", "AVX", "AVX2", "AVX-512"]),
        ([*X86, "avx512f", "avx512_bf16", "amx_bf16"], names(RUNGS[:6])),
    ],
)
def test_a_processor_has_the_rungs_of_its_instructions(flags, expected):
    assert names(rungs.rungs("cpu", flags)) == expected
    exact = [rung.name for rung in RUNGS[:6] if rung.precision == "highest"]
    assert set(names(rungs.rungs("cpu", flags, True))) == set(expected) & set(exact)


def test_a_gpu_has_the_rungs_of_its_compute_capability():
    assert names(rungs.rungs("cuda", ["sm_90"])) == ["float32", "TF32"]
    with pytest.raises(InputError, match="cuda: no instructions"):
        rungs.rungs("cuda", ["sm_70"])


@pytest.mark.parametrize(
    "device, flags", [("cpu", ["asimd", "sve"]), ("mps", []), ("cpu", ["avx"])]
)
def test_a_device_without_rungs_says_so(device, flags):
    with pytest.raises(InputError, match="no instructions that could be forbidden|no oneDNN"):
        rungs.rungs(device, flags)


def test_rungs_rise():
    for device in ("cpu", "cuda"):
        years = [rung.year for rung in RUNGS if rung.device == device]
        assert years == sorted(years)


@ONEDNN
@pytest.mark.parametrize("name, times", [("smoke", 3), ("quick", 3), ("full", 10)])
def test_rungs_take_turns_as_often_as_the_budget_says(monkeypatch, name, times):
    asked = []
    monkeypatch.setattr(ladder, "climb", lambda rungs, seconds, least, *how: asked.append(least))
    (task,) = ladder.ladder_tasks("cpu", BUDGETS[name], 1, X86)
    task.run(1.0)
    assert asked == [times]


@ONEDNN
def test_a_limit_that_is_ignored_is_seen():
    with pytest.raises(RuntimeError, match="the limit is ignored: oneDNN uses "):
        check_limit(Rung("older", 1999, "cpu", "", isa="Intel MMX"))


@ONEDNN
def test_products_that_are_not_rounded_are_no_rung_of_shorter_numbers():
    with pytest.raises(RuntimeError, match="not rounded to fewer bits"):
        rungs.prepare(Works("cpu"), Rung("16 bits", 2020, "cpu", "", precision="medium"), True)


@ONEDNN
def test_limited_models_compute_what_the_others_do():
    small = {"n_layers": 2, "n_positions": 64, "vocab_size": 500}
    encoder = networks.Encoder(BERT_BASE.replace(**small))
    decoder = networks.Decoder(GPT2.replace(**small), max_length=64)
    tokens = torch.arange(48)[None]
    before = encoder(tokens)[0], decoder.step(tokens[:, :1], 20).clone()
    with torch.inference_mode(), mock.patch.object(F, "scaled_dot_product_attention", by_heads):
        torch.testing.assert_close(limited(encoder, 48)(tokens)[0], before[0], atol=1e-4, rtol=1e-4)
        after = limited(decoder, 1).step(tokens[:, :1], 20)
    torch.testing.assert_close(after, before[1], atol=1e-4, rtol=1e-4)
    assert all(isinstance(each, rungs.Limited) for each in decoder.linears())


@ONEDNN
def test_a_pass_without_its_products_multiplies_nothing():
    encoder = networks.Encoder(BERT_BASE.replace(n_layers=1, n_positions=64, vocab_size=500))
    tokens = torch.arange(48)[None]
    with torch.inference_mode(), mock.patch.object(F, "scaled_dot_product_attention", by_heads):
        network, called = limited(encoder, 48), []
        rest = rungs.without_products(lambda: network(tokens))
        counting = replace(rungs.ONEDNN, product=lambda *_: called.append(1))
        with mock.patch.object(rungs, "ONEDNN", counting):
            rest()
    assert called == []


def test_tiled_weights_are_normal():
    random = networks.Weights(torch.float32, "cpu", 0)
    with mock.patch.object(networks.Weights, "normal", tiled):
        found = random.normal(3, rungs.DRAWN, mean=2, std=0.5)
    assert found.shape == (3, rungs.DRAWN) and torch.equal(found[0], found[2])
    assert found.mean() == pytest.approx(2, abs=0.01) and found.std() == pytest.approx(
        0.5, abs=0.01
    )


def climb(*wanted: str):
    processes = [Rung(name, 2000 + i, "cpu", "") for i, name in enumerate(wanted)]
    with (
        mock.patch.object(ladder, "visited", tiny_rungs.visited),
        mock.patch.object(ladder, "SILENT", 5),
    ):
        return ladder.climb(processes, 0, 3, "cpu", 1, True)


@pytest.fixture(scope="module")
def measured():
    before = dict(os.environ)
    found = climb("works", "refuses", "illegal", "dies later", "hangs")
    assert dict(os.environ) == before  # limits are set for the processes of rungs alone
    return found


def test_the_rungs_that_work_are_measured_in_turn(measured):
    assert measured.sample.n == 3  # the read ceiling of the process that asks
    assert {key.how for key in measured.beside} == {"works"}
    assert {each.sample.times for each in measured.beside.values()} == {(0.5,) * 3}
    assert {each.flops for each in measured.beside.values()} == {10}


@pytest.mark.parametrize(
    "rung, reason",
    [
        ("refuses", "the limit is ignored: oneDNN uses Intel AVX2"),
        ("illegal", "its process ended: SIGILL"),
        ("dies later", "its process ended: exit status 3"),
        ("hangs", "no answer for 5 s"),
    ],
)
def test_a_rung_that_fails_is_missing_with_its_reason(measured, rung, reason):
    found = {key: text for key, text in measured.missing.items() if key.how == rung}
    assert len(found) == 5 and set(found.values()) == {reason}


def test_a_ladder_without_a_rung_that_works_says_why():
    with pytest.raises(RuntimeError, match="its process ended: SIGILL"):
        climb("illegal")
