"""A generation, whole and from decoder steps that were timed at a few contexts only.

On CUDA a step is captured as a graph, one a context, and replayed.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch

from analysis.measured.networks import Decoder
from analysis.measured.timing import Clock, Sample
from analysis.predicted.generation import integrate_generation

EVERY = 32  # tokens of a loop between two rounds of samples


@torch.inference_mode()
def advance(decoder: Decoder, token: torch.Tensor, context: int) -> None:
    """One step of greedy generation: `token`, (batch, 1), becomes the one that follows it."""
    token.copy_(decoder.step(token, context)[:, -1].argmax(-1, keepdim=True))


def generation_steps(decoder: Decoder, token: torch.Tensor, length: int) -> list[Callable]:
    """Calls that generate `length` tokens from nothing, one each; on CUDA replays of graphs."""
    steps = [lambda n=n: advance(decoder, token, n) for n in range(1, length + 1)]
    if token.device.type == "cuda":
        pool = torch.cuda.graph_pool_handle()  # shared: the graphs are replayed in their order
        steps = [capture(step, pool).replay for step in steps]
    return steps


def call_all(steps: Sequence[Callable]) -> None:
    for step in steps:
        step()


def loop_and_samples(
    steps: Sequence[Callable], contexts: Sequence[int], loops: int, clock: Clock
) -> tuple[Sample, Sample]:
    """Times of `loops` generations by all their `steps`, and what `integrate_generation` makes, in
    each loop, of the steps at `contexts`.

    Those are timed every `EVERY` tokens, in between: a machine that slows down for a while slows
    both.
    """
    totals, sampled = [], []
    for _ in range(loops):
        totals.append(0.0)
        times = {context: [] for context in contexts}
        for start in range(0, len(steps), EVERY):
            for context, taken in times.items():
                taken.append(clock.time(steps[context - 1]))
            totals[-1] += clock.time(partial(call_all, steps[start : start + EVERY]))
        medians = [float(np.median(taken)) for taken in times.values()]
        point = [(median, median) for median in medians]
        sampled.append(integrate_generation(list(times), medians, point, len(steps))[0])
    return Sample(tuple(totals)), Sample(tuple(sampled))


def capture(work: Callable[[], object], pool=None) -> "torch.cuda.CUDAGraph":
    """`work` as a CUDA graph, after the calls on a side stream that capturing asks for."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool):
        work()
    return graph
