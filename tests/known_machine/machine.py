"""A machine that is known: it computes nothing, and takes the time that arithmetic says.

Whatever torch dispatches on the CPU is seen operator by operator. Views are made, everything else
is given memory of the right shape that nobody writes, and a virtual clock goes on by as long as the
operator would take: its FLOPs over a peak or its bytes over a bandwidth, whichever is longer, and a
launch. So the networks, tasks and clocks of the report run as they are, at their real sizes, in
seconds, and all that they measure can be said beforehand. Nothing here asks `analysis.predicted`.
"""

import gc
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache, partial
from math import prod
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from analysis.measured import (
    ceilings,
    libraries,
    parts,
    products,
    profile,
    serving,
    timing,
    works,
)
from analysis.measured.driver import all_tasks, run_tasks
from analysis.measured.run import Run, now
from analysis.measured.schema import Machine
from analysis.measured.timing import Budget, Clock, Key, Task

aten = torch.ops.aten
# Products of matrices, and which of their arguments is (.., M, K); the result is (.., M, N).
PRODUCTS = {aten.mm: 0, aten.bmm: 0, aten.mv: 0, aten._int_mm: 0, aten.addmm: 1, aten.baddbmm: 1}
PRODUCTS |= {aten._weight_int8pack_mm: 0, aten._weight_int4pack_mm_for_cpu: 0}
ATTENTION = aten._scaled_dot_product_flash_attention_for_cpu
FREE = {
    aten.empty, aten.empty_like, aten.empty_strided, aten.new_empty, aten._unsafe_view,
    aten._reshape_alias, aten.lift_fresh, aten.detach,
}  # fmt: skip
OVERWRITES = {aten.copy_, aten.fill_, aten.zero_, aten.normal_, aten.uniform_, aten.random_}
LOOKUPS = {aten.embedding, aten.index_select}  # of their table they read as much as they write
# What asks for a number, so that nothing has to be computed: all that is verified is right.
ASKED = {aten._local_scalar_dense: 1, aten.equal: True, aten.allclose: True}
NOWHERE = {"device": torch.device("meta"), "generator": None}  # which has no numbers
ASKING = (ceilings, parts, products, profile, serving)  # how large cache and free memory are
MEMORY = 2**40  # bytes that are free

# Tasks are made by `PLAN`, in which all sizes are worth their time, and measured by `ONCE`: where
# the same always takes as long, repetitions tell nothing.
PLAN = Budget("known", 1e9, None, seconds_per_point=1e6, warm_seconds=0, visits=9, least=1)
ONCE = replace(PLAN, seconds_per_point=1e-9, visits=1)
# Scores look at numbers, of which there are none; training is predicted by its FLOPs alone, pruning
# by the same steps as smaller models; pairs are those passes and steps again. BERT-Large without
# fused attention says what BERT-Base does.
LEFT_OUT = ("quality", "speculative", "train", "prune", "pair")


class Known(TorchDispatchMode):
    """A machine of `bandwidth` (bytes/s) and `peak` (FLOP/s), at which an operator costs a `launch`
    (s) besides. The blocks that operators touched last cost no bytes, up to `cache_bytes`. Without
    a cache it is told to have a small one, as every machine has."""

    def __init__(self, bandwidth: float, peak: float, cache_bytes: int = 0, launch: float = 0):
        super().__init__()
        self.bandwidth, self.peak, self.launch = bandwidth, peak, launch
        self.cache_bytes, self.cached, self.held = cache_bytes, OrderedDict(), 0
        self.last_level = cache_bytes or 2**20
        self.seconds = 0.0  # since it was made
        self.shapes = {}  # of what operators return

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled, and what could compile takes seconds to import

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        operator = func.overloadpacket
        if _composite(func):  # arrives whole under inference_mode
            with self:
                return func.decompose(*args, **kwargs)
        if operator in ASKED:
            return ASKED[operator]
        if func.is_view or operator in FREE:
            return func(*args, **kwargs)
        result = self._shaped(func, args, kwargs)
        self._charge(operator, args, kwargs, result)
        return result

    def _shaped(self, func, args, kwargs):
        """What `func` would return, without its numbers; what it would write into as it is."""
        if func._schema.is_mutable:
            return kwargs.get("out", args[0])
        key = func, _key(args), _key(kwargs.items())
        if key not in self.shapes:
            args, kwargs = tree_map_only(Tensor, _memory("meta"), (args, kwargs))
            kwargs |= {name: none for name, none in NOWHERE.items() if name in kwargs}
            self.shapes[key] = func(*args, **kwargs)
        return tree_map_only(Tensor, _memory("cpu"), self.shapes[key])

    def _charge(self, operator, args, kwargs, result) -> None:
        overwrites = operator in OVERWRITES or operator in LOOKUPS or _like(operator)
        given = (
            args[1:] if overwrites else args,
            *(kwargs[name] for name in kwargs if name != "out"),
        )
        read = {id(each): each for each in _tensors(given)}.values()  # what is given twice once
        written, flops = list(_tensors([result])), 0
        if operator in PRODUCTS:
            flops = 2 * args[PRODUCTS[operator]].shape[-1] * written[0].numel()
        elif operator is ATTENTION:  # scores, and their product with the values
            flops = 4 * args[0].numel() * args[1].shape[-2]
        moved = sum(map(self._moved, read)) + sum(map(self._moved, written))
        if operator in LOOKUPS:
            moved += _bytes(written[0])
        self.seconds += max(flops / self.peak, moved / self.bandwidth) + self.launch

    def _moved(self, tensor: Tensor) -> int:
        """Bytes that come from memory or go there, after which the tensor is what was touched
        last."""
        size = _bytes(tensor)
        if not self.cache_bytes:
            return size
        block = tensor.untyped_storage().data_ptr(), tensor.storage_offset(), size
        there = self.cached.pop(block, 0)
        self.cached[block] = size
        self.held += size - there
        while self.held > self.cache_bytes:
            self.held -= self.cached.popitem(last=False)[1]
        return size - there


