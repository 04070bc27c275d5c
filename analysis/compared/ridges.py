"""Ridge points of accelerators over time: is the wall rising still? And what giving up peak would
cost each kind of work: by its ridge point alone, so that bandwidths are in units of each one's."""

from itertools import product
from pathlib import Path

import pandas as pd
from scipy.stats import binom

from analysis.compared.claims import Interval, claim
from analysis.compared.growth import CHIPS, facts, since, trend_points
from analysis.predicted.architectures import BERT_BASE, GPT2
from analysis.predicted.chips import GIB
from analysis.predicted.chips import PEAKS as QUANTITIES
from analysis.predicted.operations import FUSED, Cost
from analysis.predicted.roofline import Ceilings
from analysis.predicted.transformer import decoder_step, encoder_pass

MATRIX_UNITS = pd.Timestamp("2017-06-01")  # the first of them is the V100
# bits -> the rates of such numbers, of which the highest counts; sums are kept in 32 bits.
PEAKS = {
    bits: [name for name, wide in QUANTITIES.items() if wide == bits and "sums" not in name]
    for bits in sorted(set(QUANTITIES.values()), reverse=True)
}
HALF = FUSED.with_bytes(2)  # 16-bit weights, activations and cache
TOKENS, SEQUENCES = 512, 64  # of the work
FACTORS = (1, 2, 4, 8)  # less peak, and more bandwidth
SINCE = "at 16 bits, since the paper"
NVIDIAS = "at 16 bits, since the paper, NVIDIA"


def ridges(data: Path | None = None, unshipped: bool = False) -> pd.DataFrame:
    """Return the ridge point of each accelerator at each precision that it has, by date.

    Columns: name, vendor, date, stage, bits, memory (bytes), bandwidth (GB/s), value (FLOP/byte)
    and batch: how many sequences must share each weight of `bits` for two FLOPs a weight to reach
    the ridge point.
    """
    rows, keys = facts("accelerators", data, **CHIPS), ["name", "vendor", "date", "stage"]
    rows = rows[rows["used"] | (unshipped & (rows["status"] == "sourced"))]
    wide = rows.pivot(index=keys, columns="quantity", values="value").reset_index()
    wide["memory"], wide["bandwidth"] = wide["memory_capacity"] * GIB, wide["memory_bandwidth"]
    found = []
    for bits, peaks in PEAKS.items():
        peak = wide.reindex(columns=peaks).max(axis="columns")
        found.append(wide.assign(bits=bits, value=peak / wide["memory_bandwidth"]))
    rows = pd.concat(found).assign(batch=lambda all: all["value"] * all["bits"] / 8 / 2)
    rows = rows[[*keys, "bits", "memory", "bandwidth", "value", "batch"]].dropna()
    return rows.sort_values(["date", "name", "bits"], ignore_index=True).rename_axis(columns=None)


def shipped_machines(data: Path | None = None) -> pd.DataFrame:
    """Return shipped hardware with memory of its own: name, year, bandwidth (GB/s) and FP32 peak
    (GFLOP/s)."""
    kinds = ("accelerator", "graphics card", "processor")
    rows = facts("accelerators", data, kind=kinds).query("used")
    peak, bandwidth = (rows[rows["quantity"] == name] for name in ("peak_fp32", "memory_bandwidth"))
    both = peak.merge(bandwidth, on="name", suffixes=("", "_memory"))
    both = both.rename(columns={"value": "peak", "value_memory": "bandwidth"})
    return both.assign(year=both["date"].dt.year)[["name", "year", "bandwidth", "peak"]]


def choices(data: Path | None = None) -> dict[str, pd.DataFrame]:
    """Return ridge points of shipped accelerators by choice of precision, maker and years."""
    rows = ridges(data)
    bits = dict(list(rows.groupby("bits")))
    both = [trend_points(trend, data)["date"].max() for trend in ("peak_flops", "dram_bandwidth")]
    later = bits[16][bits[16]["date"] > max(both)]
    return {
        "at 32 bits, vector units": bits[32],
        "at 16 bits": bits[16],
        SINCE: later,
        NVIDIAS: later[later["vendor"] == "NVIDIA"],
        "at the fewest bits of each": rows.loc[rows.groupby("name")["value"].idxmax()],
    }


