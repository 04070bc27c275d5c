"""Twenty years of instructions on one chip: what more arithmetic alone does to both models.

A run's rungs (`measured.rungs`) share a machine and its memory and were visited in turn. An
elasticity is the slope of the logarithm of a speed against that of the peak, over the rungs: 1
where a speed grows as the peak does, 0 where it does not. Each round of visits gives one.
"""

import numpy as np
import pandas as pd

from analysis.compared.claims import Interval, claim
from analysis.measured.run import Missing, Run, ratio
from analysis.measured.timing import Sample
from analysis.predicted.architectures import ARCHITECTURES
from analysis.predicted.operations import FUSED
from analysis.predicted.roofline import compulsory_bytes
from analysis.predicted.serving import step_bytes
from analysis.predicted.transformer import pass_or_step

ENCODER, DECODER, TOKENS, CONTEXT = "bert-base", "gpt2", 128, 64  # the mean context of as many


def _works(run: Run) -> pd.DataFrame:
    """What each rung did, once each: passes and steps, and without a model a sum over memory and,
    where n is above nought, the square product that shows the peak, of several the largest."""
    rows = run.rows("rung", dtype="float32", batch=1)
    rows = rows[np.where(rows["model"] == "", rows["tokens"], rows["n"]) == 0]
    rows = rows.assign(square=rows["n"] > 0)
    return rows.drop_duplicates(["how", "model", "tokens", "square"], keep="last")


def rungs(run: Run) -> pd.DataFrame:
    """The rungs by their peak. Columns: rung, year, peak (FLOP/s, the best product), read (bytes/s,
    the best sum), bandwidth (the best of all rungs: they share the memory), ridge (FLOP/byte)."""
    rows = _works(run).query("model == ''")
    rows = rows.assign(best=[each.best for each in rows["sample"]])
    peaks, sums = rows[rows["square"]], rows[~rows["square"]]
    found = peaks.reindex(columns=["how", "year"]).rename(columns={"how": "rung"})
    found["peak"] = 2.0 * peaks["n"] ** 3 / peaks["best"]
    found["read"] = found["rung"].map((sums["bytes"] / sums["best"]).set_axis(sums["how"]))
    if len(found) < 2:
        raise Missing("the run has fewer than two rungs")
    found = found.assign(bandwidth=found["read"].max(), ridge=found["peak"] / found["read"].max())
    return found.sort_values("peak", ignore_index=True)


def climbed(run: Run) -> pd.DataFrame:
    """Passes and steps on each rung. Columns: those of `rungs`, model, tokens, name, value (ms) and
    the ends of its interval, predicted (ms: FLOPs over the peak or bytes over the bandwidth, which
    is more), computing (ms: its FLOPs over the peak) and of_peak, the share of the peak that it
    computes at."""
    rows = _works(run).query("model != ''").drop(columns="year", errors="ignore")
    rows = rows.rename(columns={"how": "rung"}).merge(rungs(run), on="rung")
    for name, column in {"value": "seconds", "value_low": "low", "value_high": "high"}.items():
        rows[name] = 1e3 * rows[column]
    flops, moved, names = [], [], []  # bytes: of a step weights and cache, of a pass its weights
    for row in rows.itertuples():
        arch, step = ARCHITECTURES[row.model], ARCHITECTURES[row.model].kind == "decoder"
        weights = compulsory_bytes(arch)
        flops.append(pass_or_step(arch, row.tokens, FUSED)["total"].flops)
        moved.append(step_bytes(arch, row.tokens, weights, 1) if step else weights)
        names.append(f"{arch.name}, {'a step at ' if step else ''}{row.tokens} tokens")
    rows["computing"] = 1e3 * np.array(flops) / rows["peak"]
    rows["predicted"] = np.maximum(rows["computing"], 1e3 * np.array(moved) / rows["bandwidth"])
    rows["of_peak"] = rows["computing"] / rows["value"]
    return rows.assign(name=names).sort_values(["model", "tokens", "peak"], ignore_index=True)


