"""The encoder (BERT) and the decoder (GPT-2) in torch, built from an `Architecture`.

For measuring: no dropout, no gradients, no padding masks, random weights unless they are copied
in. Every module whose matmuls belong to one of the paper's operator classes says so in
`operator_class`, which `analysis.measured.traced` reads.

Attention is a choice, over the same weights. "fused" is what a fast implementation does: one
projection to queries, keys and values, and one attention kernel. "unfused" is what is counted
operator by operator: three projections, scores, scale, mask, softmax and the weighted values.
"""

import math
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from analysis.errors import InputError
from analysis.predicted.architectures import Architecture

ATTENTION = ("fused", "unfused")
GELU = {"gelu": "none", "gelu_tanh": "tanh"}
BUILT = {  # what the networks can build; any other value of these fields is refused
    "activation": tuple(GELU),
    "norm": ("layernorm",),
    "positions": ("learned",),
    "gated_ffn": (False,),
    "qk_norm": (False,),
    "qkv_bias": (True,),
    "out_bias": (True,),
    "ffn_bias": (True,),
}
BUILT_ENCODER = BUILT | {"kind": ("encoder",), "lm_head": (False,)}
BUILT_DECODER = BUILT | {
    "kind": ("decoder",),
    "lm_head": (True,),
    "tied_embeddings": (True,),
    "token_types": (0,),
    "pooler": (False,),
}
SLICES = 8


class Linear(nn.Module):
    """(..., n_in) -> (..., n_out). `matrix` is the weight as (n_out, n_in), whatever the layout.

    The longer side of the weight is contiguous in memory, and on a CPU a single row in float32
    goes through the weight in slices, as a batched product. Both are for the decoder step, which
    must be limited by memory: a plain product with one row runs on one thread in MKL, and short
    contiguous runs defeat the prefetcher; together they cost half the read bandwidth.
    """

    def __init__(self, n_in: int, n_out: int, operator_class: str, bias: bool = True):
        super().__init__()
        self.n_in, self.n_out, self.operator_class = n_in, n_out, operator_class
        self.wide = n_out >= n_in
        self.slices = math.gcd(n_in if self.wide else n_out, SLICES)
        self.weight = nn.Parameter(torch.empty((n_in, n_out) if self.wide else (n_out, n_in)))
        self.bias = nn.Parameter(torch.empty(n_out)) if bias else None
        self.sliced = self.weight.device.type == "cpu" and self.weight.dtype == torch.float32

    @property
    def matrix(self) -> Tensor:
        return self.weight.t() if self.wide else self.weight

    def forward(self, x: Tensor, first: int = 0, last: int | None = None) -> Tensor:
        """The outputs [first, last), all by default; a part only of a wide matrix."""
        whole = last is None
        if self.sliced and x.numel() == self.n_in:
            y = self._one_row(x) if whole else self._one_row(x, slice(first, last))
            return y.view(*x.shape[:-1], -1)
        if whole:
            return F.linear(x, self.matrix, self.bias)
        return F.linear(x, self.matrix[first:last], self.bias[first:last])

    def _one_row(self, x: Tensor, part: slice | None = None) -> Tensor:
        n = self.slices
        if not self.wide:  # slices of the outputs, side by side
            columns = self.weight.view(n, -1, self.n_in).transpose(1, 2)
            x = x.view(1, 1, -1).expand(n, 1, -1)
            if self.bias is None:
                return torch.bmm(x, columns)
            return torch.baddbmm(self.bias.view(n, 1, -1), x, columns)
        rows, bias = self.weight.view(n, -1, self.n_out), self.bias  # slices of the inputs, summed
        if part is not None:
            rows, bias = rows[:, :, part], bias[part]
        y = torch.bmm(x.view(n, 1, -1), rows).sum(0)
        return y if bias is None else y.add_(bias)


