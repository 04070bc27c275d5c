"""Figures of training within memory."""

import numpy as np
import pandas as pd

from analysis.compared.figures.style import COLOURS, HALO, axes, nothing
from analysis.compared.page import Plot, styled

NAMES = {
    "none": "all kept",
    "attention": "attention",
    "every-2": "every 2nd layer",
    "layers": "every layer",
    "stretch-3": "3 at a time",
    "fused": "fused",
}
OFFSETS = {"none": (8, 6), "attention": (8, 6), "every-2": (8, -14), "layers": (8, -14)}


def memory_against_time(rows: pd.DataFrame, claim: tuple[float, float]) -> Plot:
    """Draw activations against a step's time, both over those of the step that keeps all: the rows
    of `training.curve`, at one length, measured (filled) and predicted (hollow); and `claim`, the
    paper's factor of memory and of compute."""
    if rows.empty:
        return nothing("this run has no training step")
    rows = rows.assign(
        activations_percent=100 / rows["factor"],
        predicted_activations_percent=100 / rows["predicted_factor"],
        paper_activations_percent=100 / claim[0],
        paper_time=claim[1],
    )
    with styled():
        models = rows["model"].unique()
        figure, panels = axes(3.1 * len(models) + 0.4, nrows=len(models), sharex=True, sharey=True)
        for ax, model in zip(np.atleast_1d(panels), models, strict=True):
            part, colour = rows[rows["model"] == model], COLOURS[model]
            errors = [part["time"] - part["low"], part["high"] - part["time"]]
            share = part["activations_percent"]
            ax.errorbar(part["time"], share, xerr=errors, fmt="o", color=colour, label="measured")
            ax.plot(part["predicted_compute"], part["predicted_activations_percent"], "o",
                    mfc="none", color=colour, label="predicted")  # fmt: skip
            ax.plot(claim[1], 100 / claim[0], "*", ms=13, color="#000000", label="the paper")
            for how, x, y in zip(part["how"], part["time"], share, strict=True):
                ax.annotate(NAMES[how], (x, y), OFFSETS.get(how, (8, 6)), fontsize=9,
                            textcoords="offset points", path_effects=HALO)  # fmt: skip
            ax.set(ylim=(0, 115), ylabel="activations (%)")
            ax.set_title(model, loc="left")
            ax.margins(x=0.2)
        np.atleast_1d(panels)[-1].set_xlabel("time of a step, over that of keeping all (1)")
        handles = np.atleast_1d(panels)[0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside upper center", ncols=3)
    return Plot(figure, rows)
