"""The memory of training: the authors' rows counted again, and what a run's steps hold and take."""

from pathlib import Path

import numpy as np
import pandas as pd

from analysis.compared.claims import Interval, claim, interval
from analysis.compared.ratios import matched, ratios
from analysis.measured.run import Missing, Run
from analysis.predicted import activations as kinds
from analysis.predicted.activations import activations
from analysis.predicted.architectures import ARCHITECTURES, GPT2, GPT2_XL
from analysis.predicted.footprint import ROWS, model_state, row_bytes
from analysis.published.tables import load_table

UNIT = 1.024e9  # bytes: the authors' 5.86 for 1.5e9 parameters of 4 bytes
LENGTH = 128  # that every budget measures
# How a step is taken -> in words, what it keeps, and which of that it computes again (a policy).
HOWS = {
    "none": ("all kept", kinds.UNFUSED, "none"),
    "attention": ("attention again", kinds.UNFUSED, "attention"),
    "every-2": ("every second layer again", kinds.UNFUSED, "every-2"),
    "layers": ("every layer again", kinds.UNFUSED, "layers"),
    "stretch-3": ("three layers at a time", kinds.UNFUSED, "stretch-3"),
    "fused": ("fused attention, all kept", kinds.FUSED, "none"),
    "autocast": ("autocast, all kept", kinds.AUTOCAST, "none"),
}
DEVICES = 400  # on which the authors of ZeRO trained a model 8 times as large
HELD = ["state_bytes", "saved_bytes"]
STATE = ["parameters_bytes", "gradients_bytes", "optimizer_bytes"]
DIVIDED = 0.1  # of a part that is held; less is what hardly differs from all of it
PARTS = ["parameters", "optimizer", "activations"]  # of the authors' table


def breakdown(basis: str, data: Path | None = None) -> pd.DataFrame:
    """Return one row a model, in GB, as printed (`basis` "table") or as drawn ("figure").

    Columns: the three PARTS, their `sum`, the printed `total`, `year` and, for the figure, the
    `gpu_limit`; the index is the model, in the authors' order. Source: training_memory.csv.
    """
    rows = load_table("training_memory", data)
    rows = rows[rows["basis"] == basis]
    wide = rows.pivot(index="model", columns="part", values="memory_gb").loc[rows["model"].unique()]
    years = rows.groupby("model")["year"].first()
    return wide.assign(sum=wide[PARTS].sum(axis="columns"), year=years).rename_axis(columns=None)


@claim("training_memory_over_parameters")
@claim("training_memory_over_state", parts=("parameters", "optimizer"))
def activations_over(data: Path | None = None, parts: tuple[str, ...] = ("parameters",)) -> float:
    """Return the median over the models of activation memory over that of `parts` together."""
    table = breakdown("table", data)
    return float((table["activations"] / table[list(parts)].sum(axis="columns")).median())


@claim("models_fit_their_accelerators")
def all_fit(data: Path | None = None) -> float:
    """Return whether each model's memory in training is at most that of the accelerator that the
    authors draw for its year: 1 or 0."""
    bars = breakdown("figure", data)
    return float((bars["sum"] <= bars["gpu_limit"]).all())


def published_rows(data: Path | None = None) -> pd.DataFrame:
    """model, part, kept, printed, ours (both in `UNIT`) and deviation; activations are counted as
    the authors' features are, and as 16-bit training keeps them."""
    printed, rows = breakdown("figure", data), []
    for model in ROWS:
        for kept in (kinds.PUBLISHED, kinds.MIXED):
            for part, size in row_bytes(model, kept).items():
                if kept is kinds.PUBLISHED or part == "activations":
                    there, ours = printed.loc[model, part], size / UNIT
                    rows.append((model, part, kept.name, there, ours, ours / there - 1))
    return pd.DataFrame(rows, columns="model part kept printed ours deviation".split())


