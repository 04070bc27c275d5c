"""Ridge points of accelerators over time: is the wall rising still?"""

from pathlib import Path

import pandas as pd
from scipy.stats import binom

from analysis.compared.claims import Interval, claim
from analysis.compared.growth import CHIPS, facts, fit, rate, since, trend_points
from analysis.predicted.chips import GIB
from analysis.predicted.chips import PEAKS as QUANTITIES

MATRIX_UNITS = pd.Timestamp("2017-06-01")  # the first of them is the V100
# bits -> the rates of such numbers, of which the highest counts; sums are kept in 32 bits.
PEAKS = {
    bits: [name for name, wide in QUANTITIES.items() if wide == bits and "sums" not in name]
    for bits in sorted(set(QUANTITIES.values()), reverse=True)
}
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
    wide["memory"], wide["bandwidth"] = (
        wide["memory_capacity"] * GIB,
        wide["memory_bandwidth"],
    )
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
    last = max(
        trend_points(trend, data)["date"].max() for trend in ("peak_flops", "dram_bandwidth")
    )
    later = bits[16][bits[16]["date"] > last]
    return {
        "at 32 bits, vector units": bits[32],
        "at 16 bits": bits[16],
        SINCE: later,
        NVIDIAS: later[later["vendor"] == "NVIDIA"],
        "at the fewest bits of each": rows.loc[rows.groupby("name")["value"].idxmax()],
    }


def alike(data: Path | None = None) -> pd.DataFrame:
    """Return growth in two years of peak, bandwidth and ridge point of the same chips, those that
    came since the paper: name, value, value_low, value_high.

    Of the same chips the exponent of the ridge point is that of the peak less that of the
    bandwidth, whatever the chips."""
    later = choices(data)[SINCE]
    sizes = {"16-bit peak": later["value"] * later["bandwidth"], "bandwidth": later["bandwidth"]}
    sizes |= {"ridge point": later["value"]}
    rows = [{"name": k, **rate(fit(later.assign(value=v)))} for k, v in sizes.items()]
    return pd.DataFrame(rows)


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
