"""Figures of accelerators that are changed."""

import numpy as np
import pandas as pd

from analysis.compared.figures.style import axes
from analysis.compared.page import Plot, styled
from analysis.compared.trades import FACTORS, middle, work

LOOKS = {"encode": ("#12436d", "s", "-"), "decode_many": ("#e1a100", "D", "-."),
         "decode": ("#b3401b", "^", "--")}  # fmt: skip


def traded(rows: pd.DataFrame) -> Plot:
    """Draw relative time against the factor of each change, a panel for each (`trades.trades`)."""
    found = middle(rows)
    changes = list(found["change"].unique())
    with styled():
        figure, panels = axes(5.6, nrows=len(changes), sharex=True)
        for ax, change in zip(np.atleast_1d(panels), changes, strict=True):
            for key, (colour, marker, line) in LOOKS.items():
                part = found[(found["work"] == key) & (found["change"] == change)]
                ax.fill_between(part["factor"], part["min"], part["max"], color=colour, alpha=0.15,
                                lw=0)  # fmt: skip
                ax.plot(part["factor"], part["median"], color=colour, marker=marker, ls=line,
                        label=work()[key].label)  # fmt: skip
            ax.axhline(1, color="black", lw=0.8)
            ax.set(xscale="log", yscale="log", ylabel="time after\nover before (1)")
            ax.set_xticks(FACTORS, [str(each) for each in FACTORS])
            ax.set_yticks([0.125, 0.25, 0.5, 1, 2, 4, 8], ["⅛", "¼", "½", "1", "2", "4", "8"])
            ax.minorticks_off()
            ax.set_title(change, loc="left")
        ax.set_xlabel("factor")
        handles = np.atleast_1d(panels)[0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside upper left", ncols=1)
    return Plot(figure, found)
