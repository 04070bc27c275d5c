"""The encoder (BERT) and the decoder (GPT-2) in torch, built from an `Architecture`.

For measuring: no dropout, no gradients, no padding masks, and random weights unless others are
copied in. They are plain objects, not torch modules: at batch 1 a decoder step is some 200 small
operators, and what Python does between them would be a fifth of its time.

Attention is a choice, over the same weights. "fused" is what a fast implementation does: one
projection to queries, keys and values, and one attention kernel. "unfused" is what is counted
operator by operator: three projections, scores, scale, mask, softmax and the weighted values.

Activations are (batch * rows, width), a row being a token.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from analysis.errors import InputError
from analysis.predicted.architectures import Architecture

MKL = torch.backends.mkl.is_available()
ATTENTION = ("fused", "unfused")
GELU = {"gelu": "none", "gelu_tanh": "tanh"}
BUILT = {  # what can be built here; any other value of these fields is refused
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


class Linear:
    """(rows, n_in) -> (rows, n_out): x W^T + b, `weight` (n_out, n_in), `bias` (n_out,) or None.

    On a CPU with MKL a single row in float32 goes through the weight in slices, as one batched
    product: a product with one row would run on one thread, at half the read bandwidth or less.
    The slices are of the outputs, side by side, or of the inputs, summed: whichever leaves the
    longer runs of contiguous memory (see `Weights.linear`), which the prefetcher needs.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, operator_class: str):
        self.weight, self.bias, self.operator_class = weight, bias, operator_class
        self.wide, self.slices = weight.stride(0) == 1, None
        if weight.device.type == "cpu" and weight.dtype == torch.float32 and MKL:
            n_out, n_in = weight.shape
            threads = max(4, torch.get_num_threads())
            n = math.gcd(n_in if self.wide else n_out, 1 << (threads - 1).bit_length())
            if self.wide:  # (slices, n_in / slices, n_out)
                self.slices = weight.t().unflatten(0, (n, -1))
            else:  # (slices, n_in, n_out / slices)
                self.slices = weight.unflatten(0, (n, -1)).transpose(1, 2)

    def __call__(self, x: Tensor) -> Tensor:
        if self.slices is None or len(x) > 1:
            return F.linear(x, self.weight, self.bias)
        n = len(self.slices)
        if self.wide:
            y = torch.bmm(x.view(n, 1, -1), self.slices).sum(0)
        else:
            y = torch.bmm(x.expand(n, 1, -1), self.slices).view(1, -1)
        return y if self.bias is None else y.add_(self.bias)

    def split(self, parts: int) -> list["Linear"]:
        """Equal parts of the outputs, sharing memory with the whole."""
        pairs = zip(self.weight.chunk(parts), self.bias.chunk(parts), strict=True)
        return [Linear(weight, bias, self.operator_class) for weight, bias in pairs]


class Norm:
    """Layer norm."""

    def __init__(self, gain: Tensor, bias: Tensor, eps: float):
        self.gain, self.bias, self.eps = gain, bias, eps

    def __call__(self, x: Tensor) -> Tensor:
        return torch.layer_norm(x, self.bias.shape, self.gain, self.bias, self.eps)


class Weights:
    """Makes random weights: normal, of deviation 0.02, as both models are initialised."""

    def __init__(self, dtype: torch.dtype, device: str | torch.device, seed: int):
        self.factory = {"dtype": dtype, "device": device}
        self.generator = None  # the device "meta" has no numbers
        if torch.device(device).type != "meta":
            self.generator = torch.Generator(device).manual_seed(seed)

    def normal(self, *shape: int, mean: float = 0, std: float = 0.02) -> Tensor:
        return torch.empty(shape, **self.factory).normal_(mean, std, generator=self.generator)

    def linear(self, n_in: int, n_out: int, operator_class: str, bias: bool = True) -> Linear:
        """The longer side of the weight is contiguous in memory."""
        weight = self.normal(n_in, n_out).t() if n_out >= n_in else self.normal(n_out, n_in)
        return Linear(weight, self.normal(n_out) if bias else None, operator_class)

    def norm(self, arch: Architecture) -> Norm:
        return Norm(self.normal(arch.d_model, mean=1), self.normal(arch.d_model), arch.norm_eps)


