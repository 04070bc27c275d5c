"""Generating with many sequences at once: what a token costs, and the batch that compute asks for.

Work that is spread over several accelerators is taken to be spread evenly, and links to cost
nothing: an accelerator's ridge point then is that of all together.
"""

from analysis.errors import InputError
from analysis.predicted.architectures import Architecture
from analysis.predicted.operations import Convention, Cost
from analysis.predicted.transformer import decoder_step

MOST = 2**40  # sequences; what no such batch reaches, none does


def token_cost(arch: Architecture, context, convention: Convention, batch=1) -> Cost:
    """FLOPs and bytes of one generated token, when `batch` sequences share a decoder step at
    `context`: the step's, divided by the batch. Arrays broadcast as in `decoder_step`."""
    step = decoder_step(arch, context, convention, batch)["total"]
    return Cost(step.flops / batch, step.bytes_read / batch, step.bytes_written / batch)


def intensity(arch: Architecture, context, convention: Convention, batch=1):
    """FLOP per byte of a decoder step; it rises with the batch, which shares the weights."""
    return decoder_step(arch, context, convention, batch)["total"].intensity


def batch_to_reach(arch: Architecture, ridge: float, context: int, convention: Convention):
    """The least batch whose intensity is at least `ridge`, or None where no batch reaches it:
    each sequence brings its own cache, which no other shares."""
    if not ridge > 0:
        raise InputError(f"the ridge point is {ridge}; it must be positive")
    low, high = 0, 1  # `low` does not reach it, `high` does
    while intensity(arch, context, convention, high) < ridge:
        low, high = high, 2 * high
        if high > MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        reached = intensity(arch, context, convention, middle) >= ridge
        low, high = (low, middle) if reached else (middle, high)
    return high


def memory_bytes(arch: Architecture, context: int, convention: Convention, batch: int = 1) -> float:
    """Bytes of all weights, and of the cache of `batch` sequences of `context` tokens."""
    cache = batch * arch.cached(context) * convention.kv_bytes
    return arch.n_parameters * convention.weight_bytes + cache