@claim("compute_outgrows_memory_to_2026")
def outgrown(data: Path | None = None) -> Interval | None:
    """Return how 16-bit ridge points grew in two years, with its interval, by chips that came after
    the paper's last points of both."""
    return since(choices(data)[SINCE])


def half_over_single(data: Path | None = None) -> pd.Series:
    """Return the 16-bit over the FP32 peak of each shipped accelerator that has matrix units, by
    name."""
    rows = facts("accelerators", data, **CHIPS).query("used")
    wide = rows.pivot(index=["date", "name"], columns="quantity", values="value").reset_index()
    found = wide[wide["date"] >= MATRIX_UNITS].set_index("name")
    return (found[PEAKS[16][0]] / found[PEAKS[32][0]]).dropna()


@claim("half_precision_compute")
def half_precision(data: Path | None = None) -> Interval:
    """Return the median of `half_over_single`, with the ends of the median's 95 % interval, which
    are two of the values (order statistics)."""
    found = half_over_single(data).sort_values()
    place = int(binom.ppf(0.025, len(found), 0.5))
    return float(found.median()), float(found.iloc[place]), float(found.iloc[-1 - place])


@claim("cpu_peak_below_accelerators")
def over_processors(data: Path | None = None, years: int = 2) -> float | None:
    """Return the FP32 peak of accelerators over that of a server's processor: of each processor
    that shipped over the median accelerator of the `years` before it, their median."""
    rows = facts("accelerators", data, quantity=PEAKS[32][0]).query("used")
    kinds, ratios = dict(list(rows.groupby("kind"))), []
    for row in kinds["processor"].itertuples():
        chips = kinds["accelerator"]
        since = row.date - pd.DateOffset(years=years)
        ratios.append(chips["value"][chips["date"].between(since, row.date)].median() / row.value)
    return float(pd.Series(ratios).median())


def work() -> dict[str, dict[str, Cost]]:
    """The passes and steps that are compared: what their operator classes cost."""
    return {
        "encode": encoder_pass(BERT_BASE, TOKENS, HALF),
        "decode_many": decoder_step(GPT2, TOKENS, HALF, SEQUENCES),
        "decode": decoder_step(GPT2, TOKENS, HALF),
    }


def trades(data: Path | None = None) -> pd.DataFrame:
    """The predicted time of each work on each shipped accelerator, changed over as it is.

    Columns: name, date, ridge (FLOP/byte, at 16 bits), work, change ("peak cut": peak / factor;
    "bandwidth for peak": bandwidth * factor too), factor, relative.
    """
    rows, chips = [], ridges(data).query("bits == 16")
    each = product(chips.itertuples(), work().items(), ("peak cut", "bandwidth for peak"), FACTORS)
    for chip, (name, costs), change, factor in each:
        bandwidth = factor if change == "bandwidth for peak" else 1
        after = Ceilings(bandwidth, chip.value / factor).time(costs)
        relative = float(after / Ceilings(1, chip.value).time(costs))
        rows.append((chip.name, chip.date, chip.value, name, change, factor, relative))
    columns = ["name", "date", "ridge", "work", "change", "factor", "relative"]
    return pd.DataFrame(rows, columns=columns)


@claim("bandwidth_instead_of_peak")
def pays(data: Path | None = None, factor: int = 2) -> float:
    """Whether GPT-2 decodes faster on every accelerator with 1 / `factor` of its peak and `factor`
    times its bandwidth: 1 or 0."""
    rows = trades(data).query("work == 'decode' and change == 'bandwidth for peak'")
    return float((rows["relative"][rows["factor"] == factor] < 1).all())
