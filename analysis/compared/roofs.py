"""A run's ceilings, and the times that they predict beside the times that were measured."""

from datetime import date

import numpy as np
import pandas as pd

from analysis.compared.counts import LENGTHS, PAPER_MODELS, default_phase
from analysis.compared.profiling import ENCODERS, latency, steps
from analysis.compared.ridges import shipped_machines
from analysis.errors import InputError
from analysis.measured.ceilings import matmul_peak, read_ceiling
from analysis.measured.runs import Point, Run
from analysis.measured.sampling import integrate_generation
from analysis.predicted.operations import FUSED, UNFUSED
from analysis.predicted.roofline import (
    Ceilings,
    calibrated_time,
    compulsory_bytes,
    pieces,
    regime,
    ridge_interval,
)
from analysis.predicted.transformer import decoder_step, encoder_pass, matmul_flops
from analysis.predicted.trends import DAYS_PER_YEAR, Growth

PAPER_MACHINE = "Xeon Gold 6242"


def rate_interval(point: Point) -> tuple[float, float]:
    """Return the 95 % interval of a point's rate: FLOP/s where it has FLOPs, else bytes/s."""
    low, high = point.sample.interval
    work = point.flops or point.bytes
    return work / high, work / low


def best_rate(point: Point) -> float:
    """Return the best rate of a point, as STREAM reports."""
    return (point.flops or point.bytes) / point.sample.best


def ceilings(run: Run) -> Ceilings | None:
    """Return the run's read bandwidth, float32 peak and launch time; None without the first two."""
    read, peak, launch = read_ceiling(run), matmul_peak(run), run.sample("launch")
    if read is None or peak is None:
        return None
    return Ceilings(best_rate(read), best_rate(peak), launch.median if launch else 0)


def ridge(run: Run) -> tuple[float, float] | None:
    """Return between what the run's float32 ridge point lies, FLOP/byte: each ceiling from the low
    end of its interval to its best, with which `ceilings` reckons."""
    read, peak = read_ceiling(run), matmul_peak(run)
    if read is None or peak is None:
        return None
    return ridge_interval(*((rate_interval(each)[0], best_rate(each)) for each in (read, peak)))


def intensity(model: str, length: int) -> tuple[float, float]:
    """Return the least and the greatest intensity that float32 DRAM traffic can have, FLOP/byte.

    Least: every byte of the convention `fused` reaches memory. Greatest: only what must, each
    weight, key and value once (`roofline.compulsory_bytes`); caches serve the rest. For GPT-2 it
    is that of a step in the middle of a generation.
    """
    architecture = PAPER_MODELS[model]
    if model in ENCODERS:
        counted, context = encoder_pass(architecture, length, FUSED), 0
    else:
        context = (length + 1) // 2
        counted = decoder_step(architecture, context, FUSED)
    greatest = matmul_flops(counted) / compulsory_bytes(architecture, context)
    return counted["total"].intensity, max(greatest, counted["total"].intensity)


def regime_of(run: Run, model: str, length: int) -> str:
    """Return what limits `model` at `length` on this machine, or "not measured"."""
    bounds = ridge(run)
    if bounds is None or latency(run, model, length) is None:
        return "not measured"
    return regime(intensity(model, length), bounds)


def holds(run: Run, model: str, expected: str) -> float | None:
    """Return 1 if `model` is `expected` at every length that was measured, 0 if it is otherwise at
    any; None where nothing was measured or the intervals leave it undecided."""
    found = {regime_of(run, model, length) for length in LENGTHS} - {"not measured"}
    if found == {expected}:
        return 1.0
    return 0.0 if found - {expected, "undecided"} else None


