"""Operations composed into an encoder pass, a prefill, a decoder step and a generation.

Every function returns a dict of five Costs: the paper's four operator classes (`CLASSES`) and
"total". Projections outside the layers (BERT's pooler, an LM head) are in "ffn_projections",
where the convention counts them: the three matmul classes together hold every matmul.
`sequence_length`, `context`, `length` and `batch` are positive ints or integer arrays that
broadcast; anything else is an InputError. No length is refused for being longer than trained.
"""

from analysis.errors import InputError
from analysis.predicted import operations as op
from analysis.predicted.architectures import NORM_WEIGHTS, Architecture
from analysis.predicted.operations import Convention, Cost, Count
from analysis.predicted.variants import at_most

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
    return _steps(arch, 1, lambda most: at_most(context, most) * 2, convention, batch)


def pass_or_step(arch: Architecture, tokens, convention: Convention, batch=1) -> dict[str, Cost]:
    """What a model does at once: an encoder's pass, or a decoder's step at that context."""
    count = encoder_pass if arch.kind == "encoder" else decoder_step
    return count(arch, tokens, convention, batch)


def generation(arch: Architecture, length, convention: Convention, batch=1) -> dict[str, Cost]:
    """`length` tokens from nothing, one step each: the sum of the steps at contexts 1 to `length`.

    The contexts sum to l (l + 1) / 2, under a `mid_step` convention to l^2 / 2."""
    _needs(arch, "decoder", "a generation")
    length, batch = _size("length", length), _size("batch", batch)

    def doubled(most):
        rising = at_most(length, most)
        return rising * (rising + 1) + (length - rising) * 2 * (most or 0)

    return _steps(arch, length, doubled, convention, batch)


def matmul_flops(counts: dict[str, Cost]) -> Count:
    """FLOPs of the matmuls alone."""
    return sum(counts[name].flops for name in CLASSES if name != "other")


def _pass(arch, sequence_length, convention, batch):
    length, batch = _size("sequence_length", sequence_length), _size("batch", batch)
    return _finished(_stack(arch, batch, length, length, convention, step=False))


def _steps(arch, n_steps, doubled, convention, batch):
    """`n_steps` steps; `doubled(most)` is twice the sum of their contexts, each cut at `most`. A
    layer's cost is affine in its context, so contexts 0 and 1 give any sum, exactly."""
    at_0, at_1 = (_stack(arch, batch, 1, context, convention, step=True) for context in (0, 1))
    windowed = arch.window.layers if arch.window else 0
    contexts = doubled(None) - convention.mid_step * n_steps
    if windowed:
        narrow = doubled(arch.window.tokens) - convention.mid_step * n_steps
        contexts = (arch.n_layers - windowed) * contexts + windowed * narrow
    costs = {}
    for name in CLASSES:
        rise = (at_1[name] + at_0[name] * -1) * contexts
        parts = (rise.flops, rise.bytes_read, rise.bytes_written)
        by = 2 * arch.n_layers if windowed else 2
        costs[name] = at_0[name] * n_steps + Cost(*(_divided(part, by) for part in parts))
    return _finished(costs)


def _stack(arch, batch, queries, keys, convention, step):
    """`queries` new tokens in each of `batch` sequences; each attends to `keys` tokens."""
    rows, d = batch * queries, arch.d_model
    costs = dict(zip(CLASSES, _layers(arch, batch, queries, keys, convention, step), strict=True))
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
    outputs = arch.vocab_size * arch.lm_head + arch.labels
    if outputs and convention.lm_head:
        rows = batch if arch.labels_once else rows
        if arch.head_dense:
            costs["ffn_projections"] += op.projection(rows, d, d, arch.ffn_bias, convention)
            costs["other"] += op.elementwise(rows * d, convention.activation_flops, 1, convention)
            costs["other"] += _norm(arch, rows, d, convention)
        costs["ffn_projections"] += op.projection(rows, d, outputs, arch.head_bias, convention)
        if arch.softcap:
            costs["other"] += op.softcap(rows * outputs, True, convention)
    return costs


def _layers(arch, batch, queries, keys, convention, step):
    """Costs of all layers by operator class."""
    rows, d = batch * queries, arch.d_model
    rule = convention.step_rule if step else convention.pass_rule
    kv_bytes = convention.kv_bytes if step else convention.activation_bytes
    attention = _latent_attention if arch.latent else _attention
    mha, act = attention(arch, (batch, queries, keys), rule, kv_bytes, convention, step)

    masked = arch.kind == "decoder" and not step
    other = op.softmax(batch, queries, keys + arch.sinks, arch.n_heads, masked, rule, convention)
    if arch.softcap:
        scores = batch * arch.n_heads * queries * keys
        other += op.softcap(scores, rule.scores_in_memory, convention)
    if rule.heads_copied:
        other += op.elementwise(rows * arch.d_attention, 0, 1, convention)
    other += _norm(arch, rows, d, convention) * arch.layer_norms
    for reads in (2, rule.ffn_residual_reads):
        other += op.elementwise(rows * d, 1, reads, convention)
    width = arch.latent.rotary_dim if arch.latent else arch.rotary_dim or arch.head_dim
    rotated = Cost()
    for n in (arch.n_heads, 1 if arch.latent else arch.n_kv_heads):
        if arch.qk_norm:
            weights = arch.head_dim * (n if arch.qk_norm_whole else 1)
            other += op.norm(rows * n, arch.head_dim, weights, convention)
        if arch.positions == "rotary":
            rotated += op.rotary(rows, queries, n, width, convention)
    if arch.kind == "decoder":
        cache = op.cache_write(rows, arch.cache_width, convention)
        if convention.cache_copied:
            other += cache
        else:
            act += cache
    ffn, inner = _feed_forward(arch, rows, convention)
    other = other * arch.n_layers + rotated * (arch.rotary_layers or arch.n_layers) + inner
    return mha * arch.n_layers, act * arch.n_layers, ffn, other


