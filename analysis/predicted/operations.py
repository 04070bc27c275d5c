"""Operations: shapes -> Cost, under a Convention that says what is counted.

Arguments are ints or NumPy integer arrays, so that a curve is one call. Counts of integers are
exact integers (Python's own, or int64 for arrays) unless an element has half a byte. Matmuls:
a dot product of length k is k multiplications and k - 1 additions, usually told as 2k.
"""

from dataclasses import dataclass, replace
from typing import Any

from analysis.errors import InputError

Count = Any  # int, float or NumPy array, which alone takes a tenth of a second to import
ELEMENT_BYTES = (0.5, 1, 2, 4)


@dataclass(frozen=True)
class Cost:
    """FLOPs, and bytes between memory and processor. Costs add, and scale by a whole number."""

    flops: Count = 0
    bytes_read: Count = 0
    bytes_written: Count = 0

    @property
    def bytes(self) -> Count:
        """Bytes moved: the paper's memory operations (MOPs)."""
        return self.bytes_read + self.bytes_written

    @property
    def intensity(self) -> Count:
        """Arithmetic intensity, FLOP per byte: the paper's FLOPs / MOPs."""
        return self.flops / self.bytes

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.flops + other.flops,
            self.bytes_read + other.bytes_read,
            self.bytes_written + other.bytes_written,
        )

    def __mul__(self, times: Count) -> "Cost":
        return Cost(self.flops * times, self.bytes_read * times, self.bytes_written * times)

    __rmul__ = __mul__


@dataclass(frozen=True)
class PhaseRule:
    """What is counted otherwise in a pass (encoder, prefill) than in a decoder step."""

    act_flops_less: int = 0  # an act-to-act dot product of length k is 2k less this: 0 or 1
    scores_in_memory: bool = True  # written by the first matmul, moved by scale, mask and softmax
    probabilities_read: bool = True  # from memory, by the second matmul
    heads_copied: bool = False  # the heads' outputs are copied side by side; one row needs none
    ffn_residual_reads: int = 2  # operands that the FFN's residual add reads from memory


@dataclass(frozen=True)
class Convention:
    """What is counted. The operations read it; a new convention touches no formula."""

    name: str
    weight_bytes: float = 1  # bytes per element, one of ELEMENT_BYTES
    activation_bytes: float = 1
    kv_bytes: float = 1  # keys and values that come from a decoder's cache, or go there
    pass_rule: PhaseRule = PhaseRule()
    step_rule: PhaseRule = PhaseRule()
    bias_read: bool = True  # a projection's bias is moved; its addition is in the 2k either way
    softmax_flops: int = 5  # per score: maximum, subtract, exponential, sum, divide
    norm_flops: int = 8  # per element of a layer norm or an RMS norm
    activation_flops: int = 10  # per element of GELU and its kin
    scale_and_mask: bool = True  # own operators over the scores, one FLOP each
    cache_copied: bool = True  # new keys and values are read and written to the cache, in "other";
    # False: only the write is charged, and to the act-to-act matmuls
    outside_layers: bool = True  # embeddings, and their norm or the final norm
    pooler: bool = True  # where the architecture has one
    lm_head: bool = True  # or a classifier; where the architecture has one, at every position
    latent_folded: bool = True  # a step works on latent vectors; False: makes keys and values whole
    mid_step: bool = False  # a step at context t is charged t - 1/2, the mean of before and after

    def __post_init__(self):
        for name in ("weight_bytes", "activation_bytes", "kv_bytes"):
            value = getattr(self, name)
            if isinstance(value, bool) or value not in ELEMENT_BYTES:
                allowed = ", ".join(map(str, ELEMENT_BYTES))
                raise InputError(f"{name} is {value!r}; allowed bytes per element: {allowed}")
            object.__setattr__(self, name, value if value == 0.5 else int(value))

    def with_bytes(self, weights: float, activations=None, kv=None) -> "Convention":
        """The same convention at other bytes per element; None: as the weights, the activations."""
        activations = weights if activations is None else activations
        kv = activations if kv is None else kv
        return replace(self, weight_bytes=weights, activation_bytes=activations, kv_bytes=kv)


