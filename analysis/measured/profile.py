"""Latency of BERT and of GPT-2's decoder steps against length, and where it goes.

Passes and steps ("encode", "step") at batch 1, the operator classes inside the unfused ones
("breakdown"), the read ceiling between steps ("read"), a whole generation against what steps in
between make of it ("generation"), and beside the unfused ones their parts alone ("alone", "other":
`measured.parts`).

FLOPs and bytes are those predicted for one repetition, under the convention that has the
attention's name. On CUDA a decoder step is replayed from a graph, so that launches do not hide
memory; its breakdown, which needs events between operators, is of the step launched eagerly.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np
import torch

from analysis.measured import networks
from analysis.measured.machine import last_level_cache_bytes
from analysis.measured.parts import add_alone, split
from analysis.measured.timing import Budget, Clock, Key, Task
from analysis.measured.works import DRAWN, READ_BYTES, Works, advance, capture, in_turn
from analysis.predicted.architectures import ARCHITECTURES
from analysis.predicted.generation import integrate_generation
from analysis.predicted.operations import CONVENTIONS, Cost
from analysis.predicted.transformer import CLASSES, generation, pass_or_step

SHORT, LONG = (128, 256, 512), (1024, 2048, 4096)
SHORT_STEPS, LONG_STEPS = (1, 64, *SHORT), (1024, 2048, 3072, 4096)  # stand for all others
PLAN = (  # the most valuable first
    ("bert-base", "fused", SHORT),
    ("gpt2", "fused", SHORT_STEPS),
    ("bert-large", "fused", SHORT),
    ("bert-base", "unfused", SHORT),
    ("gpt2", "unfused", SHORT_STEPS),
    ("gpt2", "fused", LONG_STEPS),
    ("bert-base", "fused", LONG),
    ("bert-large", "fused", LONG),
    ("bert-base", "unfused", LONG),
    ("gpt2", "unfused", LONG_STEPS),
    ("bert-large", "unfused", SHORT + LONG),
)
BRIEF = (
    ("bert-base", "fused", SHORT),
    ("gpt2", "fused", SHORT_STEPS),
    ("bert-base", "unfused", (128, 512)),
    ("gpt2", "unfused", (128,)),
)
BROKEN_DOWN = ("bert-base", "gpt2")
CHECKED, EVERY = 512, 32  # tokens of the full loop, and between two rounds of sampled steps
# Repetitions of a step over all visits, unless those of a visit are over in their share of a
# point's seconds. With two to warm up in each visit they cost, at nine contexts, some 150 steps,
# less than a twentieth of the 4096 that they stand for.
STEPS, STEPS_SHARE = 9, 0.05


def networks_for(longest: int, device: str) -> Callable[[str, str, str], networks.Network]:
    """What builds the network of a model, an attention and a data type, for up to `longest` tokens;
    the last is kept for who asks again."""

    @lru_cache(1)
    def network(model: str, attention: str, dtype: str) -> networks.Network:
        arch, dtype = ARCHITECTURES[model], getattr(torch, dtype)
        build = networks.Encoder if arch.kind == "encoder" else networks.Decoder
        return build(arch, attention, max_length=longest, dtype=dtype, device=device)

    return network


class Point:
    """One model at one length (a decoder: one step at that context) with one attention, on one of
    `networks_for` the `longest`."""

    def __init__(self, store: Callable, longest: int, key: Key, device: str):
        self.longest, self.key, self.device = longest, key, device
        self.network = partial(store, key.model, key.how, key.dtype)
        self.arch, self.element = ARCHITECTURES[key.model], getattr(torch, key.dtype).itemsize
        self.steps = self.arch.kind == "decoder"

    def named(self, what: str, how: str = "") -> Key:
        """The key of a point beside this one."""
        return replace(self.key, what=what, how=how or self.key.how)

    def counts(self, count: Callable = pass_or_step) -> dict[str, Cost]:
        convention = CONVENTIONS[self.key.how].with_bytes(self.element)
        return count(self.arch, self.key.tokens, convention)

    def memory_bytes(self) -> int:
        """Weights, packed or looked up a second time, a decoder's KV cache and its causal mask; of
        activations some ten of a token's width, and four copies of unfused scores."""
        arch, longest, scores = self.arch, self.longest, self.key.how == "unfused"
        numbers = 2 * arch.n_parameters + longest * arch.d_model + 2 * arch.vocab_size
        numbers += self.steps * (arch.cached(longest) + scores * longest**2)
        numbers += scores * 3 * arch.n_layers * arch.d_model**2  # fused projections, packed
        row = 8 * arch.d_model + 2 * arch.d_ff + scores * 4 * arch.n_heads * self.key.tokens
        numbers += row if self.steps else row * self.key.tokens
        return numbers * self.element + READ_BYTES * self.steps

    def details(self) -> dict[str, str | int]:
        """Weights that no cache holds are read from memory by each pass."""
        weights = self.arch.n_parameters * self.element
        warm = weights < (last_level_cache_bytes(self.device) or 0)
        return {"weights": "warm" if warm else "cold", "weight_bytes": weights}

    def task(self, budget: Budget, threads: int) -> Task:
        """The pass or the step itself, and beside it what is timed in the same repetitions: the
        operator classes where attention is unfused, the parts alone and the pass with fused
        attention; the read ceiling where there are steps."""
        counts = self.counts()
        total = counts["total"]
        unfused = self.key.how == "unfused"
        broken_down = self.key.model in BROKEN_DOWN and unfused

        def prepare(works: Works) -> None:
            network, said = self.network(), self.details()
            eager = broken_down or not self.steps
            work = works.model(self.key, network, self.arch, total, eager=eager, **said)
            if not self.steps:
                works.about[self.key][1]["library"] = network.libraries()
            if broken_down:
                about = {
                    self.named("breakdown", name): (counts[name], self.details())
                    for name in CLASSES
                }
                works.together(about, lambda: list(split(work, works.clock).values()))
            if self.steps:
                works.read(self.named("read"))
            if unfused and not self.steps:
                works.model(self.named("pair"), networks.copied(network, fused=True), self.arch)
            if unfused:
                add_alone(works, network, self.key, self.arch)

        costs = [total] * (1 + broken_down) + [Cost(0, READ_BYTES)] * self.steps
        costs += [total] * unfused  # its parts alone, or the fused pass and some of its parts
        least = max(budget.least, STEPS // budget.visits) if self.steps else budget.least
        return in_turn(self.key, prepare, costs, self.memory_bytes(), self.device, budget, threads,
                       before=DRAWN * (self.arch.n_parameters + self.steps * READ_BYTES // 8),
                       share=STEPS_SHARE if self.steps else 1, least=least)  # fmt: skip

    def loop(self, budget: Budget, threads: int) -> Task:
        """The generation of as many tokens, one step each, and what steps sampled in the same
        seconds make of it: these must agree."""
        total = self.counts(generation)["total"]
        keys = [self.named("generation", how) for how in ("loop", "sampled")]

        def prepare(works: Works) -> None:
            token = torch.randint(self.arch.vocab_size, (1, 1), device=self.device)
            steps = generation_steps(self.network(), token, self.key.tokens)
            contexts = [n for n in SHORT_STEPS if n <= self.key.tokens]
            about = dict.fromkeys(keys, (total, self.details()))
            works.together(about, lambda: loop_and_samples(steps, contexts, works.clock))

        return in_turn(keys[0], prepare, [total], self.memory_bytes(), self.device, budget, threads,
                       share=0, least=1)  # fmt: skip


def generation_steps(decoder, token: torch.Tensor, length: int) -> list[Callable]:
    """Calls that generate `length` tokens from nothing, one each; on CUDA replays of graphs."""
    steps = [partial(advance, decoder, token, n) for n in range(1, length + 1)]
    if token.device.type == "cuda":
        pool = torch.cuda.graph_pool_handle()  # shared: the graphs are replayed in their order
        steps = [capture(step, pool).replay for step in steps]
    return steps


def call_all(steps: Sequence[Callable]) -> None:
    for step in steps:
        step()


def loop_and_samples(
    steps: Sequence[Callable], contexts: Sequence[int], clock: Clock
) -> tuple[float, float]:
    """Seconds of a generation by all its `steps`, and what `integrate_generation` makes of those at
    `contexts`, which are timed every `EVERY` tokens, in between: a machine that slows down for a
    while slows both."""
    total, times = 0.0, {context: [] for context in contexts}
    for start in range(0, len(steps), EVERY):
        for context, taken in times.items():
            taken.append(clock.time(steps[context - 1]))
        total += clock.time(partial(call_all, steps[start : start + EVERY]))
    medians = [float(np.median(taken)) for taken in times.values()]
    return total, integrate_generation(contexts, medians, [(m, m) for m in medians], len(steps))[0]


def profile_tasks(device: str, budget: Budget, threads: int) -> list[Task]:
    """Every point, in the order of `PLAN`; those of one network follow one another, so that it is
    built once. On CUDA fused attention is measured in bfloat16 and float16 too."""
    plan, tasks = budget.of(PLAN, BRIEF), []
    longest = max(n for *_, lengths in plan for n in lengths)
    store = networks_for(longest, device)
    for dtype in ("float32", "bfloat16", "float16")[: 3 if device == "cuda" else 1]:
        for model, attention, lengths in plan:
            if attention == "unfused" and dtype != "float32":
                continue
            arch = ARCHITECTURES[model]
            what = "step" if arch.kind == "decoder" else "encode"
            keys = [Key(what, model, n, how=attention, dtype=dtype) for n in lengths]
            points = [Point(store, longest, key, device) for key in keys]
            tasks += [point.task(budget, threads) for point in points]
            if attention == "unfused" or budget.brief:
                continue
            if what == "step" and CHECKED in lengths:
                tasks.append(points[lengths.index(CHECKED)].loop(budget, threads))
    return tasks
