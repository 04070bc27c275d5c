"""What a layer does besides its matmuls, timed without them.

Norms, activations, softmax and copies reach neither ceiling: some compute at a rate of their own,
some wait for fresh pages, and in a decoder step most are over before a launch is. So the calibrated
prediction (`analysis.predicted.roofline`) takes them from here: one layer with unfused attention,
whose matmuls return what they computed the first time. In a step only the projections do: what is
left reads keys and values, one row at a time, which is no product of matrices either.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from unittest import mock

import torch

from analysis.measured import networks
from analysis.measured.linear import Linear
from analysis.measured.machine import last_level_cache_bytes
from analysis.measured.timing import Budget, Clock, Measurement, Sample, Task
from analysis.predicted.architectures import Architecture
from analysis.predicted.operations import UNFUSED
from analysis.predicted.roofline import rest_key
from analysis.predicted.transformer import decoder_step, encoder_pass

MOST = 50  # repetitions


def rest_task(arch: Architecture, length: int, device: str, budget: Budget) -> Task:
    """One layer in float32, over `length` tokens or of a step at that context. Its times are
    multiplied by the number of layers, and FLOPs and bytes are those of a whole pass: of "other",
    in a step with "act_to_act"."""
    steps = arch.kind == "decoder"
    rows = 1 if steps else length
    costs = (decoder_step if steps else encoder_pass)(arch, length, UNFUSED)
    total = costs["other"] + costs["act_to_act"] if steps else costs["other"]

    @torch.inference_mode()
    def run(seconds: float) -> Measurement:
        small = arch.replace(n_layers=1, n_positions=1, vocab_size=1)
        build = networks.Decoder if steps else networks.Encoder
        network = build(small, "unfused", max_length=length, device=device)
        x = torch.randn(rows, arch.d_model, device=device)
        cache = (network.cache[0], length) if steps else ()
        with without_matmuls(lambda: network.layers[0](x, 1, *cache), heads=not steps) as work:
            # A step finds its caches full of weights.
            times = repeat(work, seconds, budget.least, device, evict=steps)
        sample = Sample(tuple(arch.n_layers * each for each in times))
        details = {"dtype": "float32", "batch": 1, "caches": "evicted" if steps else "warm"}
        return Measurement(sample, total.flops, total.bytes, details)

    numbers = arch.n_parameters // arch.n_layers + rows * 20 * arch.d_model
    numbers += 5 * arch.n_heads * rows * length + steps * length**2
    estimate = budget.least * total.bytes / 3e9 / arch.n_layers + budget.seconds_per_point / 4 + 0.5
    return Task(rest_key(arch, length), "ceiling", 4 * numbers, estimate, run)


def repeat(
    work: Callable[[], object], seconds: float, least: int, device: str, evict: bool
) -> list[float]:
    """Times of `work`, for a quarter of `seconds`; `evict`: what it needs is in no cache."""
    clock, times = Clock(device), []
    size = 2 * (last_level_cache_bytes(device) or 2**26) if evict else 0
    other = torch.ones(size // 4, device=device)
    work()
    start = clock.now()
    while len(times) < least or (len(times) < MOST and clock.now() - start < seconds / 4):
        other.sum()
        times.append(clock.time(work))
    return times


@contextmanager
def without_matmuls(work: Callable, heads: bool) -> Iterator[Callable[[], object]]:
    """Inside, a call that is `work`, whose projections return at once what they did the first
    time, and so do its act-to-act matmuls if `heads`."""
    linear, matmul, outputs = Linear.__call__, torch.matmul, []

    def kept(compute):
        return lambda *args: outputs.append(compute(*args)) or outputs[-1]

    with patched(kept(linear), kept(matmul) if heads else matmul):
        work()
    ready = cycle(outputs)
    with patched(lambda *_: next(ready), (lambda *_: next(ready)) if heads else matmul):
        yield work


@contextmanager
def patched(linear: Callable, matmul: Callable) -> Iterator[None]:
    """With other functions for a projection and for an act-to-act matmul."""
    with mock.patch.object(Linear, "__call__", linear):
        with mock.patch.object(torch, "matmul", matmul):
            yield
