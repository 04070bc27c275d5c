"""Decoder steps with more sequences, fewer cached heads, fewer parameters, a draft, or weights that
are stored otherwise: tables of steps, each timed in turn, so that all of a table see the same
machine.

Weights are random, float32 unless they say otherwise, attention is fused, and every step ends with
the greedy choice of its token, but for checks of drafts, which are steps over `n` tokens of one
sequence and choose as many.
"""

from copy import copy
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F

from analysis.errors import InputError
from analysis.measured.machine import last_level_cache_bytes
from analysis.measured.networks import Decoder
from analysis.measured.pruned import Sparse, with_zeros
from analysis.measured.quantised import FORMATS, with_projections
from analysis.measured.timing import Budget, Key, Task
from analysis.measured.works import DRAWN, READ_BYTES, Works, in_turn
from analysis.predicted.architectures import GPT2, SIZES, Architecture
from analysis.predicted.operations import FUSED, Cost
from analysis.predicted.pruning import layer_weights, pruned, sparse_bytes
from analysis.predicted.serving import step_bytes
from analysis.predicted.transformer import decoder_step

BATCHES, BATCH_CONTEXTS = (1, 2, 4, 8, 16, 32, 64), (64, 512)
HEADS, CHECKED = (12, 4, 1), (1, 2, 3, 5, 9)
DRAFT = GPT2.replace(name="draft", n_layers=2, d_model=256, n_heads=4, d_ff=1024)
SHARES = tuple(range(0, 100, 10))  # per cent of heads and neurons that are gone
BLOCK = 64  # neurons are timed in numbers that kernels can divide among threads
WARM_CALLS = 16  # in a row, of a model that a cache holds
FORMAT_CONTEXTS, BRIEF_FORMATS = (128, 512), ("float32", "int8", "int8-planes", "int4")
ERRORS = 16  # tokens whose logits are compared
ZEROS_CONTEXT, ZEROS = 128, (0, 50, 90)
SPARSE = (30, 50, 60, 70, 80, 90, 95)  # per cent, in compressed sparse rows
SLOWER = 3  # to plan with: how many times the time of their bytes sparse rows take

Table = list[tuple[Key, Architecture]]


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


def serving_tasks(device: str, budget: Budget, threads: int) -> list[Task]:
    return [
        table_task(name, table, device, budget, threads) for name, table in tables(budget).items()
    ]


def table_task(name: str, table: Table, device: str, budget: Budget, threads: int) -> Task:
    """The steps of a table; one network of each architecture, its cache for the largest batch."""
    table = with_warm(table, last_level_cache_bytes(device) or 0)
    most = {arch: max(key.batch for key, each in table if each == arch) for _, arch in table}
    context = max(key.tokens for key, _ in table)

    def prepare(works: Works) -> None:
        whole = {
            arch: Decoder(arch, max_length=context, device=device, batch=n)
            for arch, n in most.items()
        }
        for key, arch in table:
            add_step(works, key, arch, whole[arch])
        works.read(Key("read", how=name))

    costs = [decoder_step(arch, key.tokens, FUSED, key.batch)["total"] for key, arch in table]
    numbers = sum(2 * arch.n_parameters + n * arch.cached(context) for arch, n in most.items())
    numbers += 4 * max(key.batch * arch.vocab_size for key, arch in table)  # logits
    memory, before = 4 * numbers + READ_BYTES, DRAWN * (numbers + READ_BYTES / 8)
    return in_turn(table[0][0], prepare, costs, memory, device, budget, threads, before)


def add_step(works: Works, key: Key, arch: Architecture, whole: Decoder) -> None:
    """A step of the table, of as many of the network's sequences as the key says."""
    if key.what == "check":
        tokens = torch.randint(arch.vocab_size, (1, key.n), device=works.device)
        cost = decoder_step(arch, key.tokens, FUSED)["total"]
        works.add(key, lambda: whole.step(tokens, key.tokens).argmax(-1), cost)
        return
    network = copy(whole)
    network.cache = whole.cache[:, :, : key.batch]
    network.layer_caches = network.cache.unbind(0)
    held = {"cache_bytes": network.cache.nbytes} if key.what == "heads" else {}
    calls = WARM_CALLS if key.how == "warm" else 1
    works.model(key, network, arch, calls=calls, parameters=arch.n_parameters, **held)


