"""A run's ceilings, and the times that they predict beside those that were measured."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from analysis.compared.counts import LENGTHS, PAPER_MODELS
from analysis.compared.latency import NAMES, latencies, together
from analysis.compared.ratios import matched, over_time, ratios
from analysis.compared.ridges import shipped_machines
from analysis.compared.shown import both, gathered
from analysis.measured.peaks import peak_flops
from analysis.measured.run import Missing, Run
from analysis.predicted.generation import integrate_generation
from analysis.predicted.operations import FUSED, UNFUSED, Cost, Count
from analysis.predicted.roofline import Ceilings, compulsory_bytes, pieces, ridge_interval
from analysis.predicted.transformer import decoder_step, encoder_pass, matmul_flops

READS = ("sum", "streams", "product")  # the bandwidth kernels that write nothing
PAPER_MACHINE = "Xeon Gold 6242"
CEILINGS = {
    "bandwidth": ("memory: {how}", "GB/s"),
    "read": ("memory: sum, between decoder steps", "GB/s"),
    "cache": ("last-level cache: sum", "GB/s"),
    "matmul": ("products of matrices, {dtype}", "GFLOP/s"),
}


def rates(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of `Run.rows` with FLOP/s where they have FLOPs, else bytes/s: best, of the best
    repetition, as STREAM reports, and low, at the slow end of the median's interval."""
    work = rows["flops"].fillna(rows["bytes"]).astype(float)
    return rows.assign(best=work / [s.best for s in rows["sample"]], low=work / rows["high"])


def _fastest(rows: pd.DataFrame) -> pd.Series:
    rows = rates(rows)
    return rows.loc[rows["best"].idxmax()]


def read_ceiling(run: Run) -> pd.Series:
    """The fastest reading of a run, by a kernel that only reads or between GPT-2's steps."""
    kernels = (partial(run.rows, "bandwidth", how=how) for how in READS)
    return _fastest(gathered("rate of reading", *kernels, partial(run.rows, "read", model="gpt2")))


def matmul_peak(run: Run) -> pd.Series:
    """The fastest product of float32 matrices of a run, with the library that made it."""
    return _fastest(run.rows("matmul", dtype="float32"))


def peak_share(run: Run) -> tuple[float, float] | None:
    """What the run's processor could do at most in float32, FLOP/s, and the share of it that its
    fastest product reached; None where either is not known."""
    try:
        most, reached = peak_flops(run.machine), matmul_peak(run)["best"]
    except Missing:
        return None
    return (most, float(reached / most)) if most else None


def ceilings(run: Run) -> Ceilings:
    """The run's read bandwidth and float32 peak."""
    return Ceilings(read_ceiling(run)["best"], matmul_peak(run)["best"])


def ridge(run: Run) -> tuple[float, float]:
    """Between what the run's float32 ridge point lies, FLOP/byte: each ceiling from the low end of
    its interval to its best, with which `ceilings` reckons."""
    return ridge_interval(*((c["low"], c["best"]) for c in (read_ceiling(run), matmul_peak(run))))


def ceiling_rows(run: Run) -> pd.DataFrame:
    """All that bounds a machine: ceiling, unit, rate (the best of its kernel, or of all shapes in
    its data type), rate_low (the low end of its interval) and rate_high (the best again)."""
    kinds = [partial(run.rows, what) for what in CEILINGS if what != "read"]
    rows = rates(gathered("ceilings", *kinds, partial(run.rows, "read", model="gpt2")))
    named = [CEILINGS[row.what][0].format(**row._asdict()) for row in rows.itertuples()]
    rows = rows.assign(ceiling=named, unit=[CEILINGS[what][1] for what in rows["what"]])
    rows = rows.loc[rows.groupby("ceiling", sort=False)["best"].idxmax()]
    ends = {"rate": "best", "rate_low": "low", "rate_high": "best"}
    return rows[["ceiling", "unit"]].assign(**{k: rows[v] / 1e9 for k, v in ends.items()})


def roof(run: Run) -> pd.DataFrame:
    """The run's ceilings as a row: bandwidth (bytes/s), peak (FLOP/s)."""
    found = ceilings(run)
    row = {"bandwidth": found.bandwidth_bytes_per_s, "peak": found.peak_flop_per_s}
    return pd.DataFrame([row])


