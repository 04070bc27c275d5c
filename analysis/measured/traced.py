"""FLOPs and bytes of the operators that torch really dispatches for a call.

A matmul belongs to the class of the weight that it reads, to "act_to_act" when it reads none of
the network's weights, and everything else is "other": the classes of
`analysis.predicted.transformer`, found here from the tensors and not from formulas. Trace a
network on the device "meta" to count without computing, and with unfused attention: fused kernels
are not counted.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from math import prod

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from analysis.measured.networks import memory
from analysis.predicted.operations import UNFUSED, Cost
from analysis.predicted.transformer import CLASSES

aten = torch.ops.aten
MATMULS = {aten.mm, aten.addmm, aten.bmm, aten.baddbmm}  # the last input is (.., k, n)
# Read as many elements as they write, and the ids.
LOOKUPS = {aten.embedding, aten.index_select, aten.index}
COPIES = {aten.index, aten.clone, aten._to_copy}  # of a weight are of its class
OVERWRITES = {aten.copy_, aten.fill_, aten.zero_}  # their first input is not read
FREE = {
    aten._unsafe_view, aten._reshape_alias, aten.lift_fresh, aten.empty, aten.empty_like,
    aten.empty_strided,
}  # fmt: skip
MOVES = {
    *LOOKUPS, *COPIES, *OVERWRITES, aten.cat, aten.zeros, aten.zeros_like, aten.ones, aten.full,
    aten.arange,
}  # fmt: skip
ARITHMETIC = {
    aten.add, aten.sub, aten.mul, aten.div, aten.add_, aten.mul_, aten.sum, aten.neg, aten.pow,
    aten.mean, aten.rsqrt, aten.sqrt, aten.rsub, aten.clamp, aten.cos, aten.sin, aten.exp,
    aten.where, aten.maximum, aten.relu, aten.masked_fill, aten.abs,
}  # fmt: skip
ACTIVATIONS = (aten.gelu, aten.tanh, aten.silu, aten.sigmoid)
# FLOPs per element of the largest tensor that an operator touches.
ELEMENTWISE = (
    dict.fromkeys(MOVES, 0)
    | dict.fromkeys(ARITHMETIC, 1)
    | dict.fromkeys(ACTIVATIONS, UNFUSED.activation_flops)
    | {aten._softmax: UNFUSED.softmax_flops, aten.native_layer_norm: UNFUSED.norm_flops}
)


def trace(function: Callable, *args, **kwargs) -> "TracedCounts":
    """Counts of `function(*args, **kwargs)`, which is run once.

    FLOPs: those of matmuls as 2mnk, of other operators as the conventions of
    `analysis.predicted` say per element. Bytes: every tensor that is read and every one that is
    written, at the elements that it has in memory (an expanded dimension once; a tensor given
    twice once); views are free, and an in-place operator reads and writes.

    The classes of the weights are those of the network whose method or self `function` is
    (`networks.Network.linears`); for anything else a matmul is "act_to_act".
    """
    network = getattr(function, "__self__", function)
    linears = network.linears() if hasattr(network, "linears") else []
    weights = {
        memory(tensor): linear.operator_class
        for linear in linears
        for tensor in (linear.weight, linear.bias)
        if tensor is not None
    }
    return traced(weights, function, *args, **kwargs)[0]


def traced(weights: Mapping[int, str], function: Callable, *args, **kwargs) -> tuple:
    """As `trace`, with the operator class of each weight by the identity of its memory; the counts,
    and what `function` returns."""
    with TracedCounts(weights) as counts:
        result = function(*args, **kwargs)
    return counts, result


class TracedCounts(TorchDispatchMode):
    """What is called within this context costs. `classes`: the operator classes and "total", each a
    Cost. `uncounted`: operator -> calls of it, which move and compute an unknown amount, not
    counted anywhere. Identities of weights' memory: `multiplied` are those that a matmul reads,
    `looked_up` those of which rows are, and `chosen` -> how many matrices of a weight were picked
    by their number."""

    def __init__(self, weights: Mapping[int, str]):
        super().__init__()
        self.weights, self.classes = weights, dict.fromkeys((*CLASSES, "total"), Cost())
        self.uncounted = Counter()
        self.multiplied, self.looked_up, self.chosen = set(), set(), {}
        self.source = {each: each for each in weights}  # of a copy, the weight that it is of
        self.whole = {*MATMULS, *ELEMENTWISE}  # operators that are made of no others
        self.copies = []  # kept, so that no other memory takes their identity

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled, and what could compile takes seconds to import

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        operator = func.overloadpacket
        if operator not in self.whole and func not in self.whole:
            with self:  # under inference_mode composite operators arrive whole
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
            self.whole.add(func)
        result = func(*args, **kwargs)
        if func.is_view or operator in FREE:
            return result
        if operator not in MATMULS and operator not in ELEMENTWISE:
            self.uncounted[str(operator)] += 1
            return result
        inputs = {name: value for name, value in kwargs.items() if name != "out"}
        self._count(operator, _tensors((args, inputs)), _tensors(result))
        self._follow(operator, args, result)
        return result

    def _follow(self, operator, args, result) -> None:
        """Notes which weights are looked up, picked from and copied."""
        source = self.source.get(memory(args[0])) if args and isinstance(args[0], Tensor) else None
        if source is None:
            return
        if operator in LOOKUPS:
            self.looked_up.add(source)
        if operator in COPIES:
            self.source[memory(result)] = source
            self.copies.append(result)
            if operator is aten.index:
                self.chosen[source] = len(result)

    def _count(self, operator, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        name = "other"
        if operator in MATMULS:
            flops = 2 * inputs[-1].shape[-2] * outputs[0].numel()  # a bias is in the 2k
            known = [s for each in inputs if (s := self.source.get(memory(each)))]
            self.multiplied.update(known)
            name = self.weights[known[0]] if known else "act_to_act"
        else:
            flops = ELEMENTWISE[operator] * max(each.numel() for each in inputs + outputs)
        written = sum(map(_bytes, outputs))
        read = inputs[1:] if operator in OVERWRITES | LOOKUPS else inputs
        read = sum(_bytes(each) for each in {id(each): each for each in read}.values())
        if operator in LOOKUPS:
            read += written
        for each in (name, "total"):
            self.classes[each] += Cost(flops, read, written)


def _tensors(tree) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _bytes(tensor: Tensor) -> int:
    """Bytes of the elements that a tensor has in memory."""
    sides = zip(tensor.shape, tensor.stride(), strict=True)
    return prod(size if stride else min(size, 1) for size, stride in sides) * tensor.itemsize
