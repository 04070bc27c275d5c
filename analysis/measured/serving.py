"""Decoder steps with fewer bits, more sequences, fewer cached heads, fewer parameters, or a draft.

Points, each task's timed in turn, so that all of them see the same machine:

    serve/weights/gpt2/FORMAT       a step with weights in FORMAT, one of `FORMATS`
    serve/products/gpt2/FORMAT      its projections alone, one after another
    serve/batch/gpt2/CONTEXT/N      a step of N sequences
    serve/heads/gpt2/N              a step with N heads of keys and values
    serve/size/MODEL/step           a step of a model of another size, its weights in no cache
    serve/size/MODEL/warm           the same many times in a row, where a cache holds its weights
    serve/check/gpt2/N              a step over N tokens of one sequence, as a check of drafts
    serve/draft/gpt2/MODEL          a step of a small model with GPT-2's vocabulary
    serve/.../read                  the read ceiling between them
    serve/speculative/...           see `analysis.measured.drafting`

Weights are random, float32, attention is fused, and every step ends with the greedy choice of its
token, but for checks, which choose as many.
"""

import gc
from collections.abc import Callable
from copy import copy
from functools import partial

import torch

from analysis.errors import InputError
from analysis.measured.machine import last_level_cache_bytes
from analysis.measured.networks import Decoder, Linear
from analysis.measured.profile import GUESS, READ_BYTES, read_kernel
from analysis.measured.quantised import Packed, bfloat16, quantised, with_projections
from analysis.measured.sampling import advance, capture
from analysis.measured.timing import Budget, Clock, Measurement, Sample, Task, measure_in_turn
from analysis.predicted.architectures import GPT2, GPT2_MEDIUM, Architecture
from analysis.predicted.operations import FUSED, Cost
from analysis.predicted.serving import step_bytes
from analysis.predicted.transformer import decoder_step

KIND = "serving"
CONTEXT = 512
GROUP = 64  # inputs that share a scale in int4
FORMATS: dict[str, Callable[[Decoder], Decoder]] = {
    "float32": lambda network: network,
    "bfloat16": lambda network: with_projections(network, bfloat16),
    "int8": lambda network: quantised(network, 8),
    "int8-dynamic": lambda network: quantised(network, 8, dynamic=True),
    "int4": lambda network: quantised(network, 4, GROUP),
}
BATCHES, BATCH_CONTEXTS = (1, 2, 4, 8, 16, 32, 64), (64, 512)
HEADS, HEADS_CONTEXT, HEADS_BATCH = (12, 4, 1), 4096, 4
SIZES: dict[str, Architecture] = {
    "in-cache": GPT2.replace(n_layers=6, d_model=256, n_heads=4, d_ff=1024, vocab_size=256),
    "half-depth": GPT2.replace(n_layers=6),
    "gpt2": GPT2,
    "gpt2-medium": GPT2_MEDIUM,
}
SIZE_CONTEXT = 128
CHECKED = (1, 2, 3, 5, 9)
DRAFT = GPT2.replace(name="draft", n_layers=2, d_model=256, n_heads=4, d_ff=1024)
ERRORS = 16  # tokens whose logits are compared
WARM, WARM_CALLS = 2, 16  # the latter in a row of a model that a cache holds


def serving_tasks(device: str, budget: Budget, threads: int) -> list[Task]:
    """One task a remedy, the most valuable first."""
    from analysis.measured.drafting import byte_task  # which needs this module

    makers = [weights_task, *(partial(batch_task, context=n) for n in BATCH_CONTEXTS)]
    makers += [heads_task, draft_task, byte_task, size_task]
    return [make(device, budget, threads) for make in makers]


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


def _task(
    key: str, works: list[Cost], memory: float, made: float, prepare, device, budget, threads
):
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


def weights_task(device: str, budget: Budget, threads: int) -> Task:
    cost = decoder_step(GPT2, CONTEXT, FUSED)["total"]

    def prepare(steps: Steps) -> None:
        whole = Decoder(GPT2, max_length=CONTEXT, device=device)
        tokens = torch.randint(GPT2.vocab_size, (ERRORS,), device=device).view(-1, 1, 1)
        expected = torch.stack([whole.step(each, CONTEXT) for each in tokens])
        for name, change in FORMATS.items():
            try:
                network = change(whole)
                ours = torch.stack([network.step(each, CONTEXT) for each in tokens])
            except (InputError, RuntimeError, AttributeError) as error:  # no kernel for it here
                steps.about["serve/weights/gpt2/float32"][2][f"no {name}"] = str(error)[:200]
                continue
            size = sum(weight_bytes(each) for each in network.linears())
            details = {"format": name, "weight_bytes": size}
            details["error"] = float((ours - expected).norm() / expected.norm())
            steps.step(f"serve/weights/gpt2/{name}", network, CONTEXT, **details)
            work, moved = partial(multiply_all, network), Cost(2 * GPT2.n_parameters, size)
            steps.add(f"serve/products/gpt2/{name}", work, moved, **details)
        steps.read("serve/weights/gpt2/read")

    memory = 4 * 4 * GPT2.n_parameters + READ_BYTES
    return _task("serve/weights/gpt2/float32", [cost] * 11, memory, 2 * GPT2.n_parameters, prepare,
                 device, budget, threads)  # fmt: skip


