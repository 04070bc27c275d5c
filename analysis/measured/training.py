"""A training step: the bytes that autograd keeps for its backward pass, and the time that it takes.

The networks of `analysis.measured.networks` with gradients on: a cross-entropy over the vocabulary,
at every token of a decoder and at 15 % of an encoder's, without dropout, and no optimizer's update.
A point's `how` is one of `HOW`; attention is unfused but for "fused". `saved_bytes` in its details
is what the forward pass leaves behind, and `again_bytes` what the backward pass computes again at
once.
"""

from collections.abc import Callable, Sequence
from functools import cached_property, partial

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint

from analysis.measured.networks import Decoder, Encoder, changed, memory, tensors
from analysis.measured.products import probe
from analysis.measured.timing import Budget, Clock, Key, Measurement, Sample, Task
from analysis.measured.works import GUESS, Works, guess, in_turn
from analysis.predicted.activations import activations, policy_named, predicted_tokens
from analysis.predicted.architectures import ARCHITECTURES, Architecture
from analysis.predicted.operations import Cost

MODELS, LENGTHS = ("bert-base", "gpt2"), (128, 512)
POLICIES = ("none", "attention", "every-2", "layers", "stretch-3")
SECOND = "second-order"  # no policy: also the Hessian's product with a random vector
AUTOCAST = "autocast"  # no policy either: all kept, with matmuls in bfloat16
HOW, BRIEF = (*POLICIES, "fused", AUTOCAST, SECOND), ("none", "layers", AUTOCAST, SECOND)
DTYPES = {AUTOCAST: "bfloat16"}  # of matmuls; float32 else
SLOWEST = 0.25  # of the rate to plan with, at which steps in bfloat16 are timed
# The forward pass with gradients on: what their decorator, inference_mode, wraps.
HIDDEN, LOGITS = Encoder.__call__.__wrapped__, Decoder.prefill.__wrapped__
recompute = partial(checkpoint, use_reentrant=False, preserve_rng_state=False)


class Training:
    """One network at one length, on random tokens; raises InputError for an unknown policy."""

    def __init__(self, arch: Architecture, length: int, device="cpu", batch: int = 1, seed=0):
        self.arch, self.device = arch, device
        build = Encoder if arch.kind == "encoder" else Decoder
        options = {} if build is Encoder else {"batch": batch}
        self.network = build(arch, "unfused", max_length=length, device=device, **options)
        self.network.pooler = None  # no loss asks for it
        self.parameters = [each.requires_grad_() for each in tensors(self.network).values()]
        self.layers, mask = self.network.layers, getattr(self.network, "mask", None)
        self.constants = {memory(each) for each in (*self.parameters, mask) if each is not None}
        self.tokens, self.places, self.targets = data(arch, length, batch, device, seed)

    def loss(self, how: str = "none") -> Tensor:
        """The loss of one forward pass, ready for its backward pass."""
        if how == AUTOCAST:
            with torch.autocast(torch.device(self.device).type, torch.bfloat16):
                return self.loss()
        network = self.network
        for layer in self.layers:
            layer.q_k_v = layer.qkv.split(3)  # views of this step, that gradients flow through
        network.layers = rematerialised(self.layers, how)
        if self.arch.kind == "decoder":
            network.layer_caches = (None,) * len(network.layers)  # nothing to decode after
            logits = LOGITS(network, self.tokens).flatten(0, 1)
        else:
            hidden, _ = HIDDEN(network, self.tokens)
            picked = hidden.flatten(0, 1).index_select(0, self.places)
            logits = F.linear(picked, network.words)
        return F.cross_entropy(logits, self.targets)

    def gradients(self, how: str = "none", graph: bool = False) -> tuple[Tensor, ...]:
        """Of one step, in the order of `parameters`."""
        return torch.autograd.grad(self.loss(how), self.parameters, create_graph=graph)

    def step(self, how: str = "none") -> tuple[Tensor, ...]:
        """What a step computes and its optimizer needs: gradients, and for `SECOND` a random vector
        of signs, the Hessian's product with it, and the averages of the gradients and of the
        Hessian's diagonal (Yao et al. 2020)."""
        if how != SECOND:
            return self.gradients(how)
        gradients = self.gradients(graph=True)
        signs = [torch.randint_like(each, 2) * 2 - 1 for each in self.parameters]
        products = torch.autograd.grad(gradients, self.parameters, signs)
        gradients = [each.detach() for each in gradients]
        for average, new in zip(self.averages[0], gradients, strict=True):
            average.lerp_(new, 0.1)
        for average, sign, product in zip(self.averages[1], signs, products, strict=True):
            average.lerp_(sign * product, 0.001)
        return *gradients, *signs, *products, *self.averages[0], *self.averages[1]

    @cached_property
    def averages(self) -> tuple[list[Tensor], list[Tensor]]:
        return tuple([torch.zeros_like(each) for each in self.parameters] for _ in range(2))

    def saved_bytes(self, how: str = "none") -> int:
        """Bytes of the memory that autograd keeps until the backward pass, or for `SECOND` until
        the second: each storage once; no parameter, and no causal mask, which stays."""
        kept = {}

        def pack(tensor: Tensor) -> Tensor:
            if memory(tensor) not in self.constants:
                kept[memory(tensor)] = tensor.untyped_storage()  # held, so that it is not reused
            return tensor.detach()

        with saved_tensors_hooks(pack, lambda tensor: tensor):
            alive = self.gradients(graph=True) if how == SECOND else self.loss(how)
        del alive
        return sum(storage.nbytes() for storage in kept.values())

    def kept_and_again(self, ways: Sequence[str] = HOW) -> dict[str, dict[str, int]]:
        """For each of `ways`: `saved_bytes`, and `again_bytes`, the most that a backward pass
        computes again at once: what is kept of its layers elsewhere."""
        kept, again = {how: self.saved_bytes(how) for how in ways}, {}
        n, entry = self.arch.n_layers, self.tokens.numel() * self.arch.d_model * 4
        layer = (kept["none"] - kept["layers"]) // n + entry  # of each, its input is kept there
        for how in ways:
            policy = policy_named(_policy(how))
            again[how] = min(policy.stretch, n) * layer - entry if policy.stretch else 0
            if policy.attention:
                again[how] = (kept["none"] - kept[how]) // n
        return {how: {"saved_bytes": kept[how], "again_bytes": again[how]} for how in ways}


