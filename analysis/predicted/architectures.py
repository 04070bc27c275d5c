"""Architectures: the numbers that fix what a Transformer computes, and nothing else.

The sizes of the named models are from their papers: BERT (Devlin et al. 2018, arXiv:1810.04805,
section 3) and GPT-2 (Radford et al. 2019, table 2), completed with the published configurations
(vocabulary, positions, token types). A new architecture is one constant, or one `config.json`
read by `analysis.predicted.configs`.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

from analysis.errors import InputError
from analysis.predicted.variants import Experts, Latent, Window, at_most, check_sizes

NORM_WEIGHTS = {"layernorm": 2, "layernorm_unbiased": 1, "layernorm_bare": 0, "rmsnorm": 1}
CHOICES = {
    "kind": ("encoder", "decoder"),
    "activation": ("gelu", "gelu_tanh", "silu", "relu"),
    "norm": tuple(NORM_WEIGHTS),
    "positions": ("learned", "rotary"),
}


@dataclass(frozen=True)
class Architecture:
    """One Transformer stack: embeddings, `n_layers` equal layers, an optional head.

    `experts` and `window` make layers unequal, but only in the ways that they say.

    An encoder normalises the embeddings and the sum after each block (post-norm, as BERT); a
    decoder normalises before each block and once at the end (pre-norm, as GPT-2 and Llama).
    Either way there are `layer_norms` `n_layers` + 1 norms of width `d_model`.

    Raises InputError, in one line, for sizes that are not positive integers, heads that do not
    divide the width, KV heads that do not divide the heads, and values that are not allowed.
    """

    name: str
    kind: str  # "encoder" or "decoder"
    n_layers: int
    d_model: int  # width of the residual stream
    n_heads: int
    d_ff: int  # inner width of the feed-forward network
    vocab_size: int
    n_positions: int  # rows of the learned position table, or the trained length; never a limit
    n_kv_heads: int | None = None  # None: n_heads; fewer are grouped-query attention
    head_dim: int | None = None  # None: d_model / n_heads
    gated_ffn: bool = False  # act(x W_gate) * (x W_up) instead of act(x W_up)
    activation: str = "gelu"
    norm: str = "layernorm"
    norm_eps: float = 1e-5
    layer_norms: int = 2  # in a layer
    qk_norm: bool = False  # a norm of each head's query and key, as Qwen3
    qk_norm_whole: bool = False  # that has weights for every head, as OLMo 2
    sinks: bool = False  # a learned score beside a head's others, as gpt-oss
    softcap: bool = False  # scores are kept within a bound by tanh, as Gemma 2
    positions: str = "learned"
    rotary_dim: int | None = None  # of a head; None: all of it
    rotary_layers: int | None = None  # None: all
    token_types: int = 0  # rows of the token-type table; 0: no table
    qkv_bias: bool = True
    out_bias: bool = True  # bias of the attention's output projection
    ffn_bias: bool = True
    pooler: bool = False  # BERT's d x d projection of the first token
    lm_head: bool = False  # d x vocabulary projection of the last hidden state
    tied_embeddings: bool = True  # the LM head's weights are the token embedding's
    head_bias: bool = False  # of the LM head or the classifier
    head_dense: bool = False  # a d x d projection, activation and norm before it, as BERT's
    labels: int = 0  # of a classifier; 0: none
    labels_once: bool = False  # it sees one token of a sequence, not each
    latent: Latent | None = None
    experts: Experts | None = None
    window: Window | None = None

    def __post_init__(self):
        check_sizes(self)
        for field, allowed in CHOICES.items():
            if (value := getattr(self, field)) not in allowed:
                raise InputError(f"{field} is {value!r}; allowed: {', '.join(allowed)}")
        eps = self.norm_eps
        if isinstance(eps, bool) or not isinstance(eps, int | float) or not 0 <= eps < 1:
            raise InputError(f"norm_eps is {eps!r}; it must be a number from 0 to 1")
        if self.n_kv_heads is None:
            object.__setattr__(self, "n_kv_heads", self.n_heads)
        if self.n_heads % self.n_kv_heads:
            raise InputError(f"n_kv_heads={self.n_kv_heads} does not divide n_heads={self.n_heads}")
        if self.head_dim is None:
            if self.d_model % self.n_heads:
                raise InputError(f"n_heads={self.n_heads} does not divide d_model={self.d_model}")
            object.__setattr__(self, "head_dim", self.d_model // self.n_heads)
        window, moe = self.window, self.experts
        parts = [("window.layers", window.layers, self.n_layers)] if window else []
        parts += [("experts.dense_layers", moe.dense_layers, self.n_layers)] if moe else []
        parts += [("experts.active", moe.active, moe.n)] if moe else []
        for part, of, most in parts:
            if of > most:
                raise InputError(f"{part} is {of}; there are only {most}")

    @property
    def d_attention(self) -> int:
        """Width of all query heads together: `d_model` unless `head_dim` says otherwise."""
        return self.n_heads * self.head_dim

    @property
    def d_kv(self) -> int:
        """Width of all key heads (or all value heads) together."""
        return self.n_kv_heads * self.head_dim

    @property
    def cache_width(self) -> int:
        """Elements that one layer caches for one token."""
        return self.latent.rank + self.latent.rotary_dim if self.latent else 2 * self.d_kv

    def cached(self, tokens):
        """Elements in the cache of one sequence of `tokens`: an int, or an array for an array."""
        windowed = self.window.layers if self.window else 0
        kept = (self.n_layers - windowed) * tokens
        if windowed:
            kept = kept + windowed * at_most(tokens, self.window.tokens)
        return self.cache_width * kept

    @property
    def n_parameters(self) -> int:
        """Trainable parameters, each shared one once: BERT-Base 109,482,240 with its pooler."""
        return self._parameters(self.experts.n if self.experts else 0)

    @property
    def n_active_parameters(self) -> int:
        """Parameters without the experts that a token does not visit."""
        return self._parameters(self.experts.active if self.experts else 0)

    @property
    def expert_parameters(self) -> int:
        """Parameters of one routed expert in each layer that has them."""
        return self._parameters(1) - self._parameters(0) if self.experts else 0

    @property
    def looked_up(self) -> int:
        """Parameters of the tables of which a token reads a row; a tied LM head is read whole."""
        rows = self.vocab_size * (not (self.lm_head and self.tied_embeddings)) + self.token_types
        return self.d_model * (rows + self.n_positions * (self.positions == "learned"))

    def networks(self, experts: int) -> list[tuple[int, int]]:
        """The layers' feed-forward networks, (how many, inner width), with `experts` routed ones in
        each layer that has them."""
        moe = self.experts
        sparse = self.n_layers - moe.dense_layers if moe else 0
        found = [(self.n_layers - sparse, self.d_ff)]
        found += [(sparse * (experts + moe.shared), moe.d_ff)] if moe else []
        return [(n, width) for n, width in found if n]

    def matrices(self, experts: int | None = None) -> list[tuple[int, int, int]]:
        """Each kind of weight matrix in layers, (how many, outputs, inputs); matrices with one
        input are one, experts, all or so many of a layer, are matrices of their own."""
        d, layers, moe, latent = self.d_model, self.n_layers, self.experts, self.latent
        found = [(layers, self.d_attention + 2 * self.d_kv, d)]
        if latent:
            queries = self.d_attention + self.n_heads * latent.rotary_dim
            found = [(layers, queries, latent.query_rank or d), (layers, self.cache_width, d)]
            found += [(layers, latent.query_rank, d)] if latent.query_rank else []
            found.append((layers, 2 * self.d_attention, latent.rank))
        found.append((layers, d, self.d_attention))
        if moe:
            found.append((layers - moe.dense_layers, moe.n + moe.shared_gate, d))
            experts = moe.n if experts is None else experts
        for n, width in self.networks(experts):
            found += [(n, (1 + self.gated_ffn) * width, d), (n, d, width)]
        return found

    def _parameters(self, experts: int) -> int:
        d, norm, moe = self.d_model, NORM_WEIGHTS[self.norm] * self.d_model, self.experts
        biases = self.out_bias * d + self.layer_norms * norm  # of a layer, and weights of norms
        if latent := self.latent:
            biases += latent.rank + (latent.query_rank or 0)
        else:
            norms = self.d_attention + self.d_kv if self.qk_norm_whole else 2 * self.head_dim
            biases += self.qkv_bias * (self.d_attention + 2 * self.d_kv)
            biases += self.qk_norm * norms + self.sinks * self.n_heads
        inner = sum(n * ((1 + self.gated_ffn) * width + d) for n, width in self.networks(experts))
        layers = self.n_layers * biases + self.ffn_bias * inner
        layers += (self.n_layers - moe.dense_layers) * moe.n * moe.router_bias if moe else 0
        layers += sum(n * rows * columns for n, rows, columns in self.matrices(experts))
        tables = self.vocab_size + self.token_types
        tables += self.n_positions * (self.positions == "learned")
        outputs = self.lm_head * self.vocab_size + self.labels
        head = d * (outputs - self.vocab_size * (self.lm_head and self.tied_embeddings))
        head += self.head_bias * outputs + self.pooler * (d * d + d)
        head += self.head_dense * (d * d + self.ffn_bias * d + norm)
        return layers + tables * d + norm + head

    def replace(self, **changes) -> "Architecture":
        """A copy with `changes`; what followed from a changed field (KV heads as many as heads,
        head width = width / heads) follows it still, unless it is changed too."""
        if self.n_kv_heads == self.n_heads and "n_heads" in changes:
            changes.setdefault("n_kv_heads", None)
        if self.d_attention == self.d_model and {"n_heads", "d_model"} & changes.keys():
            changes.setdefault("head_dim", None)
        return replace(self, **changes)


def override(architecture: Architecture, settings: Iterable[str]) -> Architecture:
    """`architecture` with settings in text, values as in JSON: ["n_heads=4", "gated_ffn=true"].

    Raises InputError for an unknown field (the message lists them) or a value of another type.
    """
    plain = (str, bool, int, float, int | None)
    types = {field.name: field.type for field in fields(Architecture) if field.type in plain}
    changes = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise InputError(f"{setting!r} is not a setting; write FIELD=VALUE, as n_heads=4")
        if name not in types:
            raise InputError(f"no field {name!r} in an architecture; fields: {', '.join(types)}")
        try:
            changes[name] = text if types[name] is str else json.loads(text.lower())
        except (ValueError, RecursionError):
            changes[name] = text  # which no field but a name may be
    return architecture.replace(**changes)


def _bert(name: str, n_layers: int, d_model: int, n_heads: int) -> Architecture:
    return Architecture(
        name, "encoder", n_layers, d_model, n_heads, d_ff=4 * d_model, vocab_size=30522,
        n_positions=512, token_types=2, norm_eps=1e-12, pooler=True,
    )  # fmt: skip


def _gpt2(name: str, n_layers: int, d_model: int, n_heads: int) -> Architecture:
    return Architecture(
        name, "decoder", n_layers, d_model, n_heads, d_ff=4 * d_model, vocab_size=50257,
        n_positions=1024, activation="gelu_tanh", lm_head=True,
    )  # fmt: skip


BERT_BASE = _bert("BERT-Base", 12, 768, 12)
BERT_LARGE = _bert("BERT-Large", 24, 1024, 16)
GPT2 = _gpt2("GPT-2", 12, 768, 12)
GPT2_MEDIUM = _gpt2("GPT-2 Medium", 24, 1024, 16)
GPT2_LARGE = _gpt2("GPT-2 Large", 36, 1280, 20)
GPT2_XL = _gpt2("GPT-2 XL", 48, 1600, 25)

ARCHITECTURES = {
    "bert-base": BERT_BASE,
    "bert-large": BERT_LARGE,
    "gpt2": GPT2,
    "gpt2-medium": GPT2_MEDIUM,
    "gpt2-large": GPT2_LARGE,
    "gpt2-xl": GPT2_XL,
}

# Steps of these are timed to tell what a step's time follows.
SIZES = {
    "in-cache": GPT2.replace(n_layers=6, d_model=256, n_heads=4, d_ff=1024, vocab_size=256),
    "half-depth": GPT2.replace(n_layers=6),
    "gpt2": GPT2,
    "gpt2-medium": GPT2_MEDIUM,
}

# Decoders of bytes, small enough to be trained in minutes, so that they have a quality to lose.
BYTE_DECODER = Architecture(
    "byte decoder", "decoder", n_layers=4, d_model=128, n_heads=8, d_ff=512, vocab_size=256,
    n_positions=256, activation="gelu_tanh", lm_head=True,
)  # fmt: skip
BYTE_DRAFT = BYTE_DECODER.replace(name="byte draft", n_layers=1, d_model=64, n_heads=4, d_ff=256)
