"""Figures of whole runs and of the whole report: rooflines, and every claim."""

import numpy as np
import pandas as pd

from analysis.compared.figures.style import FAINT, HALO, LOOKS, axes, looks, scale
from analysis.compared.page import Plot, styled
from analysis.predicted.roofline import Ceilings

# Shape and colour both say the verdict.
VERDICTS = {
    "reproduced": ("o", "#007f5f"),
    "corrected": ("D", "#0072b2"),
    "differs": ("X", "#b3401b"),
    "undecided": ("v", "#8a6d00"),
    "not measured": ("", "#6b6b6b"),
}
LEAST, MOST = 0.1, 10.0  # the ends of the axis of claims
MODELS = ("BERT-Base", "BERT-Large", "GPT-2")


def rooflines(roofs: pd.DataFrame, points: pd.DataFrame) -> Plot:
    """Draw the roof of each run, and the models' rates under it.

    roofs: columns run, bandwidth (bytes/s), peak (FLOP/s); points: run, model, tokens, intensity
    (FLOP/byte), rate, rate_low, rate_high (FLOP/s). Of the first run the models have colours.
    """
    rates = ["rate", "rate_low", "rate_high"]
    points = points.assign(what="measured", **{f"{r}_gflop_per_s": points[r] / 1e9 for r in rates})
    points = points.drop(columns=rates).rename(columns={"intensity": "intensity_flop_per_byte"})
    drawn, first = [points], roofs["run"].iloc[0]
    with styled():
        figure, ax = axes(5.2)
        ax.set(xlabel="arithmetic intensity (FLOP/byte)", ylabel="rate (GFLOP/s)")
        for i, (run, look) in enumerate(looks(roofs["run"]).items()):
            roof = roofs.set_index("run").loc[run]
            corners = _corners(roof["bandwidth"], roof["peak"], points["intensity_flop_per_byte"])
            drawn.append(corners.assign(run=run))
            x, y = corners["intensity_flop_per_byte"], corners["rate_gflop_per_s"]
            ax.plot(x, y, color=look.colour if i else "black", ls=look.dash, lw=1 if i else 2,
                    label=look.label)  # fmt: skip
            for model, rows in points[points["run"] == run].groupby("model", sort=False):
                _rates(ax, rows, LOOKS[model], look.colour if i else None)
        for axis in "xy":
            scale(ax, axis)
        named = figure.legend(loc="outside upper center", ncols=2)
        for text in named.get_texts():
            text.set_parse_math(False)  # names may come from a file made elsewhere
        _label_lengths(ax, points[points["run"] == first])
        handles = [
            ax.scatter([], [], marker=LOOKS[model].marker, color=LOOKS[model].colour, label=model)
            for model in MODELS
        ]
        ax.legend(handles=handles, loc="lower right")
    return Plot(figure, pd.concat(drawn, ignore_index=True))


def _corners(bandwidth: float, peak: float, intensities: pd.Series) -> pd.DataFrame:
    """The corners of a roof beyond all points: where it starts, its ridge point, its end."""
    roof = Ceilings(bandwidth, peak)
    ends = min(0.1, intensities.min() / 3), max(1000, 3 * roof.ridge_point)
    at = np.array([ends[0], roof.ridge_point, ends[1]])
    rates = roof.attainable(at) / 1e9
    return pd.DataFrame({"what": "roof", "intensity_flop_per_byte": at, "rate_gflop_per_s": rates})


def _rates(ax, rows: pd.DataFrame, look, colour: str | None) -> None:
    rate = rows["rate_gflop_per_s"]
    errors = [rate - rows["rate_low_gflop_per_s"], rows["rate_high_gflop_per_s"] - rate]
    ax.errorbar(
        rows["intensity_flop_per_byte"], rate, yerr=errors, ls="none", marker=look.marker, ms=5,
        color=colour or look.colour, mfc="white" if colour else look.colour, elinewidth=1,
    )  # fmt: skip


def _label_lengths(ax, points: pd.DataFrame) -> None:
    """Write the least and the greatest length at the ends of each encoder's points."""
    for model, (dx, dy) in {"BERT-Base": (5, -12), "BERT-Large": (-12, 9)}.items():
        rows = points[points["model"] == model].sort_values("tokens")
        for row in rows.iloc[[0, -1]].itertuples() if len(rows) > 1 else ():
            at = row.intensity_flop_per_byte, row.rate_gflop_per_s
            ax.annotate(str(row.tokens), at, (dx, dy), textcoords="offset points", fontsize=8,
                        color=LOOKS[model].colour, path_effects=HALO)  # fmt: skip


def claims(judged: pd.DataFrame) -> Plot:
    """Draw our number over the paper's for each claim, with its interval and what is accepted.

    judged: as `claims.verdicts` returns them, here hollow. What lies beyond the axis is drawn at
    its end; of yes or no, a no is at the lower end.
    """
    drawn = judged[["accepted_low", "accepted_high", "ours", "low", "high"]].astype(float)
    drawn = drawn.div(judged["published"], axis="index").clip(LEAST, MOST).add_prefix("drawn_")
    rows, here = judged.join(drawn), judged["run"] == "here"
    with styled():
        figure, ax = axes(0.24 * rows["number"].nunique() + 1.6)
        ax.axvline(1, color="black", lw=1)
        for row in rows[~here].itertuples():
            ax.plot([row.drawn_accepted_low, row.drawn_accepted_high], [row.number] * 2, lw=6,
                    color=FAINT, zorder=1, solid_capstyle="butt")  # fmt: skip
        for verdict, (marker, colour) in VERDICTS.items():
            some = (rows["verdict"] == verdict) & (marker != "")
            for group, fill in ((rows[some & ~here], colour), (rows[some & here], "none")):
                ax.hlines(group["number"], group["drawn_low"], group["drawn_high"], color=colour,
                          lw=1)  # fmt: skip
                named = verdict if fill == colour and len(group) else None
                ax.scatter(group["drawn_ours"], group["number"], s=36, marker=marker or "o",
                           zorder=3, facecolor=fill, edgecolor=colour, label=named)  # fmt: skip
        for y in rows["number"][(rows["verdict"] == "not measured") & ~here]:
            ax.annotate("not measured", (1, y), (6, 0), textcoords="offset points", va="center",
                        fontsize=9, color=VERDICTS["not measured"][1],
                        path_effects=HALO)  # fmt: skip
        ax.set(xlabel="our number over the paper's", ylabel="claim, by its number")
        scale(ax, "x", [0.1, 0.2, 0.5, 1, 2, 5, 10])
        ax.set_xlim(LEAST / 1.1, MOST * 1.1)
        ax.set_yticks(rows["number"].unique())
        ax.set_ylim(rows["number"].max() + 0.7, rows["number"].min() - 0.7)
        ax.grid(axis="y", visible=False)
        figure.legend(loc="outside upper center", ncols=3, title="hollow: here" * bool(here.any()))
    return Plot(figure, rows)
