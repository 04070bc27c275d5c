"""Weights as integers: rounded, packed for the kernels that torch has, and put into a network.

Rounding is symmetric: all inputs of a row, or each group of them, share one scale. A network's
projections change and nothing else does: activations, the cache and the table that tokens are
looked up in stay as they are, and a projection converts its rows to what its kernel multiplies
fastest. Kernels, by the name of the format:

    bfloat16       a row through torch's own product of matrix and vector, not through oneDNN's
    int8           weight-only: integers are widened and multiplied with bfloat16
    int8-dynamic   activations become 8-bit integers too, by a scale found for each call
    int4           weight-only, in groups, with a scale and a zero point each

A format without a kernel on a device is refused in one line; other bits are dequantised.
"""

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from analysis.errors import InputError
from analysis.measured.networks import Decoder, Linear, Network

GROUPS = (32, 64, 128, 256)  # of inputs that share a scale in the 4-bit kernel
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

    def linear(self, bias: Tensor | None, operator_class: str, dynamic=False) -> Linear:
        """The projection: through a kernel for these bits, or else with the dequantised weight."""
        if self.bits == 8 and self.scales.shape[1] == 1:
            build = _dynamic_int8 if dynamic else _int8
        elif self.bits == 4 and self.group in GROUPS:
            build = _int4
        else:
            return Linear(self.dequantised(), bias, operator_class)
        if self.codes.device.type != "cpu":
            raise InputError(f"no {self.bits}-bit kernel for {self.codes.device.type} is used here")
        return Packed(*build(self), bias, operator_class)


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
    """A projection through `multiply`, which takes rows of `dtype` and returns its own."""

    def __init__(self, multiply: Callable, dtype, nbytes: int, bias, operator_class: str):
        self.multiply, self.dtype, self.nbytes = multiply, dtype, nbytes
        self.bias, self.operator_class = bias, operator_class

    def __call__(self, x: Tensor) -> Tensor:
        y = self.multiply(x.to(self.dtype)).to(x.dtype)
        return y if self.bias is None else y.add_(self.bias)


def _int8(weight: Quantised) -> tuple:
    codes, scales = weight.codes, weight.scales[:, 0].bfloat16()
    size = codes.nbytes + scales.nbytes
    return lambda x: torch._weight_int8pack_mm(x, codes, scales), torch.bfloat16, size


def _int4(weight: Quantised) -> tuple:
    n, group = len(weight.codes), weight.group
    above = -n % ROWS
    codes = F.pad(weight.codes.int() + 8, (0, 0, 0, above))
    scales = F.pad(weight.scales, (0, 0, 0, above)).t()
    scales = torch.stack((scales, torch.zeros_like(scales)), 2).bfloat16().contiguous()
    packed = torch._convert_weight_to_int4pack_for_cpu(codes, 1)

    def multiply(x: Tensor) -> Tensor:
        return torch._weight_int4pack_mm_for_cpu(x, packed, group, scales)[:, :n]

    return multiply, torch.bfloat16, packed.nbytes + scales.nbytes


def _dynamic_int8(weight: Quantised) -> tuple:
    scales = weight.scales[:, 0].double()
    zeros = torch.zeros(len(scales), dtype=torch.long)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this way of packing will go
        whole = torch._make_per_channel_quantized_tensor(weight.codes, scales, zeros, 0)
        packed = torch.ops.quantized.linear_prepack(whole, None)
    size = weight.codes.nbytes + 4 * len(scales)
    return lambda x: torch.ops.quantized.linear_dynamic(x, packed), torch.float32, size


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

    return Packed(multiply, torch.bfloat16, weight.nbytes, linear.bias, linear.operator_class)


def with_projections(network: Network, change: Callable[[Linear], Linear]) -> Network:
    """A copy of `network` that shares all but its projections, which `change` makes.

    Raises InputError where attention is unfused: its parts are views of a whole weight."""
    network = copy.copy(network)
    network.layers = [copy.copy(layer) for layer in network.layers]
    for layer in network.layers:
        if not layer.fused:
            raise InputError("only networks with fused attention are quantised")
        for name in ("qkv", "out", "up", "down"):
            setattr(layer, name, change(getattr(layer, name)))
    for name, each in list(vars(network).items()):
        if isinstance(each, Linear):
            setattr(network, name, change(each))
    return network


def quantised(network: Decoder, bits: int, group: int | None = None, dynamic=False) -> Decoder:
    """A copy of `network` whose projections have weights of `bits`; see `quantise`."""

    def change(linear: Linear) -> Linear:
        found = quantise(linear.weight, bits, group)
        return found.linear(linear.bias, linear.operator_class, dynamic)

    return with_projections(network, change)
