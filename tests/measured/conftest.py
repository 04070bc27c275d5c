import gc

import pytest
import torch

from analysis.measured.run import Run
from analysis.measured.schema import Machine

MACHINE = Machine(
    device="cpu", device_name="Some CPU @ 2 GHz", cpu="Some CPU @ 2 GHz", cores=2, threads=2,
    caches={"L3": 2**25}, memory_bytes=2**34, gpu_memory_bytes=None, os="Linux", python="3.11.7",
    torch="2.6", numpy="2.0", blas="mkl", fast_paths=["AVX2"],
)  # fmt: skip


@pytest.fixture(scope="session", autouse=True)
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
