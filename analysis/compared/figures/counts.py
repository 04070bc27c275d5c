"""Figures of counted FLOPs, bytes and arithmetic intensity against sequence length."""

import matplotlib
import pandas as pd

from analysis.compared.counts import OPERATOR_CLASSES
from analysis.compared.figures.style import COLOURS, axes, plain_log_ticks
from analysis.compared.page import Plot, styled

QUANTITIES = {
    "flops": "FLOPs (1e9)",
    "mops": "bytes moved\n(GB)",
    "arithmetic_intensity": "arithmetic intensity\n(FLOP/byte)",
}
UNITS = {"flops": "1e9 FLOP", "mops": "GB", "arithmetic_intensity": "FLOP/byte"}


def length_axis(ax, lengths) -> None:
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda v, _: f"{v:g}"))
    ax.set_xticks(sorted(set(lengths)))
    ax.set_xlabel("sequence length (tokens)")


def counts_by_length(ours: pd.DataFrame, printed: pd.DataFrame) -> Plot:
    """Draw FLOPs, bytes and intensity against length: our curves, the paper's points.

    ours: columns model, sequence_length, quantity, value (`counts.curves`); printed: the same with
    the column printed (`counts.cells`).
    """
    with styled():
        figure, panels = axes(7.6, nrows=len(QUANTITIES), sharex=True)
        for ax, (quantity, label) in zip(panels, QUANTITIES.items(), strict=True):
            for model, rows in ours[ours["quantity"] == quantity].groupby("model"):
                ax.plot(rows["sequence_length"], rows["value"], color=COLOURS[model], label=model)
            for model, rows in printed[printed["quantity"] == quantity].groupby("model"):
                ax.scatter(rows["sequence_length"], rows["printed"], color=COLOURS[model], s=26)
            ax.set(yscale="log", ylabel=label)
        length_axis(panels[-1], printed["sequence_length"])
        figure.legend(*panels[0].get_legend_handles_labels(), title="lines: ours, dots: the paper",
                      loc="outside upper center", ncols=3)  # fmt: skip
    both = ours.merge(printed, on=["model", "quantity", "sequence_length"], how="outer")
    both = both.assign(unit=both["quantity"].map(UNITS))
    return Plot(figure, both[["model", "quantity", "unit", "sequence_length", "value", "printed"]])


def intensity_by_class(rows: pd.DataFrame, lengths) -> Plot:
    """Draw intensity and share of bytes of each operator class (`counts.class_curves`)."""
    rows = rows.assign(share_of_bytes_percent=100 * rows["share_of_bytes"])
    with styled():
        figure, (top, bottom) = axes(6.4, nrows=2, sharex=True)
        for name, part in rows.groupby("operator_class", sort=False):
            style = {"color": COLOURS[name], "label": OPERATOR_CLASSES[name]}
            top.plot(part["sequence_length"], part["arithmetic_intensity"], **style)
            if name != "total":
                bottom.plot(part["sequence_length"], part["share_of_bytes_percent"], **style)
        top.set(yscale="log", ylabel="arithmetic intensity\n(FLOP/byte)")
        bottom.set(ylabel="share of the bytes moved\n(%)", ylim=(0, None))
        figure.legend(*top.get_legend_handles_labels(), loc="outside upper center", ncols=2)
        length_axis(bottom, lengths)
    return Plot(figure, rows.drop(columns="share_of_bytes"))


def intensity_by(rows: pd.DataFrame, lengths) -> Plot:
    """Draw intensity against length under several ways to count, a panel for each model.

    rows: columns model, counted (the way to count), sequence_length, value.
    """
    with styled():
        models = rows["model"].unique()
        figure, panels = axes(6.4, nrows=len(models), sharex=True)
        dashes = dict(
            zip(rows["counted"].unique(), ("-", "--", ":", "-.", (0, (1, 1))), strict=False)
        )
        for ax, model in zip(panels, models, strict=True):
            for counted, part in rows[rows["model"] == model].groupby("counted", sort=False):
                ax.plot(
                    part["sequence_length"],
                    part["value"],
                    color=COLOURS[model],
                    ls=dashes[counted],
                    label=counted,
                )
            ax.set(yscale="log", ylabel="arithmetic intensity\n(FLOP/byte)")
            ax.set_title(model, loc="left")
            plain_log_ticks(ax, "y")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
        length_axis(panels[-1], lengths)
    return Plot(figure, rows)