PUBLISHED = Convention(
    name="published",
    pass_rule=PhaseRule(act_flops_less=1, ffn_residual_reads=1),
    step_rule=PhaseRule(probabilities_read=False),
    bias_read=False,
    softmax_flops=4,
    scale_and_mask=False,
    cache_copied=False,
    outside_layers=False,
    pooler=False,
    lm_head=False,
    mid_step=True,
)
"""Reproduces tables 3 and 11 and figures 4 to 6 of Kim et al. 2023, arXiv:2302.14017, which the
paper reprints, at 8 bits an element. The formulas are inferred from the printed digits alone, as
the simplest reading that fits them; tests hold the cells that do not.

Fixed by the digits: projections of 2k without bias bytes; act-to-act matmuls of 2k - 1 in a pass
and 2k in a step; a generation's mean context of l/2; "Other", per layer, n tokens and context t,
of 4 h n t + 58 d n FLOPs, and of 2 h n t + 17 d n + 4 d bytes in a pass, 2 h t + 22 d in a step
(h heads, width d, FFN 4d); a step's act-to-act bytes of 2 t d/h + t + 4 d/h per head; nothing
outside the layers.

Chosen among what fits: the 58 (any 2 GELU + norm = 28 with adds of 1 does); which tensor makes
17 d in a pass of the 18 d that GELU, norms and adds move in full, as they do in a step; which
of a step's two transfers of the scores is the one counted, and that its 4 d/h are the query, the
output, the new key and the new value.
"""

UNFUSED = Convention(
    name="unfused",
    weight_bytes=4,
    activation_bytes=4,
    kv_bytes=4,
    pass_rule=PhaseRule(heads_copied=True),
)
"""What an eager framework moves, in float32: every operator reads its inputs and writes its output
once. A matmul is 2mnk FLOPs and reads both operands and the bias. "Other" is the scale of the
scores, the causal mask (prefill only), softmax, the copy that joins the heads (passes only), GELU
or its kin and the gate's product, norms, residual adds, rotary embedding, look-ups of token and
token-type rows (read and written), their sum and that with the positions (a view of their table),
and the copies into the cache. Token ids, views, and what a norm saves for later are not counted.
"""

FUSED = replace(
    UNFUSED,
    name="fused",
    pass_rule=PhaseRule(scores_in_memory=False, probabilities_read=False),
    step_rule=PhaseRule(scores_in_memory=False, probabilities_read=False),
)
"""UNFUSED with attention as one ideal kernel: queries, keys and values are read once, the output is
written once in its place, and no score, mask or probability reaches memory."""

CONVENTIONS = {each.name: each for each in (PUBLISHED, UNFUSED, FUSED)}


def projection(rows, n_in: int, n_out: int, bias: bool, convention: Convention) -> Cost:
    """(rows, n_in) times weights (n_in, n_out): 2 rows n_in n_out FLOPs, a bias included."""
    weights = n_in * n_out + (n_out if bias and convention.bias_read else 0)
    return Cost(
        2 * rows * n_in * n_out,
        rows * n_in * convention.activation_bytes + weights * convention.weight_bytes,
        rows * n_out * convention.activation_bytes,
    )


def routed(rows, experts, n_in: int, n_out: int, bias: bool, convention: Convention) -> Cost:
    """A projection by experts, (all of them, those that a row visits). The weights of each expert
    that any row visits are read once: of n experts and k a row n (1 - (1 - k/n)^rows) on average,
    when rows choose evenly and independently."""
    n, visited = experts
    one = projection(rows * visited, n_in, n_out, bias, convention)
    weights = n_in * n_out + (n_out if bias and convention.bias_read else 0)
    read = n - n * (1 - visited / n) ** rows
    return one + Cost(0, (read - 1) * weights * convention.weight_bytes)


