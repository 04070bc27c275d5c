"""Figures of what came after the paper: trends foretold and met, ridge points, today's models."""

import matplotlib.dates
import matplotlib.ticker
import numpy as np
import pandas as pd

from analysis.compared.figures.style import COLOURS, axes, plain_log_ticks
from analysis.compared.page import Plot, number, styled, times
from analysis.compared.sensitivity import Variant
from analysis.compared.since import NAMES as SINCE
from analysis.compared.since import Outcome
from analysis.predicted.forecast import predict
from analysis.predicted.trends import Growth

UNITS = {
    "peak_flops": "GFLOP/s",
    "dram_bandwidth": "GB/s",
    "interconnect": "GT/s per lane",
    "accelerator_memory": "GB",
    "transformer_parameters": "parameters",
    "transformer_training_compute": "FLOP",
}
PRECISIONS = {32: "#8a8a8a", 16: "#000000", 8: "#0072b2", 4: "#b3401b"}
MODELS = {
    "GPT-2": ("#b3401b", ":"),
    "OPT-175B": ("#6b6b6b", "--"),
    "Llama 3.1 405B": ("#12436d", "-"),
    "gpt-oss-120b": ("#e1a100", "-"),
    "Qwen3-235B-A22B": ("#8c5a9e", "-."),
    "DeepSeek-V3": ("#007f5f", "-"),
}
PAPER = "#8a8a8a"


def _decades(ax, *which: str) -> None:
    """Label the powers of ten of long log axes with plain numbers."""
    for axis in which:
        along = getattr(ax, f"{axis}axis")
        along.set_major_locator(matplotlib.ticker.LogLocator(numticks=8))
        along.set_major_formatter(lambda value, _: f"{value:,.12g}")
        along.set_minor_formatter(matplotlib.ticker.NullFormatter())


def foretold(
    found: dict[str, Outcome], papers: dict[str, pd.DataFrame], left_out: dict[str, pd.DataFrame]
) -> Plot:
    """Draw each rate: the paper's points, what they foretell, and the later points.

    papers, left_out: by trend, the paper's points and later ones that no fit uses (date, value).
    """
    drawn, until = [], np.datetime64("2027-01-01")
    with styled():
        figure, panels = axes(8.4, nrows=3, ncols=2)
        for ax, (trend, outcome) in zip(panels.flat, found.items(), strict=True):
            paper, out = papers[trend], left_out[trend]
            dates = np.arange(paper["date"].min().to_datetime64(), until, np.timedelta64(60, "D"))
            at = predict(paper["date"].to_numpy(), paper["value"].to_numpy(), dates)
            ax.fill_between(dates, at.low, at.high, color="#dddddd", label="95 % of new points")
            ax.plot(dates, at.line, color=PAPER, lw=1.2, label="the paper's line")
            band = {"date": dates, "line": at.line, "low": at.low, "high": at.high}
            drawn.append(pd.DataFrame(band).assign(trend=trend, points="the paper's line"))
            groups = [("the paper's points", paper, {"color": PAPER}),
                      ("later points", outcome.points, {"color": COLOURS[trend]}),
                      ("later, not used", out, {"facecolor": "none", "edgecolor": COLOURS[trend],
                                                "lw": 0.8})]  # fmt: skip
            for label, rows, style in groups:
                ax.scatter(rows["date"], rows["value"], s=13, zorder=4, label=label, **style)
                drawn.append(rows.assign(trend=trend, points=label))
            ax.set(yscale="log")
            ax.set_title(f"{SINCE[trend]}\n({UNITS[trend]})", loc="left", fontsize=9.5)
            ax.xaxis.set_major_locator(matplotlib.dates.AutoDateLocator(minticks=3, maxticks=4))
            ax.xaxis.set_major_formatter(matplotlib.dates.DateFormatter("%Y"))
        figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center",
                      ncols=2, fontsize=9)  # fmt: skip
    rows = pd.concat(drawn, ignore_index=True)
    keep = "trend unit points name label date value line low high source".split()
    return Plot(figure, rows.assign(unit=rows["trend"].map(UNITS))[keep])


