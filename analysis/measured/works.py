"""Works that are timed in turn, so that all of them see the same machine: what most tasks do."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch

from analysis.measured.networks import Decoder, Network
from analysis.measured.timing import (
    Budget,
    Clock,
    Key,
    Measurement,
    Sample,
    Task,
    measure_in_turn,
)
from analysis.predicted.architectures import Architecture
from analysis.predicted.operations import FUSED, Cost
from analysis.predicted.transformer import pass_or_step

# FLOP/s (of a CPU: per thread) and bytes/s to plan with, until a run has a pace of its own.
GUESS = {"cpu": (4e10, 1.5e10), "mps": (1e12, 1e11), "cuda": (1e13, 1e12)}
DRAWN = 1.2e-8  # seconds to draw a random number
WARM = 2  # calls before the first that counts
READ_BYTES = 2**28


class Works:
    """Works to be timed in turn, with the points that they are, what each computes and moves, and
    details of how; `missing` points have a reason."""

    def __init__(self, device: str):
        self.device, self.clock = device, Clock(device)
        self.timed: list[Callable[[], Sequence[float]]] = []  # each returns seconds of its points
        self.about: dict[Key, tuple[Cost, dict]] = {}
        self.missing: dict[Key, str] = {}

    def add(
        self, key: Key, work: Callable[[], object], cost: Cost, calls=1, warm=WARM,
        eager=False, **details,
    ) -> None:  # fmt: skip
        """`calls` of `work` in a row are timed together; on CUDA it is replayed from a graph,
        unless it is to be `eager`: it looks at its numbers, or is timed as it is launched."""
        for _ in range(warm):
            work()
        if self.device == "cuda" and not eager:
            work = capture(work).replay
        self.together({key: (cost, details)}, lambda: [self.clock.time(work, calls)])

    def together(
        self, about: dict[Key, tuple[Cost, dict]], times: Callable[[], Sequence[float]]
    ) -> None:
        """Points of one call, each with its cost and details, whose seconds `times` returns."""
        self.about |= about
        self.timed.append(times)

    def model(
        self, key: Key, network: Network, arch: Architecture, cost: Cost | None = None, **options
    ) -> Callable[[], object]:
        """An encoder pass over the key's batch and tokens, or a decoder step at that context with
        the greedy choice of its tokens; on random ones. Returns what is called."""
        passes = arch.kind == "encoder"
        shape = key.batch, key.tokens if passes else 1
        tokens = torch.randint(arch.vocab_size, shape, device=self.device)
        work = partial(advance, network, tokens, key.tokens)
        if passes:
            work, options = partial(network, tokens), {"warm": 1, "eager": True} | options
        cost = cost or pass_or_step(arch, key.tokens, FUSED, key.batch)["total"]
        self.add(key, work, cost, **options)
        return work

    def read(self, key: Key) -> None:
        """The read ceiling between the others: a sum, as in `analysis.measured.ceilings`."""
        dtype = torch.float32 if self.device == "mps" else torch.float64
        x = torch.rand(READ_BYTES // dtype.itemsize, dtype=dtype, device=self.device)
        self.add(key, x.sum, Cost(0, READ_BYTES), resides_in="memory")

    def measure(self, seconds: float, least: int) -> Measurement:
        """All in turn for about `seconds`: the first point, with the others beside it."""
        rounds = measure_in_turn(self.timed, self.clock, seconds, least)
        times = [each for work in rounds for each in zip(*work, strict=True)]
        found = {
            key: Measurement(Sample(each), cost.flops or None, cost.bytes or None, details)
            for (key, (cost, details)), each in zip(self.about.items(), times, strict=True)
            if key not in self.missing
        }
        first = found.pop(next(iter(found)))
        return replace(first, beside=found)


def in_turn(
    key: Key,
    prepare: Callable[[Works], object],
    costs: Sequence[Cost],
    memory: float,
    device: str,
    budget: Budget,
    threads: int,
    before: float = 0,
    share: float | None = None,
    least: int | None = None,
) -> Task:
    """The task of the works that `prepare` adds, the first of which has the `key`; it may return
    points that it measured itself.

    To plan with: the `costs` of its works, bytes of `memory`, and the seconds `before` the first.
    `share` of a point's seconds are spent on all works together, by default one for each.
    """
    once = sum(guess(each, device, threads) for each in costs)
    least = max(budget.least, 3) if least is None else least

    def run(seconds: float) -> Measurement:
        torch.set_num_threads(threads)
        works = Works(device)
        try:
            alone = prepare(works) or {}
            spent = seconds * (len(works.about) if share is None else share)
            found = works.measure(spent, least)
        finally:
            works.timed.clear()  # of what refers to the works, so that their memory is free now
        return replace(found, beside=found.beside | alone, missing=works.missing)

    repeated = budget.seconds_per_point * (len(costs) if share is None else share)
    estimate = before + WARM * once + max(least * once, repeated) + 0.1
    return Task(key, int(memory), estimate, run)


def guess(cost: Cost, device: str, threads: int) -> float:
    """Seconds of `cost`, to plan with."""
    flops, moved = GUESS[device]
    return cost.flops / flops / (threads if device == "cpu" else 1) + cost.bytes / moved


@torch.inference_mode()
def advance(decoder: Decoder, token: torch.Tensor, context: int) -> None:
    """One step of greedy generation: `token`, (batch, 1), becomes the one that follows it."""
    token.copy_(decoder.step(token, context)[:, -1].argmax(-1, keepdim=True))


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
