"""Latency of BERT and of GPT-2's decoder steps against length, and where it goes.

`profile_tasks` lists the points, the most valuable first. Their keys, with `/DTYPE` appended for
what is not float32:

    encode/MODEL/LENGTH/ATTENTION     one encoder pass
    step/MODEL/CONTEXT/ATTENTION      one decoder step, with the greedy choice of its token
    breakdown/MODEL/LENGTH/CLASS      the part of the unfused pass or step in one operator class
    read/MODEL/CONTEXT/ATTENTION      the read ceiling (bandwidth/sum) between those steps
    check/MODEL/LENGTH/loop           a whole generation from nothing, step by step
    check/MODEL/LENGTH/sampled        what steps timed between those of the loop make of it
    other/DTYPE/MODEL/LENGTH          what is no product of matrices (`analysis.measured.rest`)

Batch 1. FLOPs and bytes are those predicted for one repetition, under the convention that has the
attention's name. On CUDA a decoder step is replayed from a graph, so that launches do not hide
memory; its breakdown, which needs events between operators, is of the step launched eagerly.
"""

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from analysis.measured import networks
from analysis.measured.breakdown import split
from analysis.measured.machine import last_level_cache_bytes
from analysis.measured.rest import rest_task
from analysis.measured.sampling import advance, capture, generation_steps, loop_and_samples
from analysis.measured.timing import (
    Budget,
    Clock,
    Measurement,
    Sample,
    Task,
    measure,
    measure_in_turn,
)
from analysis.predicted.architectures import ARCHITECTURES
from analysis.predicted.operations import CONVENTIONS, Cost
from analysis.predicted.transformer import CLASSES, decoder_step, encoder_pass, generation

SHORT, LONG = (128, 256, 512), (1024, 2048, 4096)
CONTEXTS = (1, 64, *SHORT, 1024, 2048, 3072, 4096)  # of the steps that stand for all others
CHECKED, LOOPS = 512, 1  # tokens of the full loop, and its repetitions in a visit
# Repetitions of a step over all visits, unless those of a visit are over in SHORTEST seconds. With
# two to warm up in each visit they cost, at nine contexts, some 150 steps, less than a twentieth of
# the 4096 that they stand for.
STEPS, WARM_STEPS, SHORTEST = 9, 2, 0.02
READ_BYTES = 2**28  # read between steps
PLAN = (
    ("bert-base", "fused", SHORT),
    ("gpt2", "fused", SHORT),
    ("bert-large", "fused", SHORT),
    ("bert-base", "unfused", SHORT),
    ("gpt2", "unfused", SHORT),
    ("gpt2", "fused", LONG),
    ("bert-base", "fused", LONG),
    ("bert-large", "fused", LONG),
    ("bert-base", "unfused", LONG),
    ("gpt2", "unfused", LONG),
    ("bert-large", "unfused", SHORT + LONG),
)
BROKEN_DOWN = ("bert-base", "gpt2")
# FLOP/s (of a CPU: per thread) and bytes/s to plan with, until a run has a pace of its own.
GUESS = {"cpu": (4e10, 1.5e10), "mps": (1e12, 1e11), "cuda": (1e13, 1e12)}


@dataclass
class Networks:
    """The network in use, built when it is first asked for; asking for another frees it."""

    device: str
    threads: int
    longest: int
    key: tuple | None = None
    network: networks.Network | None = None

    def get(self, model: str, attention: str, dtype: str) -> networks.Network:
        if self.key != (model, attention, dtype):
            self.key = self.network = None
            gc.collect()
            torch.set_num_threads(self.threads)  # also fixes how the network slices its weights
            arch = ARCHITECTURES[model]
            build = networks.Encoder if arch.kind == "encoder" else networks.Decoder
            self.network = build(
                arch, attention, max_length=self.longest, dtype=getattr(torch, dtype),
                device=self.device,
            )  # fmt: skip
            self.key = model, attention, dtype
        return self.network


