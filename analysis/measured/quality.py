"""What quality a remedy leaves: bits per byte of a trained decoder, before and after.

Points have the keys quality/byte-decoder/REMEDY and quality/byte-draft/none; their times are those
of the scoring. Details: `bits_per_byte` with the ends `low` and `high` of its interval; the
`difference` from the decoder that it was made of, `compared_with`, with those of its own, paired by
module; and `weight_bytes` as they would be stored.
"""

import hashlib
import platform
from collections.abc import Callable
from functools import cache, partial

import torch

from analysis.measured import pruned
from analysis.measured.byte_model import BATCH, TUNED, Score, load, score, tensors
from analysis.measured.byte_text import HELD_OUT, WINDOW, WINDOWS, held_out
from analysis.measured.linear import Linear
from analysis.measured.networks import Decoder
from analysis.measured.profile import GUESS
from analysis.measured.quantised import quantise, quantised, with_projections
from analysis.measured.timing import Budget, Clock, Measurement, Sample, Task
from analysis.predicted.architectures import BYTE_DECODER

MODEL, DRAFT, TUNED_WHOLE = "byte-decoder", "byte-draft", "byte-tuned"
BITS, GROUP = (8, 6, 5, 4, 3, 2), 32
TYPES = ("bfloat16", "float16")
ROOM = 5 * 10**8  # bytes of memory that scoring takes at most

Remedy = Callable[[str], tuple[Decoder, dict]]  # device -> network, and details of it


def _plain(device: str, name: str = MODEL) -> tuple[Decoder, dict]:
    network = load(name, BATCH, device=device)
    return network, {"weight_bytes": sum(each.nbytes for each in tensors(network).values())}


def _typed(device: str, dtype: str) -> tuple[Decoder, dict]:
    network = load(MODEL, BATCH, dtype=getattr(torch, dtype), device=device)
    return network, {"weight_bytes": sum(each.nbytes for each in tensors(network).values())}


def _rounded(device: str, bits: int, group: int | None) -> tuple[Decoder, dict]:
    """Weights as integers, everything else in float32; the table of embeddings is the head's."""
    network, details = _plain(device)
    size = details["weight_bytes"]

    def change(linear: Linear) -> Linear:
        nonlocal size
        found = quantise(linear.weight, bits, group)
        size += found.nbytes - linear.weight.nbytes
        return Linear(found.dequantised(), linear.bias, linear.operator_class)

    network = with_projections(network, change)
    return network, {"weight_bytes": int(size), "bits": bits, "group": group or "row"}


def _with_activations(device: str) -> tuple[Decoder, dict]:
    """Weights of 8 bits, a scale for each row, and activations of 8, one for each product."""
    whole, details = _plain(device)
    network = quantised(whole, 8, how="dynamic")
    pairs = zip(whole.linears(), network.linears(), strict=True)
    size = details["weight_bytes"] + sum(new.nbytes - old.weight.nbytes for old, new in pairs)
    return network, {"weight_bytes": size, "bits": 8, "group": "row"}


def _tuned(device: str, name: str) -> tuple[Decoder, dict]:
    network, details = _plain(device, name)
    return network, details | {"compared_with": TUNED_WHOLE}


def _structured(device: str, share: int) -> tuple[Decoder, dict]:
    network = pruned.smaller(_plain(device)[0], share / 100)
    size = sum(each.nbytes for each in tensors(network).values())
    return network, {"weight_bytes": size, "share": share}


def _unstructured(device: str, share: int) -> tuple[Decoder, dict]:
    whole, details = _plain(device)
    network = pruned.with_zeros(whole, share / 100)
    stored = pruned.with_zeros(whole, share / 100, pruned.Sparse).linears()
    sparse = details["weight_bytes"] + sum(
        new.nbytes - old.weight.nbytes
        for old, new in zip(whole.linears(), stored, strict=True)
        if new is not old
    )
    return network, details | {"share": share, "sparse_bytes": sparse}


REMEDIES: dict[str, Remedy] = {
    "none": _plain,
    **{dtype: partial(_typed, dtype=dtype) for dtype in TYPES},
    **{f"int{n}-row": partial(_rounded, bits=n, group=None) for n in BITS},
    **{f"int{n}-group": partial(_rounded, bits=n, group=GROUP) for n in BITS},
    "int8-activations": _with_activations,
    **{f"structured-{s}": partial(_structured, share=s) for s in pruned.SHARES},
    **{f"unstructured-{s}": partial(_unstructured, share=s) for s in pruned.SHARES},
    **{name.removeprefix("byte-"): partial(_tuned, name=name) for name in TUNED},
}


@cache
def text_digest() -> str:
    """Of the held-out windows, which differ by Python's version."""
    return hashlib.sha256(held_out().numpy().tobytes()).hexdigest()


def quality_tasks(device: str, budget: Budget, threads: int) -> list[Task]:
    """One task a remedy, and the draft's; the decoder itself comes first."""
    known: dict[str, Score] = {}  # of the decoders that others are compared with

    def scored(remedy: Remedy, seconds: float = 0) -> Measurement:
        torch.set_num_threads(threads)
        network, details = remedy(device)
        base = details.setdefault("compared_with", MODEL)
        if base not in known:
            known[base] = score(_plain(device, base)[0])
        clock, found = Clock(device), []
        taken = clock.time(lambda: found.append(score(network)))
        low, high = found[0].interval
        details |= {"bits_per_byte": found[0].mean, "low": low, "high": high}
        names = ("difference", "difference_low", "difference_high")
        details |= dict(zip(names, found[0].less(known[base]), strict=True))
        details |= {"python": platform.python_version(), "text_sha256": text_digest()}
        return Measurement(Sample((taken,)), None, None, details)

    flops = 2 * BYTE_DECODER.n_parameters * len(HELD_OUT) * WINDOWS * WINDOW
    once = flops / GUESS[device][0] / (threads if device == "cpu" else 1) + 0.3
    points = {f"quality/{MODEL}/{name}": remedy for name, remedy in REMEDIES.items()}
    points[f"quality/{DRAFT}/none"] = partial(_plain, name=DRAFT)
    return [
        Task(key, "quality", ROOM, once, partial(scored, remedy)) for key, remedy in points.items()
    ]
