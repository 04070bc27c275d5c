"""Quality is what the checkpoint has, and nothing is lost where nothing is changed."""

import pytest
import torch

from analysis.measured import byte_model, quality
from analysis.measured.byte_training import made
from analysis.measured.driver import run_tasks
from analysis.measured.quality import REMEDIES, quality_tasks
from analysis.measured.runs import Machine, Run
from analysis.measured.timing import BUDGETS
from analysis.predicted.architectures import BYTE_DECODER
from analysis.predicted.pruning import layer_weights, pruned
from analysis.predicted.pruning import sparse_bytes as sparse_rows

TINY = BYTE_DECODER.replace(n_layers=1, d_model=32, n_heads=4, d_ff=64, n_positions=256)


@pytest.fixture
def models(tmp_path, monkeypatch):
    """Checkpoints of a tiny decoder, and two modules to score it on."""
    archs = dict.fromkeys(byte_model.TRAINED, TINY)
    archs |= {n: pruned(TINY, 0.3) if "-structured" in n else TINY for n in byte_model.TUNED}
    for name, arch in archs.items():
        byte_model.save(made(arch), tmp_path / f"{name}.safetensors", {})
    windows = torch.randint(256, (2, 2, 33), generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(byte_model, "TRAINED", archs)
    monkeypatch.setattr(byte_model, "TUNED", {})
    monkeypatch.setattr(quality, "BYTE_DECODER", TINY)
    monkeypatch.setattr(quality, "BATCH", 2)
    load = byte_model.load
    monkeypatch.setattr(quality, "load", lambda *args, **more: load(*args, folder=tmp_path, **more))
    monkeypatch.setattr(quality, "score", lambda network: byte_model.score(network, windows))
    return tmp_path


@pytest.fixture
def run():
    return Run.new(
        Machine(
            device="cpu", device_name="a CPU", cpu="a CPU", cores=1, threads=1, caches={},
            memory_bytes=None, gpu_memory_bytes=None, os="Linux", python="3", torch="2", numpy="2",
            blas="none", fast_paths=[],
        ),
        "smoke",
    )  # fmt: skip


def test_the_points(models, run):
    run_tasks(quality_tasks("cpu", BUDGETS["smoke"], 1), run, BUDGETS["smoke"], lambda run: None)
    assert run.not_measured == [] and len(run.points) == len(REMEDIES) + 1
    found = {point.key.removeprefix("quality/"): point.details for point in run.points}
    plain = found["byte-decoder/none"]
    assert plain["bits_per_byte"] == pytest.approx(8, abs=0.5)
    assert plain["low"] <= plain["bits_per_byte"] <= plain["high"]
    assert plain["weight_bytes"] == 4 * TINY.n_parameters
    for same in ("none", "structured-0", "unstructured-0"):
        assert found[f"byte-decoder/{same}"]["difference"] == 0
    assert abs(found["byte-decoder/int8-row"]["difference"]) < 0.01
    assert 0 < abs(found["byte-decoder/int8-activations"]["difference"]) < 0.02
    rows = 3 * 32 + 32 + 64 + 32 + TINY.vocab_size  # a scale each, of four bytes instead of two
    assert (
        found["byte-decoder/int8-activations"]["weight_bytes"]
        == found["byte-decoder/int8-row"]["weight_bytes"] + 2 * rows
    )
    sparse = found["byte-decoder/unstructured-50"]["sparse_bytes"]
    more = sparse_rows(TINY, 0.5) - 4 * layer_weights(TINY)[0]
    assert sparse == pytest.approx(4 * TINY.n_parameters + more, rel=0.001)
    assert found["byte-decoder/float16"]["weight_bytes"] == 2 * TINY.n_parameters
    small = found["byte-decoder/structured-50"]["weight_bytes"]
    assert small == 4 * pruned(TINY, 0.5).n_parameters
    by_bits = [found[f"byte-decoder/int{n}-group"]["weight_bytes"] for n in quality.BITS]
    assert by_bits == sorted(by_bits, reverse=True)
    assert found["byte-decoder/tuned-structured-30"]["compared_with"] == "byte-tuned"


def test_16_bits_change_nothing_that_matters(models):
    """Rounding to 16 bits is finer than what float32 sums to."""
    plain, _ = quality._plain("cpu")
    rounded, _ = quality._rounded("cpu", 16, None)
    tokens = torch.randint(256, (2, 32))
    assert torch.allclose(plain.prefill(tokens), rounded.prefill(tokens), atol=1e-3)


@pytest.mark.parametrize("spoil", [lambda p: p.unlink(), lambda p: p.write_bytes(b"cut")])
def test_a_bad_checkpoint_is_not_measured_and_says_why(models, run, spoil):
    spoil(models / "byte-draft.safetensors")
    run_tasks(quality_tasks("cpu", BUDGETS["smoke"], 1), run, BUDGETS["smoke"], lambda run: None)
    assert [each.key for each in run.not_measured] == ["quality/byte-draft/none"]
    assert "byte-draft.safetensors" in run.not_measured[0].reason
