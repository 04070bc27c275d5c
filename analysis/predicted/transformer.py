"""Operations composed into an encoder pass, a prefill, a decoder step and a generation.

Every function returns a dict of five Costs: the paper's four operator classes (`CLASSES`) and
"total". Projections outside the layers (BERT's pooler, an LM head) are in "ffn_projections",
where the convention counts them: the three matmul classes together hold every matmul.
`sequence_length`, `context`, `length` and `batch` are positive ints or integer arrays that
broadcast; anything else is an InputError. No length is refused for being longer than trained.
"""

import numpy as np

from analysis.errors import InputError
from analysis.predicted import operations as op
from analysis.predicted.architectures import Architecture
from analysis.predicted.operations import Convention, Cost, Count

CLASSES = ("mha_projections", "act_to_act", "ffn_projections", "other")


def encoder_pass(
    arch: Architecture, sequence_length, convention: Convention, batch=1
) -> dict[str, Cost]:
    """An encoder over `batch` sequences at once; every token attends to every other."""
    _needs(arch, "encoder", "an encoder pass")
    return _pass(arch, sequence_length, convention, batch)


def prefill(
    arch: Architecture, sequence_length, convention: Convention, batch=1
) -> dict[str, Cost]:
    """A decoder over whole prompts at once, filling the cache. The scores are full (l x l), then
    masked: nothing is saved by causality. An LM head is counted at every position."""
    _needs(arch, "decoder", "a prefill")
    return _pass(arch, sequence_length, convention, batch)


def decoder_step(arch: Architecture, context, convention: Convention, batch=1) -> dict[str, Cost]:
    """One new token per sequence, attending to `context` tokens, itself included.

    Under a `mid_step` convention the context charged is `context` - 1/2."""
    _needs(arch, "decoder", "a decoder step")
    context, batch = _size("context", context), _size("batch", batch)
    return _steps(arch, 1, 2 * context - convention.mid_step, convention, batch)


def generation(arch: Architecture, length, convention: Convention, batch=1) -> dict[str, Cost]:
    """`length` tokens from nothing, one step each: the sum of the steps at contexts 1 to `length`.

    The contexts sum to l (l + 1) / 2, under a `mid_step` convention to l^2 / 2."""
    _needs(arch, "decoder", "a generation")
    length, batch = _size("length", length), _size("batch", batch)
    return _steps(arch, length, length * (length + 1 - convention.mid_step), convention, batch)


def matmul_flops(counts: dict[str, Cost]) -> Count:
    """FLOPs of the matmuls alone."""
    return sum(counts[name].flops for name in CLASSES if name != "other")


def _pass(arch, sequence_length, convention, batch):
    length, batch = _size("sequence_length", sequence_length), _size("batch", batch)
    return _finished(_stack(arch, batch, length, length, convention, step=False))


def _steps(arch, n_steps, contexts_doubled, convention, batch):
    """`n_steps` steps whose contexts sum to `contexts_doubled` / 2. A step is affine in its
    context, so its cost at contexts 0 and 1 gives any sum, exactly."""
    at_0, at_1 = (_stack(arch, batch, 1, context, convention, step=True) for context in (0, 1))
    costs = {}
    for name in CLASSES:
        rise = (at_1[name] + at_0[name] * -1) * contexts_doubled
        rise = Cost(*map(_half, (rise.flops, rise.bytes_read, rise.bytes_written)))
        costs[name] = at_0[name] * n_steps + rise
    return _finished(costs)


def _stack(arch, batch, queries, keys, convention, step):
    """`queries` new tokens in each of `batch` sequences; each attends to `keys` tokens."""
    rows, d = batch * queries, arch.d_model
    costs = {k: v * arch.n_layers for k, v in _layer(arch, batch, queries, keys, convention, step)}
    if convention.outside_layers:
        costs["other"] += op.lookup(rows, d, convention)
        if arch.token_types:
            costs["other"] += op.lookup(rows, d, convention)
            costs["other"] += op.elementwise(rows * d, 1, 2, convention)
        if arch.positions == "learned":
            costs["other"] += op.position_add(rows, queries, d, convention)
        costs["other"] += _norm(arch, rows, d, convention)
    if arch.pooler and convention.pooler:
        costs["ffn_projections"] += op.projection(batch, d, d, True, convention)
        costs["other"] += op.elementwise(batch * d, convention.activation_flops, 1, convention)
    if arch.lm_head and convention.lm_head:
        costs["ffn_projections"] += op.projection(rows, d, arch.vocab_size, False, convention)
    return costs


