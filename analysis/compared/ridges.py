"""Ridge points of accelerators over time: is the wall rising still?"""

from pathlib import Path

import pandas as pd

from analysis.compared.page import Table, between, number, times
from analysis.compared.scaling import fit, trend_points
from analysis.compared.since import usable
from analysis.predicted.trends import Growth

RECENT = pd.Timestamp("2020-01-01")  # matrix units are in every accelerator from here on
PEAKS = {
    32: "peak_fp32",
    16: "peak_16bit_dense",
    8: "peak_8bit_dense",
    4: "peak_4bit_dense",
}


def ridges(data: Path | None = None, unshipped: bool = False) -> pd.DataFrame:
    """Return the ridge point of each accelerator at each precision that it has, by date.

    Columns: name, vendor, date, stage, bits, memory (bytes), value (FLOP/byte), and batch: how many
    sequences must share each weight of `bits` for two FLOPs a weight to reach the ridge point.
    """
    where = {"kind": ("accelerator",)}
    keys = ["name", "vendor", "date", "stage"]
    known = {
        name: usable("accelerators", name, data, unshipped, **where)[[*keys, "value"]]
        for name in ("memory_bandwidth", "memory_capacity", *PEAKS.values())
    }
    machine = known["memory_bandwidth"].merge(
        known["memory_capacity"], on=keys, suffixes=("_bandwidth", "_memory")
    )
    found = [machine.merge(known[peak], on=keys).assign(bits=bits) for bits, peak in PEAKS.items()]
    rows = pd.concat(found)
    rows["value"] = rows["value"] / rows["value_bandwidth"]
    rows["batch"] = rows["value"] * rows["bits"] / 8 / 2
    rows["memory"] = rows["value_memory"] * 1e9
    rows = rows.sort_values(["date", "name", "bits"]).reset_index(drop=True)
    return rows[[*keys, "bits", "memory", "value", "batch"]]


def shipped_machines(data: Path | None = None) -> pd.DataFrame:
    """Return shipped hardware with memory of its own: name, year, bandwidth (GB/s), FP32 peak."""
    kinds = {"kind": ("accelerator", "graphics card", "processor")}
    peak = usable("accelerators", "peak_fp32", data, **kinds)
    bandwidth = usable("accelerators", "memory_bandwidth", data, **kinds)
    both = peak.merge(bandwidth, on="name", suffixes=("", "_memory"))
    both = both.rename(columns={"value": "peak", "value_memory": "bandwidth"})
    return both.assign(year=both["date"].dt.year)[["name", "year", "bandwidth", "peak"]]


def lowest_precision(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the row of the highest ridge point of each accelerator: that of its fewest bits."""
    return rows.loc[rows.groupby("name")["value"].idxmax()].sort_values("date")


def since_the_paper(data: Path | None = None) -> Growth:
    """Return the growth of 16-bit ridge points of accelerators after the paper's DRAM points."""
    last = trend_points("dram_bandwidth", data)["date"].max()
    rows = ridges(data)
    return fit(rows[(rows["bits"] == 16) & (rows["date"] > last)])


def growth_choices(data: Path | None = None) -> dict[str, Growth]:
    """Return the growth of ridge points by choice of precision and years."""
    rows = ridges(data)
    half = rows[rows["bits"] == 16]
    recent = half[half["date"] >= RECENT]
    return {
        "at 32 bits, vector units": fit(rows[rows["bits"] == 32]),
        "at 16 bits": fit(half),
        f"at 16 bits, since {RECENT.year}": fit(recent),
        "at 16 bits, since the paper": since_the_paper(data),
        f"at 16 bits, NVIDIA, since {RECENT.year}": fit(recent[recent["vendor"] == "NVIDIA"]),
        "at 8 bits": fit(rows[rows["bits"] == 8]),
        "at the fewest bits of each": fit(lowest_precision(rows)),
    }


def growth_table(name: str) -> Table:
    """Show how ridge points grow, by precision."""
    rows = [
        {
            "Ridge points": choice,
            "Accelerators": g.n,
            "Per 2 years": times(g.over(2)),
            "95 %": between(g.interval_over(2)),
        }
        for choice, g in growth_choices().items()
    ]
    return Table(pd.DataFrame(rows), name, "Growth of ridge points, shipped accelerators.")


def latest_table(name: str, most: int = 8) -> Table:
    """Show the ridge points of the latest accelerators, announced ones said to be so."""
    wide = ridges(unshipped=True).pivot(
        index=["date", "name", "stage"], columns="bits", values="value"
    )
    wide = wide.dropna(subset=[16]).tail(most).reset_index()
    cells = {f"FLOP/byte at {bits} bits": wide[bits].map(_cell) for bits in (16, 8, 4)}
    shown = {"Accelerator": wide["name"], "Date": wide["date"].dt.strftime("%Y-%m"),
             "Stage": wide["stage"], **cells}  # fmt: skip
    return Table(pd.DataFrame(shown), name, "Ridge points of the latest accelerators.")


def _cell(value: float) -> str:
    return "–" if pd.isna(value) else number(value)
