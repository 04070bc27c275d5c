"""The figures of today's models, of hardware and of the pages, as these draw them."""

import numpy as np
import pandas as pd

from analysis.compared import figures, growth, models, roofs, shown, trades
from analysis.compared.ridges import ridges
from analysis.compared.verdicts import all_claims
from analysis.published.tables import load_table

RELATIVE = "relative to the first point (1)"
NAMES = ["peak FLOPS", "DRAM bandwidth", "interconnect", "accelerator memory", "Transformer size",
         "training compute"]  # fmt: skip


def plots() -> dict:
    return {
        "fig-by-context": by_context(),
        "fig-by-batch": by_batch(),
        "fig-largest": largest(),
        "fig-traded": figures.lines(
            trades.middle(trades.trades()), "factor", "relative", by="work", panels="change",
            band=True, level=1, xlabel="factor", ylabel="time after over before (1)", height=6,
        ),
        "fig-verdicts": figures.claims(all_claims({"reference": shown.reference()})),
        "fig-machines": machines(),
        "fig-answer": answer(),
        "fig-answer-since": since(),
    }  # fmt: skip


def by_context():
    rows = models.by_context(np.unique(np.geomspace(128, 131072, 60).astype(int)))
    return figures.lines(rows, "tokens", "value", by="model", panels="quantity",
                         xlabel="context (tokens)", ylabel="", markers=False, height=9)  # fmt: skip


def by_batch():
    rows = models.costs(4096, np.unique(np.geomspace(1, 65536, 80).astype(int)))
    recent = ridges().query("bits == 16 and date > '2022'")["value"]
    rows = rows.assign(ridge_low=recent.min(), ridge_high=recent.max())
    span = recent.min(), recent.max(), "ridge points"
    return figures.lines(rows, "batch", "intensity", by="model", span=span, markers=False,
                         xlabel="batch (sequences)", ylabel="intensity (FLOP/byte)")  # fmt: skip


def largest():
    holders, known = models.holders(), load_table("architectures").query("difference == ''")
    known = known.assign(billions=known["parameters"] / 1e9, what="open models")
    until = pd.concat([holders, holders.tail(1).assign(date=known["date"].max())])
    fits = [until.assign(what=f"{bits} bits", billions=until["memory"] * 8 / bits / 1e9)
            for bits in (16, 8, 4)]  # fmt: skip
    return figures.scatter(
        known[["name", "date", "what", "billions"]], "date", "billions", by="what",
        lines=pd.concat(fits), steps=True, xlabel="year", ylabel="parameters (1e9)", log="y",
    )  # fmt: skip


def machines():
    runs, _ = shown.all_archived()
    return figures.rooflines(roofs.roofs(runs), shown.both(roofs.points, runs))


def answer():
    growths = {series: growth.fit_trends()[series] for series in growth.HARDWARE}
    points = load_table("figure_points")
    points = points[points["series"].isin(growths)]
    return figures.growth(points, growths, "plotted_value", RELATIVE, years=20, height=5.8)


def since():
    rates = growth.outcomes()
    words = zip(NAMES, rates["so_it"], strict=True)
    rates = rates.assign(rate=[f"{name}: {word}" for name, word in words])
    return figures.intervals(rates, "rate", "value", "growth over 2 years (factor)", by="trend",
                             base="paper", log=True, written=True, row_height=0.5)  # fmt: skip