def weights_task(device: str, budget: Budget, threads: int) -> Task:
    """Every format; one without a kernel on this device is missing, and says why."""
    contexts = budget.of(FORMAT_CONTEXTS, FORMAT_CONTEXTS[:1])
    formats, longest = budget.of(tuple(FORMATS), BRIEF_FORMATS), max(contexts)
    keys = {name: [Key("weights", "gpt2", n, how=name) for n in contexts] for name in formats}

    def prepare(works: Works) -> None:
        whole = Decoder(GPT2, max_length=longest, device=device)
        tokens = torch.randint(GPT2.vocab_size, (ERRORS, 1, 1), device=device)
        expected = torch.stack([whole.step(each, longest) for each in tokens])
        made = {}
        for name in formats:  # before any step writes elsewhere into the cache
            try:
                network = with_projections(whole, FORMATS[name])
                ours = torch.stack([network.step(each, longest) for each in tokens])
            except (InputError, RuntimeError, AttributeError) as error:  # no kernel for it here
                works.missing |= dict.fromkeys(keys[name], str(error))
                continue
            made[name] = network, float((ours - expected).norm() / expected.norm())
        for name, (network, off) in made.items():
            size = sum(each.nbytes for each in network.linears())
            said = {"weight_bytes": size, "error": off}
            for key in keys[name]:
                works.model(key, network, GPT2, parameters=GPT2.n_parameters, **said)
            products, cost = Key("products", "gpt2", how=name), Cost(2 * GPT2.n_parameters, size)
            works.add(products, partial(multiply_all, network), cost, **said)
        for context in contexts:
            cost = decoder_step(GPT2, context, FUSED)["act_to_act"]
            works.add(Key("attention", "gpt2", context), partial(attend_all, whole, context), cost)
        works.read(Key("read", how="weights"))

    costs = [decoder_step(GPT2, longest, FUSED)["total"]] * (len(contexts) + 1) * len(formats)
    memory = 5 * 4 * GPT2.n_parameters + READ_BYTES
    before = len(formats) * DRAWN * GPT2.n_parameters
    return in_turn(keys["float32"][0], prepare, costs, memory, device, budget, threads, before)


@torch.inference_mode()
def multiply_all(network: Decoder) -> None:
    """Every projection of a step, on one row that is none of the step's."""
    narrow, wide = network.words[:1], network.layers[0].up(network.words[:1])
    for layer in network.layers:
        for linear in (layer.qkv, layer.out, layer.up):
            linear(narrow)
        layer.down(wide)
    network.head(narrow)


@torch.inference_mode()
def attend_all(network: Decoder, context: int) -> None:
    """The attention of a step's layers, each to its own keys and values."""
    for cache in network.layer_caches:
        k, v = cache.narrow(3, 0, context).unbind(0)
        F.scaled_dot_product_attention(k[:, :, :1], k, v)


def zeros_task(device: str, budget: Budget, threads: int) -> Task:
    """Steps with zeros, in dense matrices and in compressed sparse rows ("csr")."""
    weights, _ = layer_weights(GPT2)
    dense = decoder_step(GPT2, ZEROS_CONTEXT, FUSED)["total"]

    def key(how: str, share: int) -> Key:
        return Key("prune", "gpt2", ZEROS_CONTEXT, how=how, n=share)

    def prepare(works: Works) -> None:
        whole = Decoder(GPT2, max_length=ZEROS_CONTEXT, device=device)
        said = {"parameters": GPT2.n_parameters, "weight_bytes": 4 * weights}
        for share in ZEROS:
            works.model(key("zeros", share), with_zeros(whole, share / 100), GPT2, **said)
        for share in SPARSE:
            network = with_zeros(whole, share / 100, Sparse)
            size = sum(x.nbytes for x in network.linears() if isinstance(x, Sparse))
            cost = Cost(dense.flops, dense.bytes - 4 * weights + size)
            works.model(key("csr", share), network, GPT2, cost, weight_bytes=size)
        works.read(Key("read", how=f"prune {ZEROS_CONTEXT} zeros"))

    held = [4 * weights] * len(ZEROS) + [sparse_bytes(GPT2, share / 100) for share in SPARSE]
    costs = [Cost(0, SLOWER * (dense.bytes - 4 * weights + each)) for each in held]
    memory = sum(held) + 4 * GPT2.n_parameters + READ_BYTES
    before = DRAWN * (GPT2.n_parameters + SLOWER * sum(held) / 4)  # drawn, and made sparse
    return in_turn(key("zeros", ZEROS[0]), prepare, costs, memory, device, budget, threads, before)
