"""Quality in a run: bits per byte after each remedy, and what pruning does to a step's time."""

from pathlib import Path

import pandas as pd

from analysis.compared.claims import claim
from analysis.compared.serving import faster
from analysis.errors import InputError
from analysis.measured.run import Run
from analysis.predicted.architectures import BYTE_DECODER, GPT2, Architecture
from analysis.predicted.pruning import layer_weights, pruned, sparse_bytes
from analysis.predicted.serving import projection_bytes

MODEL = "byte-decoder"
GROUP, SCALE_BYTES = 32, 2  # inputs that share a scale where weights are rounded in groups
# `how` of a remedy -> what it is, with its bits or its per cent.
NAMES = {
    "none": "float32",
    "bfloat16": "bfloat16, activations too",
    "float16": "float16, activations too",
    "int row": "{} bits, a scale for each row",
    "int group": f"{{}} bits, a scale for {GROUP} inputs",
    "int activations": "{} bits, activations too",
    "structured": "heads and neurons: {} %",
    "unstructured": "single weights: {} %",
    "tuned": "float32, trained more",
    "tuned structured": "heads and neurons: {} %, trained more",
    "tuned unstructured": "single weights: {} %, trained more",
}
FAMILIES = {
    "int row": "a scale for each row",
    "int group": "a scale for each group",
    "structured": "heads and neurons",
    "unstructured": "single weights",
    "tuned structured": "heads and neurons, trained more",
    "tuned unstructured": "single weights, trained more",
}
KINDS = {
    "structured": "without heads and neurons",
    "zeros": "zeros, dense matrices",
    "csr": "zeros, sparse rows",
}


def scores(run: Run) -> pd.DataFrame:
    """The quality that remedies leave the trained decoder, one a row, by how and n (bits, or per
    cent pruned).

    Columns besides those of `Run.rows`: remedy and family (their names; family is "" where n does
    not vary), bits_per_byte and difference (from before the remedy) with their ends, more (times
    the bits of before) with its ends, weight_bytes (as stored), sparse_bytes (with zeros in sparse
    rows; NaN without zeros), smaller (times, by the bytes of its tensors), predicted (the same, by
    arithmetic; NaN where `smaller` has no formula).
    """
    rows = run.rows("quality", model=MODEL)
    rows = rows[rows["how"].isin(NAMES)]
    rows = rows.rename(columns={"bits_low": "bits_per_byte_low", "bits_high": "bits_per_byte_high"})
    before = rows["bits_per_byte"] - rows["difference"]
    names = ("difference", "difference_low", "difference_high")
    more = {name.replace("difference", "more"): 1 + rows[name] / before for name in names}
    kind = rows["how"].str.removeprefix("tuned ")  # training more changes no size
    sparse = rows.get("sparse_bytes", pd.Series(index=rows.index, dtype=float))
    sparse = sparse.groupby([kind, rows["n"]]).transform("max")
    whole = run.row("quality", model=MODEL, how="none")["weight_bytes"]
    sizes = [smaller(*each) if each[1] else 1.0 for each in zip(kind, rows["n"], strict=True)]
    return rows.assign(
        remedy=[NAMES[how].format(n) for how, n in zip(rows["how"], rows["n"], strict=True)],
        family=rows["how"].map(FAMILIES).fillna(""), sparse_bytes=sparse,
        smaller=whole / sparse.fillna(rows["weight_bytes"]), predicted=sizes, **more,
    )  # fmt: skip
