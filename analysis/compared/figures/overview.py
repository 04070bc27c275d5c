"""Figures of the whole report: every claim, and every measured machine."""

import pandas as pd

from analysis.compared.figures.machine import MARKERS, in_drawn_units, roof_corners
from analysis.compared.figures.style import HALO, axes
from analysis.compared.page import Plot, styled

# Shape and colour both say the verdict.
LOOKS = {
    "reproduced": ("o", "#007f5f"),
    "corrected": ("D", "#0072b2"),
    "differs": ("X", "#b3401b"),
    "not measured": ("", "#6b6b6b"),
}
LEAST, MOST = 0.1, 10.0  # the ends of the axis of claims
RUNS = ("#12436d", "#b3401b", "#007f5f", "#8c5a9e", "#6b6b6b")


def claims(frame: pd.DataFrame) -> Plot:
    """Draw our number over the paper's for each claim, and how far it may lie from one.

    frame: `overview.claims_frame`. What lies beyond the axis is drawn at its end.
    """
    ratio = (frame["ours"].astype(float) / frame["published"]).clip(LEAST, MOST)
    low, high = 1 - frame["tolerance"], 1 + frame["tolerance"]
    with styled():
        figure, ax = axes(0.24 * len(frame) + 1.6)
        ax.axvline(1, color="black", lw=1)
        for y, *ends in zip(frame["number"], low, high, strict=True):
            ax.plot(ends, [y, y], color="#cfcfcf", lw=6, zorder=1, solid_capstyle="butt")
        for verdict, (marker, colour) in LOOKS.items():
            rows = frame["verdict"] == verdict
            if marker:
                ax.scatter(ratio[rows], frame["number"][rows], marker=marker, color=colour, s=36,
                           label=verdict, zorder=3)  # fmt: skip
                continue
            for y in frame["number"][rows]:
                ax.annotate(verdict, (1, y), (6, 0), textcoords="offset points", va="center",
                            fontsize=9, color=colour, path_effects=HALO)  # fmt: skip
        ax.set(xscale="log", xlabel="our number over the paper's (1)",
               ylabel="claim, by its number", xlim=(LEAST / 1.1, MOST * 1.1))  # fmt: skip
        ax.set_xticks([0.1, 0.2, 0.5, 1, 2, 5, 10])
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.xaxis.set_minor_formatter(lambda *_: "")
        ax.set_yticks(frame["number"])
        ax.set_ylim(len(frame) + 0.7, 0.3)
        ax.grid(axis="y", visible=False)
        figure.legend(loc="outside upper center", ncols=3)
    return Plot(figure, frame.assign(drawn_ratio=ratio, drawn_low=low, drawn_high=high))


def rooflines(roofs: pd.DataFrame, points: pd.DataFrame) -> Plot:
    """Draw the roofs of all runs, and the models' rates under them (`overview.rooflines`)."""
    drawn, points = [], in_drawn_units(points)
    with styled():
        figure, ax = axes(5.2)
        ax.set(xscale="log", yscale="log", xlabel="arithmetic intensity (FLOP/byte)",
               ylabel="rate (GFLOP/s)")  # fmt: skip
        for i, roof in enumerate(roofs.itertuples()):
            colour, ridge = RUNS[i % len(RUNS)], roof.peak / roof.bandwidth
            corners = roof_corners(roof.bandwidth, roof.peak, 0.1, max(1000, 3 * ridge))
            x, y = corners["intensity_flop_per_byte"], corners["rate_gflop_per_s"]
            ax.plot(x, y, color=colour, ls=("-", "--", "-.", ":")[i % 4], label=roof.run)
            here = points[points["run"] == roof.run]
            for model, rows in here.groupby("model", sort=False):
                ax.scatter(rows["intensity_flop_per_byte"], rows["rate_gflop_per_s"],
                           color=colour, s=16, marker=MARKERS[model])  # fmt: skip
            drawn += [corners.assign(run=roof.run), here]
        lines = ax.get_legend_handles_labels()
        named = figure.legend(*lines, loc="outside upper center", ncols=2)
        for text in named.get_texts():
            text.set_parse_math(False)  # names may come from a file made elsewhere
        models = [
            ax.scatter([], [], marker=marker, color="#6b6b6b", label=model)
            for model, marker in MARKERS.items()
        ]
        ax.legend(handles=models, loc="lower right")
    return Plot(figure, pd.concat(drawn, ignore_index=True) if drawn else points)