def rates_then_and_now(found: dict[str, Outcome]) -> Plot:
    """Draw each rate of the paper with its interval, and refitted with the later points."""
    records = []
    for trend, outcome in found.items():
        for fitted, growth in (("the paper", outcome.paper), ("to 2026", outcome.refit)):
            low, high = growth.interval_over(2)
            records.append({"series": trend, "fit": fitted, "growth": growth.over(2), "low": low,
                            "high": high, "so_it": outcome.word})  # fmt: skip
    rows = pd.DataFrame(records)
    with styled():
        figure, ax = axes(4.4)
        for shift, (fitted, part) in zip((0.16, -0.16), rows.groupby("fit", sort=False),
                                         strict=True):  # fmt: skip
            y = shift - np.arange(len(part))
            new = fitted != "the paper"
            colours = [COLOURS[s] for s in part["series"]] if new else PAPER
            ax.hlines(y, part["low"], part["high"], color=colours, lw=2.4 if new else 5,
                      alpha=1 if new else 0.45)  # fmt: skip
            ax.scatter(part["growth"], y, color=colours, s=30, zorder=3, marker="o" if new else "|",
                       label=f"{fitted}, 95 % interval")  # fmt: skip
            for at, growth, high in zip(y, part["growth"], part["high"], strict=True):
                ax.annotate(times(growth), (high, at), (5, 0), textcoords="offset points",
                            va="center", fontsize=8.5)  # fmt: skip
        named = [f"{SINCE[trend]}\n{outcome.word}" for trend, outcome in found.items()]
        ax.set_yticks(-np.arange(len(named)), named, fontsize=9)
        ax.grid(axis="y", visible=False)
        ax.set(xscale="log", xlim=(1, 60000), xlabel="growth over 2 years (factor)")
        _decades(ax, "x")
        ax.legend(loc="upper right", fontsize=9)
    return Plot(figure, rows)


def refits(variants: list[Variant]) -> Plot:
    """Draw the growth of the paper's points (grey) and with later ones, by choice of points."""
    records = []
    for variant in variants:
        found = variant.outcome
        paper, refit = found.paper.interval_over(2), found.refit.interval_over(2)
        records.append(
            {"series": variant.trend, "label": f"{variant.points} ({len(found.points)})",
             "growth": found.refit.over(2), "low": refit[0], "high": refit[1],
             "paper": found.paper.over(2), "paper_low": paper[0], "paper_high": paper[1],
             "so_it": found.word}
        )  # fmt: skip
    rows = pd.DataFrame(records)
    parts = rows.groupby("series", sort=False)
    with styled():
        figure, panels = axes(0.31 * len(rows) + 1.8, nrows=len(parts), height_ratios=parts.size())
        for ax, (series, part) in zip(panels, parts, strict=True):
            y = -np.arange(len(part))
            ax.hlines(y, part["paper_low"], part["paper_high"], color="#cccccc", lw=9)
            ax.scatter(part["paper"], y, color="#5a5a5a", marker="|", s=80)
            ax.hlines(y, part["low"], part["high"], color=COLOURS[series], lw=2)
            ax.scatter(part["growth"], y, color=COLOURS[series], s=26, zorder=3)
            ax.set_yticks(y, part["label"], fontsize=9)
            ax.grid(axis="y", visible=False)
            ax.set(ylim=(-len(part) + 0.4, 0.6))
            ax.set_title(SINCE[series], loc="left", fontsize=9.5)
        panels[-1].set_xlabel("growth over 2 years (factor)")
    return Plot(figure, rows)


def ridge_points(rows: pd.DataFrame, lines: dict[str, tuple[Growth, str]]) -> Plot:
    """Draw ridge points by date and precision; announced accelerators hollow.

    rows: as `ridges.ridges` returns them; lines: label -> (growth, colour) to draw over them.
    """
    with styled():
        figure, ax = axes(5.0)
        for bits, part in rows.groupby("bits", sort=False):
            for stage, some in part.groupby("stage"):
                shipped, colour = stage == "shipped", PRECISIONS[bits]
                ax.scatter(some["date"], some["value"], s=24, edgecolor=colour, zorder=4,
                           color=colour if shipped else "none",
                           label=f"{bits} bits" if shipped else None)  # fmt: skip
        ends, drawn = rows["date"].agg(["min", "max"]).to_numpy(), [rows]
        for label, (growth, colour) in lines.items():
            span = np.array([max(ends[0], growth.origin), ends[1]], "datetime64[D]")
            ax.plot(span, growth.at(span), color=colour, lw=1.4, ls="--",
                    label=f"{label}: {times(growth.over(2))} in 2 years")  # fmt: skip
            line = {"name": f"line: {label}", "date": span.astype("datetime64[ns]")}
            drawn.append(pd.DataFrame({**line, "value": growth.at(span)}))
        ax.set(yscale="log", xlabel="year", ylabel="ridge point (FLOP/byte)")
        plain_log_ticks(ax, "y")
        figure.legend(loc="outside upper center", ncols=2, fontsize=9)
    units = {"memory": "memory_bytes", "value": "ridge_point_flop_per_byte"}
    return Plot(figure, pd.concat(drawn, ignore_index=True).rename(columns=units))