def curve(run: Run) -> pd.DataFrame:
    """What each way of a training step keeps and takes, against keeping all in float32.

    Columns: model, tokens, how (in words), saved, again, predicted_saved, predicted_again (bytes
    kept, and computed again at once), factor and predicted_factor (of their sums), time with its
    interval, and predicted_time (by FLOPs)."""
    rows = run.rows("train", batch=1)
    rows = rows[rows["how"].isin(HOWS) & rows["model"].isin(ARCHITECTURES)]
    rows, base = matched(rows, rows[rows["how"] == "none"], ["model", "tokens"])
    archs, hows = [ARCHITECTURES[name] for name in rows["model"]], rows["how"].map(HOWS)
    steps = list(zip(archs, rows["tokens"], hows, strict=True))
    ours = [activations(arch, tokens, kept, policy) for arch, tokens, (_, kept, policy) in steps]
    whole = [activations(arch, tokens) for arch, tokens, _ in steps]
    return pd.DataFrame({
        "model": [arch.name for arch in archs], "tokens": rows["tokens"],
        "how": [words for words, *_ in hows],
        "saved": rows["saved_bytes"], "again": rows["again_bytes"],
        "predicted_saved": [each.kept for each in ours],
        "predicted_again": [each.again for each in ours],
        "factor": base["saved_bytes"] / (rows["saved_bytes"] + rows["again_bytes"]),
        "predicted_factor": [all.bytes / each.bytes for all, each in zip(whole, ours, strict=True)],
        **ratios(rows, base, "time"),
        "predicted_time": [1 + each.extra / each.flops for each in ours],
    })  # fmt: skip


@claim("rematerialisation_memory", factor="factor")
@claim("rematerialisation_compute", factor="time")
def every_layer(run: Run, factor: str) -> Interval | float | None:
    """The memory or the time of BERT-Base's step with every layer computed again: of the two models
    it saves most, as it keeps few logits."""
    rows = curve(run).query("model == 'BERT-Base' and tokens == @LENGTH").set_index("how")
    if HOWS["layers"][0] not in rows.index:
        return None
    row = rows.loc[HOWS["layers"][0]]
    return row["factor"] if factor == "factor" else interval(row, "time")


@claim("second_order_memory")
def second_order(run: Run) -> float:
    """The memory of BERT-Base's second-order step over a plain one's: state and what autograd
    keeps."""
    rows = run.rows("train", model="bert-base", tokens=LENGTH, batch=1, dtype="float32")
    rows = rows.set_index("how").reindex(["second-order", "none"], columns=HELD)
    second, plain = rows.sum(axis="columns", skipna=False)
    return second / plain


def shards(run: Run) -> pd.DataFrame:
    """GPT-2's state under each stage of ZeRO, by processes.

    Columns: stage, processes, predicted and held (bytes, with Adam in float32, on the process that
    holds most), passing (bytes of parameters in passing), and the time of a step over that of
    stage 0, with its interval."""
    rows = run.rows("shard", model="gpt2")
    rows = rows[rows["processes"] > 1].dropna(subset=STATE)
    rows, base = matched(rows, rows[rows["n"] == 0], ["tokens", "processes"])
    states = [model_state(GPT2, zero=row.n, devices=row.processes) for row in rows.itertuples()]
    return pd.DataFrame({
        "stage": rows["n"], "processes": rows["processes"],
        "predicted": [sum(state.values()) for state in states],
        "held": rows[STATE].sum(axis="columns"), "passing": rows["passing_bytes"],
        **ratios(rows, base, "time"),
    })  # fmt: skip


@claim("zero_model_size")
def zero_factor(run: Run, stage: int = 2, devices: int = DEVICES) -> Interval:
    """How many times less state a device holds under ZeRO, in 16 bits with Adam.

    Of each part of the state the processes of the run, which are few, were seen to hold less than
    all of it or not. At the one end no part shrinks any further with more processes, at the other
    those that were divided are divided among `devices`, as by the formula; that is our number."""
    rows = run.rows("shard", model="gpt2")
    rows = rows[rows["processes"] == rows["processes"].max()].set_index("n")
    if not {0, stage} <= set(rows.index):
        raise Missing("the run has no state divided so")
    whole = model_state(GPT2_XL, "adam", 2)
    left = (rows.loc[[stage], STATE].max() / rows.loc[[0], STATE].max()).to_list()
    kept = np.minimum(left, 1), np.where(np.less(left, 1 - DIVIDED), 1 / devices, 1)
    least, most = (sum(whole.values()) / float(np.dot(list(whole.values()), k)) for k in kept)
    return most, least, most
