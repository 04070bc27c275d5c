"""The processor's clock, by a dependent chain of additions: each waits for the one before, and an
addition of whole numbers takes one cycle on every x86-64 and Armv8 processor.

What the system says is not it: a guest is told the base clock. `python -m analysis.measured.clock`
times the chain and prints Hz; a process of its own, so that a system that forbids it costs nothing.
"""

import ctypes
import mmap
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from statistics import median

import numpy as np

from analysis.measured.allowed import may_use

CHAIN, ROUNDS, TRIES = 1000, 200, 40  # additions in a row, loops over them; the best try counts
# What a loop is made of: an addition; the count down; the jump back over n bytes; the return.
LOOPS: dict[str, tuple[bytes, bytes, Callable[[int], bytes], bytes]] = {
    "x86_64": (  # add rax, rax; dec rdi; jnz; ret
        b"\x48\x01\xc0", b"\x48\xff\xcf",
        lambda n: b"\x0f\x85" + (-n - 6).to_bytes(4, "little", signed=True), b"\xc3",
    ),
    "aarch64": (  # add x1, x1, x1; subs x0, x0, #1; b.ne; ret
        b"\x21\x00\x01\x8b", b"\x00\x04\x00\xf1",
        lambda n: (0x54000001 | (-n // 4 & 0x7FFFF) << 5).to_bytes(4, "little"),
        b"\xc0\x03\x5f\xd6",
    ),
}  # fmt: skip


def loop(machine: str) -> bytes:
    """The machine code of a function of one number: so many rounds of CHAIN additions."""
    add, count, jump, leave = LOOPS[machine]
    body = CHAIN * add + count
    return body + jump(len(body)) + leave


@cache
def measured_clock() -> float | None:
    """The clock in Hz while all cores that this process may use are busy; None where no chain can
    be run: on systems other than Linux, on other processors, where making code is forbidden."""
    if platform.system() != "Linux" or platform.machine() not in LOOPS:
        return None
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__], capture_output=True, text=True, timeout=60, check=True
        )
        return float(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def main() -> None:
    code = loop(platform.machine())
    file = os.memfd_create("chain")  # the system makes a file's code visible to the processor
    os.write(file, code)
    place = mmap.mmap(file, len(code), mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC)
    chain = ctypes.CFUNCTYPE(None, ctypes.c_long)(np.frombuffer(place, np.uint8).ctypes.data)

    def best(_: int) -> float:
        times = []
        for _ in range(TRIES):
            start = time.perf_counter()
            chain(ROUNDS)
            times.append(time.perf_counter() - start)
        return min(times)

    cores = may_use().cores
    with ThreadPoolExecutor(cores) as pool:
        print(CHAIN * ROUNDS / median(pool.map(best, range(cores))))


if __name__ == "__main__":
    main()
