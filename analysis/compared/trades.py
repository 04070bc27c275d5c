"""Accelerators that give up peak: what that costs each kind of work, and what bandwidth buys.

What a change does to the time of work depends on an accelerator by its ridge point alone, so that
bandwidths and peaks are in units of the bandwidth that each has before.
"""

from pathlib import Path

import pandas as pd

from analysis.compared.claims import claim
from analysis.compared.models import HALF
from analysis.compared.ridges import ridges
from analysis.predicted.architectures import BERT_BASE, GPT2
from analysis.predicted.operations import Cost
from analysis.predicted.roofline import Ceilings
from analysis.predicted.transformer import decoder_step, encoder_pass

TOKENS, SEQUENCES = 512, 64
FACTORS = (1, 2, 4, 8)


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
    rows, works = [], work()
    for chip in ridges(data).query("bits == 16").itertuples():
        for name, costs in works.items():
            before = Ceilings(1, chip.value).time(costs)
            for change in ("peak cut", "bandwidth for peak"):
                for factor in FACTORS:
                    bandwidth = factor if change == "bandwidth for peak" else 1
                    after = Ceilings(bandwidth, chip.value / factor).time(costs)
                    rows.append((chip.name, chip.date, chip.value, name, change, factor,
                                 float(after / before)))  # fmt: skip
    columns = ["name", "date", "ridge", "work", "change", "factor", "relative"]
    return pd.DataFrame(rows, columns=columns)


def middle(rows: pd.DataFrame) -> pd.DataFrame:
    """The median over accelerators, by work, change and factor, and as ends the least and greatest:
    columns relative, relative_low, relative_high."""
    grouped = rows.groupby(["work", "change", "factor"], sort=False)["relative"]
    ends = {"relative": "median", "relative_low": "min", "relative_high": "max"}
    return grouped.agg(**ends).reset_index()


@claim("bandwidth_instead_of_peak")
def pays(data: Path | None = None, factor: int = 2) -> float:
    """Whether GPT-2 decodes faster on every accelerator with 1 / `factor` of its peak and `factor`
    times its bandwidth: 1 or 0."""
    rows = trades(data).query("work == 'decode' and change == 'bandwidth for peak'")
    return float((rows["relative"][rows["factor"] == factor] < 1).all())