def by_context(rows: pd.DataFrame) -> Plot:
    """Draw cache, bytes and intensity of one generated token against context, by model."""
    shown = (
        ("cache_gb", "cache of a\nsequence (GB)"),
        ("bytes_gb", "bytes of a\ntoken (GB)"),
        ("gflop", "FLOPs of a\ntoken (1e9)"),
        ("intensity", "intensity\n(FLOP/byte)"),
    )
    rows = rows.assign(
        cache_gb=rows["cache"] / 1e9, bytes_gb=rows["bytes"] / 1e9, gflop=rows["flops"] / 1e9
    )
    with styled():
        figure, panels = axes(8.6, nrows=len(shown), sharex=True)
        for ax, (column, label) in zip(panels, shown, strict=True):
            for model, part in rows.groupby("model", sort=False):
                colour, style = MODELS[model]
                ax.plot(part["context"], part[column], color=colour, ls=style, label=model)
            ax.set(xscale="log", yscale="log", ylabel=label)
            _decades(ax, "x", "y")
        ax.set_xlabel("context (tokens)")
        figure.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return Plot(figure, rows)


def by_batch(rows: pd.DataFrame, ridges: pd.DataFrame) -> Plot:
    """Draw the intensity of a step against its batch, and the ridge points as a band.

    rows: columns model, batch, intensity; ridges: column value, FLOP/byte.
    """
    low, high = ridges["value"].agg(["min", "max"])
    with styled():
        figure, ax = axes(4.8)
        ax.axhspan(low, high, color="#dddddd")
        ax.text(rows["batch"].min(), (low * high) ** 0.5, " ridge points", va="center", fontsize=9)
        for model, part in rows.groupby("model", sort=False):
            colour, style = MODELS[model]
            ax.plot(part["batch"], part["intensity"], color=colour, ls=style, label=model)
        ax.set(xscale="log", yscale="log", xlabel="batch (sequences)",
               ylabel="intensity (FLOP/byte)")  # fmt: skip
        _decades(ax, "x", "y")
        figure.legend(loc="outside upper center", ncols=2)
    return Plot(figure, rows.assign(ridge_low=low, ridge_high=high))


def largest_served(holders: pd.DataFrame, models: pd.DataFrame) -> Plot:
    """Draw how many parameters fit in one accelerator, at three precisions, and open models.

    holders: columns date, memory (bytes), of accelerators that held more than all before;
    models: columns name, date, parameters.
    """
    bits = list(PRECISIONS)[1:]
    last = holders.iloc[[-1]].assign(date=max(models["date"].max(), holders["date"].max()))
    holders = pd.concat([holders.assign(what="accelerator"), last.assign(what="its line's end")])
    fits = {f"billions_at_{each}_bits": holders["memory"] / (each / 8) / 1e9 for each in bits}
    holders = holders.assign(**fits).rename(columns={"memory": "memory_bytes"})
    models = models.assign(what="open model", billions=models["parameters"] / 1e9)
    with styled():
        figure, ax = axes(5.0)
        for each, name in zip(bits, fits, strict=True):
            ax.step(holders["date"], holders[name], where="post", color=PRECISIONS[each],
                    label=f"fits at {each} bits")  # fmt: skip
        ax.scatter(models["date"], models["billions"], s=18, color="#5a5a5a", zorder=4,
                   label="open models")  # fmt: skip
        ax.set(yscale="log", xlabel="year", ylabel="parameters (billions)")
        ax.yaxis.set_major_formatter(lambda value, _: number(value, 1))
        ax.xaxis.set_major_locator(matplotlib.dates.YearLocator(2))
        figure.legend(loc="outside upper center", ncols=2)
    rows = pd.concat([holders, models.drop(columns="parameters")], ignore_index=True)
    return Plot(figure, rows)
