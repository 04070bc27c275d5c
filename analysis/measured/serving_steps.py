"""Decoder steps and other works, timed in turn, so that all of them see the same machine."""

import gc
from collections.abc import Callable
from functools import partial

import torch

from analysis.measured.networks import Decoder
from analysis.measured.profile import GUESS, READ_BYTES, read_kernel
from analysis.measured.sampling import advance, capture
from analysis.measured.timing import Clock, Measurement, Sample, Task, measure_in_turn
from analysis.predicted.architectures import GPT2
from analysis.predicted.operations import FUSED, Cost
from analysis.predicted.transformer import decoder_step

KIND, WARM = "serving", 2


class Steps:
    """Works to be timed in turn, by key, with what each computes and moves, and how."""

    def __init__(self, device: str, threads: int):
        torch.set_num_threads(threads)
        self.device, self.works, self.about, self.calls = device, {}, {}, {}

    def add(
        self, key: str, work: Callable[[], object], cost: Cost, calls=1, eager=False, **details
    ) -> None:
        """`calls` of `work` in a row are timed together; on CUDA it is replayed from a graph,
        unless it is to be `eager`: it looks at its numbers."""
        for _ in range(WARM):
            work()
        self.works[key] = work if eager or self.device != "cuda" else capture(work).replay
        self.calls[key] = calls
        about = {"dtype": "float32", "batch": 1, "attention": "fused"} | details
        self.about[key] = (cost.flops or None, cost.bytes, about)

    def step(self, key: str, network: Decoder, context: int, batch: int = 1, **details) -> None:
        tokens = torch.randint(len(network.words), (batch, 1), device=self.device)
        arch = details.pop("arch", GPT2)
        cost = decoder_step(arch, context, FUSED, batch)["total"]
        work = partial(advance, network, tokens, context)
        self.add(key, work, cost, context=context, batch=batch, parameters=arch.n_parameters,
                 **details)  # fmt: skip

    def read(self, key: str) -> None:
        self.add(key, read_kernel(self.device), Cost(0, READ_BYTES), resides_in="memory")

    def measure(self, seconds: float, least: int) -> Measurement:
        """All in turn for about `seconds` a point: the first, with the others beside it."""
        clock, keys = Clock(self.device), list(self.works)
        times, _ = measure_in_turn(
            lambda: [clock.time(self.works[key], self.calls[key]) for key in keys], lambda: None,
            clock, seconds * len(keys), least,
        )  # fmt: skip
        found = {
            key: Measurement(Sample(each), *self.about[key])
            for key, each in zip(keys, zip(*times, strict=True), strict=True)
        }
        first = found.pop(keys[0])
        beside = {key: (KIND, each) for key, each in found.items()}
        return Measurement(first.sample, first.flops, first.bytes, first.details, beside)


def task(key: str, works: list[Cost], memory: float, made: float, prepare, device, budget, threads):
    """A task whose `prepare(steps)` adds its works; `works` are costs to plan with, `made` the
    numbers that are drawn."""
    flops, moved = GUESS[device]
    flops *= threads if device == "cpu" else 1
    once = sum(each.flops / flops + each.bytes / moved for each in works)
    least = max(budget.least, 3)

    @torch.inference_mode()
    def run(seconds: float) -> Measurement:
        gc.collect()
        steps = Steps(device, threads)
        prepare(steps)
        return steps.measure(seconds, least)

    repeated = max(least * once, budget.seconds_per_point * len(works))
    return Task(key, KIND, int(memory), WARM * once + repeated + made * 1.2e-8 + 0.5, run)
