"""What quality a remedy leaves: bits per byte of a trained decoder, before and after.

A point's time is that of the scoring. Details: `bits_per_byte` with the ends of its interval; the
`difference` from the decoder that it was made of, `compared_with`, with those of its own, paired by
module; and `weight_bytes` as they would be stored.
"""

import hashlib
import platform
from collections.abc import Callable
from functools import cache, partial

import torch

from analysis.measured import pruned
from analysis.measured.byte_model import (
    BATCH,
    HELD_OUT,
    TUNED,
    WINDOW,
    WINDOWS,
    Score,
    held_out,
    load,
    score,
)  # fmt: skip
from analysis.measured.networks import Decoder, tensors
from analysis.measured.quantised import FORMATS, dequantised, with_projections
from analysis.measured.schema import SCORES
from analysis.measured.timing import Budget, Key, Task
from analysis.measured.works import Works, guess, in_turn
from analysis.predicted.architectures import BYTE_DECODER
from analysis.predicted.operations import Cost

MODEL, DRAFT, TUNED_WHOLE = "byte-decoder", "byte-draft", "byte-tuned"
BITS, GROUP = (8, 6, 5, 4, 3, 2), 32
SHARES = tuple(range(0, 100, 10))  # per cent pruned
ROOM = 5 * 10**8  # bytes of memory that scoring takes at most


def stored(network: Decoder) -> int:
    """Bytes of its numbers as they would be stored; the table of embeddings is the head's."""
    named = tensors(network).items()
    beside = [each for name, each in named if name != "words" and not name.endswith(".weight")]
    return int(sum(each.nbytes for each in (*beside, *network.linears())))


def remedies(device: str) -> dict[Key, Callable[[], Decoder]]:
    """How to make each; the decoder itself comes first."""

    def plain(name: str = MODEL, change=lambda whole: whole, **options) -> Callable[[], Decoder]:
        return lambda: change(load(name, BATCH, device=device, **options))

    found = {("none", 0): plain()}
    for dtype in ("bfloat16", "float16"):
        found[dtype, 0] = plain(dtype=getattr(torch, dtype))
    for how, group in (("int row", None), ("int group", GROUP)):
        for n in BITS:
            rounded = partial(dequantised, bits=n, group=group)
            found[how, n] = plain(change=partial(with_projections, change=rounded))
    # Weights of 8 bits, a scale for each row, and activations of 8, one for each product.
    activations = partial(with_projections, change=FORMATS["int8-dynamic"])
    found["int activations", 8] = plain(change=activations)
    for share in SHARES:
        found["structured", share] = plain(change=partial(pruned.smaller, share=share / 100))
        found["unstructured", share] = plain(change=partial(pruned.with_zeros, share=share / 100))
    for name in TUNED:
        *words, share = name.removeprefix("byte-").split("-") + ["0"] * (name == TUNED_WHOLE)
        found[" ".join(words), int(share)] = plain(name)
    made = {Key("quality", MODEL, how=how, n=n): make for (how, n), make in found.items()}
    return made | {Key("quality", DRAFT, how="none"): plain(DRAFT)}


def brief(key: Key) -> bool:
    """Whether it is measured at a brief budget, too."""
    return (key.how, key.n) in (("none", 0), ("int row", 8), ("int group", 4))


@cache
def text_digest() -> str:
    """Of the held-out windows, which differ by Python's version."""
    return hashlib.sha256(held_out().numpy().tobytes()).hexdigest()


def quality_tasks(device: str, budget: Budget, threads: int) -> list[Task]:
    """One task a remedy, and the draft's."""
    known: dict[str, Score] = {}  # of the decoders that others are compared with
    flops = 2 * BYTE_DECODER.n_parameters * len(HELD_OUT) * WINDOWS * WINDOW
    once = guess(Cost(flops), device, threads) + 0.3

    def prepare(key: Key, make: Callable[[], Decoder], works: Works) -> None:
        network, base = make(), TUNED_WHOLE if key.how.startswith("tuned") else MODEL
        details = {"weight_bytes": stored(network), "compared_with": base}
        if key.how == "unstructured":  # the same zeros, in rows that leave them out
            sparse = pruned.with_zeros(network, key.n / 100, pruned.Sparse)
            details["sparse_bytes"] = stored(sparse)
        if base not in known:
            known[base] = score(load(base, BATCH, device=device))
        scores = []
        seconds = works.clock.time(lambda: scores.append(score(network)))
        numbers = (scores[0].mean, *scores[0].interval, *scores[0].less(known[base]))
        details |= dict(zip(SCORES, numbers, strict=True))
        details |= {"python": platform.python_version(), "text_sha256": text_digest()}
        works.together({key: (Cost(), details)}, lambda: [seconds])

    return [
        in_turn(key, partial(prepare, key, make), [], ROOM, device, budget, threads, once,
                share=0, least=1)
        for key, make in remedies(device).items()
        if not budget.brief or brief(key)
    ]  # fmt: skip
