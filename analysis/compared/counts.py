"""The printed counts of the paper, cell by cell, beside what is predicted."""

from pathlib import Path

import numpy as np
import pandas as pd

from analysis.compared.claims import claim
from analysis.predicted.architectures import BERT_BASE, BERT_LARGE, GPT2, Architecture
from analysis.predicted.counted import count, one_projection
from analysis.predicted.operations import PUBLISHED, Convention
from analysis.published.tables import load_table

PAPER_MODELS = {"BERT-Base": BERT_BASE, "BERT-Large": BERT_LARGE, "GPT-2": GPT2}
LENGTHS = (128, 256, 512, 1024, 2048, 4096)
VALUES = {
    "flops": lambda cost: cost.flops / 1e9,
    "mops": lambda cost: cost.bytes / 1e9,
    "arithmetic_intensity": lambda cost: cost.intensity,
}


def cells(data: Path | None = None) -> pd.DataFrame:
    """Return every printed cell of the two count tables with our count and its status.

    Columns: table, model, tokens, operator_class, quantity, printed, decimals, ours, without (ours
    less `one_projection`, totals only) and status, one of "reproduced" (within half a unit of the
    last digit), "cut" (the digits of ours, not rounded), "one projection short" (`without` is
    within half a percent), or "differs". Sources: arXiv:2302.14017, Tables 3 and 11, Figures 4
    to 6.
    """
    by_class = load_table("operator_breakdown", data).assign(table="operator_breakdown")
    by_length = load_table("counts_by_length", data).assign(table="counts_by_length")
    by_length = by_length[by_length["quantity"].isin(VALUES)].assign(operator_class="total")
    names = {"value": "printed", "sequence_length": "tokens"}
    frame = pd.concat([by_class, by_length], ignore_index=True).rename(columns=names)
    ours, without = [], []
    for cell in frame.itertuples():
        architecture, value = PAPER_MODELS[cell.model], VALUES[cell.quantity]
        cost = count(architecture, cell.tokens)[cell.operator_class]
        ours.append(float(value(cost)))
        short = cost + one_projection(architecture, cell.tokens) * -1
        without.append(float(value(short)) if cell.operator_class == "total" else np.nan)
    frame = frame.assign(ours=ours, without=without)
    frame["status"] = [_status(c) for c in frame.itertuples()]
    columns = "table model tokens operator_class quantity printed decimals ours without status"
    return frame[columns.split()]


def _status(cell) -> str:
    unit = 10.0**-cell.decimals
    rounding = 1 + 1e-9  # the printed decimal is not exact in binary
    if abs(cell.ours - cell.printed) <= unit / 2 * rounding:
        return "reproduced"
    if 0 <= cell.ours - cell.printed < unit * rounding:
        return "cut"
    # A model printed one projection short is so in all its cells: FLOPs tell it to 0.5 %.
    if abs(cell.without / cell.printed - 1) < 0.005:
        return "one projection short"
    return "differs"


def contradicted(cells: pd.DataFrame) -> pd.DataFrame:
    """Set the survey's cells that cannot be right against their neighbours in print.

    cells: as `cells` returns them. The other two cells of a row, with their rounding, bound
    what the one can be. Where a count does not depend on length, it is one row for all lengths,
    with the tightest bounds. Columns: model, operator_class, quantity, tokens (all of them),
    printed, decimals, low, high, ours.
    """
    rows, of = [], ["table", "model", "operator_class"]
    wrong = cells[cells["status"] == "differs"]
    for key, some in wrong.groupby([*of, "quantity"], sort=False):
        same = cells[(cells[of] == list(key[:3])).all(axis=1)]
        bounds = [implied(same[same["tokens"] == n], key[3]) for n in some["tokens"]]
        low, high = min(bounds, key=lambda ends: ends[1] / ends[0])
        first = some.iloc[0][[*of, "quantity", "printed", "decimals", "ours"]].to_dict()
        rows.append(first | {"tokens": tuple(some["tokens"]), "low": low, "high": high})
    return pd.DataFrame(rows).drop(columns="table")


def implied(row: pd.DataFrame, quantity: str) -> tuple[float, float]:
    """Bounds on one cell of a row from the other two, each within half of its last digit."""
    half = {c.quantity: 0.5 * 10.0**-c.decimals for c in row.itertuples()}
    low = {c.quantity: c.printed - half[c.quantity] for c in row.itertuples()}
    high = {c.quantity: c.printed + half[c.quantity] for c in row.itertuples()}
    if quantity == "flops":
        return tuple(end["mops"] * end["arithmetic_intensity"] for end in (low, high))
    over = {"mops": "arithmetic_intensity", "arithmetic_intensity": "mops"}[quantity]
    return low["flops"] / high[over], high["flops"] / low[over]


def curves(
    models: dict[str, Architecture], lengths, convention: Convention = PUBLISHED
) -> pd.DataFrame:
    """Return what is counted of each model at each length by operator class, and in total.

    Columns: model, tokens, operator_class, flops (1e9), mops (1e9 bytes), arithmetic_intensity
    (FLOP/byte) and share_of_bytes (per cent, of the total).
    """
    frames = []
    for model, architecture in models.items():
        counted = count(architecture, np.asarray(lengths), convention)
        for name, cost in counted.items():
            share = 100 * cost.bytes / counted["total"].bytes
            values = {quantity: value(cost) for quantity, value in VALUES.items()}
            columns = {"model": model, "tokens": lengths, "operator_class": name}
            frames.append(pd.DataFrame(columns | values | {"share_of_bytes": share}))
    return pd.concat(frames, ignore_index=True)


@claim("gpt2_arithmetic_intensity", model="GPT-2", quantity="arithmetic_intensity")
@claim("bert_base_flops_512", model="BERT-Base", quantity="flops")
@claim("gpt2_flops_512", model="GPT-2", quantity="flops")
@claim("bert_large_flops_512", model="BERT-Large", quantity="flops")
def counted(data: Path | None, model: str, quantity: str, tokens: int = 512) -> float:
    """Return one number of `VALUES` as the paper counts it, which no table in `data` changes."""
    return float(VALUES[quantity](count(PAPER_MODELS[model], tokens)["total"]))


@claim("bert_base_least_arithmetic_intensity")
def least_intensity(data: Path | None) -> float:
    """Return BERT-Base's least intensity at the paper's lengths."""
    return min(counted(data, "BERT-Base", "arithmetic_intensity", n) for n in LENGTHS)


@claim("gpt2_moves_more_bytes")
def bytes_over_encoder(data: Path | None, tokens: int = 512) -> float:
    """Return the bytes that GPT-2 moves to generate as many tokens as BERT-Base encodes, over its,
    as the paper counts them."""
    decoder, encoder = (counted(data, model, "mops", tokens) for model in ("GPT-2", "BERT-Base"))
    return decoder / encoder
