"""Where the paper's sources disagree with themselves or with arithmetic: the numbers of each.

What they mean is said in book/errata.md. Errata that are a difference of two numbers of one table
are computed there.
"""

from pathlib import Path

import pandas as pd

from analysis.published.tables import load_table

# The README's tables print two significant digits: anything beyond 5 % is not rounding.
ROUNDING = 0.05


def drawn_against_printed(data: Path | None = None) -> pd.DataFrame:
    """Return the models whose drawn and printed numbers differ by more than rounding.

    Points of the figures and rows of the README's tables are matched by date, which both carry
    to the day, and by quantity; of two rows of one day, the one nearer in value is meant.
    Columns: label (drawn), model (printed), quantity, drawn, printed, ratio (drawn/printed).
    """
    points, sizes = load_table("figure_points", data), load_table("model_sizes", data)
    quantity = {"parameters": "parameters", "FLOP": "training_compute"}
    drawn = points[points["unit"].isin(quantity)].assign(quantity=points["unit"].map(quantity))
    printed = sizes.assign(
        printed=sizes["value"].where(sizes["unit"] != "PFLOP", sizes["value"] * 1e15)
    )
    both = drawn.merge(printed, on=["date", "quantity"], suffixes=("", "_printed"))
    both = both.assign(drawn=both["value"], ratio=both["value"] / both["printed"])
    both = both.assign(off=(both["ratio"] - 1).abs()).sort_values("off")
    both = both.drop_duplicates(["label", "quantity"]).query("off > @ROUNDING")
    return both[["label", "model", "quantity", "drawn", "printed", "ratio"]]


def contradicted(cells: pd.DataFrame) -> pd.DataFrame:
    """Set the survey's cells that cannot be right against their neighbours in print.

    cells: as `counts.cells` returns them. The other two cells of a row, with their rounding, bound
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