@dataclass
class Point:
    """One model at one length (a decoder: one step at that context) with one attention."""

    networks: Networks
    model: str
    length: int
    attention: str
    dtype: str
    budget: Budget

    def __post_init__(self):
        self.arch, self.device = ARCHITECTURES[self.model], self.networks.device
        self.element = getattr(torch, self.dtype).itemsize
        self.steps = self.arch.kind == "decoder"
        self.count = decoder_step if self.steps else encoder_pass

    def key(self, prefix: str, last: str) -> str:
        suffix = "" if self.dtype == "float32" else f"/{self.dtype}"
        return f"{prefix}/{self.model}/{self.length}/{last}{suffix}"

    def counts(self, count: Callable) -> dict[str, Cost]:
        convention = CONVENTIONS[self.attention].with_bytes(self.element)
        return count(self.arch, self.length, convention)

    def network_bytes(self) -> int:
        """Weights; for a decoder also its look-up table, its KV cache and its causal mask."""
        arch, longest = self.arch, self.networks.longest
        numbers = arch.n_parameters + longest * arch.d_model
        if self.steps:
            numbers += arch.vocab_size * arch.d_model + 2 * arch.n_layers * longest * arch.d_model
            numbers += longest**2 * (self.attention == "unfused")
        return numbers * self.element

    def memory_bytes(self) -> int:
        """With activations: some ten of a token's width, and three copies of unfused scores."""
        rows = 1 if self.steps else self.length
        read = READ_BYTES * self.steps
        numbers = rows * (8 * self.arch.d_model + 2 * self.arch.d_ff) + 2 * self.arch.vocab_size
        if self.attention == "unfused":
            numbers += 3 * self.arch.n_heads * rows * self.length
        return self.network_bytes() + numbers * self.element + read

    def guess(self, total: Cost) -> float:
        flops, moved = GUESS[self.device]
        flops *= self.networks.threads if self.device == "cpu" else 1
        return total.flops / flops + total.bytes / moved

    def work(self) -> Callable[[], object]:
        """One pass, or one step: a call without arguments, on random tokens."""
        network = self.networks.get(self.model, self.attention, self.dtype)
        length = 1 if self.steps else self.length
        tokens = torch.randint(self.arch.vocab_size, (1, length), device=self.device)
        if self.steps:
            return lambda: advance(network, tokens, self.length)
        return lambda: network(tokens)

    def details(self, **more) -> dict[str, str | float | int]:
        """How it was measured. Weights that no cache holds are read from memory by each pass."""
        weights = self.arch.n_parameters * self.element
        warm = weights < (last_level_cache_bytes(self.device) or 0)
        state = {"dtype": self.dtype, "attention": self.attention, "batch": 1}
        return state | {"weights": "warm" if warm else "cold", "weight_bytes": weights} | more

    def task(self) -> Task:
        """The pass or the step itself, and beside it what is timed in the same repetitions: the
        operator classes where attention is unfused, the read ceiling where a fused step is."""
        total = self.counts(self.count)["total"]
        kind, prefix = ("step", "step") if self.steps else ("latency", "encode")
        broken_down = self.model in BROKEN_DOWN and self.attention == "unfused"
        once, least = self.guess(total), self.budget.least
        per_point = self.budget.seconds_per_point
        if self.steps:
            least = max(least, STEPS // self.budget.visits)
            per_point = SHORTEST

        def run(seconds: float) -> Measurement:
            clock, work, beside = Clock(self.device), self.work(), {}
            if not (broken_down or self.steps):
                sample = measure(work, self.device, seconds, min(once, seconds), least)
                return Measurement(sample, total.flops, total.bytes, self.details())
            if self.device == "cuda" and not broken_down:
                work = capture(work).replay
            read = read_kernel(self.device) if self.steps else None
            for _ in range(WARM_STEPS if self.steps else 1):
                work()

            def others() -> tuple[dict[str, float] | None, float | None]:
                parts = split(work, clock) if broken_down else None
                return parts, clock.time(read) if read else None

            times, between = measure_in_turn(
                lambda: clock.time(work), others, clock, per_point, least
            )
            parts, reads = zip(*between, strict=True)
            if broken_down:
                beside = self.breakdown(parts)
            if read:
                found = Measurement(Sample(reads), None, READ_BYTES, {"resides_in": "memory"})
                beside[self.key("read", self.attention)] = ("ceiling", found)
            return Measurement(
                Sample(tuple(times)), total.flops, total.bytes, self.details(), beside
            )

        repeated = max(least * once, per_point) * (1 + broken_down)
        build = 1e-8 * self.arch.n_parameters
        estimate = WARM_STEPS * once + repeated + build + 0.5 * self.steps
        return self._task(prefix, self.attention, kind, estimate, run)

    def breakdown(self, parts: Sequence[dict[str, float]]) -> dict[str, tuple[str, Measurement]]:
        """The operator classes as points, each with its own counts; `parts`: their seconds."""
        counts, last = self.counts(self.count), self.attention
        details = self.details(whole=self.key("step" if self.steps else "encode", last))
        return {
            self.key("breakdown", name): (
                "breakdown",
                Measurement(
                    Sample(tuple(part[name] for part in parts)),
                    counts[name].flops,
                    counts[name].bytes,
                    details,
                ),
            )
            for name in CLASSES
        }

    def loop(self) -> Task:
        """The generation of `length` tokens, one step each, and what steps sampled in the same
        seconds make of it: these must agree."""
        total = self.counts(generation)["total"]

        def run(seconds: float) -> Measurement:
            network = self.networks.get(self.model, self.attention, self.dtype)
            token = torch.randint(self.arch.vocab_size, (1, 1), device=self.device)
            steps = generation_steps(network, token, self.length)
            contexts = [each for each in CONTEXTS if each <= self.length]
            loop, sampled = loop_and_samples(steps, contexts, LOOPS, Clock(self.device))
            found = Measurement(sampled, total.flops, total.bytes, self.details())
            beside = {self.key("check", "sampled"): ("check", found)}
            return Measurement(loop, total.flops, total.bytes, self.details(), beside)

        return self._task("check", "loop", "check", 1.2 * LOOPS * self.guess(total), run)

    def _task(self, prefix, last, kind, seconds, run) -> Task:
        return Task(self.key(prefix, last), kind, self.memory_bytes(), seconds, run)


def read_kernel(device: str) -> Callable[[], object]:
    """A sum over `READ_BYTES` of memory, as in `analysis.measured.ceilings`."""
    dtype = torch.float32 if device == "mps" else torch.float64
    x = torch.rand(READ_BYTES // dtype.itemsize, dtype=dtype, device=device)
    return x.sum


def profile_tasks(device: str, budget: Budget, threads: int) -> list[Task]:
    """Every point, in the order of `PLAN`; those of one network follow one another, so that it is
    built once. On CUDA fused attention is measured in bfloat16 and float16 too."""
    store, tasks = Networks(device, threads, max(LONG)), []
    for dtype in ("float32", "bfloat16", "float16")[: 3 if device == "cuda" else 1]:
        for model, attention, lengths in PLAN:
            if attention == "unfused" and dtype != "float32":
                continue
            decodes, longer = ARCHITECTURES[model].kind == "decoder", lengths[0] > CHECKED
            if decodes:
                lengths = [each for each in CONTEXTS if (each > CHECKED) == longer]
            points = [Point(store, model, n, attention, dtype, budget) for n in lengths]
            tasks += [point.task() for point in points]
            if attention == "fused" and dtype == "float32" and not (decodes and device == "cuda"):
                tasks += [rest_task(ARCHITECTURES[model], n, device, budget) for n in lengths]
            if decodes and attention == "fused" and not longer:
                tasks.append(points[-1].loop())
    return tasks
