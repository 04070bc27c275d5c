"""What a model asks of any machine at least: matmul FLOPs, weights and cache, as a few numbers.

From these every size follows: a step is affine in its context up to each window, and in its batch
but for a mixture's weights, of which n (1 - (1 - k/n)^tokens) experts are read on average. Nothing
is charged that an implementation could spare: scores behind the mask or outside of the window, an
LM head for a prompt's tokens but the last, activations.
"""

from dataclasses import dataclass

from analysis.errors import InputError
from analysis.predicted.architectures import Architecture
from analysis.predicted.operations import UNFUSED
from analysis.predicted.transformer import decoder_step, encoder_pass, matmul_flops, prefill


@dataclass(frozen=True)
class Attention:
    """Layers alike in what they attend to: FLOPs per token and key of all of them together, in a
    step and in a pass, and elements that they cache of a token."""

    step_flops: float
    pass_flops: float
    cached: float
    window: int | None = None  # tokens; None: all


@dataclass(frozen=True)
class Needs:
    """A model's coefficients. FLOPs are of matmuls; weights and caches are counted in elements."""

    name: str
    kind: str  # "encoder" or "decoder"
    counted: str  # by "formulas" or "tracing"
    parameters: int
    active_parameters: int  # those that one token visits
    fixed_weights: int  # that each step reads, whatever its batch
    expert_weights: int  # of all experts that are chosen from
    experts: int
    visited: int  # experts of a token
    step_flops: float  # of a token in a step but for attention, head included
    pass_flops: float  # of a token in a pass but for attention and head
    head_flops: float  # in a pass, of a sequence, or of each token if `head_each`
    head_each: bool
    attention: tuple[Attention, ...]
    n_layers: int
    d_model: int
    state: float = 0  # elements that a sequence keeps, however long it is

    def weights_read(self, tokens: int) -> float:
        """Weights that a step or pass over `tokens` in all reads: exact but for the routing of a
        mixture, which is an average."""
        if not self.experts:
            return self.fixed_weights
        share = 1 - (1 - self.visited / self.experts) ** tokens
        return self.fixed_weights + self.expert_weights * share

    def cached(self, tokens: int) -> float:
        """Elements in the cache of a sequence of `tokens`."""
        kept = (each.cached * min(tokens, each.window or tokens) for each in self.attention)
        return self.state + sum(kept)


@dataclass(frozen=True)
class Work:
    """Of one step or pass: matmul FLOPs, elements of weights and of caches that are moved."""

    flops: float
    weights: float
    cache: float


def step(needs: Needs, context: int, batch: int = 1) -> Work:
    """One new token in each of `batch` sequences of `context` tokens, the new one included."""
    if needs.kind == "encoder":
        raise InputError(f"{needs.name} is an encoder; it takes no decoder steps")
    keys = sum(each.step_flops * min(context, each.window or context) for each in needs.attention)
    flops = batch * (needs.step_flops + keys)
    return Work(flops, needs.weights_read(batch), batch * needs.cached(context))


def prompt(needs: Needs, length: int, batch: int = 1) -> Work:
    """A pass over `batch` sequences of `length` tokens; a decoder fills its cache."""
    keys = sum(each.pass_flops * _attended(needs, length, each.window) for each in needs.attention)
    head = needs.head_flops * (length if needs.head_each else 1)
    flops = batch * (length * needs.pass_flops + keys + head)
    cache = batch * needs.cached(length) if needs.kind == "decoder" else 0
    return Work(flops, needs.weights_read(batch * length), cache)


def _attended(needs: Needs, length: int, window: int | None) -> int:
    """Pairs of a token and one that it attends to, in a sequence of `length`."""
    if needs.kind == "decoder":
        return length + _before(length, (window or length) - 1)
    return length**2 if window is None else length + 2 * _before(length, (window - 1) // 2)


def _before(length: int, reach: int) -> int:
    """Pairs of a token and one of the `reach` tokens before it."""
    reach = min(reach, length - 1)
    return reach * (reach + 1) // 2 + (length - 1 - reach) * reach


def needs_of(arch: Architecture) -> Needs:
    """The coefficients of an architecture, by the formulas of `analysis.predicted.transformer`."""
    plain = arch.replace(window=None)
    body = plain.replace(lm_head=False, labels=0, pooler=False, head_dense=False)
    whole_pass = encoder_pass if arch.kind == "encoder" else prefill
    one = whole_pass(body, 1, UNFUSED)
    key = one["act_to_act"].flops
    pass_flops = matmul_flops(one) - key
    step_key = step_flops = 0
    if arch.kind == "decoder":
        first, second = (matmul_flops(decoder_step(plain, n, UNFUSED)) for n in (1, 2))
        step_key, step_flops = second - first, 2 * first - second
    windowed = arch.window.layers if arch.window else 0
    groups = [(arch.n_layers - windowed, None)]
    groups += [(windowed, arch.window.tokens)] if windowed else []
    attention = tuple(
        Attention(step_key * n // arch.n_layers, key * n // arch.n_layers, arch.cache_width * n, w)
        for n, w in groups
        if n
    )
    moe = arch.experts
    experts = arch.expert_parameters * moe.n if moe else 0
    return Needs(
        arch.name,
        arch.kind,
        "formulas",
        arch.n_parameters,
        arch.n_active_parameters,
        arch.n_parameters - experts - arch.looked_up,
        experts,
        moe.n if moe else 0,
        moe.active if moe else 0,
        step_flops,
        pass_flops,
        matmul_flops(whole_pass(plain, 1, UNFUSED)) - matmul_flops(one),
        arch.kind == "encoder" and not arch.pooler and not arch.labels_once,
        attention,
        arch.n_layers,
        arch.d_model,
    )
