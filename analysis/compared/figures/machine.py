"""Figures of what was measured on a machine."""

import numpy as np
import pandas as pd

from analysis.compared.counts import OPERATOR_CLASSES
from analysis.compared.figures.counts import length_axis
from analysis.compared.figures.style import COLOURS, HALO, axes, nothing
from analysis.compared.page import Plot, styled
from analysis.predicted.roofline import Ceilings

MARKERS = {"BERT-Base": "o", "BERT-Large": "s", "GPT-2": "^"}
# Where a point's length stands, in points from it, so that neighbours do not meet.
TOGETHER = 1.3  # points nearer than this factor both ways share one label
LENGTH_AT = {"BERT-Base": (5, -12), "BERT-Large": (-12, 9), "GPT-2": (8, -3)}


def relative_latency(printed: pd.DataFrame, runs: dict[str, pd.DataFrame]) -> Plot:
    """Draw latency relative to BERT-Base at 128: the paper (dashed), and each run (solid).

    printed: columns model, sequence_length, value; runs: by name, the frames of
    `profiling.relative_latency`. The last run is drawn strongest, with its intervals.
    """
    with styled():
        figure, ax = axes(5.6)
        for model, rows in printed.groupby("model", sort=False):
            ax.plot(rows["sequence_length"], rows["value"], color=COLOURS[model], ls="--", lw=1.2)
        for i, rows in enumerate(runs.values(), 1):
            strong = i == len(runs)
            for model, part in rows.groupby("model", sort=False):
                errors = [part["value"] - part["low"], part["high"] - part["value"]]
                ax.errorbar(
                    part["sequence_length"],
                    part["value"],
                    yerr=errors,
                    color=COLOURS[model],
                    marker=MARKERS[model],
                    ms=5 if strong else 3,
                    alpha=1 if strong else 0.4,
                    lw=1.8 if strong else 1,
                    label=model if strong else None,
                )
        ax.set(yscale="log", ylabel="latency relative to\nBERT-Base at 128 (1)")
        length_axis(ax, printed["sequence_length"])
        ax.legend(title="dashed: the paper", loc="upper left")
    data = [printed.assign(run="paper"), *(rows.assign(run=name) for name, rows in runs.items())]
    return Plot(figure, pd.concat(data, ignore_index=True))


