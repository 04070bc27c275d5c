"""Figures of whole runs and of the whole report: rooflines, and every claim."""

import textwrap

import numpy as np
import pandas as pd

from analysis.compared.figures.labels import beside
from analysis.compared.figures.style import (
    FAINT,
    GREY,
    LOOKS,
    axes,
    drawn,
    legend,
    looks,
    scale,
    wide,
)
from analysis.compared.page import name
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


@drawn
def rooflines(roofs: pd.DataFrame, points: pd.DataFrame):
    """Draw the roof of each run, and the models' rates under it: a colour a run, a marker a model.

    roofs: columns run, bandwidth (bytes/s), peak (FLOP/s); points: run, model, tokens, intensity
    (FLOP/byte), rate, rate_low, rate_high (FLOP/s). All but the first run are hollow.
    """
    rates = ["rate", "rate_low", "rate_high"]
    points = points.assign(what="measured", **{f"{r}_gflop_per_s": points[r] / 1e9 for r in rates})
    points = points.drop(columns=rates).rename(columns={"intensity": "intensity_flop_per_byte"})
    rows_of, styles, texts = [points], {}, []
    figure, (ax,) = axes(5.2)
    ax.set(xlabel="arithmetic intensity (FLOP/byte)", ylabel="rate (GFLOP/s)")
    for i, (run, look) in enumerate(looks(roofs["run"]).items()):
        roof, colour = roofs.set_index("run").loc[run], look.colour if i else "#000000"
        corners = _corners(roof["bandwidth"], roof["peak"], points["intensity_flop_per_byte"])
        rows_of.append(corners.assign(run=run))
        x, y = corners["intensity_flop_per_byte"], corners["rate_gflop_per_s"]
        styles[look.label] = {"color": colour, "ls": look.dash, "lw": 1 if i else 2}
        (line,) = ax.plot(x, y, **styles[look.label])
        name(line, [look.label])
        for model, rows in points[points["run"] == run].groupby("model", sort=False):
            _rates(ax, rows, model, look.label, colour, "none" if i else colour)
    for axis in "xy":
        scale(ax, axis)
    for model in MODELS:
        dot = {"color": GREY, "marker": LOOKS[model].marker, "ls": "none"}
        styles[model] = dot | {"mfc": "none" if len(roofs) > 1 else GREY}
    legend(figure, styles)
    some = points[(points["run"] == roofs["run"].iloc[0]) & (points["model"] == "BERT-Base")]
    for row in some.sort_values("tokens").iloc[[0, -1]].itertuples() if len(some) > 1 else ():
        at = row.intensity_flop_per_byte, row.rate_gflop_per_s
        texts.append((*at, f"{row.model}, {row.tokens}", "#000000"))
    beside(ax, texts)
    return figure, pd.concat(rows_of, ignore_index=True)


def _corners(bandwidth: float, peak: float, intensities: pd.Series) -> pd.DataFrame:
    """The corners of a roof beyond all points: where it starts, its ridge point, its end."""
    roof = Ceilings(bandwidth, peak)
    ends = min(0.1, intensities.min() / 3), max(1000, 3 * roof.ridge_point)
    at = np.array([ends[0], roof.ridge_point, ends[1]])
    rates = roof.attainable(at) / 1e9
    return pd.DataFrame({"what": "roof", "intensity_flop_per_byte": at, "rate_gflop_per_s": rates})


def _rates(ax, rows: pd.DataFrame, model: str, run: str, colour: str, face: str) -> None:
    at, rate = rows["intensity_flop_per_byte"], rows["rate_gflop_per_s"]
    ax.vlines(at, rows["rate_low_gflop_per_s"], rows["rate_high_gflop_per_s"], color=colour, lw=1)
    dots = ax.scatter(at, rate, marker=LOOKS[model].marker, s=25, color=face, edgecolor=colour,
                      zorder=3)  # fmt: skip
    name(dots, [f"{model}, {tokens} tokens, {run}" for tokens in rows["tokens"]])


@drawn
def claims(judged: pd.DataFrame):
    """Draw our number over the paper's for each claim, with its interval and what is accepted.

    judged: as `claims.verdicts` returns them, here hollow. What lies beyond the axis is drawn at
    its end; of yes or no, a no is at the lower end.
    """
    columns = ["accepted_low", "accepted_high", "ours", "low", "high"]
    shown = judged[columns].astype(float).div(judged["published"], axis="index").clip(LEAST, MOST)
    rows, here = judged.join(shown.add_prefix("drawn_")), judged["run"] == "here"
    one = rows[~here].drop_duplicates("number")
    figure, (ax,) = axes(0.24 * len(one) + 1.6)
    if wide(figure):  # the claims stand in words
        figure.set_figheight(0.36 * len(one) + 1.6)
    ax.axvline(1, color="black", lw=1)
    for row in rows[~here].itertuples():
        ax.plot([row.drawn_accepted_low, row.drawn_accepted_high], [row.number] * 2, lw=6,
                color=FAINT, zorder=1, solid_capstyle="butt")  # fmt: skip
    styles = {}
    for verdict, (marker, colour) in VERDICTS.items():
        some = (rows["verdict"] == verdict) & (marker != "")
        for group, fill in ((rows[some & ~here], colour), (rows[some & here], "none")):
            ax.hlines(group["number"], group["drawn_low"], group["drawn_high"], color=colour, lw=1)
            dots = ax.scatter(group["drawn_ours"], group["number"], s=36, marker=marker or "o",
                              zorder=3, facecolor=fill, edgecolor=colour)  # fmt: skip
            if len(group):
                name(dots, group["number"].astype(str) + ". " + group["statement"] + ": " + verdict)
                plain = {"color": colour, "marker": marker, "ls": "none"}
                styles |= {verdict: plain} if fill == colour else {}
    for y in rows["number"][(rows["verdict"] == "not measured") & ~here]:
        ax.annotate("not measured", (1, y), (6, 0), textcoords="offset points", va="center",
                    fontsize=9, color=VERDICTS["not measured"][1])  # fmt: skip
    ax.set(
        xlabel="our number over the paper's", ylabel="" if wide(figure) else "number of the claim"
    )
    scale(ax, "x", [0.1, 0.2, 0.5, 1, 2, 5, 10])
    ax.set_xlim(LEAST / 1.1, MOST * 1.1)
    said = [
        f"{row.number}. {row.statement}" if wide(figure) else row.number for row in one.itertuples()
    ]
    ax.set_yticks(one["number"], [textwrap.fill(str(each), 64) for each in said],
                  fontsize=8 if wide(figure) else 9)  # fmt: skip
    ax.set_ylim(rows["number"].max() + 0.7, rows["number"].min() - 0.7)
    ax.grid(axis="y", visible=False)
    if here.any():
        styles["hollow: here"] = {"color": GREY, "marker": "o", "mfc": "none", "ls": "none"}
    legend(figure, styles)
    return figure, rows