def drawn(runs: dict[str, Run]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What a drawing of rooflines shows, in GFLOP/s: `points` of each run, with a title and whether
    they are of here, and the corners of each roof, beyond all points."""
    rows = both(points, runs)
    ends = {f"rate_gflop_per_s{end}": rows[f"rate{end}"] / 1e9 for end in ("", "_low", "_high")}
    at, corners = rows["intensity"], []
    for row in both(roof, runs).itertuples():
        found = Ceilings(row.bandwidth, row.peak)
        x = np.array([min(0.1, at.min() / 3), found.ridge_point, max(1000, 3 * found.ridge_point)])
        corners.append(pd.DataFrame({"run": row.run, "what": "roof", "intensity_flop_per_byte": x,
                                     "rate_gflop_per_s": found.attainable(x) / 1e9}))  # fmt: skip
    rows = rows[["run", "model", "tokens"]].assign(
        title=rows["model"] + ", " + rows["tokens"].astype(str),
        what="measured", here=rows["run"] == "here", intensity_flop_per_byte=at, **ends,
    )  # fmt: skip
    return rows, pd.concat(corners, ignore_index=True)


def paper_ridge() -> float:
    """The ridge point of the paper's processor by its data sheet, float32, FLOP/byte."""
    row = shipped_machines().set_index("name").loc[PAPER_MACHINE]
    return float(row["peak"] / row["bandwidth"])


def _counted(model: str, tokens: int) -> tuple[dict[str, Cost], Count]:
    """The costs of a pass, or of every step of a generation as arrays, and the steps' contexts."""
    architecture = PAPER_MODELS[model]
    if architecture.kind == "encoder":
        return encoder_pass(architecture, tokens, FUSED), 0
    contexts = np.arange(1, tokens + 1)
    return decoder_step(architecture, contexts, FUSED), contexts


def points(run: Run) -> pd.DataFrame:
    """Where each model and length lies under the roof: model, tokens, intensity (FLOP/byte, by the
    convention `fused`), rate, rate_low, rate_high (FLOP/s)."""
    rows = latencies(run)
    totals = [_counted(row.model, row.tokens)[0]["total"] for row in rows.itertuples()]
    flops, moved = (
        np.array([float(np.sum(getattr(total, name))) for total in totals])
        for name in ("flops", "bytes")
    )
    found = rows[["model", "tokens"]].assign(intensity=flops / moved)
    return found.assign(**over_time(lambda times: flops / times, rows, "rate"))


def predictions(run: Run) -> pd.DataFrame:
    """Measured over predicted time: prediction, model, tokens, ratio, ratio_low, ratio_high.
    Predictions: "lower bound" and "roofline", of fused attention, which say what is predicted
    (seconds), and `calibrated`."""
    found, cached = ceilings(run), max(run.machine.caches.values(), default=0)

    def lower_bound(model: str, tokens: int) -> float:
        counted, contexts = _counted(model, tokens)
        moved = compulsory_bytes(PAPER_MODELS[model], contexts)
        return float(np.sum(found.lower_bound(matmul_flops(counted), moved, cached)))

    def roofline(model: str, tokens: int) -> float:
        return float(np.sum(found.time(_counted(model, tokens)[0])))

    def of(prediction: str, predict: Callable[[str, int], float]) -> pd.DataFrame:
        rows = latencies(run)
        rows["predicted"] = [predict(row.model, row.tokens) for row in rows.itertuples()]
        ends = {"ratio": "seconds", "ratio_low": "low", "ratio_high": "high"}
        ends = {k: rows[v] / rows["predicted"] for k, v in ends.items()}
        return rows[["model", "tokens", "predicted"]].assign(prediction=prediction, **ends)

    return gathered(
        "predictions",
        partial(of, "lower bound", lower_bound),
        partial(of, "roofline", roofline),
        lambda: calibrated(run).assign(prediction="calibrated"),
    )


def _over_parts(run: Run) -> pd.DataFrame:
    """Passes and steps with unfused attention over the sum of their parts, at the rates that these
    reached alone: what, model, tokens, predicted (s), ratio and its ends, in pairs, as all are
    timed in turn."""
    kinds = (partial(run.rows, what, how="unfused", dtype="float32", batch=1)
             for what in ("encode", "step"))  # fmt: skip
    wholes = gathered("passes", *kinds).replace({"model": NAMES})
    known = wholes["model"].isin(PAPER_MODELS) & (wholes["tokens"] > 0) & (wholes["turn"] != "")
    wholes = wholes[known]
    parts = gathered("parts", *(partial(run.rows, what) for what in ("alone", "other")))
    alone = parts["what"] == "alone"
    work = parts["flops"].where(alone, parts["bytes"]).replace(0, np.nan)
    parts = parts.assign(how=parts["how"].where(alone, "other"), work=work)
    needed = [
        (whole.turn, how, amount)
        for whole in wholes.itertuples()
        for how, amount in pieces(PAPER_MODELS[whole.model], whole.tokens, UNFUSED).items()
    ]
    parts = pd.DataFrame(needed, columns=["turn", "how", "needed"]).merge(parts, "left")
    whole = parts["work"].notna().groupby(parts["turn"]).transform("all")
    predicted = together(parts[whole].assign(weight=lambda part: part["needed"] / part["work"]))
    wholes, predicted = matched(wholes, predicted, ["turn"])
    return wholes.assign(predicted=predicted["seconds"], **ratios(wholes, predicted, "ratio"))


def calibrated(run: Run) -> pd.DataFrame:
    """Passes and generations over the sum of their parts: model, tokens, ratio and its ends. Of a
    generation it is the mean over its steps, each weighed by its time."""
    rows, ends = _over_parts(run), ["ratio", "ratio_low", "ratio_high"]
    passes, steps = (rows[rows["what"] == what] for what in ("encode", "step"))
    contexts, times = steps["tokens"], steps["predicted"].to_numpy()[:, None]
    measured, generations = steps[ends].to_numpy() * times, []
    for tokens in (n for n in LENGTHS if contexts.min() == 1 and contexts.max() >= n):
        found = integrate_generation(contexts, measured[:, 0], measured[:, 1:], tokens)
        over, *_ = integrate_generation(contexts, times, np.repeat(times, 2, axis=1), tokens)
        generations.append((NAMES["gpt2"], tokens, *np.divide(found, over)))
    generations = pd.DataFrame(generations, columns=["model", "tokens", *ends])
    passes = passes.loc[passes["tokens"].isin(LENGTHS), list(generations)]
    return pd.concat([passes, generations], ignore_index=True)