def data(arch: Architecture, length: int, batch: int, device, seed: int) -> tuple[Tensor, ...]:
    """Random tokens (batch, length), the places whose tokens are predicted, and these tokens."""
    options = {"device": device}
    if torch.device(device).type != "meta":  # which has no numbers
        options["generator"] = torch.Generator(device).manual_seed(seed)
    n = predicted_tokens(arch, length, batch)
    tokens = torch.randint(arch.vocab_size, (batch, length), **options)
    places = torch.randperm(batch * length, **options)[:n].clone()
    return tokens, places, torch.randint(arch.vocab_size, (n,), **options)


def alone(training: Training, ways: Sequence[str], clock: Clock) -> tuple[dict[str, dict], float]:
    """What is found out once: details of each of `ways`, which are what is kept, computed again at
    once, and held as state; and the seconds of `SECOND`."""
    found = training.kept_and_again(ways)
    for average in training.averages:
        torch._foreach_zero_(average)  # touches its memory before the step that is timed
    for how in ("none", SECOND):
        made = []
        seconds = clock.time(partial(lambda made, how: made.extend(training.step(how)), made, how))
        found[how]["state_bytes"] = sum(each.nbytes for each in (*training.parameters, *made))
        del made
    return found, seconds


def training_tasks(device: str, budget: Budget, threads: int, length: int) -> list[Task]:
    """One task a model; the ways of `HOW` are timed in turn, so that all see the same machine, but
    for `SECOND`, which is timed once."""
    models = budget.of(MODELS, MODELS[:1])
    return [_task(model, length, device, budget, threads) for model in models]


def slow_autocast(device: str, threads: int) -> str:
    """Why steps in bfloat16 are not worth their minutes here, as where a processor only imitates
    it; "" where they are."""
    rate, wanted = probe(DTYPES[AUTOCAST], device) or 0, GUESS[device][0]
    if rate >= SLOWEST * wanted * (threads if device == "cpu" else 1):
        return ""
    return f"products in bfloat16 reach {rate / 1e9:.2g} GFLOP/s here, which is too slow to train"


def _task(model: str, length: int, device: str, budget: Budget, threads: int) -> Task:
    arch, ways = ARCHITECTURES[model], budget.of(HOW, BRIEF)
    slow = slow_autocast(device, threads)
    ways = tuple(how for how in ways if how != AUTOCAST or not slow)
    keys = {how: Key("train", model, length, how=how, dtype=DTYPES.get(how, "float32"))
            for how in HOW}  # fmt: skip
    predicted = {how: activations(arch, length, policy=_policy(how)) for how in ways}
    costs = {how: Cost(each.flops + each.extra) for how, each in predicted.items()}
    costs[SECOND] *= 3  # it goes back through the forward pass and through the backward pass
    known: dict[str, dict] = {}  # bytes, which another visit would find again

    def prepare(works: Works) -> dict[Key, Measurement]:
        training, once = Training(arch, length, device), {}
        if slow:
            works.missing[keys[AUTOCAST]] = slow
        if not known:
            found, seconds = alone(training, ways, works.clock)
            known.update(found)
            flops, sample = costs[SECOND].flops, Sample((seconds,))
            once[keys[SECOND]] = Measurement(sample, flops, details=known[SECOND], in_turn=False)
        for how in ways[:-1]:  # the step before the first may have left memory otherwise
            work = partial(training.step, how)
            works.add(keys[how], work, costs[how], warm=how == ways[0], eager=True, **known[how])
        return once

    # A forward pass of each to see what it keeps; one of the plain step and of `SECOND`.
    before = sum(c.flops for c in costs.values()) / 3 + costs["none"].flops
    before = guess(Cost(before + costs[SECOND].flops), device, threads)
    memory = 8 * 4 * arch.n_parameters + 3 * predicted["none"].bytes
    return in_turn(keys["none"], prepare, [costs[how] for how in ways[:-1]], memory, device, budget,
                   threads, before=before, share=1, least=budget.least)  # fmt: skip


def _policy(how: str) -> str:
    return how if how in POLICIES else "none"


def rematerialised(layers: list, how: str) -> list[Callable]:
    """What is called in place of `layers`: stretches, of which some are computed again."""
    if how in ("fused", SECOND):
        how, layers = "none", [changed(x, fused=x.fused or how == "fused") for x in layers]
    policy = policy_named(how)
    if policy.attention:
        return [changed(x, attention=partial(recompute, x.attention)) for x in layers]
    return [
        partial(recompute, _through, layers[start:end])
        if again
        else partial(_through, layers[start:end])
        for start, end, again in policy.stretches(len(layers))
    ]


def _through(layers: list, x: Tensor, *others) -> Tensor:
    for layer in layers:
        x = layer(x, *others)
    return x
