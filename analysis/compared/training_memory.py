"""The authors' training-memory breakdown, its sums, and the limit of each year's GPU."""

from pathlib import Path

import pandas as pd

from analysis.compared.page import Table
from analysis.published.tables import load_table

PARTS = ("parameters", "optimizer", "activations")


def breakdown(basis: str, data: Path | None = None) -> pd.DataFrame:
    """Return one row a model, in GB, as printed (`basis` "table") or as drawn ("figure").

    Columns: year, the three PARTS, their `sum`, the printed `total`, and for the figure the
    `gpu_limit`. Rows keep the order of the authors' table. Source: training_memory.csv.
    """
    rows = load_table("training_memory", data)
    rows = rows[rows["basis"] == basis]
    wide = rows.pivot(index="model", columns="part", values="memory_gb").loc[rows["model"].unique()]
    wide.insert(0, "year", rows.groupby("model")["year"].first())
    wide["sum"] = wide[list(PARTS)].sum(axis="columns")
    return wide.reset_index().rename_axis(columns=None)


def activations_over_parameters(data: Path | None = None) -> float:
    """Return the median over the eight models of activation memory over parameter memory."""
    table = breakdown("table", data)
    return float((table["activations"] / table["parameters"]).median())


def breakdown_table(rows: pd.DataFrame, name: str, caption: str) -> Table:
    """Show a breakdown with the sum of its parts beside the printed total."""
    columns = ["model", "year", *PARTS, "sum", "total"]
    shown = rows[columns].rename(columns={"sum": "sum of parts", "total": "printed total"})
    return Table(shown.round(2), name, caption)
