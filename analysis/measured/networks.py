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
from copy import copy

import torch
import torch.nn.functional as F
from torch import Tensor

from analysis.errors import InputError
from analysis.measured.libraries import PLAIN
from analysis.measured.linear import Linear
from analysis.predicted.architectures import BERT_BASE, GPT2, Architecture

ATTENTION = ("fused", "unfused")
PROJECTIONS, NORMS = ("qkv", "out", "up", "down"), ("norm1", "norm2")  # of a layer
# In which fields networks may differ from BERT or GPT-2; any other is refused.
SIZES = set("name n_layers d_model n_heads n_kv_heads head_dim d_ff vocab_size n_positions".split())


class Norm:
    """Layer norm of (.., width)."""

    def __init__(self, gain: Tensor, bias: Tensor, eps: float):
        self.gain, self.bias, self.eps = gain, bias, eps

    def __call__(self, x: Tensor) -> Tensor:
        return torch.layer_norm(x, self.bias.shape, self.gain, self.bias, self.eps)


class Weights:
    """Makes random weights: normal, of deviation 0.02, as both models are initialised."""

    def __init__(self, dtype: torch.dtype, device: str | torch.device, seed: int):
        self.factory, self.generator = {"dtype": dtype, "device": device}, None
        if torch.device(device).type != "meta":  # which has no numbers
            self.generator = torch.Generator(device).manual_seed(seed)

    def normal(self, *shape: int, mean: float = 0, std: float = 0.02) -> Tensor:
        made = torch.empty(shape, **self.factory)
        return made.normal_(mean, std, generator=self.generator) if self.generator else made

    def linear(self, n_in: int, n_out: int, operator_class: str, bias: bool = True) -> Linear:
        return Linear(
            self.normal(n_out, n_in), self.normal(n_out) if bias else None, operator_class
        )

    def norm(self, arch: Architecture) -> Norm:
        return Norm(self.normal(arch.d_model, mean=1), self.normal(arch.d_model), arch.norm_eps)


