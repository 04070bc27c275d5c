import gc
import importlib.util
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from analysis.measured.byte_model import MODELS
from analysis.measured.run import Run, find_run, load_run
from analysis.measured.schema import Machine
from analysis.measured.timing import Clock

MACHINE = Machine(
    device="cpu", device_name="Some CPU @ 2 GHz", cpu="Some CPU @ 2 GHz", cores=2, threads=2,
    caches={"L3": 2**25}, memory_bytes=2**34, gpu_memory_bytes=None, os="Linux", python="3.11.7",
    torch="2.6", numpy="2.0", blas="mkl", fast_paths=["AVX2"],
)  # fmt: skip


class FakeClock(Clock):
    """Time passes only when work is done."""

    def __init__(self):
        super().__init__("cpu")
        self.time_now, self.calls = 0.0, 0

    def now(self):
        return self.time_now

    def work(self, *seconds):
        """Work that takes each of `seconds` in turn, the last for ever."""

        def call():
            self.time_now += seconds[min(self.calls, len(seconds) - 1)]
            self.calls += 1

        return call


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture(autouse=True)
def quick_collections():
    """All that was imported needs no look at before each timing."""
    gc.freeze()


@pytest.fixture
def one_thread():
    """More would wait for one another where processors are busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def save():
    """What the script that trains writes checkpoints by."""
    spec = importlib.util.spec_from_file_location("train_bytes", MODELS / "train.py")
    script = sys.modules["train_bytes"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script.save


@pytest.fixture(scope="session")
def linked(tmp_path_factory):
    """The file of all links and stages, measured as on two machines: on each torchrun starts one
    process, and they meet at a port of the first."""
    out = tmp_path_factory.mktemp("links") / "run.json"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meet = f"--rdzv-endpoint=127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1",
               "--rdzv-backend=c10d", "--rdzv-id=1", meet, "--local-addr=127.0.0.1",
               str(Path(__file__).with_name("tiny_links.py")), "nothing", "--out", str(out),
               "--timeout", "60", "--device", "cpu"]  # fmt: skip
    piped = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    for each in [subprocess.Popen(command, **piped) for _ in range(2)]:
        said = each.communicate(timeout=300)[1]
        assert each.returncode == 0, said
    return out


@pytest.fixture
def a_machine():
    return MACHINE


@pytest.fixture
def new_run():
    """A run of that machine, of a budget of any name."""
    return lambda budget="smoke": Run.new(MACHINE, budget)


@pytest.fixture
def reasons():
    """A run's points that were not measured, by the text of their keys."""
    return lambda run: {str(each.key): each.reason for each in run.not_measured}


@pytest.fixture
def as_archived():
    """Asserts that the points of a run have what those of an archived run have that are named
    alike: the same details, and other kinds of points in their turn."""
    archived = structure(load_run(find_run("amd-epyc-zen-4-2-cores")))

    def check(run, *whats):
        found = structure(run)
        assert set(whats) <= {what for what, *_ in found}
        for what, how, dtype, details, turn in found:
            alike = [row for row in archived if row[0] == what]
            if how in {row[1] for row in alike}:
                alike = [row for row in alike if row[1] == how]
            else:  # a shape, or what is read at a context
                assert what in ("matmul", "alone", "read"), (what, how)
            assert (dtype, details, turn) in {row[2:] for row in alike}, (what, how, details, turn)

    return check


CHOSEN = {"library", "others"}  # where the machine has several
FORMER = {"fast_path", "shape", "arrays", "array_bytes", "operator"}  # recorded no more
CHECKS = {"benchmark", "ring_sum", "ring_copy"}  # of archived all-reduces, measured no more


def details(point):
    return frozenset(point.details) - CHOSEN - FORMER


def structure(run):
    """(what, how, data type, names of details, kinds of points in its turn) of each point."""
    points, turns = [p for p in run.points if p.how not in CHECKS], {}
    for point in points:
        turns.setdefault(point.turn, []).append(point.what)
    return {
        (p.what, p.how, p.dtype, details(p), frozenset(turns[p.turn]))
        if p.turn and len(turns[p.turn]) > 1
        else (p.what, p.how, p.dtype, details(p), frozenset())
        for p in points
    }