def predictions(run: Run) -> pd.DataFrame:
    """Return measured over predicted time: model, sequence_length, prediction, seconds, low, high,
    predicted, ratio. Predictions: "lower bound", "roofline" (both of fused attention) and
    "calibrated" (unfused attention, at the rates of the models' own shapes)."""
    roof = ceilings(run)
    rows = []
    for model in PAPER_MODELS if roof else ():
        for length in LENGTHS:
            for kind, attention, predict in (
                ("lower bound", "fused", _lower_bound),
                ("roofline", "fused", _roofline),
                ("calibrated", "unfused", _calibrated),
            ):
                measured = latency(run, model, length, attention)
                predicted = measured and predict(run, roof, model, length)
                if predicted:
                    spread = (measured.median, measured.low, measured.high)
                    ratio = measured.median / predicted
                    rows.append((model, length, kind, *spread, predicted, ratio))
    columns = "model sequence_length prediction seconds low high predicted ratio".split()
    return pd.DataFrame(rows, columns=columns)


def _counted(model: str, length: int):
    """The costs of a pass, or of every step of a generation as arrays, and the steps' contexts."""
    architecture = PAPER_MODELS[model]
    if default_phase(architecture) == "encode":
        return architecture, encoder_pass(architecture, length, FUSED), 0
    contexts = np.arange(1, length + 1)
    return architecture, decoder_step(architecture, contexts, FUSED), contexts


def _roofline(run: Run, roof: Ceilings, model: str, length: int) -> float:
    _, counted, _ = _counted(model, length)
    return float(np.sum(roof.time(counted)))


def _lower_bound(run: Run, roof: Ceilings, model: str, length: int) -> float:
    architecture, counted, contexts = _counted(model, length)
    cached = max(run.machine.caches.values(), default=0)
    moved = compulsory_bytes(architecture, contexts)
    return float(np.sum(roof.lower_bound(matmul_flops(counted), moved, cached)))


def _calibrated(run: Run, roof: Ceilings, model: str, length: int) -> float | None:
    architecture = PAPER_MODELS[model]
    rates = {
        point.key: (point.flops if point.key.startswith("matmul/") else point.bytes)
        / point.sample.median
        for point in run.points
        if point.key.startswith(("matmul/", "other/"))
    }
    try:
        if model in ENCODERS:
            return calibrated_time(pieces(architecture, length, UNFUSED), rates)
        contexts = steps(run, "unfused")["context"]
        every = [calibrated_time(pieces(architecture, c, UNFUSED), rates) for c in contexts]
        return integrate_generation(contexts, every, [(t, t) for t in every], length)[0]
    except InputError:  # a rate that this run did not measure: no prediction
        return None


def roofline_points(run: Run) -> pd.DataFrame:
    """Return intensity (`fused`) and rate of each model and length, FLOP/s, for the roofline."""
    rows = []
    for model in PAPER_MODELS:
        for length in LENGTHS:
            measured = latency(run, model, length)
            if measured:
                _, counted, _ = _counted(model, length)
                flops = float(np.sum(counted["total"].flops))
                moved = float(np.sum(counted["total"].bytes))
                rows.append(
                    (model, length, flops / moved, *(flops / s for s in vars(measured).values()))
                )
    columns = ["model", "sequence_length", "intensity", "rate", "high", "low"]
    return pd.DataFrame(rows, columns=columns)


def paper_ridge() -> float:
    """Return the ridge point of the paper's processor by its data sheet, float32, FLOP/byte."""
    row = shipped_machines().set_index("name").loc[PAPER_MACHINE]
    return float(row["peak"] / row["bandwidth"])


def measured_machines(runs: dict[str, Run]) -> pd.DataFrame:
    """Return measured machines as `shipped` has hardware: name, bandwidth (GB/s), peak."""
    rows = [
        (name, roof.bandwidth_bytes_per_s / 1e9, roof.peak_flop_per_s / 1e9)
        for name, run in runs.items()
        if (roof := ceilings(run))
    ]
    return pd.DataFrame(rows, columns=["name", "bandwidth", "peak"])


def year_of(growth: Growth, value: float) -> date:
    """Return the day on which a trend passed `value`."""
    years = (np.log10(value) - growth.intercept) / growth.slope
    return (growth.origin + np.timedelta64(round(years * DAYS_PER_YEAR), "D")).astype(date)
