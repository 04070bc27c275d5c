"""Figures of remedies for decoding."""

import numpy as np
import pandas as pd

from analysis.compared.figures.style import COLOURS, axes, nothing, plain_log_ticks
from analysis.compared.page import Plot, styled

LABELS = {
    "float32": "float32",
    "bfloat16": "bfloat16",
    "int8": "int8",
    "int8-planes": "int8, in two\nplanes",
    "int8-dynamic": "int8, activations\ntoo",
    "int4": "int4",
}
CONTEXTS = (("#b3401b", "o", "-"), ("#12436d", "s", "--"))
MODELS = {"BERT-Base": ("o", "-"), "BERT-Large": ("s", "--")}


def speed_by_format(rows: pd.DataFrame) -> Plot:
    """Draw how many times as fast each format is as float32 (`serving.formats`): measured with
    intervals, and what the bytes allow."""
    if rows.empty:
        return nothing("this run has no steps with other weights")
    with styled():
        figure, ax = axes(0.62 * len(rows) + 1.5)
        places = np.arange(len(rows))[::-1]
        errors = [rows["gain"] - rows["low"], rows["high"] - rows["gain"]]
        ax.barh(places, rows["gain"], xerr=errors, color=COLOURS["GPT-2"], alpha=0.8, height=0.55,
                label="measured")  # fmt: skip
        ax.plot(rows["predicted"], places, "o", mfc="none", color="#000000", ls="none",
                label="allowed by bytes")  # fmt: skip
        ax.set_yticks(places, [LABELS[each] for each in rows["format"]])
        ax.set_xlabel("tokens per second, over float32 (1)")
        ax.margins(x=0.1)
        ax.set_xlim(0)
        figure.legend(loc="outside upper center", ncols=2)
    return Plot(figure, rows)


def tokens_by_batch(frames: dict[int, pd.DataFrame]) -> Plot:
    """Draw tokens per second against the sequences in a batch, by context (`serving.batches`):
    measured, and the roofline's prediction."""
    frames = {
        context: rows.assign(
            context=context,
            rate_low=rows["batch"] / rows["high"],
            rate_high=rows["batch"] / rows["low"],
        )
        for context, rows in frames.items()
        if len(rows)
    }
    if not frames:
        return nothing("this run has no batches")
    with styled():
        figure, ax = axes(4.2)
        for (context, rows), (colour, marker, line) in zip(frames.items(), CONTEXTS, strict=False):
            errors = [rows["rate"] - rows["rate_low"], rows["rate_high"] - rows["rate"]]
            ax.errorbar(rows["batch"], rows["rate"], yerr=errors, fmt=marker, ls=line, color=colour,
                        label=f"measured, {context} tokens")  # fmt: skip
            ax.plot(rows["batch"], rows["predicted_rate"], marker, mfc="none", ls=":", color=colour,
                    label=f"predicted, {context} tokens")  # fmt: skip
        ax.set(
            xscale="log", yscale="log", xlabel="sequences in a batch", ylabel="tokens per second"
        )
        plain_log_ticks(ax, "y")
        batches = sorted({int(n) for rows in frames.values() for n in rows["batch"]})
        ax.set_xticks(batches, [str(n) for n in batches])
        ax.minorticks_off()
        figure.legend(loc="outside upper center", ncols=2)
    return Plot(figure, pd.concat(frames.values()).reset_index(drop=True))


def gain_of_fusing(rows: pd.DataFrame) -> Plot:
    """Draw what fused attention gains against length (`serving.attention`): measured with
    intervals, and predicted."""
    if rows.empty:
        return nothing("this run has no passes with both kinds of attention")
    with styled():
        figure, ax = axes(3.8)
        for model, (marker, line) in MODELS.items():
            part = rows[rows["model"] == model]
            if part.empty:
                continue
            errors = [part["gain"] - part["low"], part["high"] - part["gain"]]
            ax.errorbar(part["sequence_length"], part["gain"], yerr=errors, fmt=marker, ls=line,
                        color=COLOURS[model], label=f"{model}, measured")  # fmt: skip
            ax.plot(part["sequence_length"], part["predicted"], marker, mfc="none", ls=":",
                    color=COLOURS[model], label=f"{model}, predicted")  # fmt: skip
        ax.axhline(1, color="black", lw=0.8)
        ax.set(xscale="log", xlabel="sequence length (tokens)", ylabel="speed over unfused (1)")
        lengths = sorted(set(rows["sequence_length"]))
        ax.set_xticks(lengths, [str(n) for n in lengths])
        ax.minorticks_off()
        figure.legend(loc="outside upper center", ncols=2)
    return Plot(figure, rows)
