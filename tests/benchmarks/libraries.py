"""STREAM's triad in C, and products of squares through one library each."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch

from analysis.errors import InputError
from analysis.measured.products import random

STREAM = Path(__file__).with_name("stream.c")
BUILDS = {"STREAM in C": (), "STREAM, -march=native": ("-march=native",)}
TRIADS = 20  # at once: to ask another process takes a little time


@contextmanager
def stream(n: int, flags: tuple[str, ...] = ()) -> Iterator[Callable[[], object]]:
    """`TRIADS` of STREAM's in C, compiled with these flags besides -O3, with torch's threads, over
    arrays of `n` numbers. InputError without a C compiler that knows them and OpenMP."""
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(folder, "stream"))
        command = [shutil.which("cc"), "-O3", *flags, "-fopenmp", "-o", program, str(STREAM)]
        if not command[0] or subprocess.run(command, capture_output=True).returncode:
            raise InputError(f"needs cc with {' '.join((*flags, '-fopenmp'))}")
        env = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen([program, str(n)], text=True, env=env, bufsize=1, **pipes) as running:

            def triads() -> str:
                running.stdin.write(f"{TRIADS}\n")
                return running.stdout.readline()

            yield triads


def plain(n: int, dtype: str) -> Callable[[], torch.Tensor]:
    """(n, n) by (n, n) as torch multiplies unasked: MKL's, where torch has it, in float32."""
    a, b = random((n, n), dtype, "cpu"), random((n, n), dtype, "cpu")
    multiply = torch._int_mm if dtype == "int8" else torch.mm
    return partial(multiply, a, b, out=torch.zeros_like(multiply(a, b)))


def packed(n: int, dtype: str) -> Callable[[], torch.Tensor]:
    """(n, n) by (n, n) through oneDNN, the weight in its own order; int8 with activations of
    unsigned 8 bits, as VNNI multiplies them, and a result in float32."""
    x, weight = random((n, n), dtype, "cpu"), random((n, n), dtype, "cpu")
    if dtype == "int8":
        onednn, x = torch.ops.onednn, x.view(torch.uint8)
        scales, zeros = torch.ones(n), torch.zeros(n, dtype=torch.int)
        weight, nothing = onednn.qlinear_prepack(weight, x.shape), ("none", [], "")
        options = (scales, zeros, None, 1.0, 0, torch.float32, *nothing)
        return partial(onednn.qlinear_pointwise, x, 1.0, 0, weight, *options)
    weight = torch.ops.mkldnn._reorder_linear_weight(weight, n)
    return partial(torch.ops.mkldnn._linear_pointwise, x, weight, None, "none", [], "")


PRODUCTS = {"torch.mm alone": plain, "oneDNN, packed": packed}
