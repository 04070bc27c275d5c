"""Figures of the links between processes."""

import pandas as pd

from analysis.compared.figures.style import axes, nothing
from analysis.compared.page import Plot, styled

LOOKS = {
    "all_reduce": ("o", "#0072b2", "all-reduce"),
    "ring_copy": ("x", "#6b6b6b", "plain copies"),
    "send_recv": ("s", "#d55e00", "send"),
}


def bus_bandwidths(rows: pd.DataFrame, memory: float | None) -> Plot:
    """Draw bus bandwidth against message size, one line an operation.

    rows: `links.messages`; memory: the run's read bandwidth in bytes/s, drawn as a line.
    """
    if rows.empty:
        return nothing("this run has no links")
    rates = {f"{rate}_gb_per_s": rows[rate] / 1e9 for rate in ("bandwidth", "low", "high")}
    rows = rows[rows["operation"].isin(LOOKS)].drop(columns=["bandwidth", "low", "high"])
    rows = rows.assign(**rates, memory_gb_per_s=memory and memory / 1e9)
    with styled():
        figure, ax = axes(4.4)
        for operation, (marker, colour, label) in LOOKS.items():
            part = rows[rows["operation"] == operation]
            if part.empty:  # a run from before there were plain copies
                continue
            rate = part["bandwidth_gb_per_s"]
            errors = [rate - part["low_gb_per_s"], part["high_gb_per_s"] - rate]
            ax.errorbar(part["bytes"], rate, yerr=errors, marker=marker, color=colour, label=label)
        if memory:
            ax.axhline(memory / 1e9, color="black", ls=":", lw=1.2, label="memory, read")
        ax.set(xscale="log", yscale="log", xlabel="message (bytes)",
               ylabel="bus bandwidth (GB/s)")  # fmt: skip
        figure.legend(loc="outside upper left", ncols=2)
    return Plot(figure, rows)
