"""Where the time of a pass goes: its operator classes timed inside it, and the rest of it alone.

Both put other functions in the place of projections and act-to-act matmuls, so the network must
have unfused attention: a fused kernel is one class only.

Inside a pass, stamps stand where one class ends and another begins, so that every moment belongs to
exactly one class and the classes add up to the pass: what is between matmuls, launches and Python
included, is "other".

Alone, norms, activations, softmax and copies reach neither ceiling: some compute at a rate of their
own, some wait for fresh pages, and in a decoder step most are over before a launch is. So the
calibrated prediction (`analysis.predicted.roofline`) takes them from one layer whose matmuls return
what they computed the first time. In a step only the projections do: what is left reads keys and
values, one row at a time, which is no product of matrices either.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import cycle, pairwise
from unittest import mock

import torch

from analysis.measured import networks
from analysis.measured.linear import Linear
from analysis.measured.machine import last_level_cache_bytes
from analysis.measured.timing import Budget, Clock, Key, Task
from analysis.measured.works import DRAWN, Works, in_turn
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


def rest_task(model: str, arch: Architecture, tokens: int, device, budget: Budget, threads) -> Task:
    """One layer in float32 without its matmuls, over `tokens` or of a step at that context. Its
    times are multiplied by the number of layers, and FLOPs and bytes are those of a whole pass: of
    "other", in a step with "act_to_act"."""
    steps = arch.kind == "decoder"
    rows = 1 if steps else tokens
    costs = pass_or_step(arch, tokens, UNFUSED)
    total = costs["other"] + costs["act_to_act"] if steps else costs["other"]
    key = Key("other", model, tokens)

    def prepare(works: Works) -> None:
        small = arch.replace(n_layers=1, n_positions=1, vocab_size=1)
        build = networks.Decoder if steps else networks.Encoder
        network = build(small, "unfused", max_length=tokens, device=device)
        x = torch.randn(rows, arch.d_model, device=device)
        cache = (network.cache[0], tokens) if steps else ()
        work = partial(network.layers[0], x, 1, *cache)
        replay = replayed(work, PROJECTION, *([] if steps else [MATMUL]))
        # A step finds its caches full of weights.
        size = 2 * (last_level_cache_bytes(device) or 2**26) if steps else 0
        other = torch.ones(size // 4, device=device)

        @torch.inference_mode()
        def timed() -> list[float]:
            other.sum()
            with replay():
                return [arch.n_layers * works.clock.time(work)]

        timed()
        works.together({key: (total, {"caches": "evicted" if steps else "warm"})}, timed)

    numbers = arch.n_parameters // arch.n_layers + rows * 20 * arch.d_model
    numbers += 5 * arch.n_heads * rows * tokens + steps * tokens**2
    once = Cost(0, total.bytes / arch.n_layers * 5)  # far from the bandwidth
    return in_turn(key, prepare, [once], 4 * numbers, device, budget, threads,
                   before=DRAWN * numbers, share=0.25, least=budget.least)  # fmt: skip


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
