"""Training in 16 bits: what autocast keeps and takes in a run, and what it does to the loss."""

from pathlib import Path

import pandas as pd

from analysis.compared.page import Table, between, number, times
from analysis.compared.training import LENGTH, MODELS, count_of
from analysis.compared.trials import apart, paired
from analysis.measured.runs import Run
from analysis.measured.training import LENGTHS
from analysis.predicted.activations import (
    AUTOCAST,
    UNFUSED,
    activations,
    layer_tensors,
    outside_tensors,
)
from analysis.predicted.architectures import ARCHITECTURES
from analysis.published.tables import load_table


def autocast(run: Run) -> pd.DataFrame:
    """Return what autocast to bfloat16 keeps and takes in a run, against float32.

    Columns: model, sequence_length, whole and kept (bytes that autograd keeps in float32 and under
    autocast), predicted (bytes kept), weights (of these, cast weights), time, low, high (of a step,
    over float32's, timed in turn).
    """
    rows = []
    for model, name in MODELS.items():
        for length in LENGTHS:
            keys = [f"train/{model}/{length}/{how}" for how in ("none", "autocast")]
            both, taken = [run.point(key) for key in keys], run.ratio(keys[1], keys[0])
            sizes = [count_of(each, "saved_bytes") for each in both if each]
            if taken is None or len(sizes) < 2 or None in sizes:
                continue
            arch = ARCHITECTURES[model]
            cast = arch.n_layers * layer_tensors(arch, length, AUTOCAST)["weights"]
            cast += outside_tensors(arch, length, AUTOCAST)["head_weight"]
            predicted = activations(arch, length, AUTOCAST).kept
            ends = (taken.median, *taken.interval)
            rows.append((name, length, *sizes, predicted, cast, *ends))
    columns = "model sequence_length whole kept predicted weights time low high"
    return pd.DataFrame(rows, columns=columns.split())


def batch_to_gain(model: str, length: int) -> int | None:
    """Return the least batch at which autocast keeps less than float32; None below a thousand."""
    arch = ARCHITECTURES[model]
    for batch in range(1, 1000):
        each = [activations(arch, length, kept, batch=batch).kept for kept in (AUTOCAST, UNFUSED)]
        if each[0] < each[1]:
            return batch
    return None


def loss_curves(data: Path | None = None) -> pd.DataFrame:
    """Return the loss of the byte-level decoder's first steps: dtype, step, and over the seeds
    mean, least and greatest (bits per byte)."""
    grouped = load_table("byte_losses", data).groupby(["dtype", "step"])["bits_per_byte"]
    rows = grouped.agg(mean="mean", least="min", greatest="max").reset_index()
    return rows.sort_values(["dtype", "step"], ascending=[False, True], ignore_index=True)


def loss_difference(data: Path | None = None) -> tuple[float, float, float]:
    """Return the last loss under autocast less that in float32, the mean over seeds, and the 95 %
    interval of Student's t for their pairs."""
    rows = load_table("byte_losses", data)
    last = rows[rows["step"] == rows["step"].max()].set_index("seed")
    each = {dtype: part["bits_per_byte"] for dtype, part in last.groupby("dtype")}
    return paired(each["autocast"] - each["float32"])


def autocast_table(run: Run, name: str) -> Table:
    """Show what autocast keeps and takes, against float32."""
    rows = [
        {
            "Model": each.model,
            "Length": each.sequence_length,
            "float32 (MB)": number(each.whole / 1e6),
            "Autocast (MB)": number(each.kept / 1e6),
            "Predicted (MB)": number(each.predicted / 1e6),
            "Of it weights (MB)": number(each.weights / 1e6),
            "Time": times(each.time),
            "95 % interval": between((each.low, each.high)),
        }
        for each in autocast(run).itertuples()
    ]
    caption = (
        "Bytes that autograd keeps of a training step in float32 and under autocast to bfloat16, "
        "one sequence, and the time of the step over float32's, timed in turn."
    )
    return Table(pd.DataFrame(rows or [{"Model": "not measured"}]), name, caption)


def autocast_in_words(run: Run) -> str:
    """Say what autocast saves and costs, by model and length."""
    rows = autocast(run)
    if rows.empty:
        return "No step under autocast was measured in this run."
    most, fastest = (
        rows.loc[(rows["kept"] / rows["whole"]).idxmax()],
        rows.loc[rows["time"].idxmin()],
    )
    return (
        f"With one sequence autocast saves no memory: at {most['sequence_length']} tokens "
        f"{most['model']} keeps {times(most['kept'] / most['whole'])} the bytes of float32, most "
        f"of them copies of weights, which autograd keeps for the backward pass. They do not grow "
        f"with the batch; the count says that autocast keeps less from "
        f"{batch_to_gain('bert-base', LENGTH)} sequences of {LENGTH} tokens on for BERT-Base, and "
        f"from {batch_to_gain('gpt2', LENGTH)} for GPT-2. A step takes "
        f"{times(rows['time'].min())} to {times(rows['time'].max())} the time of one in float32, "
        f"the least for {fastest['model']} at {fastest['sequence_length']} tokens."
    )


def loss_in_words() -> str:
    """Say how far the losses are apart after the first steps."""
    rows = load_table("byte_losses")
    return (
        f"After {rows['step'].max()} steps the loss under autocast differs from that in float32 by "
        f"{apart(loss_difference())} bits per byte, in the mean of {rows['seed'].nunique()} seeds "
        "and its 95 % interval."
    )