class Layer:
    """Attention and FFN, each with a residual add and normalised before it (decoder) or after."""

    def __init__(self, arch: Architecture, weights: Weights, fused: bool):
        d, f, width = arch.d_model, arch.d_ff, arch.d_attention
        self.fused, self.heads, self.scale = fused, arch.n_heads, arch.head_dim**-0.5
        self.gelu, self.decodes = GELU[arch.activation], arch.kind == "decoder"
        self.qkv = weights.linear(d, 3 * width, "mha_projections")
        self.out = weights.linear(width, d, "mha_projections")
        self.up = weights.linear(d, f, "ffn_projections")
        self.down = weights.linear(f, d, "ffn_projections")
        self.norm1, self.norm2 = weights.norm(arch), weights.norm(arch)
        self.q_k_v = None if fused else self.qkv.split(3)

    def __call__(self, x, batch, cache=None, context=0, mask=None) -> Tensor:
        if self.decodes:
            x = x + self.attention(self.norm1(x), batch, cache, context, mask)
            return x + self.ffn(self.norm2(x))
        x = self.norm1(x + self.attention(x, batch))
        return self.norm2(x + self.ffn(x))

    def ffn(self, x: Tensor) -> Tensor:
        return self.down(F.gelu(self.up(x), approximate=self.gelu))

    def attention(self, x: Tensor, batch: int, cache=None, context=0, mask=None) -> Tensor:
        """Multi-head attention; with a `cache`, (2, batch, heads, positions, head_dim), causal.
        The rows are then the last of `context` positions: all of them, or one."""
        rows = len(x) // batch
        if self.fused:
            qkv = self.qkv(x).view(batch, rows, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
            q, kv = qkv[0], qkv[1:]
            if cache is not None:
                cache.narrow(3, context - rows, rows).copy_(kv)
                kv = cache.narrow(3, 0, context)
            y = F.scaled_dot_product_attention(q, kv[0], kv[1], is_causal=self.decodes and rows > 1)
        else:
            shape = (batch, rows, self.heads, -1)
            q, k, v = (part(x).view(shape).transpose(1, 2) for part in self.q_k_v)
            if cache is not None:
                for stored, new in zip(cache, (k, v), strict=True):
                    stored.narrow(2, context - rows, rows).copy_(new)
                k, v = cache.narrow(3, 0, context)
            scores = torch.matmul(q, k.transpose(2, 3)) * self.scale
            if self.decodes and rows > 1:
                scores = scores + mask[:rows, :rows]
            y = torch.matmul(torch.softmax(scores, -1), v)
        return self.out(y.transpose(1, 2).reshape(len(x), -1))


class Network:
    """What both have: the layers, and the sizes that they were built for."""

    def __init__(self, arch, built, attention, max_length, weights):
        if attention not in ATTENTION:
            raise InputError(f"attention is {attention!r}; allowed: {', '.join(ATTENTION)}")
        for field, allowed in (built | {"n_kv_heads": (arch.n_heads,)}).items():
            if (value := getattr(arch, field)) not in allowed:
                raise InputError(
                    f"{arch.name}: {field}={value!r} can be counted but is not built in torch; "
                    f"built: {', '.join(map(repr, allowed))}"
                )
        self.arch, self.max_length = arch, max_length or arch.n_positions
        fused = attention == "fused"
        self.layers = [Layer(arch, weights, fused) for _ in range(arch.n_layers)]
        self.positions = weights.normal(max(arch.n_positions, self.max_length), arch.d_model)
        self.norm = weights.norm(arch)

    def linears(self) -> list[Linear]:
        """Every projection, once; `analysis.measured.traced` reads their operator classes."""
        inside = [each for x in self.layers for each in (x.qkv, x.out, x.up, x.down)]
        return inside + [each for each in vars(self).values() if isinstance(each, Linear)]

    def check_length(self, length: int) -> int:
        if not 1 <= length <= self.max_length:
            raise InputError(f"{length} tokens; this network was built for 1 to {self.max_length}")
        return length


class Encoder(Network):
    """BERT: embeddings, layers that normalise after each residual add, and the pooler.

    `max_length` is the longest sequence, by default `arch.n_positions`; the position table grows
    to it. Weights are random from `seed`, except on the device "meta", which has none.
    Raises InputError, naming the field, for an architecture that is not built here.
    """

    def __init__(self, arch, attention="fused", max_length=None, dtype=torch.float32,
                 device="cpu", seed=0):  # fmt: skip
        weights, d = Weights(dtype, device, seed), arch.d_model
        super().__init__(arch, BUILT_ENCODER, attention, max_length, weights)
        self.words = weights.normal(arch.vocab_size, d)
        self.types = weights.normal(arch.token_types, d) if arch.token_types else None
        self.pooler = weights.linear(d, d, "ffn_projections") if arch.pooler else None

    @torch.inference_mode()
    def __call__(self, tokens: Tensor, types: Tensor | None = None):
        """tokens, types (all 0 by default): (batch, length) int64 -> last hidden states
        (batch, length, d_model), and pooled (batch, d_model) or None without a pooler."""
        batch, length = tokens.shape
        x = F.embedding(tokens, self.words)
        if self.types is not None:
            x = x + F.embedding(torch.zeros_like(tokens) if types is None else types, self.types)
        x = self.norm(x + self.positions[: self.check_length(length)]).flatten(0, 1)
        for layer in self.layers:
            x = layer(x, batch)
        x = x.view(batch, length, -1)
        return x, None if self.pooler is None else torch.tanh(self.pooler(x[:, 0]))


class Decoder(Network):
    """GPT-2: embeddings, layers that normalise before, a last norm, and the tied LM head.

    The KV cache is allocated here, for `batch` sequences of up to `max_length` tokens (by default
    `arch.n_positions`), and filled with random numbers, so that a step can be timed at any context
    without the steps before it. `prefill` and `step` write it and read the first `context`
    positions, nothing else; so nothing needs to empty it. Otherwise as `Encoder`.

    A step at one context has fixed shapes and addresses (it reads the cache through a view), so
    that on CUDA it can be captured as a graph, one a context; write the next token into the
    tensor that was captured.
    """

    def __init__(self, arch, attention="fused", batch=1, max_length=None, dtype=torch.float32,
                 device="cpu", seed=0):  # fmt: skip
        weights = Weights(dtype, device, seed)
        super().__init__(arch, BUILT_DECODER, attention, max_length, weights)
        # Its weight is also the embedding, in the layout that is best for the head: a step
        # reads all of it for the head, and one scattered row for the embedding.
        self.head = weights.linear(arch.d_model, arch.vocab_size, "ffn_projections", bias=False)
        shape = (arch.n_layers, 2, batch, arch.n_heads, self.max_length, arch.head_dim)
        self.cache = weights.normal(*shape, std=1)
        self.mask = None
        if attention == "unfused":
            square = torch.full((self.max_length, self.max_length), -math.inf, **weights.factory)
            self.mask = square.triu(1)

    @torch.inference_mode()
    def prefill(self, tokens: Tensor) -> Tensor:
        """Prompts (batch, length) int64, at once -> logits (batch, length, vocabulary)."""
        return self._run(tokens, tokens.shape[1])

    @torch.inference_mode()
    def step(self, token: Tensor, context: int) -> Tensor:
        """One new token a sequence, (batch, 1) int64 -> logits (batch, 1, vocabulary). It attends
        to `context` tokens, itself included; the `context` - 1 before it are in the cache."""
        return self._run(token, context)

    def _run(self, tokens: Tensor, context: int) -> Tensor:
        batch, rows = tokens.shape
        seen = self.positions[self.check_length(context) - rows : context]
        x = (F.embedding(tokens, self.head.weight) + seen).view(batch * rows, -1)
        for layer, cache in zip(self.layers, self.cache, strict=True):
            x = layer(x, batch, cache, context, self.mask)
        return self.head(self.norm(x)).view(batch, rows, -1)
