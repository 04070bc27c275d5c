"""Products of square matrices: the peak of each data type.

A square is multiplied by every library that torch has for it (`analysis.measured.libraries`), the
plain product into memory that is there already, and the fastest counts.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial

import torch
from torch import Tensor

from analysis.errors import InputError
from analysis.measured.libraries import PLAIN, by_library, trial
from analysis.measured.timing import Budget, Key, Measurement, Task, measure

PROBE = 256  # size of the square that a data type is tried with
TRIED = 2048  # size of the largest square that every library multiplies; larger ones by the best
SLOW = 8  # times a point's seconds: squares that take longer are left out


def random(shape: Sequence[int], dtype: str, device: str) -> Tensor:
    """Uniform from -1 to 1; int8 from -127 to 127."""
    if dtype == "int8":
        return torch.randint(-127, 128, tuple(shape), dtype=torch.int8, device=device)
    return torch.rand(tuple(shape), device=device).mul_(2).sub_(1).to(getattr(torch, dtype))


def multiply(a: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
    """a b, in `out` if given; int8 accumulates in int32, where a plain product would wrap."""
    if a.dtype == torch.int8:
        return torch._int_mm(a, b) if out is None else torch._int_mm(a, b, out=out)
    return torch.matmul(a, b, out=out)


def verify(a: Tensor, b: Tensor, c: Tensor, bias: Tensor | None = None) -> None:
    """Compare four rows of c = a b + bias with float64. RuntimeError if they differ by more than
    rounding: of sums, relative to the norms of row and column, and of the result."""
    eps = torch.finfo(c.dtype).eps if c.is_floating_point() else 0
    sums = 64 * eps if c.dtype == torch.float32 else eps  # shorter types are summed in float32
    rows = torch.linspace(0, a.shape[-2] - 1, min(4, a.shape[-2])).long().to(a.device)
    a, c = (x.index_select(-2, rows).cpu().double() for x in (a, c))
    for start in range(0, b.shape[-1], 4096):  # bounds the copy in float64
        cut = slice(start, start + 4096)
        column = b[..., cut].cpu().double()
        want = a @ column + (0 if bias is None else bias[cut].cpu().double())
        norms = a.norm(dim=-1, keepdim=True) * column.norm(dim=-2, keepdim=True)
        if not ((c[..., cut] - want).abs() <= sums * norms + 2 * eps * want.abs()).all():
            raise RuntimeError("wrong result after timing")


def square_tasks(
    dtype: str, sizes: Sequence[int], device: str, budget: Budget, reached: dict[str, float]
) -> list[Task]:
    """(n, n) by (n, n) for n in `sizes`, which rise; larger squares are left out where they would
    take too long. `reached` is the FLOP/s of each data type so far, which tasks fill in and plan
    with."""
    rate, best = probe(dtype, device), {"library": PLAIN.name}

    def run(n: int, seconds: float) -> Measurement:
        if rate is None:
            raise InputError(f"{dtype} products are not supported on {device}")
        once = 2 * n**3 / reached.get(dtype, rate)
        if n > sizes[0] and budget.least * once > SLOW * budget.seconds_per_point:
            raise InputError(f"one product would take about {once:.2g} s: too long for this budget")
        a, b = random((n, n), dtype, device), random((n, n), dtype, device)
        c = torch.zeros_like(multiply(a, b))
        by = {PLAIN.name: partial(multiply, a, b, c)}
        by = by_library(a, b.t().contiguous()) | by if dtype != "int8" else by
        if n <= TRIED:
            best.update(tried(by, device))
        work = by[best["library"]]
        sample = measure(work, device, seconds, budget.warm_seconds, budget.least)
        verify(a, b, work())
        reached[dtype] = max(reached.get(dtype, 0), 2 * n**3 / sample.best)
        moved = sum(x.nbytes for x in (a, b, c))
        return Measurement(sample, 2 * n**3, moved, best | precision(dtype))

    tasks = []
    for n in sizes:
        key = Key("matmul", how=f"{n}x{n}x{n}", dtype=dtype)
        estimate = seconds_of(budget, 1, 2 * n**3 / (rate or 1e12))
        tasks.append(Task(key, 24 * n * n, estimate, partial(run, n)))
    return tasks


def tried(products: dict[str, Callable], device: str) -> dict[str, str]:
    """Which of `products` is the fastest, and the rates of the others over its."""
    seconds = trial(products, device)
    name = min(seconds, key=seconds.get)
    others = [f"{each} {seconds[name] / seconds[each]:.2f}" for each in seconds if each != name]
    return {"library": name} | ({"others": ", ".join(others)} if others else {})


def precision(dtype: str) -> dict[str, str]:
    """What float32 products may be rounded to on the way (TF32, bfloat16), as torch is set."""
    return {"precision": torch.get_float32_matmul_precision()} if dtype == "float32" else {}


@cache
def probe(dtype: str, device: str) -> float | None:
    """FLOP/s of a small product, to plan with; None if `device` has none of this data type."""
    try:
        a = random((PROBE, PROBE), dtype, device)
        sample = measure(partial(multiply, a, a), device, 0.05, 0.02)
    except RuntimeError:
        return None
    return 2 * PROBE**3 / sample.best


def seconds_of(budget: Budget, share: float, once: float) -> float:
    """Wall seconds of a point whose repetition takes `once`: warm-up, repetitions, preparation."""
    measured = max(share * budget.seconds_per_point, budget.least * once)
    return max(budget.warm_seconds, once) + measured + once + 0.05
