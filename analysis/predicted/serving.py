"""Generating with less: many sequences at once, weights of fewer bits, fewer cached heads, a draft.

Work that is spread over several accelerators is taken to be spread evenly, and links to cost
nothing: an accelerator's ridge point then is that of all together.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence

from analysis.errors import InputError
from analysis.predicted.architectures import Architecture
from analysis.predicted.operations import Convention, Cost
from analysis.predicted.transformer import decoder_step

MOST = 2**40  # sequences or tokens; what no such number reaches, none does
# How formats store a step's weights: bits, inputs that share a scale (None: a row), bytes of a
# scale and, where there is one, its zero point.
STORED: dict[str, tuple[int, int | None, int]] = {
    "float32": (32, None, 0),
    "bfloat16": (16, None, 0),
    "int8": (8, None, 2),
    "int8-planes": (8, 256, 8),
    "int8-dynamic": (8, None, 4),
    "int4": (4, 64, 4),
}


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
    most = greatest(lambda batch: intensity(arch, context, convention, batch) < ridge)
    return None if most is None else most + 1


def greatest(holds: Callable[[int], bool]) -> int | None:
    """The greatest whole number for which `holds`, which holds up to some number and not beyond;
    0 if for none, None if up to `MOST`."""
    found = bisect_left(range(1, MOST + 1), True, key=lambda number: not holds(number))
    return None if found == MOST else found


def memory_bytes(arch: Architecture, context: int, convention: Convention, batch: int = 1) -> float:
    """Bytes of all weights, and of the cache of `batch` sequences of `context` tokens."""
    cache = batch * arch.cached(context) * convention.kv_bytes
    return arch.n_parameters * convention.weight_bytes + cache


def projections(arch: Architecture) -> list[tuple[int, int, int]]:
    """Every weight matrix that a token is multiplied by: those of layers and the LM head."""
    return arch.matrices() + [(1, arch.vocab_size, arch.d_model)] * arch.lm_head


def projection_bytes(
    arch: Architecture, bits: float = 32, group: int | None = None, scale_bytes: int = 0
) -> float:
    """Bytes of these weights at `bits` a number, with `scale_bytes` for each `group` of inputs;
    None: for each row."""
    return sum(
        times * outputs * (inputs * bits / 8 + inputs // (group or inputs) * scale_bytes)
        for times, outputs, inputs in projections(arch)
    )


def step_bytes(arch: Architecture, context: int, weights: float, batch: int = 1):
    """Bytes that a step reads at least: `weights` bytes of projections, and caches in float32."""
    return weights + 4 * batch * arch.cached(context)


def knee(batches: Sequence[int], seconds: Sequence[float]) -> float:
    """The batch at which the line of the two largest batches, through nothing, would take as long
    as a step of one sequence: what a sequence adds at most, against what all of them share.

    Steps that wait for whatever takes longer, memory or compute, have it where they change from
    the one to the other. Raises InputError without three batches from 1 on."""
    if len(batches) < 3 or batches[0] != 1 or len(batches) != len(seconds):
        raise InputError("a knee needs steps of one sequence and of two larger batches")
    added = (seconds[-1] - seconds[-2]) / (batches[-1] - batches[-2])
    return seconds[0] / added


def expected_tokens(acceptance: float, drafted: int) -> float:
    """Tokens that a check of `drafted` tokens yields on average, its own included, when each is
    accepted with probability `acceptance` (Leviathan et al. 2023, equation 1)."""
    if not 0 <= acceptance <= 1 or drafted < 0:
        raise InputError(f"acceptance {acceptance} of {drafted} drafted tokens; it is from 0 to 1")
    return sum(acceptance**n for n in range(drafted + 1))


def draft_speed_up(acceptance: float, drafted: int, draft: float, check: float = 1) -> float:
    """How many times faster a draft makes greedy decoding: `draft` and `check` are the times of a
    step of the draft and of a check, over that of a step (theorem 3.8 there has `check` = 1)."""
    return expected_tokens(acceptance, drafted) / (drafted * draft + check)
