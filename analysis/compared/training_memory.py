"""The authors' training-memory breakdown, and the sums of its parts."""

from pathlib import Path

import pandas as pd

from analysis.compared.claims import claim
from analysis.published.tables import load_table

PARTS = ["parameters", "optimizer", "activations"]


def breakdown(basis: str, data: Path | None = None) -> pd.DataFrame:
    """Return one row a model, in GB, as printed (`basis` "table") or as drawn ("figure").

    Columns: the three PARTS, their `sum`, the printed `total`, `year` and, for the figure, the
    `gpu_limit`; the index is the model, in the authors' order. Source: training_memory.csv.
    """
    rows = load_table("training_memory", data)
    rows = rows[rows["basis"] == basis]
    wide = rows.pivot(index="model", columns="part", values="memory_gb").loc[rows["model"].unique()]
    years = rows.groupby("model")["year"].first()
    return wide.assign(sum=wide[PARTS].sum(axis="columns"), year=years).rename_axis(columns=None)


@claim("training_memory_over_parameters")
def activations_over_parameters(data: Path | None = None) -> float:
    """Return the median over the models of activation memory over parameter memory."""
    table = breakdown("table", data)
    return float((table["activations"] / table["parameters"]).median())


@claim("training_memory_over_state")
def activations_over_state(data: Path | None = None) -> float:
    """Return the median over the models of activation memory over that of parameters and optimizer
    together."""
    table = breakdown("table", data)
    return float((table["activations"] / (table["parameters"] + table["optimizer"])).median())


@claim("models_fit_their_accelerators")
def all_fit(data: Path | None = None) -> float:
    """Return whether each model's memory in training is at most that of the accelerator that the
    authors draw for its year: 1 or 0."""
    bars = breakdown("figure", data)
    return float((bars["sum"] <= bars["gpu_limit"]).all())
