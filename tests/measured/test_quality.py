"""Quality is what the checkpoint has, and nothing is lost where nothing is changed."""

from functools import partial

import pytest
import torch

from analysis.measured import byte_model, quantised
from analysis.measured.byte_model import quality_tasks
from analysis.measured.driver import run_tasks
from analysis.measured.networks import Decoder
from analysis.measured.timing import BUDGETS
from analysis.predicted.architectures import BYTE_DECODER
from analysis.predicted.pruning import layer_weights, pruned
from analysis.predicted.pruning import sparse_bytes as sparse_rows

TINY = BYTE_DECODER.replace(n_layers=1, d_model=32, n_heads=4, d_ff=64, n_positions=256)


@pytest.fixture
def models(tmp_path, monkeypatch, save):
    """Checkpoints of a tiny decoder, and two modules to score it on."""
    archs = dict.fromkeys(byte_model.TRAINED, TINY)
    archs |= {n: pruned(TINY, 0.3) if "-structured" in n else TINY for n in byte_model.TUNED}
    for name, arch in archs.items():
        save(Decoder(arch), tmp_path / f"{name}.safetensors", {})
    windows = torch.randint(256, (2, 2, 33), generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(byte_model, "TRAINED", archs)
    monkeypatch.setattr(byte_model, "TUNED", {name: archs[name] for name in byte_model.TUNED})
    monkeypatch.setattr(byte_model, "BYTE_DECODER", TINY)
    monkeypatch.setattr(byte_model, "BATCH", 2)
    monkeypatch.setattr(byte_model, "load", partial(byte_model.load, folder=tmp_path))
    monkeypatch.setattr(byte_model, "score", partial(byte_model.score, windows=windows))
    return tmp_path


@pytest.fixture
def run(new_run, monkeypatch):
    # In numbers as small as here none overflows; elsewhere the kernel may be refused.
    monkeypatch.setattr(quantised, "saturates", lambda: False)

    def measure(budget=BUDGETS["quick"]):
        run = new_run(budget.name)
        run_tasks(quality_tasks("cpu", budget, 1), run, budget, lambda run: None)
        return run

    return measure


def test_the_points(models, run, as_archived):
    run = run()
    as_archived(run, "quality")
    draft = run.row("quality", model="byte-draft")
    assert draft.how == "none" and run.not_measured == []
    rows = run.rows("quality", model="byte-decoder").set_index(["how", "n"])
    assert (rows["text_sha256"].str.len() == 64).all() and (rows["seconds"] > 0).all()
    plain = rows.loc["none", 0]
    assert plain.bits_per_byte == pytest.approx(8, abs=0.5)
    assert plain.bits_low <= plain.bits_per_byte <= plain.bits_high
    assert plain.weight_bytes == 4 * TINY.n_parameters
    for same in ("none", "structured", "unstructured"):
        assert rows.loc[same, 0].difference == 0
    assert abs(rows.loc["int row", 8].difference) < 0.01
    assert 0 < abs(rows.loc["int activations", 8].difference) < 0.02
    scales = 3 * 32 + 32 + 64 + 32 + TINY.vocab_size  # a row's has four bytes instead of two
    eight = [rows.loc[how, 8].weight_bytes for how in ("int activations", "int row")]
    assert eight[0] == eight[1] + 2 * scales
    sparse = rows.loc["unstructured", 50].sparse_bytes
    more = sparse_rows(TINY, 0.5) - 4 * layer_weights(TINY)[0]
    assert sparse == pytest.approx(4 * TINY.n_parameters + more, rel=0.001)
    assert rows.loc["float16", 0].weight_bytes == 2 * TINY.n_parameters
    assert rows.loc["structured", 50].weight_bytes == 4 * pruned(TINY, 0.5).n_parameters
    by_bits = [rows.loc["int group", n].weight_bytes for n in byte_model.BITS]
    assert by_bits == sorted(by_bits, reverse=True)
    for how, n in (("tuned", 0), ("tuned structured", 30), ("tuned unstructured", 80)):
        assert rows.loc[how, n].compared_with == "byte-tuned"
    shares = [n for how, n in rows.index if how == "structured"]
    assert sorted(shares) == list(range(0, 100, 10)) and len(rows) == 3 + 2 * 6 + 1 + 2 * 10 + 3


def test_a_brief_budget_has_a_few(models, run):
    rows = run(BUDGETS["smoke"]).rows("quality")
    assert {(row.model, row.how, row.n) for row in rows.itertuples()} == {
        ("byte-decoder", "none", 0), ("byte-decoder", "int row", 8),
        ("byte-decoder", "int group", 4), ("byte-draft", "none", 0),
    }  # fmt: skip


def test_16_bits_change_nothing_that_matters(models):
    """Rounding to 16 bits is finer than what float32 sums to."""
    plain = byte_model.load(byte_model.MODEL, 2)
    rounded = quantised.with_projections(plain, lambda each: quantised.dequantised(each, 16))
    tokens = torch.randint(256, (2, 32))
    assert torch.allclose(plain.prefill(tokens), rounded.prefill(tokens), atol=1e-3)


@pytest.mark.parametrize("spoil", [lambda p: p.unlink(), lambda p: p.write_bytes(b"cut")])
def test_a_bad_checkpoint_is_not_measured_and_says_why(models, run, reasons, spoil):
    spoil(models / "byte-draft.safetensors")
    said = reasons(run(BUDGETS["smoke"]))
    assert list(said) == ["quality byte-draft none"]
    assert "byte-draft.safetensors" in said["quality byte-draft none"]