def latency_breakdown(shares: dict[str, pd.DataFrame]) -> Plot:
    """Draw the share of latency by operator class against length, a panel for each model.

    shares: by model, the frames of `profiling.breakdown`.
    """
    if not shares:
        return nothing("this run has no breakdown")
    shares = {
        model: rows.assign(model=model, share_percent=100 * rows["share"]).drop(columns="share")
        for model, rows in shares.items()
    }
    with styled():
        figure, panels = axes(6.0, nrows=len(shares))
        for ax, (model, rows) in zip(np.atleast_1d(panels), shares.items(), strict=True):
            lengths = sorted(rows["sequence_length"].unique())
            bottom = np.zeros(len(lengths))
            for name in list(OPERATOR_CLASSES)[:-1]:
                part = rows[rows["operator_class"] == name].sort_values("sequence_length")
                height = part["share_percent"].to_numpy()
                x = np.arange(len(lengths))
                ax.bar(x, height, bottom=bottom, color=COLOURS[name], width=0.7,
                       label=OPERATOR_CLASSES[name])  # fmt: skip
                bottom += height
            ax.set_xticks(np.arange(len(lengths)), [str(n) for n in lengths])
            ax.grid(axis="x", visible=False)
            ax.set(ylabel="share of the time (%)")
            ax.set_title(model, loc="left")
        ax.set_xlabel("sequence length, or a step's context (tokens)")
        handles = np.atleast_1d(panels)[0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside upper center", ncols=2)
    return Plot(figure, pd.concat(shares.values(), ignore_index=True))


def roof_corners(bandwidth: float, peak: float, least: float, most: float) -> pd.DataFrame:
    """Return the corners of a roof between two intensities (FLOP/byte), in the units of a roofline:
    where it starts, the ridge point, and where it ends."""
    roof = Ceilings(bandwidth, peak)
    at = np.array([least, roof.ridge_point, most])
    rates = roof.attainable(at) / 1e9
    return pd.DataFrame({"what": "roof", "intensity_flop_per_byte": at, "rate_gflop_per_s": rates})


def in_drawn_units(points: pd.DataFrame) -> pd.DataFrame:
    """Return points of a roofline (FLOP/s) in the units in which they are drawn."""
    rates = {f"{rate}_gflop_per_s": points[rate] / 1e9 for rate in ("rate", "low", "high")}
    shown = points.drop(columns=["rate", "low", "high"]).assign(what="measured", **rates)
    return shown.rename(columns={"intensity": "intensity_flop_per_byte"})


def roofline(points: pd.DataFrame, bandwidth: float, peak: float) -> Plot:
    """Draw measured rates under the two ceilings of a run.

    points: columns model, sequence_length, intensity (FLOP/byte), rate, low, high (FLOP/s);
    bandwidth in bytes/s, peak in FLOP/s.
    """
    ridge, points = peak / bandwidth, in_drawn_units(points)
    least, most = points["intensity_flop_per_byte"].agg(["min", "max"])
    roof = roof_corners(bandwidth, peak, min(least / 3, ridge / 10), max(5 * max(most, 1),
                                                                         ridge * 10))  # fmt: skip
    with styled():
        figure, ax = axes(5.0)
        ax.plot(roof["intensity_flop_per_byte"], roof["rate_gflop_per_s"], color="black", lw=2)
        ax.axvline(ridge, color="#8a8a8a", ls=":", lw=1)
        ax.text(ridge, 0.02, " ridge point", color="#5a5a5a", fontsize=9,
                transform=ax.get_xaxis_transform())  # fmt: skip
        for model, rows in points.groupby("model", sort=False):
            rate = rows["rate_gflop_per_s"]
            ax.errorbar(
                rows["intensity_flop_per_byte"],
                rate,
                yerr=[rate - rows["low_gflop_per_s"], rows["high_gflop_per_s"] - rate],
                color=COLOURS[model],
                marker=MARKERS[model],
                ls="none",
                label=model,
            )
            edge = rows.sort_values("sequence_length").iloc[[0, -1]]
            labels = [str(length) for length in edge["sequence_length"]]
            places = edge[["intensity_flop_per_byte", "rate_gflop_per_s"]].to_numpy()
            if (np.abs(np.log(places[0] / places[1])) < np.log(TOGETHER)).all():
                labels, places = [" to ".join(dict.fromkeys(labels))], places[1:]
            for label, at in zip(labels, places, strict=True):
                ax.annotate(label, at, LENGTH_AT[model], textcoords="offset points", fontsize=8,
                            color=COLOURS[model], path_effects=HALO)  # fmt: skip
        ax.set(xscale="log", yscale="log", xlabel="arithmetic intensity (FLOP/byte)",
               ylabel="rate (GFLOP/s)")  # fmt: skip
        ax.legend(loc="lower right")
    return Plot(figure, pd.concat([points, roof], ignore_index=True))


def machine_among(rows: pd.DataFrame, here: pd.DataFrame) -> Plot:
    """Draw FP32 peak against memory bandwidth: shipped hardware by year, and measured machines.

    rows: columns name, year, bandwidth (GB/s), peak (GFLOP/s); here: name, bandwidth, peak.
    """
    with styled():
        figure, ax = axes(5.0)
        shown = ax.scatter(rows["bandwidth"], rows["peak"], c=rows["year"], cmap="viridis", s=26)
        figure.colorbar(shown, ax=ax, label="year of release", ticks=sorted(set(rows["year"]))[::3])
        ax.scatter(here["bandwidth"], here["peak"], marker="*", s=150, color="#d55e00", zorder=5)
        for row in here.itertuples():
            ax.annotate(row.name, (row.bandwidth, row.peak), (8, -3), textcoords="offset points",
                        color="#b34a00", fontsize=9, path_effects=HALO,
                        parse_math=False)  # fmt: skip
        ax.set(xscale="log", yscale="log", xlabel="memory bandwidth (GB/s)",
               ylabel="FP32 peak (GFLOP/s)")  # fmt: skip
    both = pd.concat([rows.assign(measured=False), here.assign(measured=True)], ignore_index=True)
    units = {"bandwidth": "bandwidth_gb_per_s", "peak": "fp32_peak_gflop_per_s"}
    return Plot(figure, both.rename(columns=units))


def predicted_against_measured(points: pd.DataFrame) -> Plot:
    """Draw measured over predicted time for each model and length.

    points: columns model, sequence_length, prediction ("roofline" | "calibrated"), ratio.
    """
    with styled():
        kinds = list(points["prediction"].unique())
        figure, panels = axes(2.6 * len(kinds) + 0.6, nrows=len(kinds), sharex=True)
        for ax, kind in zip(np.atleast_1d(panels), kinds, strict=True):
            for model, rows in points[points["prediction"] == kind].groupby("model", sort=False):
                ax.plot(rows["sequence_length"], rows["ratio"], color=COLOURS[model],
                        marker=MARKERS[model], label=model)  # fmt: skip
            ax.axhline(1, color="black", lw=1)
            ax.set(ylabel="measured over\npredicted time (1)", ylim=(0, None))
            ax.set_title(kind, loc="left")
        length_axis(ax, points["sequence_length"])
        figure.legend(*np.atleast_1d(panels)[0].get_legend_handles_labels(),
                      loc="outside upper center", ncols=3)  # fmt: skip
    return Plot(figure, points)
