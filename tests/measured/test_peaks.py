"""Which processor it is, its clock, and what it could compute at most."""

import json
import platform
import subprocess

import pytest

from analysis.measured import clock
from analysis.measured import machine as system
from analysis.measured.peaks import peak_flops
from analysis.measured.run import ARCHIVE, Run, archived, local_path
from analysis.measured.schema import Machine
from analysis.published.tables import load_table

X86 = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 1
model name\t: AMD EPYC 7763 64-Core Processor
stepping\t: 1
microcode\t: 0x1000065
cpu MHz\t\t: 2445.406
flags\t\t: fpu sse4_1 fma avx avx2
"""
ARM = """processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0c
CPU revision\t: 1
"""


def machine(vendor: str, family: int | None, model: int | None, flags: str, **changes) -> Machine:
    known = dict(
        device="cpu", device_name="A", cpu="A", cores=2, threads=2, caches={}, memory_bytes=None,
        gpu_memory_bytes=None, os="Linux", python="3", torch="2", numpy="2", blas="mkl",
        fast_paths=flags.split(), vendor=vendor, family=family, model=model, clock_hz=3e9,
    )  # fmt: skip
    return Machine(**known | changes)


ADDED = (*system.FACTS, "clock_hz", "threads_per_core", "usable_cores", "quota")
ADDED += ("usable_memory_bytes",)
AVX2, AVX512 = "sse4_1 avx avx2 fma", "sse4_1 avx avx2 fma avx512f"
ZEN3 = machine("AuthenticAMD", 25, 1, AVX2)


def test_a_processor_is_read_from_what_linux_says(monkeypatch):
    monkeypatch.setattr(system, "_cpuinfo", lambda: X86)
    assert system.processor() == dict(vendor="AuthenticAMD", family=25, model=1, stepping=1)
    assert system.processor_name() == "AMD EPYC 7763 64-Core Processor"
    assert system.instructions() == {"fpu", "sse4_1", "fma", "avx", "avx2"}
    monkeypatch.setattr(system, "_cpuinfo", lambda: ARM)
    assert system.processor() == dict(vendor="0x41", family=8, model=0xD0C, stepping=1)
    assert system.instructions() == {"fp", "asimd"}


@pytest.mark.parametrize("text", ["", "family : none", X86.replace(": 25", ": ?")])
def test_what_is_not_said_is_not_known(text, monkeypatch):
    monkeypatch.setattr(system, "_cpuinfo", lambda: text)
    assert system.processor()["family"] is None


@pytest.mark.parametrize(
    "vendor, family, model, flags, most",
    [  # FLOP a cycle: units x lanes x 2
        ("AuthenticAMD", 23, 1, AVX2, 2 * 4 * 2),  # Zen, 128 bits
        ("AuthenticAMD", 23, 49, AVX2, 2 * 8 * 2),  # Zen 2
        ("AuthenticAMD", 25, 1, AVX2, 2 * 8 * 2),  # Zen 3
        ("AuthenticAMD", 25, 17, AVX512, 2 * 8 * 2),  # Zen 4: 512 bits in two halves
        ("AuthenticAMD", 26, 2, AVX512, 2 * 16 * 2),  # Zen 5
        ("AuthenticAMD", 26, 2, AVX2, 2 * 8 * 2),  # as a guest that is not told of AVX-512
        ("GenuineIntel", 6, 42, "sse4_1 avx", 2 * 8),  # Sandy Bridge: no multiply-adds
        ("GenuineIntel", 6, 42, "sse4_1", 2 * 4),
        ("GenuineIntel", 6, 85, AVX512, 2 * 16 * 2),  # Skylake-SP
        ("GenuineIntel", 6, 140, AVX512, 16 * 2),  # Tiger Lake: one unit
        ("0x41", 8, 0xD0C, "asimd", 2 * 4 * 2),  # Neoverse N1
    ],
)
def test_the_peak_is_units_times_lanes_times_cores_times_clock(vendor, family, model, flags, most):
    here = machine(vendor, family, model, flags)
    assert peak_flops(here) == most * 2 * 3e9


@pytest.mark.parametrize(
    "changes, cores", [({"threads": 1}, 1), ({"usable_cores": 1}, 1), ({"quota": 0.25}, 0.25)]
)
def test_only_what_is_used_counts(changes, cores):
    assert peak_flops(ZEN3.model_copy(update=changes)) == 32 * cores * 3e9


@pytest.mark.parametrize(
    "changes",
    [{"vendor": ""}, {"family": None}, {"model": None}, {"model": 16**3}, {"clock_hz": None},
     {"fast_paths": []}, {"device": "cuda"}],
)  # fmt: skip
def test_what_is_not_known_has_no_peak(changes):
    assert peak_flops(ZEN3.model_copy(update=changes)) is None


def test_ranges_of_models_do_not_overlap():
    rows = load_table("processors")
    for _, same in rows.groupby(["vendor", "family", "instructions"]):
        same = same.sort_values("first_model")
        assert (same["last_model"] >= same["first_model"]).all()
        assert (same["first_model"].iloc[1:].values > same["last_model"].iloc[:-1].values).all()


def test_generations_that_share_a_name_are_two_machines():
    other = ZEN3.model_copy(update={"family": 26, "model": 2})
    assert ZEN3.identity() != other.identity()
    assert local_path(ZEN3, "quick") != local_path(other, "quick")
    assert ZEN3.identity() == ZEN3.model_copy(update={"clock_hz": 2e9}).identity()


def test_a_run_of_before_loads_and_has_no_peak():
    content = json.loads((ARCHIVE / f"{archived()[0]}.json").read_text("utf-8"))
    for name in ADDED:
        content["machine"].pop(name, None)
    former = Run.model_validate_json(json.dumps(content)).machine
    assert former.family is None and peak_flops(former) is None


def test_the_clock_is_that_of_the_chain():
    hertz = clock.measured_clock()
    if platform.system() != "Linux" or platform.machine() not in clock.LOOPS:
        assert hertz is None
    else:
        assert 0.3e9 < hertz < 8e9  # of any processor that has these instructions


def test_a_loop_jumps_back_over_its_chain():
    # Checked with llvm-mc: add x1, x1, x1; subs x0, x0, #1; b.ne .-4004; ret
    arm = clock.loop("aarch64")
    assert arm[:4] == bytes.fromhex("2100018b") and len(arm) == 4 * (clock.CHAIN + 3)
    assert arm[-12:] == bytes.fromhex("000400f1 e182ff54 c0035fd6")
    x86 = clock.loop("x86_64")  # jnz .-3003, from the end of the jump
    assert int.from_bytes(x86[-5:-1], "little", signed=True) == -(3 * clock.CHAIN + 3 + 6)


def test_where_no_code_may_be_made_the_clock_is_not_known(monkeypatch):
    def refuse(*arguments, **options):
        raise subprocess.CalledProcessError(1, "python")

    monkeypatch.setattr(subprocess, "run", refuse)
    assert clock.measured_clock.__wrapped__() is None
    monkeypatch.setattr(clock.platform, "machine", lambda: "riscv64")
    assert clock.measured_clock.__wrapped__() is None
