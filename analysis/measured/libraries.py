"""The libraries that multiply matrices in torch, and which of them is the fastest for a shape.

What `torch.matmul` calls need not be the best that torch has on a processor: MKL, which multiplies
float32 there, can run its 256-bit path where oneDNN's kernels use 512 bits, and gives a product of
one row to one thread. A packed weight is laid out as its library's kernel reads it, once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor

from analysis.measured.machine import last_level_cache_bytes
from analysis.measured.timing import Clock, measure_in_turn

PROBED = 2 * 10**9  # FLOPs of a product that libraries are tried with, at most
ROUNDS = 5
GAIN = 0.95  # of the plain product's time: what another needs no more than to be taken
SLICES = 64  # of a weight, at most: as many as threads that share the memory's bandwidth
FEW = 8  # rows, at most, that go through slices


@dataclass(frozen=True)
class Library:
    """`product(x, packed, weight, bias)` is x W^T + b, (rows, n_in) -> (rows, n_out), of what
    `pack(weight, rows)` made; `any_rows`: also for other numbers of rows than it was packed for;
    `most`: of rows."""

    name: str
    device: str
    dtypes: tuple[str, ...]
    there: Callable[[], bool]
    pack: Callable[[Tensor, int], Tensor]
    product: Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]
    any_rows: bool = True
    most: int | None = None


def sliced(weight: Tensor) -> Tensor:
    """A view of the rows in equal slices, (slices, rows, n_in)."""
    n = max(n for n in range(1, SLICES + 1) if len(weight) % n == 0)
    return weight.unflatten(0, (n, -1))


def by_slices(columns: Tensor, slices: Tensor, bias: Tensor | None) -> Tensor:
    """Of `columns`, (slices, n_in, rows), the product with each slice and its part of the bias:
    (slices, n_out / slices, rows)."""
    if bias is None:
        return torch.bmm(slices, columns)
    return torch.baddbmm(bias.view(len(slices), -1, 1), slices, columns)


def _few(x: Tensor, slices: Tensor, _, bias: Tensor | None) -> Tensor:
    columns = x.contiguous().t().expand(len(slices), -1, -1)
    return by_slices(columns, slices, bias).flatten(0, 1).t().contiguous()


def _cublas(name: str) -> Callable:
    def product(x, packed, weight, bias):
        before = torch.backends.cuda.preferred_blas_library(name)
        try:
            return F.linear(x, weight, bias)
        finally:
            torch.backends.cuda.preferred_blas_library(before)

    return product


PLAIN = Library(
    "plain", "", (), lambda: True, lambda w, rows: w, lambda x, _, w, b: F.linear(x, w, b)
)
ONEDNN = Library(
    "oneDNN packed", "cpu", ("float32", "bfloat16"), torch.backends.mkldnn.is_available,
    lambda w, rows: torch.ops.mkldnn._reorder_linear_weight(w, rows),
    lambda x, packed, _, b: torch.ops.mkldnn._linear_pointwise(x, packed, b, "none", [], ""),
)  # fmt: skip
LIBRARIES = (
    PLAIN,
    ONEDNN,
    Library(
        "MKL packed", "cpu", ("float32",), torch.backends.mkl.is_available,
        lambda w, rows: torch.ops.mkl._mkl_reorder_linear_weight(w, rows),
        lambda x, packed, w, b: torch.ops.mkl._mkl_linear(x, packed, w, b, len(x)),
        any_rows=False,
    ),
    Library("MKL by slices", "cpu", ("float32",), torch.backends.mkl.is_available,
            lambda w, rows: sliced(w), _few, most=FEW),
    Library("cuBLAS", "cuda", ("float32", "bfloat16", "float16"), lambda: True,
            lambda w, rows: w, _cublas("cublas")),
    Library("cuBLASLt", "cuda", ("float32", "bfloat16", "float16"), lambda: True,
            lambda w, rows: w, _cublas("cublaslt")),
)  # fmt: skip


def for_weight(weight: Tensor) -> list[Library]:
    """The libraries that can multiply by `weight` here; the plain product first."""
    device, dtype = weight.device.type, str(weight.dtype).removeprefix("torch.")
    others = (each for each in LIBRARIES[1:] if each.device == device and dtype in each.dtypes)
    return [PLAIN, *(each for each in others if each.there())]


def by_library(x: Tensor, weight: Tensor, any_rows: bool = False) -> dict[str, Callable]:
    """The product of `x` (rows, n_in) and `weight` (n_out, n_in) by each library that can; one that
    has no kernel for this processor is left out."""
    found = {}
    for each in for_weight(weight):
        if (any_rows and not each.any_rows) or len(x) > (each.most or len(x)):
            continue
        try:
            work = partial(each.product, x, each.pack(weight, len(x)), weight, None)
            work()
        except RuntimeError:
            continue
        found[each.name] = work
    return found


def trial(products: dict[str, Callable], device: str) -> dict[str, float]:
    """Seconds of the fastest call of each, all called in turn; on a CPU its caches hold other
    numbers before each, as within a pass or a step."""
    clock, size = Clock(device), 2 * (last_level_cache_bytes(device) or 2**26)
    others = torch.ones(size // 4 if device == "cpu" else 0)

    def time(work: Callable) -> float:
        others.sum()
        return clock.time(work)

    times = measure_in_turn([partial(time, each) for each in products.values()], clock, 0, ROUNDS)
    return {name: min(each) for name, each in zip(products, times, strict=True)}


@cache
def fastest(rows: int, n_in: int, n_out: int, dtype: torch.dtype, device: str) -> Library:
    """The library of (rows, n_in) by (n_in, n_out), tried with as many rows as are quick: the plain
    product, unless another takes less than `GAIN` of its time."""
    rows = max(1, min(rows, PROBED // (2 * n_in * n_out)))
    x, weight = (torch.randn(n, n_in, device=device).to(dtype) for n in (rows, n_out))
    products = by_library(x, weight, any_rows=True)
    seconds = trial(products, device) if len(products) > 1 else {PLAIN.name: 0.0}
    name = min(seconds, key=seconds.get)
    if seconds[name] >= GAIN * seconds[PLAIN.name]:
        return PLAIN
    return next(each for each in LIBRARIES if each.name == name)
