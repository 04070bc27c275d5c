"""Decoder steps with fewer bits, more sequences, fewer cached heads, fewer parameters, or a draft.

Points, each task's timed in turn, so that all of them see the same machine:

    serve/weights/...               see `analysis.measured.formats`
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

from copy import copy
from functools import partial

import torch

from analysis.measured.drafting import byte_task
from analysis.measured.formats import weights_task
from analysis.measured.machine import last_level_cache_bytes
from analysis.measured.networks import Decoder
from analysis.measured.profile import READ_BYTES
from analysis.measured.serving_steps import Steps, task
from analysis.measured.timing import Budget, Task
from analysis.predicted.architectures import GPT2, GPT2_MEDIUM, Architecture
from analysis.predicted.operations import FUSED
from analysis.predicted.serving import step_bytes
from analysis.predicted.transformer import decoder_step

CONTEXT = 512
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
WARM_CALLS = 16  # in a row, of a model that a cache holds


def serving_tasks(device: str, budget: Budget, threads: int) -> list[Task]:
    """One task a remedy, the most valuable first."""
    makers = [weights_task, *(partial(batch_task, context=n) for n in BATCH_CONTEXTS)]
    makers += [heads_task, draft_task, byte_task, size_task]
    return [make(device, budget, threads) for make in makers]


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
    return task(f"serve/batch/gpt2/{context}/1", costs, memory, GPT2.n_parameters + cached,
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

    return task(f"serve/heads/gpt2/{HEADS[0]}", costs, 4 * numbers + READ_BYTES, numbers, prepare,
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
    return task(f"serve/size/{first}/step", costs, 4 * numbers + READ_BYTES, numbers, prepare,
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

    return task("serve/check/gpt2/1", costs, 4 * numbers + READ_BYTES, numbers, prepare, device,
                 budget, threads)  # fmt: skip


def _check(decoder: Decoder, tokens: torch.Tensor) -> torch.Tensor:
    return decoder.step(tokens, CONTEXT).argmax(-1)
