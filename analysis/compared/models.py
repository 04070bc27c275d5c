"""What generating with the open models of data/models/ asks of memory."""

from pathlib import Path

import numpy as np
import pandas as pd

from analysis.compared.claims import claim
from analysis.compared.growth import facts, trend_points
from analysis.compared.ridges import HALF, ridges
from analysis.predicted.architectures import GPT2, Architecture
from analysis.predicted.chips import architecture, open_models
from analysis.predicted.serving import batch_to_reach, memory_bytes, token_cost
from analysis.published.tables import load_table

TOLERANCE = 0.02  # of the stated parameters; beyond it a row gives its reason
# One of each kind of attention and feed-forward network, and the paper's decoder.
DRAWN = ("GPT-2", "OPT-175B", "Llama 3.1 405B", "gpt-oss-120b", "Qwen3-235B-A22B", "DeepSeek-V3")


def drawn() -> dict[str, Architecture]:
    """The models that the figures draw, by name."""
    known = {**open_models(), GPT2.name: GPT2}
    return {name: known[name] for name in DRAWN}


def costs(contexts, batches=1) -> pd.DataFrame:
    """What generating with the drawn models asks at 16 bits, by context or batch (an array).

    Columns: model, tokens, batch, cache (bytes of a sequence), flops, bytes and intensity
    (FLOP/byte) of a token."""
    frames = []
    for name, arch in drawn().items():
        cost = token_cost(arch, contexts, HALF, batches)
        rows = {"model": name, "tokens": contexts, "batch": batches}
        rows |= {"cache": arch.cached(contexts) * HALF.kv_bytes, "flops": cost.flops}
        frames.append(pd.DataFrame(rows | {"bytes": cost.bytes, "intensity": cost.intensity}))
    return pd.concat(frames, ignore_index=True)


def accelerator(name: str, bits: int = 16) -> pd.Series:
    """The row of `ridges` of one accelerator, announced ones too."""
    return ridges(unshipped=True).query("name == @name and bits == @bits").iloc[0]


def served(chip: pd.Series, context: int, data: Path | None = None) -> pd.DataFrame:
    """What a token of each open model asks at `context` and 16 bits, in order of date.

    Columns: model, stated and counted (parameters), difference (why these differ), flops, bytes and
    intensity of a token alone, cache (bytes a token), batch (to the ridge point of `chip`, a row of
    `ridges`) and chips (whose memory holds that); these two NaN where no batch reaches it. A model
    whose shape does not give its size has no more than its sizes.
    """
    records = []
    for row in load_table("architectures", data).itertuples():
        arch = architecture(row._asdict())
        sizes = {"stated": row.parameters, "counted": arch.n_parameters}
        records.append({"model": row.name, **sizes, "difference": row.difference})
        if row.difference:
            continue
        cost = token_cost(arch, context, HALF)
        records[-1] |= {"flops": cost.flops, "bytes": cost.bytes, "intensity": cost.intensity}
        records[-1] |= {"cache": arch.cached(1) * HALF.kv_bytes}
        if batch := batch_to_reach(arch, chip["value"], context, HALF):
            held = memory_bytes(arch, context, HALF, batch)
            records[-1] |= {"batch": batch, "chips": np.ceil(held / chip["memory"])}
    return pd.DataFrame(records)


@claim("recommenders_reach_ten_terabytes")
def largest_recommender(data: Path | None = None) -> float:
    """Return the size of the largest recommendation model of the paper's time with a source, in TB
    at 4 bytes a parameter."""
    rows = facts("models", data, kind="recommender", quantity="parameters").query("used")
    until = rows["date"] <= trend_points("accelerator_memory", data)["date"].max()
    return float(4 * rows["value"][until].max() / 1e12)
