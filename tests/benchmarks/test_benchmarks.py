"""The script that compares us with others, on models that take no time."""

import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from analysis.errors import InputError
from analysis.predicted.architectures import BERT_BASE, GPT2

SCRIPT = Path(__file__).with_name("__main__.py")
benchmarks = SimpleNamespace(**runpy.run_path(str(SCRIPT), run_name="benchmarks"))
PAIRS = [
    ("transformers", benchmarks.encoders, BERT_BASE),
    ("openvino", benchmarks.compiled_encoders, BERT_BASE),
    ("transformers", benchmarks.generations, GPT2),
    ("ctranslate2", benchmarks.compiled_generations, GPT2),
]

SIZES = {"n_layers": 1, "d_model": 16, "n_heads": 2, "d_ff": 32, "vocab_size": 50}
SIZES |= {"n_positions": 8}


def test_pairs_alternate_and_are_compared_with_their_neighbours():
    order, clock = [], iter(range(1000))
    ours, theirs, ratio = benchmarks.alternate(
        lambda: order.append("ours") or next(clock),
        lambda: order.append("theirs"),
        0,
        4,
        now=lambda: float(next(clock)),
    )
    assert order == ["theirs", "ours", "ours", "theirs"] * 2
    assert ours.times == (2,) * 4 and theirs.times == (1,) * 4 and ratio.times == (2,) * 4


@pytest.mark.parametrize(("package", "pair", "arch"), PAIRS)
def test_both_sides_run(package, pair, arch):
    pytest.importorskip("transformers")
    pytest.importorskip(package)
    ours, theirs = pair(arch.replace(**SIZES), 4)
    ours()
    assert theirs() is not None


@pytest.mark.parametrize(("package", "pair", "arch"), PAIRS)
def test_what_is_not_installed_is_told_in_one_line(package, pair, arch, monkeypatch, capsys):
    if package != "transformers":
        pytest.importorskip("transformers")
    monkeypatch.setitem(sys.modules, package, None)
    benchmarks.compare_with(pair, "A model", arch.replace(**SIZES), 4)
    assert capsys.readouterr().out == f"A model: not compared: {package} is not installed\n"


def test_a_triad_in_c_runs_beside_ours():
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    with benchmarks.triads(1000, 1) as (ours, theirs):
        ours()
        assert theirs() == theirs() == "done\n"


@pytest.mark.parametrize("compiler", [None, shutil.which("false")])
def test_a_compiler_that_is_missing_or_fails_is_told(compiler, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: compiler)
    with pytest.raises(InputError, match="needs cc with OpenMP"):
        with benchmarks.triads(1000, 1):
            pass


def test_both_products_are_the_same():
    ours, theirs = benchmarks.products(32)
    assert torch.allclose(ours(), theirs(), atol=1e-5)


@pytest.mark.parametrize("threads", ["none", "0"])
def test_a_wrong_number_of_threads_is_told_in_one_line(threads):
    command = [sys.executable, str(SCRIPT), threads]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("error: threads is ") and done.stderr.count("\n") == 1
