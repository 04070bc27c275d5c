"""Quality in a run: bits per byte after each remedy, and what pruning does to a step's time."""

import re
from math import isnan, nan

import numpy as np
import pandas as pd

from analysis.compared.serving import detail
from analysis.errors import InputError
from analysis.measured.byte_model import STRUCTURED, UNSTRUCTURED
from analysis.measured.pruned import BLOCK, CONTEXT
from analysis.measured.quality import GROUP, MODEL
from analysis.measured.runs import Run
from analysis.predicted.architectures import GPT2, Architecture
from analysis.predicted.operations import FUSED
from analysis.predicted.pruning import layer_weights, pruned, sparse_bytes
from analysis.predicted.serving import projection_bytes
from analysis.predicted.transformer import decoder_step

SCORED = "bits_per_byte low high difference difference_low difference_high".split()
SIZES = ["weight_bytes", "sparse_bytes"]
PRUNED = {"structured": STRUCTURED, "unstructured": UNSTRUCTURED}  # per cent, as the paper has it
FAMILIES = {  # what is before the number in a remedy's name -> in words
    "int-row": "a scale for each row",
    "int-group": f"a scale for {GROUP} inputs",
    "structured": "heads and neurons",
    "unstructured": "single weights",
}


def scores(run: Run) -> pd.DataFrame:
    """Return the quality that remedies leave, one a row.

    Columns: remedy, family (`FAMILIES` or ""), amount (bits, or per cent pruned), bits_per_byte,
    low, high, difference, difference_low, difference_high, weight_bytes (as stored), sparse_bytes
    (with zeros in sparse rows; NaN without zeros).
    """
    rows = []
    for point in run.points:
        match point.key.split("/"):
            case ["quality", model, remedy] if model == MODEL:
                found = [_number(point.details.get(name)) for name in SCORED]
                if not np.isfinite(found).all() or found[0] <= 0:
                    continue
                family, amount = _parts(remedy)
                sizes = [detail(point, name) for name in SIZES]
                rows.append((remedy, family, amount, *found, *sizes))
    return pd.DataFrame(rows, columns=["remedy", "family", "amount", *SCORED, *SIZES])


def _number(value) -> float:
    """A detail that may be below zero; NaN for what is no number."""
    return float(value) if isinstance(value, int | float) else nan


def _parts(remedy: str) -> tuple[str, int]:
    """int4-row -> ("int-row", 4), structured-30 -> ("structured", 30); others have no family."""
    if match := re.fullmatch(r"int([0-9]{1,2})-(row|group)", remedy):
        return f"int-{match[2]}", int(match[1])
    if match := re.fullmatch(r"(structured|unstructured)-([0-9]{1,2})", remedy):
        return match[1], int(match[2])
    return "", 0


def score(run: Run, remedy: str) -> pd.Series | None:
    """Return the row of `scores` of one remedy; None without it."""
    rows = scores(run).query("remedy == @remedy")
    return None if rows.empty else rows.iloc[0]


def more_bits(run: Run, remedy: str) -> tuple[float, float, float] | None:
    """Return the bits per byte after a remedy over those before it, and the interval of the pairs;
    None without them."""
    row = score(run, remedy)
    if row is None:
        return None
    before = row["bits_per_byte"] - row["difference"]
    return tuple(float(1 + row[name] / before) for name in SCORED[3:])


def tuned(family: str) -> str:
    """Return the remedy of the paper's claim: pruned so far, and trained some more."""
    return f"tuned-{family}-{PRUNED[family]}"


def tuned_scores(run: Run) -> pd.DataFrame:
    """Return the rows of `scores` of these two, with their family and share."""
    rows = scores(run).set_index("remedy")
    names = {tuned(family): family for family in PRUNED}
    rows = rows.loc[[name for name in names if name in rows.index]].reset_index()
    shares = [int(name.rpartition("-")[2]) for name in rows["remedy"]]
    return rows.assign(family=rows["remedy"].map(names), amount=shares)


def smaller(remedy: str, arch: Architecture = GPT2) -> float:
    """Return how many times smaller a model is, all else in float32: "int8-row" or "int4-group",
    its projections as integers with scales of two bytes; "structured-30", "unstructured-80", pruned
    so far (per cent), the single weights in sparse rows. Raises InputError for other remedies."""
    family, amount = _parts(remedy)
    left = whole = 4 * arch.n_parameters
    if family.startswith("int"):
        group = GROUP if family == "int-group" else None
        left += projection_bytes(arch, amount, group, 2) - projection_bytes(arch)
    elif family == "structured":
        left = 4 * pruned(arch, amount / 100).n_parameters
    elif family == "unstructured":
        left += sparse_bytes(arch, amount / 100) - 4 * layer_weights(arch)[0]
    else:
        raise InputError(f"no size of {remedy!r} is predicted")
    return whole / left


def smaller_measured(run: Run, remedy: str) -> float | None:
    """Return the same of the trained decoder, of the bytes that its tensors have; None without
    them."""
    whole, small = (score(run, name) for name in ("none", remedy))
    if whole is None or small is None:
        return None
    size = small["weight_bytes"] if isnan(small["sparse_bytes"]) else small["sparse_bytes"]
    return float(whole["weight_bytes"] / size)


def steps(run: Run) -> pd.DataFrame:
    """Return the steps of a pruned model of GPT-2's size.

    Columns: kind (structured, zeros: dense matrices with zeros, csr: sparse rows), share (per
    cent), layer_bytes (of the layers' matrices), median (s), gain, low, high (times as fast as the
    whole model, timed in turn), predicted (gain, by the bytes of a step).
    """
    rows, whole = [], decoder_step(GPT2, CONTEXT, FUSED)["total"].bytes
    for point in run.points:
        match = re.fullmatch(
            rf"prune/gpt2/{CONTEXT}/(structured|zeros|csr)-([0-9]{{1,2}})", point.key
        )
        if not match:
            continue
        kind, share = match[1], int(match[2])
        base = "structured" if kind == "structured" else "zeros"
        faster = run.ratio(f"prune/gpt2/{CONTEXT}/{base}-0", point.key)
        if faster is None:
            continue
        layers, moved = 4 * layer_weights(GPT2)[0], whole
        if kind == "structured":
            arch = pruned(GPT2, share / 100, BLOCK)
            layers = 4 * layer_weights(arch)[0]
            moved = decoder_step(arch, CONTEXT, FUSED)["total"].bytes
        elif kind == "csr":
            sparse = sparse_bytes(GPT2, share / 100)
            layers, moved = sparse, whole - layers + sparse
        ends = (faster.median, *faster.interval)
        rows.append((kind, share, layers, point.sample.median, *ends, whole / moved))
    columns = "kind share layer_bytes median gain low high predicted".split()
    return pd.DataFrame(rows, columns=columns).sort_values(["kind", "share"], ignore_index=True)


def wins_from(run: Run, kind: str = "csr") -> int | None:
    """Return the least share (per cent) from which on a kind is faster than the whole model,
    intervals and all; None if none is."""
    rows = steps(run).query("kind == @kind")
    faster = [row.low > 1 for row in rows.itertuples()]
    n = next((i for i in range(len(faster)) if all(faster[i:])), None)
    return None if n is None else int(rows["share"].iloc[n])
