"""Where the time of a pass goes: its operator classes timed inside it, and the rest of it alone.

Both put other functions in the place of projections and act-to-act matmuls, so the network must
have unfused attention: a fused kernel is one class only.

Inside a pass, stamps stand where one class ends and another begins, so that every moment belongs to
exactly one class and the classes add up to the pass: what is between matmuls, launches and Python
included, is "other".

The calibrated prediction (`compared.roofs.calibrated`) adds parts that were timed alone, in turn
with the whole: minutes apart the memory may be another. Alone, norms, activations, softmax and
copies reach neither ceiling: some compute at a rate of their own, some wait for fresh pages, and in
a decoder step most are over before a launch is. So they are timed as one layer whose matmuls return
what they computed the first time. In a step only the projections do: what is left reads keys and
values, one row at a time, which is no product of matrices either.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from itertools import cycle, pairwise
from math import prod
from unittest import mock

import torch
from torch import Tensor

from analysis.measured import networks
from analysis.measured.linear import Linear
from analysis.measured.machine import last_level_cache_bytes
from analysis.measured.products import verify
from analysis.measured.timing import Clock, Key
from analysis.measured.works import Works
from analysis.predicted.architectures import Architecture
from analysis.predicted.operations import UNFUSED, Cost
from analysis.predicted.transformer import CLASSES, pass_or_step

PROJECTION, MATMUL = (Linear, "__call__"), (torch, "matmul")


def split(work: Callable[[], object], clock: Clock) -> dict[str, float]:
    """Seconds of one call of `work` by operator class; every moment of it is in one class."""
    linear, matmul, marks = Linear.__call__, torch.matmul, []

    def mark(name: str) -> None:
        marks.append((name, _event() if clock.device == "cuda" else clock.now()))

    def project(self, x):
        mark("other")
        y = linear(self, x)
        mark(self.operator_class)
        return y

    def multiply(a, b):
        mark("other")
        y = matmul(a, b)
        mark("act_to_act")
        return y

    clock.now()
    mark("")
    with patched({PROJECTION: project, MATMUL: multiply}):
        work()
    mark("other")
    clock.now()  # waits for the last event
    parts = dict.fromkeys(CLASSES, 0.0)
    for (_, before), (name, after) in pairwise(marks):
        cuda = clock.device == "cuda"
        parts[name] += before.elapsed_time(after) / 1000 if cuda else after - before
    return parts


def add_alone(works: Works, network: networks.Network, key: Key, arch: Architecture) -> None:
    """To works that have the pass or step of `key`: its parts alone, on the weights of `network`.

    Products of each shape ("alone"): in a step those of all layers, one after another, else one, of
    another layer each time; so they read weights from memory as the whole does. And "other"."""
    step = arch.kind == "decoder"
    for shape, calls in products_of(network, arch, key.tokens, works.device).items():
        turn, flops = cycle(calls), 2 * prod(map(int, shape.split("x")))
        work = partial(_in_row, calls) if step else lambda turn=turn: next(turn)()
        cost = Cost(flops * len(calls) if step else flops)
        works.add(replace(key, what="alone", how=shape), work, cost, warm=1, eager=True)
    add_rest(works, network, replace(key, what="other", how=""), arch)


@torch.inference_mode()
def _in_row(calls: list[Callable]) -> None:
    for call in calls:
        call()


@torch.inference_mode()
def products_of(
    network: networks.Network, arch: Architecture, tokens: int, device: str
) -> dict[str, list[Callable]]:
    """The products of an unfused pass over `tokens`, or of a step, on random activations: calls by
    shape, named as in `analysis.predicted.roofline.pieces`. One of each is verified."""
    rows, found = 1 if arch.kind == "decoder" else tokens, {}

    def add(call: Callable, a: Tensor, b: Tensor, bias: Tensor | None = None) -> None:
        shape = "x".join(map(str, (*a.shape[a.dim() == 4 :], b.shape[-1])))
        if shape not in found:
            verify(a, b, call(), bias)
        found.setdefault(shape, []).append(torch.inference_mode()(call))

    def project(linear: Linear, x: Tensor) -> None:
        add(partial(linear, x), x, linear.weight.t(), linear.bias)

    narrow, wide = (torch.randn(rows, width, device=device) for width in (arch.d_model, arch.d_ff))
    for layer in network.layers:
        for linear in (*layer.q_k_v, layer.out, layer.up):
            project(linear, narrow)
        project(layer.down, wide)
    if arch.lm_head:
        project(network.head, narrow)
    if arch.pooler:
        project(network.pooler, narrow[:1])
    if rows > 1:  # heads lie side by side in a row of the tokens
        shape = 1, rows, arch.n_heads, arch.head_dim
        q, k, v = (torch.randn(shape, device=device).transpose(1, 2) for _ in range(3))
        scores = torch.matmul(q, k := k.transpose(2, 3))
        add(partial(torch.matmul, q, k), q, k)
        add(partial(torch.matmul, scores, v), scores, v)
    return found


def add_rest(works: Works, network: networks.Network, key: Key, arch: Architecture) -> None:
    """The layers without their matmuls, of a pass one, whose times are multiplied. FLOPs and bytes
    are those of a whole pass: of "other", in a step with "act_to_act"."""
    step, tokens = arch.kind == "decoder", key.tokens
    costs = pass_or_step(arch, tokens, UNFUSED)
    total = costs["other"] + costs["act_to_act"] if step else costs["other"]
    x = torch.randn(1 if step else tokens, arch.d_model, device=works.device)
    caches = network.layer_caches if step else [None]
    layers = network.layers[: len(caches)]

    def work() -> None:
        for layer, cache in zip(layers, caches, strict=True):
            layer(x, 1, cache, tokens)

    replay = replayed(work, PROJECTION, *([] if step else [MATMUL]))
    # A step finds its caches full of weights.
    size = 2 * (last_level_cache_bytes(works.device) or 2**26) if step else 0
    others = torch.ones(size // 4, device=works.device)

    @torch.inference_mode()
    def timed() -> list[float]:
        others.sum()
        with replay():
            return [arch.n_layers / len(layers) * works.clock.time(work)]

    timed()
    works.together({key: (total, {"caches": "evicted" if step else "warm"})}, timed)


@torch.inference_mode()
def replayed(work: Callable, *places: tuple[object, str]) -> Callable:
    """A context: a call of `work` within it has the functions of these owners and names return at
    once what they did here."""
    outputs = []

    def kept(compute):
        return lambda *args: outputs.append(compute(*args)) or outputs[-1]

    with patched({place: kept(getattr(*place)) for place in places}):
        work()
    ready = cycle(outputs)
    return lambda: patched(dict.fromkeys(places, lambda *_: next(ready)))


@contextmanager
def patched(functions: dict[tuple[object, str], Callable]) -> Iterator[None]:
    """With other functions in the place of those of these owners and names."""
    with ExitStack() as stack:
        for place, function in functions.items():
            stack.enter_context(mock.patch.object(*place, function))
        yield


def _event() -> "torch.cuda.Event":
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event
