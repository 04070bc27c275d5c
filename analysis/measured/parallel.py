"""BERT's pass and GPT-2's step split over processes by torch's own tensor parallelism; and GPT-2
as a whole, to be trained by them.

Torch modules, which the parallelism needs. Random weights, the same shapes and operators as
`analysis.measured.networks` with fused attention. What is split is layers only: embeddings and
heads are not split by it.
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from analysis.predicted.architectures import Architecture

STYLES = {"query": "Colwise", "key": "Colwise", "value": "Colwise", "out": "Rowwise",
          "up": "Colwise", "down": "Rowwise"}  # fmt: skip


class Layer(nn.Module):
    """Attention and FFN of (rows, width); a decoder's row attends to a cache of random keys."""

    def __init__(self, arch: Architecture, context: int):
        super().__init__()
        d, f = arch.d_model, arch.d_ff
        self.width, self.decodes = arch.head_dim, arch.kind == "decoder"
        self.query, self.key, self.value, self.out = (nn.Linear(d, d) for _ in range(4))
        self.up, self.down = nn.Linear(d, f), nn.Linear(f, d)
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        if self.decodes:
            self.cache = torch.randn(2, 1, arch.n_heads, context, self.width)

    def forward(self, x: Tensor) -> Tensor:
        if self.decodes:
            x = x + self.attend(self.norm1(x))
            return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))
        x = self.norm1(x + self.attend(x))
        return self.norm2(x + self.down(F.gelu(self.up(x))))

    def attend(self, x: Tensor) -> Tensor:
        def split(projected: Tensor) -> Tensor:  # into the heads of this process
            return projected.view(1, len(x), -1, self.width).transpose(1, 2)

        q, k, v = (split(part(x)) for part in (self.query, self.key, self.value))
        if self.decodes:
            self.cache[0, ..., -1:, :].copy_(k)
            self.cache[1, ..., -1:, :].copy_(v)
            k, v = self.cache.unbind(0)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.out(y.transpose(1, 2).reshape(len(x), -1))


def stack(
    arch: Architecture, length: int, mesh=None, device: torch.device | str = "cpu"
) -> tuple[nn.Module, Tensor]:
    """The layers of `arch` on `device`, split over `mesh` if there is one, and an input: `length`
    tokens for an encoder, one row with a cache of `length` for a decoder."""
    torch.manual_seed(0)
    with torch.device(device):
        layers = nn.Sequential(*(Layer(arch, length) for _ in range(arch.n_layers))).eval()
        x = torch.randn(1 if arch.kind == "decoder" else length, arch.d_model)
    if mesh is not None:
        from torch.distributed.tensor import parallel

        for layer in layers:
            plan = {name: getattr(parallel, f"{style}Parallel")() for name, style in STYLES.items()}
            parallel.parallelize_module(layer, mesh, plan)
            if layer.decodes:
                own = layer.cache.chunk(mesh.size(), 2)[mesh.get_rank()]
                layer.cache = own.contiguous()
    return layers, x


class Trainable(nn.Module):
    """GPT-2 of torch's own layers: tokens (batch, length) -> logits of the tied head."""

    def __init__(self, arch: Architecture):
        super().__init__()
        d, gelu = arch.d_model, partial(F.gelu, approximate="tanh")
        self.words, self.norm = nn.Embedding(arch.vocab_size, d), nn.LayerNorm(d)
        self.positions = nn.Embedding(arch.n_positions, d)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                d, arch.n_heads, arch.d_ff, 0, gelu, batch_first=True, norm_first=True
            )
            for _ in range(arch.n_layers)
        )
        for matrix in (each for each in self.parameters() if each.dim() > 1):
            nn.init.normal_(matrix, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.words(tokens) + self.positions.weight[: tokens.shape[1]]
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1], x.device)
        for layer in self.layers:
            x = layer(x, mask, is_causal=True)
        return F.linear(self.norm(x), self.words.weight)
