"""The machine's description: whatever it is, it fits into a run file."""

import subprocess
import sys
import types

import pytest
import torch

from analysis.errors import InputError
from analysis.measured import machine
from analysis.measured.allowed import Allowed
from analysis.measured.schema import Machine


def test_this_machine_fits_the_schema():
    here = machine.describe("cpu", 1)
    assert Machine.model_validate_json(here.model_dump_json()) == here
    assert here.threads == 1 and here.torch == torch.__version__
    assert here.device_name == here.cpu and here.gpu_memory_bytes is None


def test_auto_is_a_device_that_is_there():
    assert machine.choose_device() in machine.available_devices()
    assert machine.choose_device("cpu") == "cpu"


def test_an_absent_device_is_told_in_one_line(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="'cuda' is not there; this machine has: cpu"):
        machine.choose_device("cuda")
    with pytest.raises(InputError):
        machine.choose_device("abacus")


def test_threads_are_bounded(monkeypatch):
    monkeypatch.setattr(machine, "may_use", lambda: Allowed(2, 1.5, 2**30, 2**29))
    before = torch.get_num_threads()
    try:
        assert machine.set_threads(1) == torch.get_num_threads() == 1
        assert machine.set_threads() == torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    for threads in (0, 3):
        with pytest.raises(InputError, match="1 to 2"):
            machine.set_threads(threads)


def test_free_memory_is_what_the_process_may_use(monkeypatch):
    assert 0 < machine.free_memory_bytes("cpu") <= machine.psutil.virtual_memory().total
    monkeypatch.setattr(machine, "may_use", lambda: Allowed(2, None, 2**30, 2**29))
    assert machine.free_memory_bytes("cpu") == 2**29
    assert machine.describe("cpu", 1).usable_memory_bytes == 2**30


def test_memory_that_was_freed_is_used_again():
    if not machine._libc():
        pytest.skip("needs glibc")
    program = """
import resource, torch
from analysis.measured import machine
machine.keep_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2**25)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
again = min(faults() for _ in range(6))
machine.free_memory_bytes("cpu")
print(again, faults())
"""
    # Pages, of whatever size, that are fetched anew, at the best of six: a block that lies at the
    # end of the heap by luck may be given back.
    command = [sys.executable, "-c", program]
    said = subprocess.run(command, capture_output=True, text=True).stdout
    again, trimmed = map(int, said.split())
    assert again < trimmed / 2


def test_caches_count_once_for_each_that_is_shared(tmp_path, monkeypatch):
    for cpu in (0, 1):
        for index, (kind, level, size, shared) in enumerate(
            [("Data", 1, "32K", cpu), ("Instruction", 1, "32K", cpu), ("Unified", 3, "9K", "0-1")]
        ):
            folder = tmp_path / f"cpu{cpu}" / "cache" / f"index{index}"
            folder.mkdir(parents=True)
            for name, text in dict(
                type=kind, level=level, size=size, shared_cpu_list=shared
            ).items():
                (folder / name).write_text(f"{text}\n")
    monkeypatch.setattr(machine, "SYSTEM", tmp_path)
    monkeypatch.setattr(machine, "processors", lambda: {0, 1})
    assert machine.cpu_caches.__wrapped__() == {"L1d": 2 * 32 * 1024, "L3": 9 * 1024}


def test_unknown_caches_are_none(monkeypatch):
    monkeypatch.setattr(machine, "cpu_caches", dict)
    assert machine.last_level_cache_bytes("cpu") is None
    assert machine.describe("cpu", 1).caches == {}


@pytest.mark.parametrize("system", ["Darwin", "Windows", "Plan 9"])
def test_other_systems_are_described_too(system, tmp_path, monkeypatch):
    def sysctl(command, **options):
        known = {"machdep.cpu.brand_string": "Apple M9\n", "hw.l2cachesize": "4194304\n"}
        return types.SimpleNamespace(stdout=known.get(command[-1], ""))

    monkeypatch.setattr(machine.platform, "system", lambda: system)
    monkeypatch.setattr(machine.platform, "processor", lambda: "")
    monkeypatch.setattr(machine, "_cpuinfo", lambda: "")
    monkeypatch.setattr(machine, "SYSTEM", tmp_path)
    monkeypatch.setattr(subprocess, "run", sysctl)
    monkeypatch.setattr(machine, "cpu_caches", machine.cpu_caches.__wrapped__)
    here = machine.describe("cpu", 1)
    if system == "Darwin":
        assert here.cpu == "Apple M9" and here.caches == {"L2": 4194304}
    else:
        assert here.cpu and here.caches == {}
    assert (here.vendor, here.family, here.model) == ("", None, None)


def test_nothing_is_asked_of_the_network(monkeypatch):
    import socket

    def refuse(*arguments, **options):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    machine.describe("cpu", 1)


def test_odd_text_becomes_one_line():
    assert machine._text("  a\tCPU\n\x00") == "a CPU"
    assert machine._text(None) == machine._text("\n") == "unknown"
    assert len(machine._text("x" * 1000)) == 300
