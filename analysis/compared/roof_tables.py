"""Tables and sentences about a run's ceilings, regimes and predictions."""

import pandas as pd

from analysis.compared.counts import LENGTHS, PAPER_MODELS
from analysis.compared.page import Table, between, number, percent, times
from analysis.compared.roofs import (
    best_rate,
    intensity,
    predictions,
    rate_interval,
    regime_of,
    ridge,
)
from analysis.measured.ceilings import DTYPES, KERNELS, matmul_peak
from analysis.measured.runs import Run

NOTED = ("dtype", "resides_in", "shape", "fast_path", "precision")


def ceilings_table(run: Run, name: str) -> Table:
    """Show the bandwidth kernels, the cache and the peak of each data type."""
    points = [run.point(f"bandwidth/{kernel.name}") for kernel in KERNELS]
    points += [run.point("cache/sum"), *(matmul_peak(run, dtype) for dtype in DTYPES)]
    rows = []
    for point in filter(None, points):
        unit = "GFLOP/s" if point.flops else "GB/s"
        note = ", ".join(str(v) for k, v in point.details.items() if k in NOTED)
        rows.append(
            {
                "Ceiling": point.key,
                "Best": f"{number(best_rate(point) / 1e9)} {unit}",
                "Median, 95 %": between(tuple(r / 1e9 for r in rate_interval(point))),
                "Repetitions": point.sample.n,
                "Measured on": note,
            }
        )
    return Table(pd.DataFrame(rows), name, "What this machine could do.")


def regime_table(run: Run, name: str) -> Table:
    """Show what limits each model at each length, and how near it comes to its roof."""
    predicted = predictions(run)
    predicted = predicted[predicted["prediction"] == "lower bound"]
    shares = predicted.set_index(["model", "sequence_length"])
    rows = []
    for model in PAPER_MODELS:
        for length in LENGTHS:
            row = {"Model": model, "Length": length}
            row["Intensity (FLOP/byte)"] = between(intensity(model, length))
            row["Regime"] = regime_of(run, model, length)
            there = (model, length) in shares.index
            row["Share of the roof"] = (
                percent(1 / shares.loc[(model, length), "ratio"]) if there else "–"
            )
            rows.append(row)
    bounds = ridge(run)
    caption = "Regime of each model and length, and the lower bound over the measured time." + (
        f" The ridge point is {between(bounds)} FLOP/byte." if bounds else ""
    )
    return Table(pd.DataFrame(rows), name, caption)


def prediction_table(run: Run, name: str) -> Table:
    """Show measured over predicted time: bound, roofline and calibrated, by model and length."""
    wide = predictions(run).pivot(
        index=["model", "sequence_length"], columns="prediction", values="ratio"
    )
    kinds = [k for k in ("lower bound", "roofline", "calibrated") if k in wide]
    shown = wide[kinds].map(lambda r: "–" if pd.isna(r) else times(r)).reset_index()
    shown = shown.rename(columns={"model": "Model", "sequence_length": "Length"})
    return Table(shown, name, "Measured time over predicted time.")


def beaten_in_words(below: pd.DataFrame) -> str:
    """Say whether any measured interval lies below its lower bound."""
    beaten = below[below["high"] < below["predicted"]]
    if beaten.empty:
        return "the bound is never beaten by more than the interval"
    places = ", ".join(f"{r.model} at {r.sequence_length}" for r in beaten.itertuples())
    return f"the bound is beaten by {places}, so a byte count or a ceiling is wrong there"


def error_in_words(predicted: pd.DataFrame, kind: str) -> str:
    """Say how far a prediction is off, over the points that it could be made for."""
    ratios = predicted.loc[predicted["prediction"] == kind, "ratio"]
    if ratios.empty:
        return f"This run lacks what the {kind} prediction needs."
    median = ((1 / ratios) - 1).abs().median()
    return (
        f"The {kind} prediction is off by {percent(median)} in the median over "
        f"{len(ratios)} points."
    )
