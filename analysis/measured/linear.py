"""A projection, which reads its weight at the bandwidth of memory even for a single row."""

import torch
import torch.nn.functional as F
from torch import Tensor

from analysis.measured.libraries import PLAIN, by_slices, fastest, sliced

MKL = torch.backends.mkl.is_available()


class Linear:
    """(rows, n_in) -> (rows, n_out): x W^T + b, `weight` (n_out, n_in), `bias` (n_out,) or None.

    On a CPU with MKL a single row in float32 goes through slices of the weight's rows, as one
    batched product of matrices and columns: a product with one row would run on one thread, at a
    third of the read bandwidth. A column is the view of a row; MKL is slow with any other. More
    rows go through the fastest library that torch has for them (`analysis.measured.libraries`).
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, operator_class: str):
        self.weight, self.bias, self.operator_class = weight, bias, operator_class
        self.nbytes = weight.nbytes  # of the weight as it is stored, scales included
        self.slices = None
        self.packed = {}  # by library: the version of the weight that was packed, and the result
        if weight.device.type == "cpu" and weight.dtype == torch.float32 and MKL:
            self.slices = sliced(weight)

    def __call__(self, x: Tensor) -> Tensor:
        if self.slices is None or len(x) > 1:
            return self.many(x)
        n, _, width = self.slices.shape
        column = x.as_strided((n, width, 1), (0, 1, width))
        return by_slices(column, self.slices, self.bias).view(1, -1)

    def many(self, x: Tensor) -> Tensor:
        """By the fastest library; with gradients by the one that torch knows them of."""
        if torch.is_grad_enabled() or x.device.type != "cpu" or len(x) == 1:
            return F.linear(x, self.weight, self.bias)
        weight, (n_out, n_in) = self.weight, self.weight.shape
        library = fastest(len(x), n_in, n_out, weight.dtype, weight.device.type)
        if library is PLAIN:
            return F.linear(x, weight, self.bias)
        version = 0 if weight.is_inference() else weight._version
        if self.packed.get(library.name, (None,))[0] != version:
            self.packed[library.name] = version, library.pack(weight, len(x))
        return library.product(x, self.packed[library.name][1], weight, self.bias)

    @property
    def library(self) -> str:
        """The library of what was multiplied so far, by more than one row."""
        return ", ".join(self.packed) or PLAIN.name

    def split(self, parts: int) -> list["Linear"]:
        """Equal parts of the outputs, sharing memory with the whole."""
        pairs = zip(self.weight.chunk(parts), self.bias.chunk(parts), strict=True)
        return [Linear(weight, bias, self.operator_class) for weight, bias in pairs]
