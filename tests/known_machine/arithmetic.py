"""What a machine of that bandwidth and that peak takes, by arithmetic: each operator its FLOPs over
the peak or its bytes over the bandwidth. And how near a measured number must be to that."""

from collections.abc import Callable

BANDWIDTH, PEAK = 2.3e10, 3.7e11  # bytes/s, FLOP/s
RIDGE = PEAK / BANDWIDTH
CACHE = 2**25  # bytes, of the machine that has one
# How near is near. DIGITS: a run keeps six digits of a time, and a ratio is of two. BESIDE: what a
# pass moves besides what is counted: ids, biases and the means of norms; besides what the report
# predicts for a step, also the cache's new row and the logits that a token is chosen by. With
# weights of few bits that is as much, which is six times the share of a step six times as fast.
DIGITS, BESIDE = 1e-5, 0.01
BERT = {"BERT-Base": (12, 768), "BERT-Large": (24, 1024)}  # layers, width
VOCABULARY = 50257


def seconds(flops: float, numbers: float) -> float:
    return max(flops / PEAK, 4 * numbers / BANDWIDTH)


def product(m: int, k: int, n: int, heads: int = 1) -> float:
    return seconds(2 * heads * m * k * n, heads * (m * k + k * n + m * n))


def layer(queries: int, keys: int, d: int, fused=True, batch=1, kv_heads: int | None = None):
    """Seconds of a layer in which `queries` tokens of each sequence see `keys`."""
    rows, heads = batch * queries, d // 64
    kv = 64 * (kv_heads or heads)
    if fused:
        made = product(rows, d, d + 2 * kv)
        attention = seconds(4 * rows * keys * d, 2 * rows * d + 2 * batch * keys * kv)
    else:
        made, scores = 3 * product(rows, d, d), heads * queries * keys
        attention = product(queries, 64, keys, heads) + product(queries, keys, 64, heads)
        attention += seconds(0, 4 * scores)  # scaled, and their softmax
    multiplied = product(rows, d, d) + product(rows, d, 4 * d) + product(rows, 4 * d, d)
    # Two norms of a row in and out, two sums of two rows, and GELU of one four times as long.
    return made + attention + multiplied + seconds(0, (2 * 2 + 2 * 3 + 2 * 4) * rows * d)


def encoder(model: str, tokens: int, fused=True) -> float:
    layers, d = BERT[model]
    joined = seconds(0, 2 * tokens * d) * (not fused)  # the heads' outputs, side by side
    # Two look-ups in and out, two sums, a norm; and the pooler, of one token.
    outside = seconds(0, (2 * 2 + 2 * 3 + 2) * tokens * d) + product(1, d, d)
    return layers * (layer(tokens, tokens, d, fused) + joined) + outside


def step(context: int, batch: int = 1, kv_heads: int | None = None) -> float:
    inside = 12 * layer(1, context, 768, batch=batch, kv_heads=kv_heads)
    cached = seconds(0, 2 * 12 * 2 * 64 * (kv_heads or 12) * batch)  # read and written
    chosen = seconds(0, batch * VOCABULARY)  # tokens, by their logits
    return inside + cached + product(batch, 768, VOCABULARY) + chosen


def generation(tokens: int) -> float:
    return sum(map(step, range(1, tokens + 1)))


def near(what: str, ours, expected, within: float) -> None:
    off = abs(ours / expected - 1)
    assert off <= within, f"{what}: {ours:.6g} is {off:.2%} off {expected:.6g}"


def changed(owner, name: str, change: Callable) -> Callable:
    """Plants `change(of what is there)` in the place of an attribute."""
    return lambda patch: patch.setattr(owner, name, change(getattr(owner, name)))


def doubled(true):
    return lambda *args: 2 * true(*args)
