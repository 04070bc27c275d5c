import shutil
import subprocess
import sys

import pytest
import torch

from analysis.errors import InputError
from analysis.measured.benchmark import alternate, encoders, generations, products, triads
from analysis.predicted.architectures import BERT_BASE, GPT2

SIZES = {"n_layers": 1, "d_model": 16, "n_heads": 2, "d_ff": 32, "vocab_size": 50}
SIZES |= {"n_positions": 8}


def test_pairs_alternate_and_are_compared_with_their_neighbours():
    order, clock = [], iter(range(1000))
    ours, theirs, ratio = alternate(
        lambda: order.append("ours") or next(clock),
        lambda: order.append("theirs"),
        0,
        4,
        now=lambda: float(next(clock)),
    )
    assert order == ["theirs", "ours", "ours", "theirs"] * 2
    assert ours.times == (2,) * 4 and theirs.times == (1,) * 4 and ratio.times == (2,) * 4


@pytest.mark.parametrize("pair, arch", [(encoders, BERT_BASE), (generations, GPT2)])
def test_both_sides_run(pair, arch):
    pytest.importorskip("transformers")
    ours, theirs = pair(arch.replace(**SIZES), 4)
    ours()
    assert theirs() is not None


def test_a_triad_in_c_runs_beside_ours():
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    with triads(1000, 1) as (ours, theirs):
        ours()
        assert theirs() == theirs() == "done\n"


@pytest.mark.parametrize("compiler", [None, shutil.which("false")])
def test_a_compiler_that_is_missing_or_fails_is_told(compiler, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: compiler)
    with pytest.raises(InputError, match="needs cc with OpenMP"):
        with triads(1000, 1):
            pass


def test_both_products_are_the_same():
    ours, theirs = products(32)
    assert torch.allclose(ours(), theirs(), atol=1e-5)


@pytest.mark.parametrize("threads", ["none", "0"])
def test_a_wrong_number_of_threads_is_told_in_one_line(threads):
    pytest.importorskip("transformers")
    command = [sys.executable, "-m", "analysis.measured.benchmark", threads]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("error: threads is ") and done.stderr.count("\n") == 1


def test_a_missing_transformers_is_told_in_one_line():
    code = (
        "import sys, runpy; sys.modules['transformers'] = None; sys.argv = ['benchmark'];"
        "runpy.run_module('analysis.measured.benchmark', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("error: the benchmark needs transformers")
    assert done.stderr.count("\n") == 1