def made(brief: bool = False, whats: tuple[str, ...] = ()) -> Callable[[], list[Task]]:
    """What makes the tasks of a budget, or those of some kinds."""

    def wanted(key: Key) -> bool:
        told = key.what in LEFT_OUT or (key.model, key.how) == ("bert-large", "unfused")
        return not told and (not whats or key.what in whats)

    def make() -> list[Task]:
        main, remedies, _ = all_tasks("cpu", replace(PLAN, brief=brief), 1, [])
        return [task for task in main + remedies if wanted(task.key)]

    return make


def measured(known: Known, make: Callable[[], Iterable[Task]], events: bool = False) -> Run:
    """The run of the tasks that `make` makes; with `events` clocks are as on CUDA."""
    description = Machine(
        device="cpu", device_name="known machine", cpu="known machine", cores=1, threads=1,
        caches={"L3": known.last_level}, memory_bytes=MEMORY, gpu_memory_bytes=None, os="none",
        python="none", torch="none", numpy="none", blas="none", fast_paths=[],
    )  # fmt: skip
    run = Run.new(description, ONCE.name)
    with _in_place_of_this_machine(known, events):
        run_tasks(make(), run, ONCE, lambda run: None)
    run.finished = now()
    return run


@contextmanager
def _in_place_of_this_machine(known: Known, events: bool) -> Iterator[None]:
    class Virtual(Clock):
        def __init__(self, device: str):
            self.device, self.synchronise = "cuda" if events else device, None

        def now(self) -> float:
            return known.seconds

    threads = torch.get_num_threads()
    others = [(module, "Clock", Virtual) for module in (timing, works)]
    sizes = {"last_level_cache_bytes": known.last_level, "free_memory_bytes": MEMORY}
    for name, size in sizes.items():
        there = (module for module in ASKING if hasattr(module, name))
        others += [(module, name, lambda device, size=size: size) for module in there]
    others += [(torch.cuda, "Event", partial(Event, known)), (serving, "ERRORS", 1)]
    others += [(libraries, "LIBRARIES", (libraries.PLAIN,))]  # whose operators have known costs
    others += [(gc, "collect", lambda: None)]  # which takes long, and nothing waits for memory
    products.probe.cache_clear()  # of what the machine that this is reaches
    libraries.fastest.cache_clear()
    try:
        with ExitStack() as stack:
            for module, name, other in others:
                stack.enter_context(mock.patch.object(module, name, other))
            stack.enter_context(known)
            yield
    finally:
        products.probe.cache_clear()
        libraries.fastest.cache_clear()
        torch.set_num_threads(threads)


class Event:
    """A CUDA event of a known machine."""

    def __init__(self, known: Known, enable_timing: bool):
        self.known, self.at = known, 0.0

    def record(self) -> None:
        self.at = self.known.seconds

    def synchronize(self) -> None:
        pass

    def elapsed_time(self, end: "Event") -> float:
        """Milliseconds."""
        return 1000 * (end.at - self.at)


def _like(operator) -> bool:
    """Whether an operator asks for no more than the shape of its first argument."""
    return operator.__name__.startswith("new_") or operator.__name__.endswith("_like")


@cache
def _composite(func) -> bool:
    kernel = torch._C.DispatchKey.CompositeImplicitAutograd
    return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), kernel)


def _key(value):
    """What the shape of a result can depend on: of tensors only their own."""
    if isinstance(value, Tensor):
        return value.shape, value.stride(), value.dtype
    if isinstance(value, str) or not isinstance(value, Iterable):
        return type(value), value
    return tuple(map(_key, value))


def _memory(device: str) -> Callable[[Tensor], Tensor]:
    return lambda x: torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device=device)


def _tensors(values: Iterable) -> Iterator[Tensor]:
    for each in values:
        if isinstance(each, Tensor):
            yield each
        elif isinstance(each, list | tuple):
            yield from _tensors(each)


def _bytes(tensor: Tensor) -> int:
    """Bytes of the elements that a tensor has in memory: an expanded dimension once."""
    sides = zip(tensor.shape, tensor.stride(), strict=True)
    return prod(n if stride else min(n, 1) for n, stride in sides) * tensor.element_size()
