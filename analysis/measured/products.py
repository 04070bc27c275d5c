"""Matrix products: the peak of each data type, and what the models' own shapes reach.

A square is multiplied by every library that torch has for it (`analysis.measured.libraries`), the
plain product into memory that is there already, and the fastest counts. A model's own shape is
multiplied as `analysis.measured.networks` does: a projection by its `Linear`, bias
included, each time with another copy of the weights, so that it reads them from memory as a pass
does; the heads' products of activations with no such care, as they were just computed. The output
is new each time, as it is in the models.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import product
from math import ceil, prod

import torch
from torch import Tensor

from analysis.errors import InputError
from analysis.measured.libraries import PLAIN, by_library, trial
from analysis.measured.linear import Linear
from analysis.measured.machine import last_level_cache_bytes
from analysis.measured.networks import Weights
from analysis.measured.timing import Budget, Key, Measurement, Task, measure
from analysis.measured.works import measure_each
from analysis.predicted.architectures import BERT_BASE, BERT_LARGE, GPT2, Architecture

MODELS = (GPT2, BERT_BASE, BERT_LARGE)
PROBE = 256  # size of the square that a data type is tried with
OWN = 0.25  # of a point's seconds: the models' own shapes are many
TRIED = 2048  # size of the largest square that every library multiplies; larger ones by the best
SLOW = 8  # times a point's seconds: squares that take longer are left out
# Copies of a weight take so many times the last-level cache, at most COPIES_MOST: a cache that does
# not replace its oldest line first still serves a part of what is read in turn.
COPIES = 16
COPIES_MOST = 2**30


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


def own_tasks(dtype: str, lengths: Sequence[int], device: str, budget: Budget) -> list[Task]:
    """Projections and, of more than one token, heads' products at `lengths`; a shape that models
    share is there once."""
    rate = probe(dtype, device) or 1e12
    tasks = {}
    for length, arch in product(lengths, MODELS):
        d, f, heads, width = arch.d_model, arch.d_ff, arch.n_heads, arch.head_dim
        shapes = [(length, d, d), (length, d, f), (length, f, d)]
        if length == 1 and arch.lm_head:
            shapes.append((1, d, arch.vocab_size))
        if length > 1:
            shapes += [(heads, length, width, length), (heads, length, length, width)]
        for shape in shapes:
            task = own_task(arch, shape, dtype, device, budget, 2 * prod(shape) / rate)
            tasks.setdefault(task.key, task)
    return list(tasks.values())


def own_task(
    arch: Architecture, shape: tuple[int, ...], dtype: str, device: str, budget: Budget, once: float
) -> Task:
    """`shape` is (M, K, N) of a projection or (H, M, K, N) of the heads' products."""
    m, k, n = shape[-3:]
    heads = shape[0] if len(shape) == 4 else 1
    element = getattr(torch, dtype).itemsize
    name = "x".join(map(str, shape))
    moved = heads * (m * k + k * n + m * n) * element
    copies = 1 if len(shape) == 4 else weight_copies(k * n * element, device)
    memory = moved + 2 * copies * k * n * element
    once = max(once, moved / 1e10)

    @torch.inference_mode()
    def run(seconds: float) -> Measurement:
        spent = OWN * seconds, budget.warm_seconds
        if len(shape) == 4:
            a, b = activations(heads, m, k, n, dtype, device)
            sample = measure(partial(torch.bmm, a, b), device, *spent, budget.least)
            verify(a, b, torch.bmm(a, b))
            details = {"state": "activations"}
        else:
            x = random((m, k), dtype, device)
            linears = cold_linears(arch, k, n, dtype, device, copies)
            for linear in linears:  # each packs its weight, where that is faster
                linear(x)
            calls = [partial(linear, x) for linear in linears]
            sample = measure_each(calls, device, *spent, budget.least)
            verify(x, linears[-1].weight.t(), linears[-1](x), linears[-1].bias)
            state = f"weights cold, {copies} copies"
            details = {"state": state, "library": linears[-1].library}
        return Measurement(sample, 2 * prod(shape), moved, details | precision(dtype))

    estimate = seconds_of(budget, OWN, once) + memory / 1e9
    return Task(Key("matmul", how=name, dtype=dtype), memory, estimate, run)


def cold_linears(arch, k, n, dtype, device, copies) -> list[Linear]:
    """Copies of the projection from k to n, as the network of `arch` has it."""
    random = Weights(getattr(torch, dtype), device, 0)
    first = random.linear(k, n, "", bias=n != arch.vocab_size)
    others = [Linear(first.weight.clone(), first.bias, "") for _ in range(copies - 1)]
    return [first, *others]


def weight_copies(size: int, device: str) -> int:
    """Copies of a weight of `size` bytes that together exceed the last-level cache."""
    wanted = min(COPIES * (last_level_cache_bytes(device) or COPIES_MOST // 4), COPIES_MOST)
    return max(1, ceil(wanted / size)) if size < wanted else 1


def activations(heads, m, k, n, dtype, device) -> tuple[Tensor, Tensor]:
    """Operands laid out as in attention: of scores, a head's rows are slices of the tokens'."""
    if n > k or m == k == n:  # queries by transposed keys
        a, b = (random((rows, heads, k), dtype, device).transpose(0, 1) for rows in (m, n))
        return a, b.transpose(1, 2)
    values = random((k, heads, n), dtype, device).transpose(0, 1)
    return random((heads, m, k), dtype, device), values
