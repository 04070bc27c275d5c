"""What this machine could do: bytes/s of simple kernels and FLOP/s of matrix products.

The bandwidth kernels and their byte counts are those of STREAM (J. D. McCalpin, "Memory bandwidth
and machine balance in current high performance computers", IEEE TCCA Newsletter 1995): bytes that
the program names, so a write counts once whether or not the hardware reads the line first. As in
STREAM arrays are at least four times the last-level cache, as in BabelStream (T. Deakin and
others, "GPU-STREAM v2.0", 2016) results are verified after timing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import repeat

import torch
from torch import Tensor

from analysis.errors import InputError
from analysis.measured.machine import free_memory_bytes, last_level_cache_bytes
from analysis.measured.products import seconds_of, square_tasks
from analysis.measured.timing import Budget, Key, Measurement, Sample, Task, measure
from analysis.measured.works import capture

SCALAR = 3.0
COLUMNS, SLICES = 8192, 16  # of the matrices that the product kernel reads
GRAIN = COLUMNS * SLICES  # elements; arrays are whole multiples
ARRAY_BYTES = {"cpu": 2**28, "mps": 2**28, "cuda": 2**30}  # at least; a GPU reads 2**28 in 0.1 ms
CHUNK = 2**22  # elements verified at once
DTYPES = ("float32", "bfloat16", "float16", "int8")
SQUARES = (512, 1024, 2048, 4096, 8192)  # larger ones only where there is time for them
CACHE_SUMS = 32  # of a graph, so that launches do not hide them


@dataclass(frozen=True)
class Kernel:
    """`run(x, y, out)` touches `arrays` arrays of n elements, by STREAM's counting. Of a kernel
    that writes, `out` is then `expected(x, y)`, element by element; a read-only one returns what
    adds up to the sum of x, and needs neither y nor out."""

    name: str
    arrays: int
    run: Callable[[Tensor, Tensor | None, Tensor | None], object]
    expected: Callable[[Tensor, Tensor], Tensor] | None = None


def _product(x: Tensor, y=None, out=None) -> Tensor:
    """Sums of columns, as the product of rows of ones with matrices: how a decoder reads weights.
    The slices are as many streams of reads, and on a CPU `torch.sum` alone may add more slowly
    than memory delivers; so the read ceiling is the faster of the two."""
    x = x.view(SLICES, -1, COLUMNS)
    return torch.bmm(x.new_ones(SLICES, 1, x.shape[1]), x)


KERNELS = (
    Kernel("copy", 2, lambda x, y, out: out.copy_(x), lambda x, y: x),
    Kernel("scale", 2, lambda x, y, out: torch.mul(x, SCALAR, out=out), lambda x, y: SCALAR * x),
    Kernel("add", 3, lambda x, y, out: torch.add(x, y, out=out), lambda x, y: x + y),
    Kernel(
        "triad",
        3,
        lambda x, y, out: torch.add(x, y, alpha=SCALAR, out=out),
        lambda x, y: x + SCALAR * y,
    ),
    Kernel("sum", 1, lambda x, y, out: x.sum()),
    Kernel("streams", 1, lambda x, y, out: x.view(SLICES, -1).sum(1)),
    Kernel("product", 1, _product),
)


def array_bytes(device: str, arrays: int, budget: Budget) -> tuple[int, bool]:
    """Bytes of each of `arrays` arrays, and whether all exceed the last-level cache fourfold:
    max(4 x cache, `ARRAY_BYTES`), or what a fifth of the free memory and the budget leave."""
    cache = last_level_cache_bytes(device) or 0
    wanted = max(4 * cache, ARRAY_BYTES[device])
    room = min(free_memory_bytes(device) // 5, 0.9 * (budget.memory_bytes or 2**62)) / arrays
    size = int(min(wanted, room)) // (8 * GRAIN) * 8 * GRAIN
    return size, size >= 4 * cache


def bandwidth_task(kernel: Kernel, device: str, budget: Budget, size: int, large: bool) -> Task:
    """`kernel` on arrays of `size` bytes; `large`: too large to stay in a cache."""
    dtype = torch.float32 if device == "mps" else torch.float64  # MPS has no float64
    memory = kernel.arrays * size

    def run(seconds: float) -> Measurement:
        n = size // dtype.itemsize
        if n < GRAIN:
            raise InputError(f"too little free memory for {kernel.arrays} arrays")
        parts = torch.rand(2, GRAIN, dtype=dtype, device=device)
        x = parts[0].repeat(n // GRAIN)  # touches every page, and quicker than drawing it all
        y = parts[1].repeat(n // GRAIN) if kernel.arrays == 3 else None
        out = torch.zeros_like(x) if kernel.expected else None
        work = partial(kernel.run, x, y, out)
        sample = measure(work, device, seconds, budget.warm_seconds)
        verify(kernel, x, y, out)
        where = "memory" if large else "cache, at least in part"
        return Measurement(sample, None, memory, {"resides_in": where})

    key = Key("bandwidth", how=kernel.name, dtype=str(dtype).removeprefix("torch."))
    return Task(key, memory, seconds_of(budget, 1, 0) + memory / 5e8, run)


def verify(kernel: Kernel, x: Tensor, y: Tensor | None, out: Tensor | None) -> None:
    """Compare what a kernel left with what it should, in chunks; RuntimeError if it differs."""
    tolerance = 1e-12 if x.dtype == torch.float64 else 1e-4
    if kernel.expected is None:
        pairs = [(kernel.run(x, y, out).sum(), sum(part.sum() for part in x.split(CHUNK)))]
    else:
        parts = (repeat(None) if each is None else each.split(CHUNK) for each in (out, x, y))
        pairs = ((got, kernel.expected(a, b)) for got, a, b in zip(*parts, strict=False))
    if not all(torch.allclose(got, want, rtol=tolerance, atol=0) for got, want in pairs):
        raise RuntimeError(f"{kernel.name}: wrong result after timing")


def cache_task(device: str, budget: Budget) -> Task:
    """A sum over half of the last-level cache, again and again."""
    size = (last_level_cache_bytes(device) or 0) // 2

    def run(seconds: float) -> Measurement:
        if not size:
            raise InputError("the size of the last-level cache is unknown")
        x = torch.rand(size // 4, device=device)
        work, n = x.sum, 1
        if device == "cuda":
            work, n = capture(lambda: [x.sum() for _ in range(CACHE_SUMS)]).replay, CACHE_SUMS
        times = measure(work, device, seconds, budget.warm_seconds).times
        sample = Sample(tuple(time / n for time in times))
        return Measurement(sample, None, x.nbytes, {"resides_in": "last-level cache"})

    return Task(Key("cache"), size, seconds_of(budget, 1, 0), run)


def launch_task(device: str, budget: Budget) -> Task:
    """One operator on one number; on CUDA launches overlap, so it is the time between two."""

    def run(seconds: float) -> Measurement:
        x = torch.rand(1, device=device)
        y = torch.empty_like(x)
        work = partial(torch.mul, x, SCALAR, out=y)
        return Measurement(measure(work, device, seconds, budget.warm_seconds))

    return Task(Key("launch"), 0, seconds_of(budget, 0.25, 0), run)


def ceiling_tasks(device: str, budget: Budget, threads: int) -> tuple[list[Task], list[Task]]:
    """Every ceiling: bandwidths and the peak of float32, and the peaks of other data types."""
    torch.set_num_threads(threads)
    squares = budget.of(SQUARES, SQUARES[:3])
    reached: dict[str, float] = {}
    size, large = array_bytes(device, max(kernel.arrays for kernel in KERNELS), budget)
    main = [bandwidth_task(kernel, device, budget, size, large) for kernel in KERNELS]
    main += square_tasks(DTYPES[0], squares, device, budget, reached)
    main += [cache_task(device, budget), launch_task(device, budget)]
    others = [square_tasks(dtype, squares, device, budget, reached) for dtype in DTYPES[1:]]
    return main, budget.of(sum(others, []), [])