class Layer:
    """Attention and FFN, each with a residual add and normalised before it (decoder) or after."""

    def __init__(self, arch: Architecture, random: Weights, fused: bool):
        d, f, width = arch.d_model, arch.d_ff, arch.d_attention
        self.fused, self.scale = fused, arch.head_dim**-0.5
        self.heads, self.kv_heads, self.width = arch.n_heads, arch.n_kv_heads, arch.head_dim
        self.decodes = arch.kind == "decoder"
        self.gelu = "tanh" if self.decodes else "none"
        self.qkv = random.linear(d, width + 2 * arch.d_kv, "mha_projections")
        self.out = random.linear(width, d, "mha_projections")
        self.up = random.linear(d, f, "ffn_projections")
        self.down = random.linear(f, d, "ffn_projections")
        self.norm1, self.norm2 = random.norm(arch), random.norm(arch)
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
        The rows are then the last of `context` positions; `mask` is needed unless they are all
        of them in fused attention, or one."""
        rows = len(x) // batch
        causal = self.decodes and rows > 1  # one row sees all that is before it
        if self.fused:
            parts = self.qkv(x).view(batch, rows, self.heads + 2 * self.kv_heads, -1)
            q, kv = parts.transpose(1, 2).split_with_sizes((self.heads, 2 * self.kv_heads), 1)
            kv = kv.view(batch, 2, self.kv_heads, rows, -1).transpose(0, 1)
            if cache is not None:
                cache.narrow(3, context - rows, rows).copy_(kv)
                kv = cache.narrow(3, 0, context)
            k, v = kv.unbind(0)
            if rows > 1:
                some = mask if rows < context else None
                y = F.scaled_dot_product_attention(
                    q, k, v, some, is_causal=causal and some is None,
                    enable_gqa=self.kv_heads < self.heads,
                )  # fmt: skip
            else:  # heads that share keys and values are rows of one: these are copied nowhere
                q = q.view(batch, self.kv_heads, -1, self.width)
                y = F.scaled_dot_product_attention(q, k, v)
        else:
            shape = (batch, rows, self.heads, -1)
            q, k, v = (part(x).view(shape).transpose(1, 2) for part in self.q_k_v)
            if cache is not None:
                for stored, new in zip(cache, (k, v), strict=True):
                    stored.narrow(2, context - rows, rows).copy_(new)
                k, v = cache.narrow(3, 0, context).unbind(0)
            scores = torch.matmul(q, k.transpose(2, 3)) * self.scale
            if causal:
                scores = scores + mask[:rows, :context]
            y = torch.matmul(torch.softmax(scores, -1), v)
        y = y if rows == 1 else y.transpose(1, 2)
        return self.out(y.reshape(len(x), -1))


class Network:
    """What the encoder and the decoder share.

    `max_length` is the longest sequence, by default `arch.n_positions`; the position table grows
    to it. Weights are random from `seed`; on the device "meta" there are none. Raises InputError
    for an architecture that is not built, naming the field.
    """

    like: Architecture  # is built, in all sizes

    def __init__(self, arch: Architecture, attention="fused", max_length: int | None = None,
                 dtype=torch.float32, device="cpu", seed=0):  # fmt: skip
        fused = attention == "fused"
        built = {name: (value,) for name, value in vars(self.like).items() if name not in SIZES}
        built |= {"attention": ATTENTION}
        if self.like is BERT_BASE or not fused:
            built["n_kv_heads"] = (arch.n_heads,)
        for field, allowed in built.items():
            value = attention if field == "attention" else getattr(arch, field)
            if value not in allowed:
                allowed = ", ".join(map(repr, allowed))
                raise InputError(f"{arch.name} in torch: {field}={value!r}; built: {allowed}")
        self.random = Weights(dtype, device, seed)
        self.max_length = max_length or arch.n_positions
        self.positions = self.random.normal(max(arch.n_positions, self.max_length), arch.d_model)
        self.layers = [Layer(arch, self.random, fused) for _ in range(arch.n_layers)]
        self.norm = self.random.norm(arch)

    def linears(self) -> list[Linear]:
        """Every projection, once; `analysis.measured.traced` reads their operator classes."""
        inside = [getattr(layer, name) for layer in self.layers for name in PROJECTIONS]
        return inside + [each for each in vars(self).values() if isinstance(each, Linear)]

    def libraries(self) -> str:
        """Those that its projections went through so far, of more than one row."""
        names = {name for linear in self.linears() for name in linear.packed}
        return ", ".join(sorted(names)) or PLAIN.name

    def check(self, length: int) -> int:
        if not 1 <= length <= self.max_length:
            raise InputError(f"{length} tokens; this network was built for 1 to {self.max_length}")
        return length


class Encoder(Network):
    """BERT: embeddings, layers that normalise after each residual add, and the pooler."""

    like = BERT_BASE

    def __init__(self, arch: Architecture, *args, **options):
        super().__init__(arch, *args, **options)
        d = arch.d_model
        self.words = self.random.normal(arch.vocab_size, d)
        self.types = self.random.normal(arch.token_types, d)
        self.pooler = self.random.linear(d, d, "ffn_projections")

    @torch.inference_mode()
    def __call__(self, tokens: Tensor, types: Tensor | None = None):
        """tokens, types (all 0 by default): (batch, length) int64 -> last hidden states
        (batch, length, d_model), and pooled (batch, d_model) or None without a pooler."""
        batch, length = tokens.shape
        types = torch.zeros_like(tokens) if types is None else types
        x = F.embedding(tokens, self.words) + F.embedding(types, self.types)
        x = self.norm(x + self.positions[: self.check(length)]).flatten(0, 1)
        for layer in self.layers:
            x = layer(x, batch)
        x = x.view(batch, length, -1)
        return x, None if self.pooler is None else torch.tanh(self.pooler(x[:, 0]))


class Decoder(Network):
    """GPT-2: embeddings, layers that normalise before, a last norm, and the tied LM head.

    The KV cache is allocated here, for `batch` sequences of up to `max_length` tokens, and filled
    with random numbers, so that a step can be timed at any context without the steps before it.
    Calls write their own positions and read those before them, so nothing needs to empty it.

    A step at one context has fixed shapes and addresses (it reads the cache through a view), so
    that on CUDA it can be captured as a graph, one a context; write the next token into the
    tensor that was captured.
    """

    like = GPT2

    def __init__(self, arch: Architecture, *args, batch: int = 1, **options):
        super().__init__(arch, *args, **options)
        self.head = self.random.linear(arch.d_model, arch.vocab_size, "ffn_projections", bias=False)
        self.words = self.head.weight
        n = self.max_length
        one = self.random.normal(2, 1, arch.n_kv_heads, n, arch.head_dim, std=1)
        # The same for each, which is quicker than to draw them all.
        self.cache = one.repeat(arch.n_layers, 1, batch, 1, 1, 1)
        self.layer_caches = self.cache.unbind(0)
        fused = self.layers[0].fused
        self.mask = None if fused else torch.full((n, n), -math.inf, **self.random.factory).triu(1)

    @torch.inference_mode()
    def prefill(self, tokens: Tensor) -> Tensor:
        """Prompts (batch, length) int64, at once -> logits (batch, length, vocabulary)."""
        return self._run(tokens, tokens.shape[1])

    @torch.inference_mode()
    def step(self, token: Tensor, context: int) -> Tensor:
        """New tokens of each sequence, (batch, n) int64, mostly one -> logits (batch, n,
        vocabulary). They are the last of `context` tokens; those before them are in the cache."""
        return self._run(token, context)

    def _run(self, tokens: Tensor, context: int) -> Tensor:
        batch, rows = tokens.shape
        if batch != self.cache.shape[2]:
            raise InputError(f"{batch} sequences; the cache was built for {self.cache.shape[2]}")
        positions = self.positions[self.check(context) - rows : context]
        x = (F.embedding(tokens, self.words) + positions).view(batch * rows, -1)
        mask = self.mask
        if 1 < rows < context:
            mask = positions.new_full((rows, context), -math.inf).triu(context - rows + 1)
        for layer, cache in zip(self.layers, self.layer_caches, strict=True):
            x = layer(x, batch, cache, context, mask)
        return self.head(self.norm(x)).view(batch, rows, -1)


def changed(layer: Layer, **changes) -> Layer:
    """A copy of a layer, over the same weights."""
    layer = copy(layer)
    vars(layer).update(changes)
    return layer


def copied(network: Network, **changes) -> Network:
    """A copy of a network, its layers with `changes`, over the same weights."""
    network = copy(network)
    network.layers = [changed(layer, **changes) for layer in network.layers]
    return network


def memory(tensor: Tensor) -> int:
    """Identity of the memory that a tensor views; unlike an address it exists on "meta" too."""
    return tensor.untyped_storage()._cdata


def tensors(network: Network) -> dict[str, Tensor]:
    """Every tensor that training changes, once, by its name in a checkpoint."""
    found = {name: getattr(network, name, None) for name in ("words", "positions", "types")}
    layers = {f"layers.{i}": layer for i, layer in enumerate(network.layers)}
    parts = {f"{at}.{n}": getattr(layer, n) for at, layer in layers.items() for n in PROJECTIONS}
    parts |= {"pooler": getattr(network, "pooler", None), "norm": network.norm}
    parts |= {f"{at}.{n}": getattr(layer, n) for at, layer in layers.items() for n in NORMS}
    for at, part in parts.items():
        found |= {f"{at}.{name}": getattr(part, name, None) for name in ("weight", "gain", "bias")}
    return {name: tensor for name, tensor in found.items() if tensor is not None}
