"""Activations: the tensors that a forward pass leaves behind for the backward pass, in bytes.

`Kept` says which those are, as a Convention says what is counted; a policy says which of them are
computed again instead.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from analysis.errors import InputError
from analysis.predicted.architectures import Architecture
from analysis.predicted.operations import UNFUSED as COUNTED
from analysis.predicted.transformer import encoder_pass, matmul_flops, prefill

STATISTIC = 4  # bytes of a norm's mean or deviation, of a row of softmax in a fused kernel
INDEX = 8  # bytes of a token's number
PICKED = 0.15  # of an encoder's tokens are predicted (Devlin et al. 2018, section 3.1)


@dataclass(frozen=True)
class Kept:
    """What a forward pass keeps for the backward pass; a tensor that two operators need, once."""

    name: str
    element_bytes: int = 4
    fused: bool = False  # attention keeps one number a row in place of its probabilities
    dropout: bool = False  # a mask of one byte an element where a Transformer has dropout
    outputs_only: bool = False  # every matmul's output, and nothing else
    autocast: bool = False  # matmuls in 16 bits beside residuals, statistics and weights in 32


UNFUSED = Kept("unfused")
"""What autograd keeps of `analysis.measured.networks` in float32, operator by operator."""
FUSED = Kept("fused", fused=True)
"""The same with attention as one kernel, which computes its probabilities again."""
MIXED = Kept("mixed", element_bytes=2, dropout=True)
"""16-bit activations with dropout, as Korthikanti et al. 2022 (arXiv:2205.05198) count them: per
layer s b h (34 + 5 a s / h) bytes, and here a norm's statistics besides."""
PUBLISHED = Kept("published", outputs_only=True)
"""The authors' "features": outputs of matmuls in float32. Inferred: it gives all three features of
their table (77e6, 230e6 and 2e9) to the printed digits."""
AUTOCAST = Kept("autocast", element_bytes=2, autocast=True)
"""What torch's autocast to bfloat16 keeps on a CPU: what a matmul multiplies, in 16 bits, the
weights among it, and a cast for each matmul that reads the same tensor; residuals in 32 bits."""


def layer_tensors(
    arch: Architecture, length: int, kept: Kept, batch: int = 1, cross: bool = False
) -> dict[str, int]:
    """Bytes of each tensor that one layer keeps; "input" is what the layer before it computed.
    With `cross`, those of attention to an encoder of the same length are added."""
    rows, e, f = batch * length, kept.element_bytes, arch.d_ff
    wide, inner, qkv = (rows * n * e for n in (arch.d_model, arch.d_attention, 2 * arch.d_kv))
    scores = batch * arch.n_heads * length**2
    if kept.outputs_only:
        attention = {"qkv": qkv + inner, "scores": scores * e, "heads": inner, "out": wide}
        tensors = attention | {"up": rows * f * e, "down": wide}
    else:
        weights = {"row_statistics": rows * arch.n_heads * STATISTIC}
        if not kept.fused:
            weights = {"probabilities": scores * e}
            if kept.dropout:
                weights |= {"dropped_probabilities": scores * e, "probability_mask": scores}
        attention = {"qkv": qkv + inner, **weights, "heads": inner}
        norms = {f"norm{i}_statistics": 2 * rows * STATISTIC for i in (1, 2)}
        # Before its blocks or after them, a norm keeps its input, and a matmul the norm's output.
        tensors = {"input": wide, "norm1": wide, "norm2_input": wide, "norm2": wide} | norms
        tensors |= attention | {"up": rows * f * e, "activation": rows * f * e}
        if arch.kind == "encoder":  # the last norm's output is the next layer's input
            tensors["norm1_input"] = tensors.pop("norm2")
        if kept.dropout:
            tensors |= {"attention_mask": rows * arch.d_model, "ffn_mask": rows * arch.d_model}
        if kept.autocast:
            tensors |= _cast(arch, tensors)
    if cross:
        tensors |= {f"cross_{name}": size for name, size in attention.items()}
        if not kept.outputs_only:  # the encoder's output is kept once for all layers: left out
            tensors |= {"cross_norm": 2 * wide, "cross_statistics": 2 * rows * STATISTIC}
            tensors |= {"cross_mask": rows * arch.d_model} if kept.dropout else {}
    return tensors


def _cast(arch: Architecture, tensors: dict[str, int]) -> dict[str, int]:
    """Of a layer's 16-bit `tensors` those that autocast keeps otherwise, and its cast weights."""
    encodes, d = arch.kind == "encoder", arch.d_model
    thrice = "input" if encodes else "norm1"  # cast for queries, keys and values each
    wide = ("norm1_input" if encodes else "input", "norm2_input")
    changed = {name: 2 * tensors[name] for name in wide} | {thrice: 3 * tensors[thrice]}
    if not encodes:  # the mask is in 32 bits, and so is what is added to it
        changed["probabilities"] = 3 * tensors["probabilities"]
    weights = 2 * (arch.d_attention + arch.d_kv) + (3 if arch.gated_ffn else 2) * arch.d_ff
    return changed | {"weights": 2 * d * weights}