def weight_bytes(linear: Linear) -> int:
    """Bytes of a projection's weight as it is stored, scales included."""
    return linear.nbytes if isinstance(linear, Packed) else linear.weight.nbytes


def multiply_all(network: Decoder) -> None:
    """Every projection of a step, on one row that is none of the step's."""
    narrow, wide = network.words[:1], network.layers[0].up(network.words[:1])
    for layer in network.layers:
        for linear in (layer.qkv, layer.out, layer.up):
            linear(narrow)
        layer.down(wide)
    network.head(narrow)


def batch_task(device: str, budget: Budget, threads: int, context: int) -> Task:
    most = max(BATCHES)
    costs = [decoder_step(GPT2, context, FUSED, n)["total"] for n in BATCHES]
    cached = most * GPT2.cached(context)

    def prepare(steps: Steps) -> None:
        whole = Decoder(GPT2, max_length=context, device=device, batch=most)
        for n in BATCHES:
            network = copy(whole)
            network.cache = whole.cache[:, :, :n]
            network.layer_caches = network.cache.unbind(0)
            steps.step(f"serve/batch/gpt2/{context}/{n}", network, context, n)
        steps.read(f"serve/batch/gpt2/{context}/read")

    memory = 4 * (GPT2.n_parameters + cached + 4 * most * GPT2.vocab_size) + READ_BYTES
    return _task(f"serve/batch/gpt2/{context}/1", costs, memory, GPT2.n_parameters + cached,
                 prepare, device, budget, threads)  # fmt: skip


def heads_task(device: str, budget: Budget, threads: int) -> Task:
    archs = [GPT2.replace(n_kv_heads=n) for n in HEADS]
    costs = [decoder_step(a, HEADS_CONTEXT, FUSED, HEADS_BATCH)["total"] for a in archs]
    numbers = sum(a.n_parameters + HEADS_BATCH * a.cached(HEADS_CONTEXT) for a in archs)

    def prepare(steps: Steps) -> None:
        for arch in archs:
            network = Decoder(arch, max_length=HEADS_CONTEXT, device=device, batch=HEADS_BATCH)
            key = f"serve/heads/gpt2/{arch.n_kv_heads}"
            cache = {"cache_bytes": network.cache.nbytes, "kv_heads": arch.n_kv_heads}
            steps.step(key, network, HEADS_CONTEXT, HEADS_BATCH, arch=arch, **cache)
        steps.read("serve/heads/gpt2/read")

    return _task(f"serve/heads/gpt2/{HEADS[0]}", costs, 4 * numbers + READ_BYTES, numbers, prepare,
                 device, budget, threads)  # fmt: skip


def size_task(device: str, budget: Budget, threads: int) -> Task:
    costs = [decoder_step(arch, SIZE_CONTEXT, FUSED)["total"] for arch in SIZES.values()]
    numbers = sum(arch.n_parameters for arch in SIZES.values())

    def prepare(steps: Steps) -> None:
        cache = last_level_cache_bytes(device) or 0
        for name, arch in SIZES.items():
            network = Decoder(arch, max_length=SIZE_CONTEXT, device=device)
            steps.step(f"serve/size/{name}/step", network, SIZE_CONTEXT, arch=arch)
            if step_bytes(arch, SIZE_CONTEXT, 4 * arch.n_parameters) < cache:
                key = f"serve/size/{name}/warm"
                steps.step(key, network, SIZE_CONTEXT, arch=arch, calls=WARM_CALLS)
        steps.read("serve/size/read")

    first = next(iter(SIZES))
    return _task(f"serve/size/{first}/step", costs, 4 * numbers + READ_BYTES, numbers, prepare,
                 device, budget, threads)  # fmt: skip


def draft_task(device: str, budget: Budget, threads: int) -> Task:
    archs = (GPT2, DRAFT)
    costs = [decoder_step(GPT2, CONTEXT, FUSED)["total"]] * (len(CHECKED) + 1)
    numbers = sum(arch.n_parameters for arch in archs)

    def prepare(steps: Steps) -> None:
        whole, draft = (Decoder(arch, max_length=CONTEXT, device=device) for arch in archs)
        for n in CHECKED:
            tokens = torch.randint(GPT2.vocab_size, (1, n), device=device)
            cost = decoder_step(GPT2, CONTEXT, FUSED)["total"]
            steps.add(f"serve/check/gpt2/{n}", partial(_check, whole, tokens), cost, tokens=n,
                      context=CONTEXT)  # fmt: skip
        steps.step("serve/draft/gpt2/step", draft, CONTEXT, arch=DRAFT)
        steps.read("serve/draft/gpt2/read")

    return _task("serve/check/gpt2/1", costs, 4 * numbers + READ_BYTES, numbers, prepare, device,
                 budget, threads)  # fmt: skip


def _check(decoder: Decoder, tokens: torch.Tensor) -> torch.Tensor:
    return decoder.step(tokens, CONTEXT).argmax(-1)