class Attention(nn.Module):
    """Multi-head attention, (batch, rows, d_model) -> the same; with a cache, causal."""

    operator_class = "act_to_act"

    def __init__(self, arch: Architecture, fused: bool):
        super().__init__()
        self.fused, self.heads, self.width = fused, arch.n_heads, arch.d_attention
        self.scale = arch.head_dim**-0.5
        self.qkv = Linear(arch.d_model, 3 * self.width, "mha_projections")
        self.out = Linear(self.width, arch.d_model, "mha_projections")

    def forward(self, x: Tensor, cache: Tensor | None = None, context: int = 0, mask=None):
        """`cache`: (2, batch, heads, positions, head_dim). The rows are the last of `context`
        positions: a whole prompt (rows == context) under `mask`, or one row after it."""
        batch, rows, _ = x.shape
        shape = (batch, rows, self.heads, -1)
        if self.fused:
            parts = self.qkv(x).split(self.width, dim=-1)
        else:
            parts = [self.qkv(x, i * self.width, (i + 1) * self.width) for i in range(3)]
        q, k, v = (part.view(shape).transpose(1, 2) for part in parts)
        if cache is not None:
            keys, values = cache.unbind(0)
            keys.narrow(2, context - rows, rows).copy_(k)
            values.narrow(2, context - rows, rows).copy_(v)
            k, v = keys.narrow(2, 0, context), values.narrow(2, 0, context)
        causal = cache is not None and rows > 1
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        else:
            scores = torch.matmul(q, k.transpose(2, 3)) * self.scale
            if causal:
                scores = scores + mask[:rows, :rows]
            y = torch.matmul(F.softmax(scores, dim=-1), v)
        return self.out(y.transpose(1, 2).reshape(batch, rows, -1))


class FeedForward(nn.Module):
    def __init__(self, arch: Architecture):
        super().__init__()
        self.up = Linear(arch.d_model, arch.d_ff, "ffn_projections")
        self.down = Linear(arch.d_ff, arch.d_model, "ffn_projections")
        self.gelu = GELU[arch.activation]

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.gelu(self.up(x), approximate=self.gelu))


class Layer(nn.Module):
    """Attention and FFN, each with a residual add: normalised before (decoder) or after."""

    def __init__(self, arch: Architecture, fused: bool):
        super().__init__()
        self.attention, self.ffn = Attention(arch, fused), FeedForward(arch)
        self.norm1, self.norm2 = _norm(arch), _norm(arch)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(x + self.attention(x))
        return self.norm2(x + self.ffn(x))


class CausalLayer(Layer):
    def forward(self, x: Tensor, cache: Tensor, context: int, mask: Tensor | None) -> Tensor:
        x = x + self.attention(self.norm1(x), cache, context, mask)
        return x + self.ffn(self.norm2(x))


class Encoder(nn.Module):
    """BERT: embeddings, layers that normalise after each residual add, and the pooler.

    `max_length` is the longest sequence, by default `arch.n_positions`; the position table grows
    to it. Weights are random from `seed`, except on the device "meta", which has none.
    Raises InputError, naming the field, for an architecture that is not built here.
    """

    def __init__(self, arch, attention="fused", max_length=None, dtype=torch.float32,
                 device="cpu", seed=0):  # fmt: skip
        super().__init__()
        fused = _checked(arch, BUILT_ENCODER, attention)
        self.max_length = max_length or arch.n_positions
        with _defaults(dtype, device):
            self.words = _table(arch.vocab_size, arch)
            self.positions = _table(max(arch.n_positions, self.max_length), arch)
            self.types = _table(arch.token_types, arch) if arch.token_types else None
            self.norm = _norm(arch)
            self.layers = nn.ModuleList(Layer(arch, fused) for _ in range(arch.n_layers))
            self.pooler = None
            if arch.pooler:
                self.pooler = Linear(arch.d_model, arch.d_model, "ffn_projections")
        _randomise(self, seed)

    @torch.inference_mode()
    def forward(self, tokens: Tensor, types: Tensor | None = None):
        """tokens, types (all 0 by default): (batch, length) int64 -> last hidden states
        (batch, length, d_model), pooled (batch, d_model) or None without a pooler."""
        length = _within(tokens.shape[1], self.max_length, "a sequence")
        x = F.embedding(tokens, self.words)
        if self.types is not None:
            x = x + F.embedding(torch.zeros_like(tokens) if types is None else types, self.types)
        x = self.norm(x + self.positions[:length])
        for layer in self.layers:
            x = layer(x)
        return x, None if self.pooler is None else torch.tanh(self.pooler(x[:, :1]))[:, 0]


