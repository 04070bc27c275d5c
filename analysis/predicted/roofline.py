"""The roofline: what two ceilings, FLOP/s and bytes/s, allow (Williams, Waterman and Patterson
2009, "Roofline: an insightful visual performance model for multicore architectures", CACM 52(4)).

Three times of a pass or a step, from the loosest to the sharpest:

`lower_bound`      no machine with these ceilings is faster. Only what must come from memory is
                   charged: each weight, key and value once. Activations may stay in caches.
`Ceilings.time`    the roofline's prediction, each operator class moving all that a convention
                   counts. Not a bound: caches serve part of the bytes of a class.
`pieces`           the sum over operators, each at the rate that its own shape reaches alone.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analysis.errors import InputError
from analysis.predicted.architectures import Architecture
from analysis.predicted.operations import FUSED, Convention, Cost, Count
from analysis.predicted.transformer import CLASSES, matmul_flops, pass_or_step

Interval = tuple[float, float]


@dataclass(frozen=True)
class Ceilings:
    """What a machine can do at best."""

    bandwidth_bytes_per_s: float
    peak_flop_per_s: float

    def __post_init__(self):
        if not (self.bandwidth_bytes_per_s > 0 and self.peak_flop_per_s > 0):
            raise InputError(f"ceilings must be positive: {self}")

    @property
    def ridge_point(self) -> float:
        """Arithmetic intensity, FLOP per byte, from which on the peak can be reached."""
        return self.peak_flop_per_s / self.bandwidth_bytes_per_s

    def attainable(self, intensity):
        """FLOP/s at an arithmetic intensity in FLOP per byte; numbers or arrays."""
        return np.minimum(self.peak_flop_per_s, np.multiply(intensity, self.bandwidth_bytes_per_s))

    def predicted_time(self, cost: Cost):
        """Seconds of `cost`, computing and moving at once: whichever takes longer."""
        return np.maximum(
            np.divide(cost.flops, self.peak_flop_per_s),
            np.divide(cost.bytes, self.bandwidth_bytes_per_s),
        )

    def time(self, costs: Mapping[str, Cost]):
        """Seconds of a pass: the sum of its classes. Operators run one after another, so what one
        leaves idle (units in a memory-bound one, memory in a compute-bound one) no other uses;
        the maximum over the whole pass would let them. Operators of a class are alike in
        intensity, except in "other", which is memory-bound throughout."""
        return sum(self.predicted_time(costs[name]) for name in CLASSES)

    def lower_bound(self, flops: Count, compulsory: Count, cached: int = 0):
        """Seconds that no implementation beats: `flops` of matmuls at the peak, or `compulsory`
        bytes at the bandwidth. `cached` bytes may outlive a repetition in the last-level cache
        and need not be moved again: its size, unless a repetition is known to evict them."""
        moved = np.maximum(0, np.subtract(compulsory, cached))
        return self.predicted_time(Cost(flops, moved))


def compulsory_bytes(arch: Architecture, context: Count = 0, element_bytes: float = 4) -> Count:
    """Bytes that a pass or a step must read from memory that keeps nothing between repetitions:
    every weight that a token needs once, and for a decoder step the cache of `context` tokens.
    Of the embedding tables only some rows are read, which are not charged; a tied LM head is."""
    weights = arch.n_active_parameters - arch.looked_up
    return (weights + arch.cached(context)) * element_bytes


def ridge_interval(bandwidth: Interval, peak: Interval) -> Interval:
    """Ends of the ridge point, from those of the bandwidth (bytes/s) and of the peak (FLOP/s)."""
    return peak[0] / bandwidth[1], peak[1] / bandwidth[0]


def pieces(arch: Architecture, length: int, convention: Convention) -> dict[str, Count]:
    """What an encoder pass over `length` tokens, or a decoder step at that context, is made of: the
    FLOPs of its products of each shape, "MxKxN" or "HxMxKxN" of H heads, and the bytes of "other".

    M is `length` or 1 for projections, the four d x d ones of attention alike; heads' scores and
    weighted values are products of their own; "other" has in a step also the bytes of the
    "act_to_act" that reads its cache row by row.
    """
    step = arch.kind == "decoder"
    costs = pass_or_step(arch, length, convention)
    rows, d, n, heads = 1 if step else length, arch.d_model, arch.n_layers, arch.n_heads
    products = [(4 * n, rows, d, d), (n, rows, d, arch.d_ff), (n, rows, arch.d_ff, d)]
    products += [(1, rows, d, arch.vocab_size)] * arch.lm_head + [(1, 1, d, d)] * arch.pooler
    if not step:
        products.append((n, heads, length, arch.head_dim, length))
        products.append((n, heads, length, length, arch.head_dim))
    found = {"other": costs["other"].bytes + step * costs["act_to_act"].bytes}
    for product in products:
        shape = "x".join(map(str, product[1:]))
        found[shape] = found.get(shape, 0) + 2 * math.prod(product)
    return found


def intensity_ends(arch: Architecture, tokens: int) -> tuple[float, float]:
    """The least and the greatest intensity that float32 DRAM traffic can have, FLOP/byte.

    Least: every byte of the convention `fused` reaches memory. Greatest: only what must, each
    weight, key and value once (`compulsory_bytes`); caches serve the rest. Of a decoder it is that
    of a step in the middle of a generation of `tokens`.
    """
    context = (tokens + 1) // 2 if arch.kind == "decoder" else 0
    counted = pass_or_step(arch, context or tokens, FUSED)
    least = counted["total"].intensity
    return least, max(matmul_flops(counted) / compulsory_bytes(arch, context), least)
