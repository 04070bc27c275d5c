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
    tensors,
)  # fmt: skip
from analysis.measured.linear import Linear
from analysis.measured.networks import Decoder
from analysis.measured.quantised import quantise, quantised, with_projections
from analysis.measured.schema import SCORES
from analysis.measured.timing import Budget, Key, Task
from analysis.measured.works import Works, guess, in_turn
from analysis.predicted.architectures import BYTE_DECODER
from analysis.predicted.operations import Cost

MODEL, DRAFT, TUNED_WHOLE = "byte-decoder", "byte-draft", "byte-tuned"
BITS, GROUP = (8, 6, 5, 4, 3, 2), 32
SHARES = tuple(range(0, 100, 10))  # per cent pruned
ROOM = 5 * 10**8  # bytes of memory that scoring takes at most

Made = tuple[Decoder, dict]  # a network, and details of it


def stored(network: Decoder) -> int:
    return sum(each.nbytes for each in tensors(network).values())


def plain(device: str, name: str = MODEL, dtype=torch.float32, **details) -> Made:
    network = load(name, BATCH, dtype=dtype, device=device)
    return network, {"weight_bytes": stored(network)} | details


def changed(device: str, change: Callable[[Decoder], Decoder]) -> Made:
    """With other projections, whose bytes are those that they say."""
    whole = plain(device)[0]
    network = change(whole)
    pairs = zip(whole.linears(), network.linears(), strict=True)
    more = sum(new.nbytes - old.weight.nbytes for old, new in pairs if new is not old)
    return network, {"weight_bytes": int(stored(whole) + more)}


def rounded(network: Decoder, bits: int, group: int | None) -> Decoder:
    """Weights as integers, everything else in float32; the table of embeddings is the head's."""

    def change(linear: Linear) -> Linear:
        found = quantise(linear.weight, bits, group)
        new = Linear(found.dequantised(), linear.bias, linear.operator_class)
        new.nbytes = found.nbytes
        return new

    return with_projections(network, change)


def structured(device: str, share: int) -> Made:
    network = pruned.smaller(plain(device)[0], share / 100)
    return network, {"weight_bytes": stored(network)}


def unstructured(device: str, share: int) -> Made:
    sparse = partial(pruned.with_zeros, share=share / 100, build=pruned.Sparse)
    whole, details = plain(device)
    details["sparse_bytes"] = changed(device, sparse)[1]["weight_bytes"]
    return pruned.with_zeros(whole, share / 100), details


def remedies(device: str) -> dict[Key, Callable[[], Made]]:
    """How to make each; the decoder itself comes first."""
    found = {("none", 0): partial(plain, device)}
    for dtype in ("bfloat16", "float16"):
        found[dtype, 0] = partial(plain, device, dtype=getattr(torch, dtype))
    for how, group in (("int row", None), ("int group", GROUP)):
        for n in BITS:
            change = partial(rounded, bits=n, group=group)
            found[how, n] = partial(changed, device, change)
    # Weights of 8 bits, a scale for each row, and activations of 8, one for each product.
    found["int activations", 8] = partial(
        changed, device, partial(quantised, bits=8, how="dynamic")
    )
    for share in SHARES:
        found["structured", share] = partial(structured, device, share)
        found["unstructured", share] = partial(unstructured, device, share)
    for name in TUNED:
        *words, share = name.removeprefix("byte-").split("-") + ["0"] * (name == TUNED_WHOLE)
        found[" ".join(words), int(share)] = partial(plain, device, name, compared_with=TUNED_WHOLE)
    made = {Key("quality", MODEL, how=how, n=n): make for (how, n), make in found.items()}
    return made | {Key("quality", DRAFT, how="none"): partial(plain, device, DRAFT)}


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

    def prepare(key: Key, make: Callable[[], Made], works: Works) -> None:
        network, details = make()
        base = details.setdefault("compared_with", MODEL)
        if base not in known:
            known[base] = score(plain(device, base)[0])
        scores = []
        seconds = works.clock.time(lambda: scores.append(score(network)))
        numbers = (scores[0].mean, *scores[0].interval, *scores[0].less(known[base]))
        details |= dict(zip(SCORES, numbers, strict=True))
        details |= {"python": platform.python_version(), "text_sha256": text_digest()}
        works.together({key: (Cost(), details)}, lambda: [seconds])

    return [
        in_turn(
            key,
            partial(prepare, key, make),
            [],
            ROOM,
            device,
            budget,
            threads,
            once,
            share=0,
            least=1,
        )  # fmt: skip
        for key, make in remedies(device).items()
        if not budget.brief or brief(key)
    ]
