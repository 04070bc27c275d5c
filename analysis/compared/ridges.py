"""Ridge points of accelerators over time: is the wall rising still?"""

from pathlib import Path

import pandas as pd

from analysis.compared.claims import claim
from analysis.compared.growth import CHIPS, facts, fit, trend_points

RECENT = pd.Timestamp("2020-01-01")  # matrix units are in every accelerator from here on
PEAKS = {32: "peak_fp32", 16: "peak_16bit_dense", 8: "peak_8bit_dense", 4: "peak_4bit_dense"}
SINCE = "at 16 bits, since the paper"


def ridges(data: Path | None = None, unshipped: bool = False) -> pd.DataFrame:
    """Return the ridge point of each accelerator at each precision that it has, by date.

    Columns: name, vendor, date, stage, bits, memory (bytes), value (FLOP/byte), and batch: how many
    sequences must share each weight of `bits` for two FLOPs a weight to reach the ridge point.
    """
    rows, keys = facts("accelerators", data, **CHIPS), ["name", "vendor", "date", "stage"]
    rows = rows[rows["used"] | (unshipped & (rows["status"] == "sourced"))]
    wide = rows.pivot(index=keys, columns="quantity", values="value").reset_index()
    wide["memory"] = wide["memory_capacity"] * 1e9
    found = [
        wide.assign(bits=bits, value=wide[peak] / wide["memory_bandwidth"])
        for bits, peak in PEAKS.items()
        if peak in wide
    ]
    rows = pd.concat(found).assign(batch=lambda all: all["value"] * all["bits"] / 8 / 2)
    rows = rows[[*keys, "bits", "memory", "value", "batch"]].dropna()
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
    recent = bits[16][bits[16]["date"] >= RECENT]
    last = trend_points("dram_bandwidth", data)["date"].max()
    return {
        "at 32 bits, vector units": bits[32],
        "at 16 bits": bits[16],
        SINCE: bits[16][bits[16]["date"] > last],
        f"at 16 bits, NVIDIA, since {RECENT.year}": recent[recent["vendor"] == "NVIDIA"],
        "at the fewest bits of each": rows.loc[rows.groupby("name")["value"].idxmax()],
    }


@claim("compute_outgrows_memory_to_2026")
def outgrown(data: Path | None = None) -> float:
    """Return how 16-bit ridge points grew in two years, after the paper's last DRAM point."""
    return fit(choices(data)[SINCE]).over(2)