def by_round(run: Run, model: str = "", tokens: int = 0, peak: bool = False) -> pd.DataFrame:
    """Seconds of that pass or step, of the sum over memory, or of the product that shows the peak,
    a row a round of visits, a column a rung in order of peaks."""
    rows = _works(run).query("model == @model and tokens == @tokens and square == @peak")
    rows = rows.set_index("how")["sample"]
    times = {rung: rows[rung].times for rung in rungs(run)["rung"] if rung in rows}
    if len(times) < 2 or len(set(map(len, times.values()))) > 1:
        raise Missing("the run has fewer than two rungs that were visited as often")
    return pd.DataFrame(times)


def _slope(run: Run, speeds: pd.DataFrame) -> Interval:
    """The elasticity of `speeds`, as `by_round` has times, on the peak of each rung in the same
    round, and so on the ridge point, as the memory is the same: the median over the rounds, with
    its 95 % interval."""
    peaks = 1 / by_round(run, peak=True)[speeds.columns]
    if len(peaks) != len(speeds) or speeds.isna().any(axis=None):
        raise Missing("the run has rungs whose works were not visited as often")
    rounds = zip(np.log(peaks.to_numpy()), np.log(speeds.to_numpy()), strict=True)
    found = [np.polyfit(*each, 1)[0] for each in rounds]
    sizes = _works(run)["sample"].iloc[0].sizes  # of visits; all rungs were visited alike
    sample = Sample(tuple(np.exp(found)), sizes)  # which holds positive numbers
    return tuple(float(np.log(each)) for each in (sample.median, *sample.interval))


def elasticities(run: Run) -> pd.DataFrame:
    """The elasticity of each speed on the peak, last that of reads, in which there is no model.
    Columns: name, model, tokens, value and the ends of its interval, gain (how many times as fast
    the highest rung is), with its own, and peak_gain."""
    found, peaks = [], rungs(run)["peak"]
    works = climbed(run)[["name", "model", "tokens"]].drop_duplicates()
    for name, model, tokens in [*works.itertuples(index=False), ("a sum over memory", "", 0)]:
        times = by_round(run, model, tokens)
        rows = _works(run).query("model == @model and tokens == @tokens and not square")
        rows = rows.set_index("how")
        each = {"value": _slope(run, 1 / times)}
        each["gain"] = ratio(rows.loc[times.columns[0]], rows.loc[times.columns[-1]])
        ends = {f"{name}{end}": number for name, numbers in each.items()
                for end, number in zip(("", "_low", "_high"), numbers, strict=True)}  # fmt: skip
        found.append({"name": name, "model": model, "tokens": tokens, **ends,
                      "peak_gain": peaks.iloc[-1] / peaks.iloc[0]})  # fmt: skip
    return pd.DataFrame(found)


def shares(run: Run) -> pd.DataFrame:
    """Of a pass of the encoder on each rung the shares of its time that its products would take at
    the rung's peak, that is no product, and that is left: products below the peak. Columns: rung,
    part, value."""
    passes = climbed(run).query("model == @ENCODER and tokens == @TOKENS").set_index("rung")
    rest = 1e3 * run.rows("rest", model=ENCODER, tokens=TOKENS).set_index("how")["seconds"]
    ideal = passes["computing"]
    parts = {"products at the peak": ideal, "no products": rest.reindex(passes.index)}
    parts["products below the peak"] = passes["value"] - ideal - parts["no products"]
    found = pd.DataFrame({name: ms / passes["value"] for name, ms in parts.items()})
    return found.rename_axis(columns="part").stack().rename("value").reset_index()


@claim("more_arithmetic_speeds_encoding")
def encoding(run: Run) -> Interval:
    """The elasticity of the encoder's speed on the peak."""
    return _slope(run, 1 / by_round(run, ENCODER, TOKENS))


@claim("more_arithmetic_leaves_decoding")
def decoding(run: Run) -> Interval:
    """One less the elasticity of the decoder's speed on the peak: 1 where it has none."""
    value, low, high = _slope(run, 1 / by_round(run, DECODER, CONTEXT))
    return 1 - value, 1 - high, 1 - low


@claim("ratio_follows_ridge_point")
def following(run: Run) -> Interval:
    """The elasticity of the time of a step of GPT-2 over that of a pass of BERT-Base, on the ridge
    point."""
    each = by_round(run, DECODER, CONTEXT) / by_round(run, ENCODER, TOKENS)
    return _slope(run, each)
