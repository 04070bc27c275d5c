"""Pruned decoders: without some heads and neurons, or with zeros in place of the least weights.

Which go is read off the weights alone: an unstructured weight by its magnitude within its matrix, a
head by its values' norm times that of what it puts out, a neuron by its row's times its column's.

Steps at GPT-2's size with `n` per cent zeros are timed in turn, in dense matrices ("zeros") and in
compressed sparse rows ("csr"); those without heads and neurons are in `analysis.measured.serving`.
"""

import copy
import warnings

import torch
from torch import Tensor

from analysis.measured.linear import Linear
from analysis.measured.networks import Decoder
from analysis.measured.quantised import with_projections
from analysis.measured.timing import Budget, Key, Task
from analysis.measured.works import DRAWN, READ_BYTES, Works, in_turn
from analysis.predicted.architectures import GPT2
from analysis.predicted.operations import FUSED, Cost
from analysis.predicted.pruning import kept, layer_weights, sparse_bytes
from analysis.predicted.transformer import decoder_step

CONTEXT = 128
SPARSE = (30, 50, 60, 70, 80, 90, 95)  # per cent, in compressed sparse rows
ZEROS = (0, 50, 90)
SLOWER = 3  # to plan with: how many times the time of their bytes sparse rows take


def mask(weight: Tensor, share: float) -> Tensor:
    """Ones where a weight stays: all but the `share` of least magnitude."""
    if not (gone := round(share * weight.numel())):
        return torch.ones_like(weight)
    magnitudes = weight.abs()
    return (magnitudes > magnitudes.flatten().kthvalue(gone).values).to(weight.dtype)


def with_zeros(network: Decoder, share: float, build=Linear) -> Decoder:
    """A copy whose layers' matrices have `share` zeros each."""

    def change(linear: Linear) -> Linear:
        if linear is network.head:
            return linear
        weight = linear.weight * mask(linear.weight, share)
        return build(weight, linear.bias, linear.operator_class)

    return with_projections(network, change)


def smaller(network: Decoder, share: float) -> Decoder:
    """A copy without `share` of each layer's heads and neurons; its matrices are smaller."""
    network = copy.copy(network)
    network.layers = [_smaller(layer, share) for layer in network.layers]
    network.cache = network.cache[:, :, :, : network.layers[0].heads].contiguous()
    network.layer_caches = network.cache.unbind(0)
    return network


def _smaller(layer, share: float):
    layer = copy.copy(layer)
    qkv = layer.qkv.weight.unflatten(0, (3, layer.heads, -1))  # parts, heads, width, inputs
    out = layer.out.weight.unflatten(1, (layer.heads, -1))
    worth = qkv[2].flatten(1).norm(dim=1) * out.transpose(0, 1).flatten(1).norm(dim=1)
    heads = _best(worth, share)
    neurons = _best(layer.up.weight.norm(dim=1) * layer.down.weight.norm(dim=0), share)
    bias = layer.qkv.bias.unflatten(0, (3, layer.heads, -1))[:, heads].flatten()
    layer.qkv = _linear(layer.qkv, qkv[:, heads].flatten(0, 2), bias)
    layer.out = _linear(layer.out, out[:, heads].flatten(1), layer.out.bias)
    layer.up = _linear(layer.up, layer.up.weight[neurons], layer.up.bias[neurons])
    layer.down = _linear(layer.down, layer.down.weight[:, neurons], layer.down.bias)
    layer.heads = layer.kv_heads = len(heads)
    return layer


def _best(worth: Tensor, share: float) -> Tensor:
    """Which are kept, in their order."""
    return worth.topk(kept(len(worth), share)).indices.sort().values


def _linear(like: Linear, weight: Tensor, bias: Tensor) -> Linear:
    return Linear(weight.contiguous(), bias, like.operator_class)


class Sparse(Linear):
    """A projection whose weight is in compressed sparse rows, with indices of four bytes, which
    MKL reads as they are."""

    def __init__(self, weight: Tensor, bias: Tensor, operator_class: str):
        self.bias, self.operator_class = bias, operator_class
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that sparse tensors may change
            rows = weight.to_sparse_csr()
            parts = rows.crow_indices().int(), rows.col_indices().int(), rows.values()
            self.weight = torch.sparse_csr_tensor(*parts, weight.shape)
        self.nbytes = sum(part.nbytes for part in parts)

    def __call__(self, x: Tensor) -> Tensor:
        if len(x) > 1:
            return (self.weight @ x.t()).t() + self.bias
        return torch.mv(self.weight, x[0]).add_(self.bias).unsqueeze(0)


def zeros_task(device: str, budget: Budget, threads: int) -> Task:
    """Steps with zeros, dense and sparse."""

    def key(how: str, share: int) -> Key:
        return Key("prune", "gpt2", CONTEXT, how=how, n=share)

    def prepare(works: Works) -> None:
        whole = Decoder(GPT2, max_length=CONTEXT, device=device)
        for share in ZEROS:
            network = with_zeros(whole, share / 100)
            works.step(key("zeros", share), network, GPT2, parameters=GPT2.n_parameters,
                       weight_bytes=4 * weights)  # fmt: skip
        for share in SPARSE:
            network = with_zeros(whole, share / 100, Sparse)
            size = sum(x.nbytes for x in network.linears() if isinstance(x, Sparse))
            cost = Cost(dense.flops, dense.bytes - 4 * weights + size)
            works.step(key("csr", share), network, GPT2, cost, weight_bytes=size)
        works.read(Key("read", how=f"prune {CONTEXT} zeros"))

    weights, _ = layer_weights(GPT2)
    dense = decoder_step(GPT2, CONTEXT, FUSED)["total"]
    held = [4 * weights] * len(ZEROS) + [sparse_bytes(GPT2, share / 100) for share in SPARSE]
    costs = [Cost(0, SLOWER * (dense.bytes - 4 * weights + each)) for each in held]
    memory = sum(held) + 4 * GPT2.n_parameters + READ_BYTES
    before = DRAWN * (GPT2.n_parameters + SLOWER * sum(held) / 4)  # drawn, and made sparse
    return in_turn(key("zeros", ZEROS[0]), prepare, costs, memory, device, budget, threads, before)
