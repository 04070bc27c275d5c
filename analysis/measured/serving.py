"""Decoder steps with more sequences, fewer cached heads, fewer parameters, or a draft: tables of
steps, each timed in turn, so that all of a table see the same machine.

Weights are random, float32, attention is fused, and every step ends with the greedy choice of its
token, but for checks of drafts, which are steps over `n` tokens of one sequence and choose as many.
"""

from copy import copy
from dataclasses import replace
from functools import partial

import torch

from analysis.measured.machine import last_level_cache_bytes
from analysis.measured.networks import Decoder
from analysis.measured.timing import Budget, Key, Task
from analysis.measured.works import DRAWN, READ_BYTES, Works, in_turn
from analysis.predicted.architectures import GPT2, SIZES, Architecture
from analysis.predicted.operations import FUSED
from analysis.predicted.pruning import pruned
from analysis.predicted.serving import step_bytes
from analysis.predicted.transformer import decoder_step

BATCHES, BATCH_CONTEXTS = (1, 2, 4, 8, 16, 32, 64), (64, 512)
HEADS, CHECKED = (12, 4, 1), (1, 2, 3, 5, 9)
DRAFT = GPT2.replace(name="draft", n_layers=2, d_model=256, n_heads=4, d_ff=1024)
SHARES = tuple(range(0, 100, 10))  # per cent of heads and neurons that are gone
BLOCK = 64  # neurons are timed in numbers that kernels can divide among threads
WARM_CALLS = 16  # in a row, of a model that a cache holds

Step = tuple[Key, Architecture]
Table = list[Step]


def tables(budget: Budget) -> dict[str, Table]:
    """What is timed in turn, by the name of the read ceiling between, the most valuable first."""
    batches = budget.of(BATCHES, (1, 4, 16))
    found = {
        f"batch {context}": [(Key("batch", "gpt2", context, batch=n), GPT2) for n in batches]
        for context in budget.of(BATCH_CONTEXTS, BATCH_CONTEXTS[:1])
    }
    found["heads"] = [
        (Key("heads", "gpt2", 4096, batch=4, n=n), GPT2.replace(n_kv_heads=n))
        for n in budget.of(HEADS, (12, 1))
    ]
    checks = [(Key("check", "gpt2", 512, n=n), GPT2) for n in CHECKED]
    found |= budget.of({"draft": [*checks, (Key("draft", "gpt2", 512), DRAFT)]}, {})
    sizes = budget.of(list(SIZES), list(SIZES)[1:])
    found["size"] = [(Key("size", name, 128, how="cold"), SIZES[name]) for name in sizes]
    found["prune 128 structured"] = [
        (Key("prune", "gpt2", 128, how="structured", n=share), pruned(GPT2, share / 100, BLOCK))
        for share in budget.of(SHARES, (0, 50))
    ]
    return found


def with_warm(table: Table, cache_bytes: int) -> Table:
    """The table, with steps again whose weights a cache holds when they follow one another."""
    found = []
    for key, arch in table:
        found.append((key, arch))
        fits = step_bytes(arch, key.tokens, 4 * arch.n_parameters) < cache_bytes
        if key.how == "cold" and fits:
            found.append((replace(key, how="warm"), arch))
    return found


def table_task(name: str, table: Table, device: str, budget: Budget, threads: int) -> Task:
    """The steps of a table; one network of each architecture, its cache for the largest batch."""
    table = with_warm(table, last_level_cache_bytes(device) or 0)
    most = {arch: max(key.batch for key, each in table if each == arch) for _, arch in table}

    def prepare(works: Works) -> None:
        whole = {}
        for key, arch in table:
            if arch not in whole:
                whole[arch] = Decoder(arch, max_length=key.tokens, device=device, batch=most[arch])
            add_step(works, key, arch, whole[arch])
        works.read(Key("read", how=name))

    costs = [decoder_step(arch, key.tokens, FUSED, key.batch)["total"] for key, arch in table]
    context = max(key.tokens for key, _ in table)
    numbers = sum(2 * arch.n_parameters + n * arch.cached(context) for arch, n in most.items())
    logits = 4 * max(key.batch * arch.vocab_size for key, arch in table)
    return in_turn(table[0][0], prepare, costs, 4 * (numbers + logits) + READ_BYTES, device, budget,
                   threads, before=DRAWN * (numbers + READ_BYTES / 8))  # fmt: skip


def add_step(works: Works, key: Key, arch: Architecture, whole: Decoder) -> None:
    """A step of the table, of as many of the network's sequences as the key says."""
    if key.what == "check":
        tokens = torch.randint(arch.vocab_size, (1, key.n), device=works.device)
        cost = decoder_step(arch, key.tokens, FUSED)["total"]
        works.add(key, partial(_check, whole, tokens, key.tokens), cost)
        return
    network = copy(whole)
    network.cache = whole.cache[:, :, : key.batch]
    network.layer_caches = network.cache.unbind(0)
    details = {"parameters": arch.n_parameters}
    if key.what == "heads":
        details["cache_bytes"] = network.cache.nbytes
    calls = WARM_CALLS if key.how == "warm" else 1
    works.step(key, network, arch, calls=calls, **details)


def _check(decoder: Decoder, tokens: torch.Tensor, context: int) -> torch.Tensor:
    return decoder.step(tokens, context).argmax(-1)


def serving_tasks(device: str, budget: Budget, threads: int) -> list[Task]:
    return [
        table_task(name, table, device, budget, threads) for name, table in tables(budget).items()
    ]
