"""The script that compares us with others, on models that take no time."""

import os
import pickle
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from functools import partial
from threading import Thread
from types import SimpleNamespace

import pytest
import torch

from analysis.errors import InputError
from analysis.measured.networks import Decoder
from analysis.measured.timing import Clock, Sample
from analysis.predicted.architectures import BERT_BASE, GPT2
from tests.benchmarks import __main__ as benchmarks
from tests.benchmarks import apart, libraries, llama, peers

SIZES = {"n_layers": 2, "d_model": 64, "n_heads": 2, "d_ff": 128, "vocab_size": 96}
SIZES |= {"n_positions": 8}
ENCODER, DECODER = BERT_BASE.replace(**SIZES), GPT2.replace(**SIZES)
WEIGHTS = 2 * (4 * 64**2 + 2 * 64 * 128) + 96 * 64
PEERS = [(peer, ENCODER) for peer in peers.ENCODERS]
PEERS += [(peer, DECODER) for bits in peers.DECODERS.values() for peer in bits]
MODULES = {"llama-cpp-python": "llama_cpp"}
NAMES = [peer.name for peer, _ in PEERS]


def imported(needs: str) -> None:
    """Skips the test if any of these is not installed."""
    for package in needs.split():
        pytest.importorskip(MODULES.get(package, package))


def test_enough_calls_are_timed_at_once_after_a_pause(monkeypatch):
    class Ticks(Clock):
        def now(self):
            return done.count("call") / 8

    done = []
    monkeypatch.setattr(apart, "Clock", Ticks)
    monkeypatch.setattr(apart.time, "sleep", done.append)
    times = apart.timed(lambda: done.append("call"), units=2)
    assert done == ["call"] * 2
    assert times() == 1 / 16
    assert done[2:] == [apart.PAUSE] + ["call"] * 3  # 3 / 8 s are LONG at least


def spinning(path: str):
    """A work of another process, of which a thread writes to a file for as long as it runs."""

    def write() -> None:
        with open(path, "ab", 0) as file:
            while not time.sleep(1e-3):
                file.write(b".")

    Thread(target=write, daemon=True).start()
    return lambda: time.sleep(0.5)


def test_what_runs_apart_is_stopped_while_others_are_timed(tmp_path):
    file = tmp_path / "written"
    with ExitStack() as running:
        times = apart.apart(running, 1, 5, spinning, str(file))
        assert 0.1 <= times() < 0.5
        time.sleep(0.2)
        before = file.stat().st_size
        time.sleep(0.3)
        assert file.stat().st_size == before
        assert times() and file.stat().st_size > before


def refused():
    raise ModuleNotFoundError("no module of that name")


@pytest.mark.parametrize(("make", "error"), [
    (refused, (ImportError, "no module")), (partial(os._exit, 3), (RuntimeError, "ended")),
])  # fmt: skip
def test_what_cannot_run_apart_says_why(make, error):
    with ExitStack() as running, pytest.raises(error[0], match=error[1]):
        apart.apart(running, 1, 1, make)


@pytest.mark.parametrize(("these", "arch"), [
    (peers.ENCODERS, ENCODER), *((these, DECODER) for these in peers.DECODERS.values()),
])  # fmt: skip
def test_a_peers_process_needs_nothing_of_the_script(these, arch, monkeypatch):
    """Which `python -m` calls __main__, and processes do not find."""
    sent = []
    monkeypatch.setattr(benchmarks, "apart", lambda running, *all: sent.append(pickle.dumps(all)))
    assert len(benchmarks.beside(ExitStack(), these, arch, 4)) == len(sent) == len(these)
    assert not any(b"__main__" in each for each in sent)


def test_works_are_timed_in_turn(monkeypatch):
    monkeypatch.setattr(benchmarks, "SECONDS", 0)
    order = []
    works = {name: lambda name=name: order.append(name) or len(order) for name in "ab"}
    samples = benchmarks.in_turn(works)
    assert order == list("ab") * benchmarks.LEAST
    assert samples["b"].times == tuple(range(2, 2 * benchmarks.LEAST + 1, 2))


def test_a_table_has_ratios_of_neighbours(capsys):
    ours, theirs = {"a": Sample((1e-3, 2e-3, 3e-3))}, {"b": Sample((2e-3, 4e-3, 6e-3))}
    benchmarks.table("Title", "ms", ours, theirs)
    benchmarks.table("Title", "GB/s", ours, theirs, 10**7)
    _, ms, _, _, rate, _ = capsys.readouterr().out.split("\n")[:6]
    assert ms.split() == ["a", "b", "2.00", "4.00", "0.500", "0.500", "to", "0.500"]
    assert rate.split() == ["a", "b", "5.00", "2.50", "0.500", "0.500", "to", "0.500"]


def test_the_fastest_counts():
    samples = {"a": Sample((3.0, 1.0, 3.0)), "b": Sample((2.0, 2.0, 2.0))}
    assert list(benchmarks.fastest(samples)) == ["b"] and benchmarks.fastest({}) == {}


@pytest.mark.parametrize(("peer", "arch"), PEERS, ids=NAMES)
def test_a_peer_runs(peer, arch):
    imported(peer.needs)
    assert peer.make(arch, 4)() is not None


