"""Quality in a run: bits per byte after each remedy, and what pruning does to a step's time."""

from math import nan
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.compared.claims import Interval, claim, interval
from analysis.compared.ratios import matched, ratios
from analysis.errors import InputError
from analysis.measured.run import Run
from analysis.predicted.architectures import BYTE_DECODER, GPT2, Architecture
from analysis.predicted.pruning import layer_weights, pruned, sparse_bytes
from analysis.predicted.serving import projection_bytes

MODEL = "byte-decoder"
GROUP, SCALE_BYTES = 32, 2  # inputs that share a scale where weights are rounded in groups
NAMES = {  # how of a remedy -> its family, and what n is
    "none": ("float32", ""),
    "bfloat16": ("bfloat16, activations too", ""),
    "float16": ("float16, activations too", ""),
    "int row": ("a scale for each row", ": {} bits"),
    "int group": (f"a scale for {GROUP} inputs", ": {} bits"),
    "int activations": ("a scale for each row, activations too", ": {} bits"),
    "structured": ("heads and neurons", ": {} %"),
    "unstructured": ("single weights", ": {} %"),
    "tuned": ("float32, tuned", ""),
    "tuned structured": ("heads and neurons, tuned", ": {} %"),
    "tuned unstructured": ("single weights, tuned", ": {} %"),
}
KINDS = {
    "structured": "without heads and neurons",
    "zeros": "zeros, dense matrices",
    "csr": "zeros, sparse rows",
}


def scores(run: Run) -> pd.DataFrame:
    """The quality that remedies leave the trained decoder, one a row, by how and n (bits, or per
    cent pruned).

    Columns besides those of `Run.rows`: family and remedy (its name, and that with n),
    bits_per_byte and difference (from before the remedy) with their ends, more (times the bits of
    before) with its ends, weight_bytes (as stored), sparse_bytes (with zeros in sparse rows; NaN
    without zeros), smaller (times, by the bytes that are fewer).
    """
    rows = run.rows("quality", model=MODEL)
    rows = rows[rows["how"].isin(NAMES)]
    rows = rows.sort_values("how", key=lambda how: how.map(list(NAMES).index), kind="stable")
    rows = rows.rename(columns={"bits_low": "bits_per_byte_low", "bits_high": "bits_per_byte_high"})
    before = rows["bits_per_byte"] - rows["difference"]
    ends = {f"more{end}": 1 + rows[f"difference{end}"] / before for end in ("", "_low", "_high")}
    # Training more changes no size, so that those who were trained more have the others'.
    pruned_so = [rows["how"].str.removeprefix("tuned "), rows["n"]]
    sparse = rows.get("sparse_bytes", pd.Series(nan, rows.index))
    sparse = sparse.groupby(pruned_so).transform("max")
    whole = run.row("quality", model=MODEL, how="none")["weight_bytes"]
    family, unit = zip(*rows["how"].map(NAMES), strict=True)
    units = [each.format(n) for each, n in zip(unit, rows["n"], strict=True)]
    return rows.assign(
        family=family, remedy=np.char.add(family, units), sparse_bytes=sparse,
        smaller=whole / sparse.fillna(rows["weight_bytes"]), **ends,
    )  # fmt: skip


def factors(run: Run) -> pd.DataFrame:
    """The rows of `scores` that claims are about, with claimed and predicted: how many times
    smaller the bits or the share alone make a model, and the trained decoder by arithmetic."""
    rows = scores(run).query(
        "how == 'int row' and n == 8 or how == 'int group' and n == 4 or how.str.match('tuned .')"
    )
    each = [(how.removeprefix("tuned "), n) for how, n in zip(rows["how"], rows["n"], strict=True)]
    claimed = [32 / n if "int" in how else 100 / (100 - n) for how, n in each]
    return rows.assign(claimed=claimed, predicted=[smaller(*one, BYTE_DECODER) for one in each])


@claim("int8_quality", how="int row", n=8)
@claim("int4_quality", how="int group", n=4)
@claim("structured_pruning", how="tuned structured")
@claim("unstructured_pruning", how="tuned unstructured")
def more_bits(run: Run, **where) -> Interval:
    """The bits per byte after a remedy over those before it, with its interval; Missing where it
    was not scored."""
    row = run.row("quality", model=MODEL, **where)
    before = row["bits_per_byte"] - row["difference"]
    return tuple(1 + each / before for each in interval(row, "difference"))


def smaller(how: str, n: int, arch: Architecture) -> float:
    """How many times smaller a model is, all else in float32: "int row" and "int group", its
    projections as integers of n bits with scales of two bytes; "structured" and "unstructured",
    pruned by n per cent, the single weights in sparse rows. Raises InputError for others."""
    left = whole = 4 * arch.n_parameters
    if how in ("int row", "int group"):
        stored = projection_bytes(arch, n, GROUP if how == "int group" else None, SCALE_BYTES)
        left += stored - projection_bytes(arch)
    elif how == "structured":
        left = 4 * pruned(arch, n / 100).n_parameters
    elif how == "unstructured":
        left += sparse_bytes(arch, n / 100) - 4 * layer_weights(arch)[0]
    else:
        raise InputError(f"no size of {how!r} is predicted")
    return whole / left


@claim("int4_size")
def int4_smaller(data: Path | None = None) -> float:
    """How many times smaller GPT-2 is with projections of 4 bits, a scale for each group."""
    return smaller("int group", 4, GPT2)


def steps(run: Run) -> pd.DataFrame:
    """Steps of a pruned model of GPT-2's size, by how and n (per cent). Columns besides those of
    `Run.rows`: kind (its name), gain (over the whole model of the same turn) with its ends, and
    predicted (gain, by the bytes of a step)."""
    rows = run.rows("prune", model="gpt2")
    rows = rows[rows["how"].isin(KINDS)]
    rows, whole = matched(rows, rows[rows["n"] == 0], ["turn"])
    rows = rows.assign(**ratios(whole, rows, "gain"))
    return rows.assign(kind=rows["how"].map(KINDS), predicted=whole["bytes"] / rows["bytes"])


def wins_from(rows: pd.DataFrame) -> float:
    """The least share (per cent) of these rows of `steps` from which on they are all faster than
    the whole model, intervals and all; NaN if none is."""
    rows = rows.sort_values("n", ascending=False)
    return rows["n"][(rows["gain_low"] > 1).cummin()].min()
