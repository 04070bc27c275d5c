"""Pruned decoders: without some heads and neurons, or with zeros in place of the least weights.

Which go is read off the weights alone: an unstructured weight by its magnitude within its matrix, a
head by its values' norm times that of what it puts out, a neuron by its row's times its column's.
Steps of such decoders are timed in `analysis.measured.serving`.
"""

import warnings

import torch
from torch import Tensor

from analysis.measured.linear import Linear
from analysis.measured.networks import Decoder, copied
from analysis.measured.quantised import with_projections
from analysis.predicted.pruning import kept


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
    network = copied(network)
    for layer in network.layers:
        values = layer.qkv.weight.unflatten(0, (3, layer.heads, -1))[2]  # heads, width, inputs
        out = layer.out.weight.unflatten(1, (layer.heads, -1)).transpose(0, 1)
        heads = _best(values.flatten(1).norm(dim=1) * out.flatten(1).norm(dim=1), share)
        neurons = _best(layer.up.weight.norm(dim=1) * layer.down.weight.norm(dim=0), share)
        places = torch.arange(len(layer.qkv.weight), device=heads.device)
        places = places.view(3, layer.heads, -1)[:, heads].flatten(1)
        layer.qkv = _part(layer.qkv, places.flatten())
        layer.out = _part(layer.out, columns=places[0])
        layer.up, layer.down = _part(layer.up, neurons), _part(layer.down, columns=neurons)
        layer.heads = layer.kv_heads = len(heads)
    network.cache = network.cache[:, :, :, : len(heads)].contiguous()
    network.layer_caches = network.cache.unbind(0)
    return network


def _best(worth: Tensor, share: float) -> Tensor:
    """Which are kept, in their order."""
    return worth.topk(kept(len(worth), share)).indices.sort().values


def _part(whole: Linear, rows=slice(None), columns=slice(None)) -> Linear:
    weight = whole.weight[rows][:, columns].contiguous()
    return Linear(weight, whole.bias[rows], whole.operator_class)


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