@pytest.mark.parametrize("peer", sum(peers.DECODERS.values(), ()), ids=lambda peer: peer.name)
def test_a_peer_generates_as_many_tokens_as_ours(peer):
    imported(peer.needs)
    found = peer.make(DECODER, 5)()
    if isinstance(found, torch.Tensor):  # transformers has the first one before them
        found = found[0, 1:]
    elif not isinstance(found[0], int):
        found = found[0].sequences_ids[0]
    assert len(found) == 5


@pytest.mark.parametrize(("peer", "arch"), PEERS, ids=NAMES)
def test_what_is_not_installed_is_told_in_one_line(peer, arch, monkeypatch, capsys):
    for package in peer.needs.split():
        monkeypatch.setitem(sys.modules, MODULES.get(package, package), None)
    assert benchmarks.made([(peer.name, partial(peer.make, arch, 4), peer.needs)]) == {}
    assert capsys.readouterr().out == f"{peer.name}: not compared: pip install {peer.needs}\n"


@pytest.mark.parametrize("kind", ["F32", "Q8_0", "Q4_0"])
def test_llama_cpp_computes_what_ours_does(kind):
    imported(llama.NEEDS)
    ours = Decoder(DECODER)
    theirs = llama.Llama(DECODER, ours, kind, 8)
    tokens = [3, 1, 4, 1, 5]
    for context, token in enumerate(tokens, 1):
        expected = ours.step(torch.tensor([[token]]), context)[0, -1]
        got = torch.from_numpy(theirs.step(token).copy())
        off = float((got - expected).norm() / expected.norm())
        assert off < {"F32": 1e-3, "Q8_0": 0.02, "Q4_0": 0.2}[kind]  # its GELU has 16 bits
    assert theirs.generate(3, 4) == theirs.generate(3, 4)


def test_bytes_of_a_weight_are_those_of_a_block(tmp_path):
    gguf = pytest.importorskip("gguf")
    for peer in (each for bits in peers.DECODERS.values() for each in bits):
        if peer.name.startswith("llama.cpp"):
            kind = peer.make.args[0]
            llama.write_gguf(tmp_path / kind, DECODER, Decoder(DECODER), kind)
            written = gguf.GGUFReader(tmp_path / kind).tensors
            sizes = [int(each.n_bytes) for each in written if len(each.shape) == 2]
            assert sum(sizes) == WEIGHTS * peer.weight_bytes + 4 * 8 * 64  # positions


@pytest.mark.parametrize("flags", libraries.BUILDS.values())
def test_a_triad_in_c_runs(flags):
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    with libraries.stream(1000, flags) as triads:
        assert triads() == triads() == "done\n"


@pytest.mark.parametrize("compiler", [None, shutil.which("false")])
def test_a_compiler_that_is_missing_or_fails_is_told(compiler, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: compiler)
    with pytest.raises(InputError, match="needs cc with -march=native -fopenmp"):
        with libraries.stream(1000, ("-march=native",)):
            pass


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_libraries_multiply(dtype, monkeypatch):
    numbers = torch.arange(32 * 32).view(32, 32) % 5
    monkeypatch.setattr(
        libraries, "random", lambda shape, dtype, device: numbers.to(getattr(torch, dtype))
    )
    assert torch.equal(libraries.plain(32, dtype)().long(), numbers @ numbers)
    try:
        product = libraries.packed(32, dtype)()
    except RuntimeError as error:  # oneDNN has none of bfloat16 on older processors
        pytest.skip(str(error))
    assert torch.equal(product.long(), numbers @ numbers.t())


def test_a_data_type_without_a_fast_path_is_told(monkeypatch, capsys):
    slow = SimpleNamespace(run=lambda seconds: None)
    monkeypatch.setattr(benchmarks, "square_tasks", lambda *args: [slow, None])
    benchmarks.compare_products("int8", 32, {"float32": 2.1, "int8": 1.0})
    told = "Products, int8: not compared: no fast path: less than half of float32's rate\n\n"
    assert capsys.readouterr().out == told


def test_weights_of_a_token_are_read_at_a_rate(monkeypatch, capsys):
    size = 2**23
    seconds = {"float32": 4 * WEIGHTS / 4e9, "other": 2 * WEIGHTS / 4e9}  # both at 4 GB/s
    seconds |= {"sum": size / 8e9, "product": size / 10e9}

    def known(works):
        return {name: Sample((seconds.get(name, 1),) * 3) for name in works}

    monkeypatch.setattr(benchmarks, "in_turn", known)
    monkeypatch.setattr(benchmarks, "timed", lambda work, units=1: work)
    monkeypatch.setattr(benchmarks, "apart", lambda running, threads, units, make, *how: make(*how))
    other = peers.Peer("other", "", lambda arch, length: None, 2)
    monkeypatch.setitem(benchmarks.DECODERS, 32, (other,))
    benchmarks.compare_decoders(DECODER, 32, 4, size)
    rows = [line.split()[:5] for line in capsys.readouterr().out.split("\n")]
    assert rows[1][:2] == ["float32", "other"] and rows[1][-1] == "2.000"
    ceiling = ["10.00", "4.00", "0.400"]
    assert rows[4:6] == [["product", name, *ceiling] for name in ("float32", "other")]


@pytest.mark.parametrize("threads", ["none", "0"])
def test_a_wrong_number_of_threads_is_told_in_one_line(threads):
    command = [sys.executable, "-m", "tests.benchmarks", threads]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("error: threads is ") and done.stderr.count("\n") == 1
