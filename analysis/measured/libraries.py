"""The libraries that multiply matrices in torch, and which of them is the fastest for a shape.

What `torch.matmul` calls need not be the best that torch has on a processor: MKL, which multiplies
float32 there, can run its 256-bit path where oneDNN's kernels use 512 bits. A packed weight is laid
out as its library's kernel reads it, once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor

from analysis.measured.timing import Clock, measure_in_turn

PROBED = 2 * 10**9  # FLOPs of a product that libraries are tried with, at most
ROUNDS = 5
GAIN = 0.95  # of the plain product's time: what another needs no more than to be taken


@dataclass(frozen=True)
class Library:
    """`product(x, packed, weight, bias)` is x W^T + b, (rows, n_in) -> (rows, n_out), of what
    `pack(weight, rows)` made; `any_rows`: also for other numbers of rows than it was packed for."""

    name: str
    device: str
    dtypes: tuple[str, ...]
    there: Callable[[], bool]
    pack: Callable[[Tensor, int], Tensor]
    product: Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]
    any_rows: bool = True


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
        if any_rows and not each.any_rows:
            continue
        try:
            work = partial(each.product, x, each.pack(weight, len(x)), weight, None)
            work()
        except RuntimeError:
            continue
        found[each.name] = work
    return found


def trial(products: dict[str, Callable], device: str) -> dict[str, float]:
    """Seconds of the fastest call of each, all called in turn."""
    clock = Clock(device)
    timed = [partial(clock.time, work) for work in products.values()]
    times = measure_in_turn(timed, clock, 0, ROUNDS)
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