def scores(batch, queries, keys, heads, rule: PhaseRule, kv_bytes, convention) -> Cost:
    """Per head, (queries, width) times (width, keys). `heads` is (query heads, key-value heads,
    width of one); heads of a group share their keys, read once at `kv_bytes` an element."""
    n, n_kv, width = heads
    out = batch * n * queries * keys
    query_bytes = batch * n * queries * width * convention.activation_bytes
    return Cost(
        out * (2 * width - rule.act_flops_less),
        query_bytes + batch * n_kv * keys * width * kv_bytes,
        out * convention.activation_bytes * rule.scores_in_memory,
    )


def weighted_values(batch, queries, keys, heads, rule: PhaseRule, kv_bytes, convention) -> Cost:
    """Per head, probabilities (queries, keys) times values (keys, width); see `scores`."""
    n, n_kv, width = heads
    out = batch * n * queries * width
    probability_bytes = batch * n * queries * keys * convention.activation_bytes
    return Cost(
        out * (2 * keys - rule.act_flops_less),
        probability_bytes * rule.probabilities_read + batch * n_kv * keys * width * kv_bytes,
        out * convention.activation_bytes,
    )


def softmax(batch, queries, keys, n_heads: int, masked: bool, rule, convention) -> Cost:
    """Softmax over `keys`, with scale and mask where the convention has them as operators. The
    mask, (queries, keys), is shared by the batch and the heads."""
    elements = batch * n_heads * queries * keys
    operators = 1 + convention.scale_and_mask * (1 + masked)
    moved = elements * operators * convention.activation_bytes * rule.scores_in_memory
    mask = queries * keys * convention.activation_bytes * rule.scores_in_memory
    return Cost(
        elements * (convention.softmax_flops + operators - 1),
        moved + mask * (convention.scale_and_mask and masked),
        moved,
    )


def softcap(elements, in_memory: bool, convention: Convention) -> Cost:
    """A quotient, its tanh and a product, cap * tanh(x / cap), as one operator."""
    size = elements * convention.activation_bytes * in_memory
    return Cost(elements * (convention.activation_flops + 2), size, size)


def elementwise(elements, flops_each: int, inputs: int, convention: Convention) -> Cost:
    """An operator that reads `inputs` tensors of `elements` and writes one."""
    size = elements * convention.activation_bytes
    return Cost(elements * flops_each, size * inputs, size)


def norm(rows, width: int, weights: int, convention: Convention) -> Cost:
    """A norm of `rows` vectors with `weights` parameters (2 width: layer norm; width: RMS norm)."""
    moved = elementwise(rows * width, convention.norm_flops, 1, convention)
    return moved + Cost(0, weights * convention.weight_bytes)


def lookup(rows, width: int, convention: Convention) -> Cost:
    """Rows of an embedding table, read at weight size and written at activation size."""
    elements = rows * width
    return Cost(0, elements * convention.weight_bytes, elements * convention.activation_bytes)


def position_add(rows, positions, width: int, convention: Convention) -> Cost:
    """Rows of the position table, a view shared by the batch, added to every token."""
    moved = elementwise(rows * width, 1, 1, convention)
    return moved + Cost(0, positions * width * convention.weight_bytes)


def rotary(rows, positions, n_heads: int, head_dim: int, convention: Convention) -> Cost:
    """Rotary embedding of the heads of `rows` tokens: two products and a sum per element; reads
    a cosine and a sine per position and element of one head (Su et al., arXiv:2104.09864)."""
    moved = elementwise(rows * n_heads * head_dim, 3, 1, convention)
    return moved + Cost(0, 2 * positions * head_dim * convention.activation_bytes)


def cache_write(rows, width: int, convention: Convention) -> Cost:
    """New keys and values, `width` elements a token, into the cache."""
    read = rows * width * convention.activation_bytes * convention.cache_copied
    return Cost(0, read, rows * width * convention.kv_bytes)
