"""Weights as integers: rounded, packed for the kernels that torch has, and put into a network.

Rounding is symmetric: all inputs of a row, or each group of them, share one scale. A network's
projections change and nothing else does: activations, the cache and the table that tokens are
looked up in stay as they are, and a projection converts its rows to what its kernel multiplies
fastest. Kernels, by the name of the format:

    bfloat16       a row through torch's own product of matrix and vector, not through oneDNN's
    int8           weight-only: integers are widened and multiplied with bfloat16
    int8-planes    the same integers as two halves of 4 bits each, through the kernel of int4
    int8-dynamic   activations become 8-bit integers too, by a scale found for each call
    int4           weight-only, in groups, with a scale and a zero point each

A format without a kernel on a device is refused in one line; other bits are dequantised.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import gcd

import torch
import torch.nn.functional as F
from torch import Tensor

from analysis.errors import InputError
from analysis.measured.linear import Linear
from analysis.measured.networks import PROJECTIONS, Network, copied

GROUP, WIDEST = 64, 256  # inputs that share a scale, of int4 and at most in its kernel
ROWS = 64  # the 4-bit kernel works on blocks of so many outputs


@dataclass(frozen=True)
class Quantised:
    """A weight (n_out, n_in) as integers `codes` times `scales` (n_out, groups)."""

    codes: Tensor
    scales: Tensor
    bits: int

    @property
    def group(self) -> int:
        """Inputs that share a scale."""
        return self.codes.shape[1] // self.scales.shape[1]

    @property
    def nbytes(self) -> float:
        """Bytes when packed, with scales of two bytes."""
        return self.codes.numel() * self.bits / 8 + 2 * self.scales.numel()

    def dequantised(self) -> Tensor:
        """The weight that the integers stand for, in float32."""
        grouped = self.codes.unflatten(1, (-1, self.group)).float()
        return (grouped * self.scales.unsqueeze(2)).flatten(1)


def quantise(weight: Tensor, bits: int, group: int | None = None) -> Quantised:
    """Round `weight` to integers of `bits`, with a scale for each `group` of inputs; None: a row.

    Raises InputError for bits outside 2 to 16 and for a group that does not divide the inputs.
    """
    group = group or weight.shape[1]
    if not 2 <= bits <= 16:
        raise InputError(f"{bits} bits; weights are rounded to 2 to 16")
    if group < 1 or weight.shape[1] % group:
        raise InputError(f"groups of {group} do not divide {weight.shape[1]} inputs")
    most, grouped = 2 ** (bits - 1) - 1, weight.float().unflatten(1, (-1, group))
    scales = grouped.abs().amax(2).div(most).clamp_min(1e-12)
    codes = grouped.div(scales.unsqueeze(2)).round_().flatten(1)
    return Quantised(codes.to(torch.int8 if bits <= 8 else torch.int16), scales, bits)


class Packed(Linear):
    """A projection through `multiply`, which takes rows of `dtype` and returns its own, with the
    bias added if it `adds`."""

    def __init__(self, like: Linear, multiply: Callable, dtype, nbytes: int, adds: bool = False):
        self.multiply, self.dtype, self.nbytes = multiply, dtype, nbytes
        self.bias, self.operator_class = like.bias, like.operator_class
        self.adds = adds or like.bias is None

    def __call__(self, x: Tensor) -> Tensor:
        y = self.multiply(x.to(self.dtype))
        return y.to(x.dtype) if self.adds else self.bias + y  # in the wider of both types


def _int8(weight: Quantised) -> tuple:
    codes, scales = weight.codes, weight.scales[:, 0].bfloat16()
    size = codes.nbytes + scales.nbytes
    return lambda x: torch._weight_int8pack_mm(x, codes, scales), torch.bfloat16, size


def _int4(weight: Quantised) -> tuple:
    return _in_4_bits(weight.codes.int() + 8, weight.scales, torch.zeros_like(weight.scales))


def _planes(weight: Quantised) -> tuple:
    """w = 16 h + l, -8 <= h < 8 and 0 <= l < 16, side by side: rows twice as long."""
    codes, n_in = weight.codes.int(), weight.codes.shape[1]
    high = torch.div(codes, 16, rounding_mode="floor")
    scales = weight.scales.bfloat16().float()  # the same in both planes
    scales = scales.expand(-1, n_in // gcd(n_in, WIDEST))
    multiply, dtype, size = _in_4_bits(
        torch.cat((high + 8, codes - 16 * high), 1),
        torch.cat((16 * scales, scales), 1),
        torch.cat((torch.zeros_like(scales), 8 * scales), 1),
    )
    return lambda x: multiply(torch.cat((x, x), 1)), dtype, size


def _in_4_bits(codes: Tensor, scales: Tensor, zeros: Tensor) -> tuple:
    """The 4-bit kernel: (codes - 8) * scales + zeros, group by group, codes from 0 to 15."""
    n, group = len(codes), codes.shape[1] // scales.shape[1]
    above = (0, 0, 0, -n % ROWS)
    pairs = torch.stack([F.pad(each, above).t() for each in (scales, zeros)], 2)
    pairs = pairs.bfloat16().contiguous()
    packed = torch._convert_weight_to_int4pack_for_cpu(F.pad(codes, above), 1)

    def multiply(x: Tensor) -> Tensor:
        return torch._weight_int4pack_mm_for_cpu(x, packed, group, pairs)[:, :n]

    return multiply, torch.bfloat16, packed.nbytes + pairs.nbytes


def _dynamic_int8(weight: Quantised, bias: Tensor | None) -> tuple:
    if saturates():
        raise InputError("8-bit activations overflow in the kernel for this processor")
    size = weight.codes.nbytes + 4 * len(weight.scales)
    return _with_activations(weight, bias), torch.float32, size


@cache
def saturates() -> bool:
    """Whether the kernel adds pairs of products in 16 bits, as it does without VNNI: 255 x 127
    twice is more than they hold."""
    ones, most = torch.ones(1, 64), torch.full((1, 64), 127, dtype=torch.int8)
    multiply = _with_activations(Quantised(most, torch.ones(1, 1), 8))
    return not torch.allclose(multiply(ones), torch.tensor(64 * 127.0), rtol=0.01)


def _with_activations(weight: Quantised, bias: Tensor | None = None) -> Callable[[Tensor], Tensor]:
    scales = weight.scales[:, 0].double()
    zeros = torch.zeros(len(scales), dtype=torch.long)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this way of packing will go
        whole = torch._make_per_channel_quantized_tensor(weight.codes, scales, zeros, 0)
        packed = torch.ops.quantized.linear_prepack(whole, bias)
    return lambda x: torch.ops.quantized.linear_dynamic(x, packed)


def bfloat16(linear: Linear) -> Packed:
    """A projection with its weight in bfloat16."""
    weight = linear.weight.bfloat16()

    def multiply(x: Tensor) -> Tensor:
        if len(x) > 1 or x.device.type != "cpu":
            return F.linear(x, weight)
        onednn, before = torch.backends.mkldnn, torch.backends.mkldnn.enabled
        onednn.enabled = False
        try:
            return F.linear(x, weight)
        finally:
            onednn.enabled = before

    return Packed(linear, multiply, torch.bfloat16, weight.nbytes)


def with_projections(network: Network, change: Callable[[Linear], Linear]) -> Network:
    """A copy of `network` that shares all but its projections, which `change` makes.

    Raises InputError where attention is unfused: its parts are views of a whole weight."""
    network = copied(network)
    for layer in network.layers:
        if not layer.fused:
            raise InputError("only networks with fused attention are quantised")
        for name in PROJECTIONS:
            setattr(layer, name, change(getattr(layer, name)))
    for name, each in list(vars(network).items()):
        if isinstance(each, Linear):
            setattr(network, name, change(each))
    return network


def dequantised(linear: Linear, bits: int, group: int | None = None) -> Linear:
    """A projection with the weight that its integers stand for, and their bytes; see `quantise`."""
    found = quantise(linear.weight, bits, group)
    new = Linear(found.dequantised(), linear.bias, linear.operator_class)
    new.nbytes = found.nbytes
    return new


def packed(
    build: Callable[..., tuple], bits: int, group: int | None = None, adds: bool = False
) -> Callable:
    """How to make a projection into one through a kernel for these bits, which `adds` the bias."""

    def change(linear: Linear) -> Packed:
        if (device := linear.weight.device.type) != "cpu":
            raise InputError(f"no {bits}-bit kernel for {device} is used here")
        bias = [linear.bias] * adds
        return Packed(linear, *build(quantise(linear.weight, bits, group), *bias), adds)

    return change


FORMATS: dict[str, Callable[[Linear], Linear]] = {
    "float32": lambda linear: linear,
    "bfloat16": bfloat16,
    "int8": packed(_int8, 8),
    "int8-planes": packed(_planes, 8),
    "int8-dynamic": packed(_dynamic_int8, 8, adds=True),
    "int4": packed(_int4, 4, GROUP),
}