def _layer(arch, batch, queries, keys, convention, step):
    """(operator class, Cost) of one layer."""
    rows, d, f = batch * queries, arch.d_model, arch.d_ff
    heads = (arch.n_heads, arch.n_kv_heads, arch.head_dim)
    rule = convention.step_rule if step else convention.pass_rule
    kv_bytes = convention.kv_bytes if step else convention.activation_bytes

    mha = op.projection(rows, d, arch.d_attention, arch.qkv_bias, convention)
    mha += op.projection(rows, d, arch.d_kv, arch.qkv_bias, convention) * 2
    mha += op.projection(rows, arch.d_attention, d, arch.out_bias, convention)

    act = op.scores(batch, queries, keys, heads, rule, kv_bytes, convention)
    act += op.weighted_values(batch, queries, keys, heads, rule, kv_bytes, convention)

    ffn = op.projection(rows, d, f, arch.ffn_bias, convention) * (1 + arch.gated_ffn)
    ffn += op.projection(rows, f, d, arch.ffn_bias, convention)

    masked = arch.kind == "decoder" and not step
    other = op.softmax(batch, queries, keys, arch.n_heads, masked, rule, convention)
    if rule.heads_copied:
        other += op.elementwise(rows * arch.d_attention, 0, 1, convention)
    other += op.elementwise(rows * f, convention.activation_flops, 1, convention)
    if arch.gated_ffn:
        other += op.elementwise(rows * f, 1, 2, convention)
    other += _norm(arch, rows, d, convention) * 2
    for reads in (2, rule.ffn_residual_reads):
        other += op.elementwise(rows * d, 1, reads, convention)
    for n in (arch.n_heads, arch.n_kv_heads):
        if arch.qk_norm:
            other += op.norm(rows * n, arch.head_dim, arch.head_dim, convention)
        if arch.positions == "rotary":
            other += op.rotary(rows, queries, n, arch.head_dim, convention)
    if arch.kind == "decoder":
        cache = op.cache_write(rows, 2 * arch.d_kv, convention)
        if convention.cache_copied:
            other += cache
        else:
            act += cache
    return zip(CLASSES, (mha, act, ffn, other), strict=True)


def _norm(arch, rows, width, convention):
    return op.norm(rows, width, width * (2 if arch.norm == "layernorm" else 1), convention)


def _finished(costs):
    """With "total"; over an array of sizes every count has the array's shape."""
    costs["total"] = sum((costs[name] for name in CLASSES), Cost())
    shape = np.shape(costs["total"].bytes)
    if not shape:
        return costs
    return {
        name: Cost(
            *(np.broadcast_to(n, shape) for n in (cost.flops, cost.bytes_read, cost.bytes_written))
        )
        for name, cost in costs.items()
    }


def _half(doubled: Count) -> Count:
    """Half of a count; whole numbers stay integers."""
    return doubled // 2 if np.all(doubled % 2 == 0) else doubled / 2


def _size(name: str, value):
    """A positive int, or an int64 array of them."""
    sizes = np.asarray(value)
    if sizes.dtype.kind not in "iu" or not sizes.size or (sizes < 1).any():
        raise InputError(f"{name} is {value!r}; it must be an integer >= 1, or an array of them")
    return sizes.astype(np.int64) if sizes.ndim else int(value)


def _needs(arch: Architecture, kind: str, phase: str):
    if arch.kind != kind:
        raise InputError(
            f"{phase} needs a model of kind {kind}; {arch.name} is of kind {arch.kind}"
        )
