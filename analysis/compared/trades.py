"""Accelerators that give up peak: what that costs each kind of work, and what bandwidth buys."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd

from analysis.compared.models import HALF
from analysis.compared.page import Table, between, number, times
from analysis.compared.since import usable
from analysis.predicted.architectures import BERT_BASE, GPT2
from analysis.predicted.operations import Cost
from analysis.predicted.roofline import Ceilings
from analysis.predicted.transformer import decoder_step, encoder_pass

TOKENS, SEQUENCES = 512, 64
FACTORS = (1, 2, 4, 8)


@dataclass(frozen=True)
class Work:
    """A pass or a step, and what its operator classes cost."""

    label: str
    costs: dict[str, Cost]


@cache
def work() -> dict[str, Work]:
    """Return the passes and steps that are compared, by key."""
    many = decoder_step(GPT2, TOKENS, HALF, SEQUENCES)
    return {
        "encode": Work(f"BERT-Base, {TOKENS} tokens", encoder_pass(BERT_BASE, TOKENS, HALF)),
        "decode_many": Work(f"GPT-2 step, {SEQUENCES} sequences", many),
        "decode": Work("GPT-2 step, one sequence", decoder_step(GPT2, TOKENS, HALF)),
    }


def accelerators(data: Path | None = None) -> pd.DataFrame:
    """Return shipped accelerators by date: name, date, bandwidth (bytes/s), peak (dense 16-bit
    FLOP/s)."""
    where = {"kind": ("accelerator",)}
    peak = usable("accelerators", "peak_16bit_dense", data, **where)[["name", "date", "value"]]
    memory = usable("accelerators", "memory_bandwidth", data, **where)[["name", "value"]]
    both = peak.merge(memory, on="name", suffixes=("_peak", "_memory"))
    both = both.assign(bandwidth=both["value_memory"] * 1e9, peak=both["value_peak"] * 1e9)
    return both[["name", "date", "bandwidth", "peak"]].sort_values("date", ignore_index=True)


def trades(data: Path | None = None) -> pd.DataFrame:
    """Return the predicted time of each work on each accelerator as it is and changed.

    Columns: name, date, work, factor, change ("peak cut": peak / factor; "bandwidth for peak": peak
    / factor and bandwidth * factor), seconds, relative (to the accelerator as it is).
    """
    rows = []
    for chip in accelerators(data).itertuples():
        for key, each in work().items():
            alone = Ceilings(chip.bandwidth, chip.peak).time(each.costs)
            for change, gain in (("peak cut", 0), ("bandwidth for peak", 1)):
                for factor in FACTORS:
                    roof = Ceilings(chip.bandwidth * factor**gain, chip.peak / factor)
                    seconds = float(roof.time(each.costs))
                    rows.append(
                        (chip.name, chip.date, key, factor, change, seconds, seconds / alone)
                    )
    columns = ["name", "date", "work", "factor", "change", "seconds", "relative"]
    return pd.DataFrame(rows, columns=columns)


def middle(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the median, least and greatest relative time over accelerators, by work, change and
    factor."""
    grouped = rows.groupby(["work", "change", "factor"], sort=False)["relative"]
    return grouped.agg(["median", "min", "max"]).reset_index()


def trade_table(rows: pd.DataFrame, name: str) -> Table:
    """Show what each change does to the time of each work, over all accelerators."""
    found = middle(rows)
    shown = []
    for key, each in work().items():
        for change in found["change"].unique():
            part = found[(found["work"] == key) & (found["change"] == change)]
            part = part.set_index("factor")
            row = {"Work": each.label, "Change": change}
            for factor in FACTORS[1:]:
                ends = part.loc[factor, "min"], part.loc[factor, "max"]
                row[f"By {factor}"] = f"{times(part.loc[factor, 'median'])} ({between(ends)})"
            shown.append(row)
    caption = (
        "Predicted time after a change over the time before: the median of all accelerators, and "
        "the least and the greatest. Peak cut: the peak divided; bandwidth for peak: the peak "
        "divided and the bandwidth multiplied."
    )
    return Table(pd.DataFrame(shown), name, caption)


def accelerator_table(data: Path | None, name: str, most: int = 10) -> Table:
    """Show the predicted times on the latest accelerators as they are."""
    chips, rows = accelerators(data).tail(most), trades(data)
    now = rows[(rows["factor"] == 1) & (rows["change"] == "peak cut")]
    wide = now.pivot(index="name", columns="work", values="seconds")
    shown = pd.DataFrame(
        {
            "Accelerator": chips["name"],
            "Date": chips["date"].dt.strftime("%Y-%m"),
            "Ridge (FLOP/byte)": (chips["peak"] / chips["bandwidth"]).map(number),
            **{
                f"{each.label} (µs)": (1e6 * wide.loc[chips["name"], key]).map(number).to_numpy()
                for key, each in work().items()
            },
        }
    )
    return Table(shown, name, "Predicted times on the latest accelerators, 16 bits, fused.")
