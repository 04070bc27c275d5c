"""The memory of training: the authors' rows counted again, and what a run's steps keep and take."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.compared.claims import claim
from analysis.compared.training_memory import breakdown
from analysis.measured.run import Missing, Run, ratio
from analysis.predicted.activations import (
    AUTOCAST,
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
from analysis.predicted.architectures import ARCHITECTURES, BERT_LARGE, GPT2, GPT2_XL
from analysis.predicted.footprint import model_state, optimizer_numbers

UNIT = 1.024e9  # bytes: the authors' 5.86 for 1.5e9 parameters of 4 bytes
MODELS = ("bert-base", "gpt2")
LENGTH = 128  # that every budget measures
# The rows of the authors' table: model -> architecture, sequence length, batch. They print 2014
# tokens for GPT-2, an erratum: it has 1024 positions. None: an encoder and a decoder.
BIG = "Transformer Big (WMT)"
ROWS = {BIG: (None, 512, 6), "BERT Large": (BERT_LARGE, 512, 16), "GPT-2": (GPT2_XL, 1024, 1)}
# How a step is taken -> in words, what it keeps, and which of that it computes again (a policy).
HOWS = {
    "none": ("all kept", UNFUSED, "none"),
    "attention": ("attention again", UNFUSED, "attention"),
    "every-2": ("every second layer again", UNFUSED, "every-2"),
    "layers": ("every layer again", UNFUSED, "layers"),
    "stretch-3": ("three layers at a time", UNFUSED, "stretch-3"),
    "fused": ("fused attention, all kept", FUSED, "none"),
    "autocast": ("autocast, all kept", AUTOCAST, "none"),
}
DEVICES = 400  # on which the authors of ZeRO trained a model 8 times as large
STATE = ["parameters_bytes", "gradients_bytes", "optimizer_bytes"]


def row_bytes(model: str, kept: Kept, length: int | None = None) -> dict[str, int]:
    """The bytes of the parts of a row of the authors' table, at its own length or another."""
    arch, its_length, batch = ROWS[model]
    length = length or its_length
    if arch:
        stored, n = activations(arch, length, kept, batch=batch).bytes, arch.n_parameters
        state = optimizer_numbers(arch, "adam")
    else:
        layers = (
            BIG_ENCODER.n_layers * sum(layer_tensors(BIG_ENCODER, length, kept, batch).values()),
            BIG_DECODER.n_layers
            * sum(layer_tensors(BIG_DECODER, length, kept, batch, cross=True).values()),
        )
        stored = sum(layers) + sum(outside_tensors(BIG_DECODER, length, kept, batch).values())
        d = BIG_DECODER.d_model  # attention to the encoder: four projections and a norm a layer
        n = BIG_ENCODER.n_parameters + BIG_DECODER.n_parameters
        n += BIG_DECODER.n_layers * (4 * (d * d + d) + 2 * d)
        state = 2 * n
    return {"parameters": 4 * n, "optimizer": 4 * state, "activations": stored}


def published_rows(data: Path | None = None) -> pd.DataFrame:
    """model, part, kept, printed, ours (both in `UNIT`) and deviation; activations are counted as
    the authors' features are, and as 16-bit training keeps them."""
    printed, rows = breakdown("figure", data).set_index("model"), []
    for model in ROWS:
        for kept in (PUBLISHED, MIXED):
            for part, size in row_bytes(model, kept).items():
                if kept is PUBLISHED or part == "activations":
                    there = printed.loc[model, part]
                    ours = size / UNIT
                    rows.append((model, part, kept.name, there, ours, ours / there - 1))
    return pd.DataFrame(rows, columns="model part kept printed ours deviation".split())


@cache
def kept_by_torch() -> pd.DataFrame:
    """What autograd keeps of a step, asked without computing: model, tokens, kept, predicted
    (bytes)."""
    from analysis.measured.training import LENGTHS, Training  # which import torch

    rows = [
        (arch.name, n, Training(arch, n, "meta").saved_bytes(), activations(arch, n).kept)
        for arch in map(ARCHITECTURES.get, MODELS)
        for n in LENGTHS
    ]
    return pd.DataFrame(rows, columns="model tokens kept predicted".split())


def _over(rows: pd.DataFrame, plain: pd.Series, by: list[str]) -> pd.DataFrame:
    """The `rows` that have one among the `plain` ones with the same `by`, beside it: time,
    time_low, time_high (theirs over its) and base (its label)."""

    def name(row) -> tuple:
        return tuple(getattr(row, each) for each in by)

    bases = {name(row): row for row in rows[plain].itertuples()}
    pairs = [(row, bases[name(row)]) for row in rows.itertuples() if name(row) in bases]
    found = [(*ratio(row, base), base.Index) for row, base in pairs]
    columns = ["time", "time_low", "time_high", "base"]
    return rows.join(pd.DataFrame(found, [row.Index for row, _ in pairs], columns), how="inner")


def curve(run: Run) -> pd.DataFrame:
    """What each way of a training step keeps and takes, against keeping all in float32.

    Columns: model, tokens, how (in words), saved, again, predicted_saved, predicted_again (bytes
    kept, and computed again at once), factor and predicted_factor (of their sums), time with its
    interval, and predicted_time (of FLOPs)."""
    rows = run.rows("train", batch=1)
    rows = rows[rows["how"].isin(HOWS) & rows["model"].isin(MODELS)]
    over = _over(rows, rows["how"] == "none", ["model", "tokens"])
    ways = [HOWS[how] for how in over["how"]]
    archs = [ARCHITECTURES[model] for model in over["model"]]
    each = list(zip(archs, over["tokens"], ways, strict=True))
    ours = [activations(arch, n, kept, policy) for arch, n, (_, kept, policy) in each]
    whole = np.array([activations(arch, n).bytes for arch, n, _ in each])
    found = {"model": [arch.name for arch in archs], "tokens": over["tokens"]}
    found |= {"how": [words for words, _, _ in ways]}
    found |= {"saved": over["saved_bytes"], "again": over["again_bytes"]}
    found |= {"predicted_saved": [a.kept for a in ours], "predicted_again": [a.again for a in ours]}
    found["factor"] = over["base"].map(rows["saved_bytes"]) / (found["saved"] + found["again"])
    found["predicted_factor"] = whole / np.array([a.bytes for a in ours])
    found |= {end: over[end] for end in ("time", "time_low", "time_high")}
    found["predicted_time"] = [1 + a.extra / a.flops for a in ours]
    return pd.DataFrame(found).reset_index(drop=True)


def remedy(name: str, factor, predicted: float, devices: int = 1) -> dict:
    """A row of factors: claim, devices, factor with its interval (none where it is of bytes, which
    are exact), predicted."""
    factor, low, high = factor if isinstance(factor, tuple) else (factor, np.nan, np.nan)
    found = {"claim": name, "devices": devices, "factor": factor}
    return found | {"factor_low": low, "factor_high": high, "predicted": predicted}


@claim("rematerialisation_memory", part="rematerialisation_memory")
def of_claim(run: Run, part: str) -> float:
    pass