def _attention(arch, shape, rule, kv_bytes, convention, step):
    """Costs of the projections and of the act-to-act matmuls."""
    rows, heads = shape[0] * shape[1], (arch.n_heads, arch.n_kv_heads, arch.head_dim)
    mha = op.projection(rows, arch.d_model, arch.d_attention, arch.qkv_bias, convention)
    mha += op.projection(rows, arch.d_model, arch.d_kv, arch.qkv_bias, convention) * 2
    mha += op.projection(rows, arch.d_attention, arch.d_model, arch.out_bias, convention)
    act = op.scores(*shape, heads, rule, kv_bytes, convention)
    return mha, act + op.weighted_values(*shape, heads, rule, kv_bytes, convention)


def _latent_attention(arch, shape, rule, kv_bytes, convention, step):
    """As `_attention`. In a step the projections from the latent vector are folded into queries
    and outputs, so that all heads share what is cached; where scores stay out of memory, one
    kernel reads it once. In a pass every token's keys and values are made whole, and in a step
    too where the convention does not fold."""
    rows, d, latent, n = shape[0] * shape[1], arch.d_model, arch.latent, arch.n_heads
    width = arch.head_dim + latent.rotary_dim
    mha = op.projection(rows, latent.query_rank or d, n * width, False, convention)
    if latent.query_rank:
        mha += op.projection(rows, d, latent.query_rank, False, convention)
    mha += op.projection(rows, d, arch.cache_width, False, convention)
    mha += op.projection(rows, arch.d_attention, d, arch.out_bias, convention)
    if not (step and convention.latent_folded):
        seen = shape[0] * shape[2]
        mha += op.projection(seen, latent.rank, 2 * arch.d_attention, False, convention)
        act = op.scores(*shape, (n, n, width), rule, kv_bytes, convention)
        values = (n, n, arch.head_dim)
        return mha, act + op.weighted_values(*shape, values, rule, kv_bytes, convention)
    mha += op.projection(rows, arch.head_dim, latent.rank, False, convention) * n
    mha += op.projection(rows, latent.rank, arch.head_dim, False, convention) * n
    act = op.scores(*shape, (n, 1, arch.cache_width), rule, kv_bytes, convention)
    again = kv_bytes * rule.scores_in_memory
    return mha, act + op.weighted_values(*shape, (n, 1, latent.rank), rule, again, convention)


def _feed_forward(arch, rows, convention):
    """Costs of the projections, and of the rest, of all feed-forward networks. Of experts the
    projection that scores them is counted, choosing and summing what they return are not."""
    moe = arch.experts
    sparse = arch.n_layers - moe.dense_layers if moe else 0
    parts = [(arch.n_layers - sparse, _network(arch, rows, arch.d_ff, convention))]
    if moe:
        scored = op.projection(rows, arch.d_model, moe.n, moe.router_bias, convention)
        if moe.shared_gate:
            scored += op.projection(rows, arch.d_model, 1, False, convention)
        parts.append((sparse, (scored, Cost())))
        parts.append((sparse * moe.shared, _network(arch, rows, moe.d_ff, convention)))
        visited = (moe.n, moe.active)
        parts.append((sparse, _network(arch, rows, moe.d_ff, convention, visited)))
    ffn = sum((ffn * times for times, (ffn, _) in parts), Cost())
    return ffn, sum((other * times for times, (_, other) in parts), Cost())


def _network(arch, rows, width, convention, experts=None):
    """Costs of the projections, and of the rest, of one network, or of the experts visited."""

    def project(n_in, n_out):
        if experts:
            return op.routed(rows, experts, n_in, n_out, arch.ffn_bias, convention)
        return op.projection(rows, n_in, n_out, arch.ffn_bias, convention)

    ffn = project(arch.d_model, width) * (1 + arch.gated_ffn) + project(width, arch.d_model)
    inner = rows * width * (experts[1] if experts else 1)
    other = op.elementwise(inner, convention.activation_flops, 1, convention)
    if arch.gated_ffn:
        other += op.elementwise(inner, 1, 2, convention)
    return ffn, other


def _norm(arch, rows, width, convention):
    return op.norm(rows, width, width * NORM_WEIGHTS[arch.norm], convention)


def _finished(costs):
    """With "total"; over an array of sizes every count has the array's shape."""
    costs["total"] = sum((costs[name] for name in CLASSES), Cost())
    if not (shape := getattr(costs["total"].bytes, "shape", ())):
        return costs
    import numpy as np  # single sizes do without

    found = {}
    for name, cost in costs.items():
        parts = (cost.flops, cost.bytes_read, cost.bytes_written)
        found[name] = Cost(*(np.broadcast_to(part, shape) for part in parts))
    return found


def _divided(count: Count, by: int) -> Count:
    """A count over `by`; whole numbers stay integers."""
    whole = count % by == 0
    return count // by if getattr(whole, "all", lambda: whole)() else count / by


def _size(name: str, value):
    """A positive int, or an int64 array of them."""
    if type(value) is int and value >= 1:
        return value
    import numpy as np  # single sizes do without

    sizes = np.asarray(value)
    if sizes.dtype.kind not in "iu" or not sizes.size or (sizes < 1).any():
        raise InputError(f"{name} is {value!r}; it must be an integer >= 1, or an array of them")
    return sizes.astype(np.int64) if sizes.ndim else int(value)


def _needs(arch: Architecture, kind: str, phase: str):
    if arch.kind != kind:
        raise InputError(
            f"{phase} needs a model of kind {kind}; {arch.name} is of kind {arch.kind}"
        )