def predicted_tokens(arch: Architecture, length: int, batch: int = 1) -> int:
    """Tokens whose loss is computed: all of a decoder's, one in seven of an encoder's."""
    return batch * length if arch.kind == "decoder" else max(1, round(PICKED * batch * length))


def outside_tensors(arch: Architecture, length: int, kept: Kept, batch: int = 1) -> dict[str, int]:
    """Bytes of what embeddings and a cross-entropy over the vocabulary keep. An encoder predicts
    the tokens at `predicted_tokens` places with its embedding table; no pooler."""
    rows, e, n = batch * length, kept.element_bytes, predicted_tokens(arch, length, batch)
    exact = 4 if kept.autocast else e  # bytes of what is no operand of a matmul
    wide, logits = rows * arch.d_model * exact, n * arch.vocab_size * exact
    if kept.outputs_only:
        return {}
    numbers = {"tokens": rows * INDEX, "targets": n * INDEX, "norm_input": wide}
    numbers |= {"norm_statistics": 2 * rows * STATISTIC, "head_input": n * arch.d_model * e}
    if kept.autocast:
        numbers |= {"head_weight": arch.vocab_size * arch.d_model * e}
    if arch.kind == "encoder":
        numbers |= {"places": n * INDEX, "types": rows * INDEX * bool(arch.token_types)}
    return numbers | {"log_probabilities": logits}


ATTENTION = {"qkv", "probabilities", "row_statistics", "dropped_probabilities", "heads"}
ATTENTION |= {"probability_mask"}


@dataclass(frozen=True)
class Policy:
    """What is computed again in the backward pass instead of kept: whole stretches of `stretch`
    layers, one stretch of every `every`; or `attention` from its input to its output projection."""

    stretch: int = 0
    every: int = 1
    attention: bool = False

    def stretches(self, n_layers: int) -> Iterator[tuple[int, int, bool]]:
        """(first layer, layer after the last, whether computed again) of each stretch."""
        size = self.stretch or max(1, n_layers)
        for i, start in enumerate(range(0, n_layers, size)):
            yield start, min(start + size, n_layers), bool(self.stretch) and i % self.every == 0


def policy_named(name: str) -> Policy:
    """The policy of a name: none, attention, layers (each), every-K (every K-th layer), stretch-K
    (K layers at a time). Any other is an InputError."""
    word, _, number = name.partition("-")
    known = {"none": Policy(), "attention": Policy(attention=True), "layers": Policy(1)}
    if name in known:
        return known[name]
    if word in ("every", "stretch") and number.isdecimal() and 1 <= int(number) <= 1000:
        return Policy(1, int(number)) if word == "every" else Policy(int(number))
    raise InputError(f"no policy {name!r}; there are: {', '.join(known)}, every-K, stretch-K")


@dataclass(frozen=True)
class Activations:
    """Bytes `kept` from the forward pass to the backward pass, and the most that is `again` there
    at once; `flops` of matmuls in a step without rematerialisation, and those `extra`."""

    kept: int
    again: int
    flops: int
    extra: int

    @property
    def bytes(self) -> int:
        return self.kept + self.again


def activations(
    arch: Architecture, length: int, kept: Kept = UNFUSED, policy: str = "none", batch: int = 1
) -> Activations:
    """Activations of one training step. A backward pass has twice the forward's matmuls; what is
    computed again stops at the last tensor needed, so that a last projection is spared."""
    how, rows, n = policy_named(policy), batch * length, arch.n_layers
    layer = layer_tensors(arch, length, kept, batch)
    outside = outside_tensors(arch, length, kept, batch)
    whole, entry = sum(layer.values()), rows * arch.d_model * kept.element_bytes
    bare = replace(COUNTED, pooler=False, lm_head=False)
    count = encoder_pass if arch.kind == "encoder" else prefill
    each = matmul_flops(count(arch, length, bare, batch)) // n
    head = 2 * predicted_tokens(arch, length, batch) * arch.d_model * arch.vocab_size
    flops, total = 3 * (n * each + head), sum(outside.values())
    if how.attention:
        again = sum(size for name, size in layer.items() if name in ATTENTION)
        ffn = 2 * rows * arch.d_model * arch.d_ff * (3 if arch.gated_ffn else 2)
        extra = each - ffn - 2 * rows * arch.d_attention * arch.d_model
        return Activations(total + n * (whole - again), again, flops, n * extra)
    spared = 2 * rows * arch.d_model * arch.d_ff * (arch.kind == "decoder")
    extra, most = 0, 0
    for start, end, computed_again in how.stretches(n):
        total += entry if computed_again else (end - start) * whole
        if computed_again:
            most = max(most, (end - start) * whole - entry)
            extra += (end - start) * each - spared
    return Activations(total, most, flops, extra)


# The Transformer (Big) of Vaswani et al. 2017: an encoder, and a decoder that attends to it; each
# has a table of 37,000 tokens, and positions are computed, as rotary ones are.
_BIG = dict(
    n_layers=6, d_model=1024, n_heads=16, d_ff=4096, vocab_size=37000, n_positions=512,
    activation="relu", positions="rotary",
)  # fmt: skip
BIG_ENCODER = Architecture("Transformer Big encoder", "encoder", **_BIG)
BIG_DECODER = Architecture("Transformer Big decoder", "decoder", **_BIG, lm_head=True)
