"""The machine: what it is, what it has free, and which of its devices is measured.

Nothing leaves the machine. What cannot be found out is None or "unknown", never guessed.
"""

import ctypes
import platform
import re
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path

import numpy
import psutil
import torch

from analysis.errors import InputError
from analysis.measured.allowed import content, may_use, processors, threads_per_core
from analysis.measured.clock import measured_clock
from analysis.measured.schema import TEXT, Machine
from analysis.text import one_line

DEVICES = ("cpu", "cuda", "mps")
SYSTEM, CACHE = Path("/sys/devices/system/cpu"), ("type", "level", "size", "shared_cpu_list")
MACOS = {"L1d": "hw.l1dcachesize", "L2": "hw.l2cachesize", "L3": "hw.l3cachesize"}
# The names in /proc/cpuinfo on x86 and on Arm.
FACTS = {
    "vendor": "vendor_id|CPU implementer",
    "family": "cpu family|CPU architecture",
    "model": "model|CPU part",
    "stepping": "stepping|CPU revision",
}
# Instructions, as Linux names them, that speed up a data type or widen a vector.
FLAGS = (
    "sse4_1", "avx", "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16",
    "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8", "asimd", "asimdhp", "asimddp",
    "sve", "bf16", "i8mm",
)  # fmt: skip


def available_devices() -> list[str]:
    there = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
    return [device for device in DEVICES if device == "cpu" or there[device]()]


def choose_device(name: str = "auto") -> str:
    """ "cpu", "cuda" or "mps"; "auto" is the first accelerator there is, or else the CPU.

    Raises InputError for a device that is not there.
    """
    there = available_devices()
    if name == "auto":
        return there[-1]
    if name not in there:
        raise InputError(f"device {name!r} is not there; this machine has: {', '.join(there)}")
    return name


def set_threads(threads: int | None = None) -> int:
    """Use `threads` CPU threads in torch, or as many as there are cores that this process may use;
    returns how many.

    Raises InputError for less than one or more than there are such cores.
    """
    most = may_use().cores
    threads = most if threads is None else threads
    if not 1 <= threads <= most:
        raise InputError(f"threads is {threads}; this process may use 1 to {most}")
    torch.set_num_threads(threads)
    return threads


@cache
def _libc() -> ctypes.CDLL | None:
    """The C library, where it is known to have `mallopt` and `malloc_trim`."""
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def keep_memory() -> None:
    """Have freed main memory kept for the next tensor, as torch does on a card: a pass would
    otherwise get each large tensor as fresh pages, which the system fills with zeros first."""
    if _libc():
        never_mapped, never_trimmed = (-4, 0), (-1, -1)  # M_MMAP_MAX, M_TRIM_THRESHOLD
        _libc().mallopt(*never_mapped)
        _libc().mallopt(*never_trimmed)


def describe(device: str, threads: int) -> Machine:
    """Describe this machine as one whose `device` is measured with `threads` CPU threads."""
    cpu, gpu, allowed = processor_name(), None, may_use()
    if device == "cuda":
        gpu = torch.cuda.get_device_properties(0)
    name = {"cpu": cpu, "cuda": gpu and gpu.name, "mps": f"{cpu} GPU"}[device]
    blas = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
    backends = {"mkl": torch.backends.mkl, "mkldnn": torch.backends.mkldnn}
    fast_paths = [torch.backends.cpu.get_cpu_capability()]  # torch's own vectors
    fast_paths += [name for name, backend in backends.items() if backend.is_available()]
    fast_paths += [flag for flag in FLAGS if flag in instructions()]
    fast_paths += [f"sm_{gpu.major}{gpu.minor}"] if gpu else []
    return Machine(
        device=device,
        device_name=_text(name),
        cpu=_text(cpu),
        cores=psutil.cpu_count(logical=False),
        threads=threads,
        caches=cpu_caches() | ({"GPU L2": gpu.L2_cache_size} if gpu else {}),
        memory_bytes=psutil.virtual_memory().total,
        gpu_memory_bytes=gpu and gpu.total_memory,
        os=_text(f"{platform.system()} {platform.release().split('-')[0]} {platform.machine()}"),
        python=_text(platform.python_version()),
        torch=_text(torch.__version__),
        numpy=_text(numpy.__version__),
        blas=_text(blas and blas[1]),
        fast_paths=fast_paths,
        **processor(),
        clock_hz=measured_clock(),
        threads_per_core=threads_per_core(),
        usable_cores=allowed.cores,
        quota=allowed.quota,
        usable_memory_bytes=allowed.memory_bytes,
    )


@cache
def cpu_caches() -> dict[str, int]:
    """Bytes of each level of data cache, summed over the processors that this process may use."""
    sizes, seen = Counter(), set()
    for level, name in MACOS.items():
        sizes[level] = int(sysctl(name) or 0)
    for cpu in processors():
        for index in (SYSTEM / f"cpu{cpu}" / "cache").glob("index*"):
            kind, level, size, shared = (content(index / name) for name in CACHE)
            if kind != "Instruction" and (level, shared) not in seen:
                seen.add((level, shared))
                sizes[f"L{level}" + "d" * (kind == "Data")] += 1024 * int(size.rstrip("K") or 0)
    return {level: size for level, size in sorted(sizes.items()) if size > 0}


def last_level_cache_bytes(device: str) -> int | None:
    """Bytes of the largest cache between `device` and its memory; None if unknown."""
    if device == "cuda":
        return torch.cuda.get_device_properties(0).L2_cache_size
    return max(cpu_caches().values(), default=None)


def free_memory_bytes(device: str) -> int:
    """Bytes that can be allocated now: on CUDA on the card, else in the main memory, as far as
    this process may use it; what torch or the C library keeps is given back."""
    if device == "cuda":
        torch.cuda.empty_cache()
        return torch.cuda.mem_get_info()[0]
    if _libc():
        _libc().malloc_trim(0)
    return may_use().free_bytes


# Which processor this is; what the system does not say is "" or None.


def processor() -> dict[str, str | int | None]:
    """vendor, as the processor says itself, and the numbers family, model and stepping."""
    vendor, *numbers = map(_said, FACTS.values())
    return dict(zip(FACTS, (vendor, *map(_number, numbers)), strict=True))


def processor_name() -> str:
    """The marketing name, where the system gives it, or else what it calls the processor."""
    found = _said("model name") or sysctl("machdep.cpu.brand_string")
    return found or platform.processor() or platform.machine()


def instructions() -> set[str]:
    """The processor's instructions, as Linux names them; none where it does not say."""
    return set(_said("flags|Features").split())


def _number(text: str) -> int | None:
    try:
        return int(text, 0)
    except ValueError:
        return None


def _said(names: str) -> str:
    """What Linux says of the first processor, "" if nothing."""
    found = re.search(rf"^({names})\s*:\s*(.+)$", _cpuinfo(), re.M)
    return found[2].strip() if found else ""


@cache
def _cpuinfo() -> str:
    return content(Path("/proc/cpuinfo"))


def sysctl(name: str) -> str:
    """What macOS says of itself by that name, "" if nothing."""
    if platform.system() != "Darwin":
        return ""
    command = ["/usr/sbin/sysctl", "-n", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    return done.stdout.strip()


def _text(value: str | None) -> str:
    return one_line(value or "", TEXT) or "unknown"
