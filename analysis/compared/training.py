"""The memory of training: the authors' table counted again, and rematerialisation in a run."""

from functools import cache
from pathlib import Path

import pandas as pd

from analysis.compared.training_memory import breakdown
from analysis.measured.runs import Point, Run
from analysis.measured.training import LENGTHS, Training
from analysis.predicted.activations import (
    BIG_DECODER,
    BIG_ENCODER,
    FUSED,
    MIXED,
    PUBLISHED,
    UNFUSED,
    Kept,
    activations,
    layer_tensors,
    outside_tensors,
)
from analysis.predicted.architectures import ARCHITECTURES, BERT_LARGE, GPT2_XL
from analysis.predicted.footprint import model_state, optimizer_numbers

UNIT = 1.024e9  # bytes: the authors' 5.86 for 1.5e9 parameters of 4 bytes
MODELS = {"bert-base": "BERT-Base", "gpt2": "GPT-2"}
LENGTH = 128  # that every budget measures
HOWS = {  # what the run's keys say, in words
    "none": "all kept",
    "attention": "attention again",
    "every-2": "every second layer again",
    "layers": "every layer again",
    "stretch-3": "three layers at a time",
    "fused": "fused attention, all kept",
}
# The rows of the authors' table: model -> architecture, sequence length, batch. They print 2014
# tokens for GPT-2, an erratum: it has 1024 positions. None: an encoder and a decoder.
BIG = "Transformer Big (WMT)"
ROWS = {
    BIG: (None, 512, 6),
    "BERT Large": (BERT_LARGE, 512, 16),
    "GPT-2": (GPT2_XL, 1024, 1),
}
DEVICES = 400  # on which the authors of ZeRO trained a model 8 times as large


def row_bytes(model: str, kept: Kept, length: int | None = None) -> dict[str, int]:
    """Return the bytes of a row's parts, at its own length or another."""
    arch, its_length, batch = ROWS[model]
    length = length or its_length
    if arch:
        stored, n = activations(arch, length, kept, batch=batch).bytes, arch.n_parameters
        state = optimizer_numbers(arch, "adam")
    else:
        pair = (
            (BIG_ENCODER, layer_tensors(BIG_ENCODER, length, kept, batch)),
            (
                BIG_DECODER,
                layer_tensors(BIG_DECODER, length, kept, batch, cross=True),
            ),
        )
        stored = sum(each.n_layers * sum(tensors.values()) for each, tensors in pair)
        stored += sum(outside_tensors(BIG_DECODER, length, kept, batch).values())
        d = BIG_DECODER.d_model  # attention to the encoder: four projections and a norm a layer
        n = BIG_ENCODER.n_parameters + BIG_DECODER.n_parameters
        n += BIG_DECODER.n_layers * (4 * (d * d + d) + 2 * d)
        state = 2 * n
    return {"parameters": 4 * n, "optimizer": 4 * state, "activations": stored}


def published_rows(data: Path | None = None) -> pd.DataFrame:
    """Return model, part, kept, printed, ours (both in `UNIT`) and deviation; activations are
    counted as the authors' features are, and as 16-bit training keeps them."""
    printed, rows = breakdown("figure", data).set_index("model"), []
    for model in ROWS:
        for kept in (PUBLISHED, MIXED):
            for part, size in row_bytes(model, kept).items():
                if kept is PUBLISHED or part == "activations":
                    there = printed.loc[model, part]
                    ours = size / UNIT
                    rows.append((model, part, kept.name, there, ours, ours / there - 1))
    return pd.DataFrame(rows, columns="model part kept printed ours deviation".split())


def curve(run: Run) -> pd.DataFrame:
    """Return what rematerialisation saves and costs in a run, against keeping all.

    Columns: model, sequence_length, how, saved, again (bytes), predicted_saved, predicted_again,
    factor and predicted_factor (of saved + again), time, low, high (of a step), predicted_compute.
    """
    rows = []
    for point in run.points:
        match point.key.split("/"):
            case ["train", model, text, how] if model in MODELS and how in HOWS:
                plain = f"train/{model}/{text}/none"
                taken, base, length = run.ratio(point.key, plain), run.point(plain), tokens(text)
                sizes = [count_of(each, "saved_bytes") for each in (point, base) if each]
                again = count_of(point, "again_bytes")
                if taken is None or not length or None in (*sizes, again):
                    continue
                kept = (FUSED, "none") if how == "fused" else (UNFUSED, how)
                arch = ARCHITECTURES[model]
                ours, all_kept = activations(arch, length, *kept), activations(arch, length)
                rows.append(
                    (
                        MODELS[model], length, how, sizes[0], again, ours.kept, ours.again,
                        sizes[1] / (sizes[0] + again), all_kept.bytes / ours.bytes,
                        taken.median, *taken.interval, 1 + ours.extra / ours.flops,
                    )
                )  # fmt: skip
    columns = "model sequence_length how saved again predicted_saved predicted_again factor"
    columns += " predicted_factor time low high predicted_compute"
    return pd.DataFrame(rows, columns=columns.split())


def tokens(text: str) -> int:
    """Return the length in a key; 0 for what is none, as a run may come from elsewhere."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0


def count_of(point: Point, name: str) -> int | None:
    """Return a count among a point's details; None for what is none."""
    value = point.details.get(name)
    return value if isinstance(value, int) and value >= 0 else None


def every_layer(run: Run, model: str = "BERT-Base") -> pd.Series | None:
    """Return the row of `curve` in which every layer is computed again, at `LENGTH`; None without.
    Of the two models BERT-Base is the one that saves most, as it keeps few logits."""
    rows = curve(run).query("model == @model and sequence_length == @LENGTH and how == 'layers'")
    return None if rows.empty else rows.iloc[0]


def second_order(run: Run, model: str = "bert-base", length: int = LENGTH) -> float | None:
    """Return the memory of a second-order step over that of a plain one: state and what autograd
    keeps."""
    sums = []
    for how in ("second-order", "none"):
        point = run.point(f"train/{model}/{length}/{how}")
        sizes = [count_of(point, name) for name in ("state_bytes", "saved_bytes") if point]
        if not sizes or None in sizes:
            return None
        sums.append(sum(sizes))
    return sums[0] / sums[1]


def zero_factor(stage: int = 2, devices: int = DEVICES) -> float:
    """Return how many times less state a device holds under ZeRO, in 16 bits with Adam."""
    whole, shared = (
        sum(model_state(GPT2_XL, "adam", 2, zero, devices).values()) for zero in (0, stage)
    )
    return whole / shared


@cache
def kept_by_torch() -> pd.DataFrame:
    """Return what autograd keeps of a step, asked without computing: model, sequence_length, kept,
    predicted (bytes)."""
    rows = [
        (name, n, Training(arch, n, "meta").saved_bytes(), activations(arch, n).kept)
        for key, name in MODELS.items()
        for arch in (ARCHITECTURES[key],)
        for n in LENGTHS
    ]
    return pd.DataFrame(rows, columns="model sequence_length kept predicted".split())


def largest_batch(model: str, length: int, policy: str, memory: float) -> int:
    """Return how many sequences can be trained at once in `memory` bytes, with Adam in float32."""
    arch = ARCHITECTURES[model]
    room = memory - sum(model_state(arch, "adam").values())
    batch = 0
    while activations(arch, length, policy=policy, batch=batch + 1).bytes <= room:
        batch += 1
    return batch