class Decoder(nn.Module):
    """GPT-2: embeddings, layers that normalise before, a last norm, and the tied LM head.

    The KV cache is allocated here, for `batch` sequences of up to `max_length` tokens (by default
    `arch.n_positions`), and filled with random numbers, so that a step can be timed at any context
    without the steps before it. `forward` and `step` fill it; nothing empties it: what a call
    says is its context is all that it reads. Otherwise as `Encoder`.

    A step at one context has fixed shapes and addresses (the cache is read through views of it),
    so on CUDA it can be captured as a graph and replayed, one graph a context; the tokens must
    then be written into the tensor that was captured.
    """

    def __init__(self, arch, attention="fused", batch=1, max_length=None, dtype=torch.float32,
                 device="cpu", seed=0):  # fmt: skip
        super().__init__()
        fused = _checked(arch, BUILT_DECODER, attention)
        self.max_length = n = max_length or arch.n_positions
        with _defaults(dtype, device):
            # Embedding and head share the head's layout: a step reads all of the head and one
            # row of the embedding, so a slow look-up costs less than a slow head.
            self.head = Linear(arch.d_model, arch.vocab_size, "ffn_projections", bias=False)
            self.positions = _table(max(arch.n_positions, n), arch)
            self.layers = nn.ModuleList(CausalLayer(arch, fused) for _ in range(arch.n_layers))
            self.norm = _norm(arch)
            shape = (arch.n_layers, 2, batch, arch.n_heads, n, arch.head_dim)
            self.register_buffer("cache", torch.empty(shape), persistent=False)
            mask = None if fused else torch.full((n, n), -math.inf).triu(1)
            self.register_buffer("mask", mask, persistent=False)
        _randomise(self, seed)

    @torch.inference_mode()
    def forward(self, tokens: Tensor) -> Tensor:
        """Prefill: tokens (batch, length) int64 -> logits (batch, length, vocabulary)."""
        return self._run(tokens, _within(tokens.shape[1], self.max_length, "a prompt"))

    @torch.inference_mode()
    def step(self, token: Tensor, context: int) -> Tensor:
        """One new token a sequence, (batch, 1) int64 -> logits (batch, 1, vocabulary). It attends
        to `context` tokens, itself included; the `context` - 1 before it are in the cache."""
        return self._run(token, _within(context, self.max_length, "a context"))

    def _run(self, tokens: Tensor, context: int) -> Tensor:
        rows = tokens.shape[1]
        x = F.embedding(tokens, self.head.matrix) + self.positions[context - rows : context]
        for layer, cache in zip(self.layers, self.cache.unbind(0), strict=True):
            x = layer(x, cache, context, self.mask)
        return self.head(self.norm(x))


def _checked(arch: Architecture, built: dict[str, tuple], attention: str) -> bool:
    """Whether attention is fused; InputError for what is not built."""
    if attention not in ATTENTION:
        raise InputError(f"attention is {attention!r}; allowed: {', '.join(ATTENTION)}")
    for field, allowed in (built | {"n_kv_heads": (arch.n_heads,)}).items():
        value = getattr(arch, field)
        if value not in allowed:
            raise InputError(
                f"{arch.name}: {field}={value!r} can be counted but is not built in torch; "
                f"built: {', '.join(map(repr, allowed))}"
            )
    return attention == "fused"


def _within(length: int, longest: int, what: str) -> int:
    if not 1 <= length <= longest:
        raise InputError(f"{what} of {length} tokens; this network was built for 1 to {longest}")
    return length


@contextmanager
def _defaults(dtype: torch.dtype, device: str | torch.device):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            yield
    finally:
        torch.set_default_dtype(before)


def _table(rows: int, arch: Architecture) -> nn.Parameter:
    return nn.Parameter(torch.empty(rows, arch.d_model))


def _norm(arch: Architecture) -> nn.LayerNorm:
    return nn.LayerNorm(arch.d_model, eps=arch.norm_eps)


def _randomise(network: nn.Module, seed: int) -> None:
    """Normal numbers of deviation 0.02, as both models are initialised, about 0 or, for the gains
    of a norm, about 1. A cache gets keys and values of deviation 1."""
    network.requires_grad_(False).eval()
    device = network.positions.device
    if device.type == "meta":
        return
    generator = torch.Generator(device).manual_seed(seed)
    for parameter in network.parameters():
        parameter.normal_(0, 0.02, generator=generator)
    for module in network.modules():
        if isinstance(module, nn.LayerNorm):
            module.weight.add_(1)
    if hasattr(network, "cache"):
        network.cache.normal_(generator=generator)
