"""What limits a model in a run, by what its time does when one cause changes and the others not.

The time of each point is taken as the sum of what its operators cost to launch, its bytes to move
and its FLOPs to compute. Sequences in a batch change a step's FLOPs and hardly its bytes, the
context and shared heads the bytes of its cache alone, the depth its launches; passes change FLOPs
by their length, and bytes and launches by unfused attention. Non-negative least squares tell the
three costs apart.
"""

from functools import cache, partial

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from analysis.compared.claims import EITHER, Interval, claim
from analysis.compared.counts import LENGTHS
from analysis.compared.shown import gathered
from analysis.measured.run import Missing, Run
from analysis.predicted.architectures import ARCHITECTURES, SIZES
from analysis.predicted.operations import FUSED, UNFUSED
from analysis.predicted.roofline import compulsory_bytes
from analysis.predicted.serving import step_bytes
from analysis.predicted.transformer import decoder_step, encoder_pass, matmul_flops

CAUSES = {"launches": "overhead-bound", "bytes": "memory-bound", "flops": "compute-bound"}
OPERATORS = {"fused": 11, "unfused": 17}  # of a layer of `measured.networks`, by its attention
DRAWS, SEED = 1000, 0
KNOWN = ARCHITECTURES | SIZES


def passes(run: Run) -> pd.DataFrame:
    """Encoder passes: model, tokens, plain (whether attention is fused), seconds and, of each of
    CAUSES, how much there is; bytes are those of the convention."""
    rows = run.rows("encode", dtype="float32", batch=1)
    rows = rows[rows["how"].isin(OPERATORS)]
    return _with_causes(rows, plain=rows["how"] == "fused")


def steps(run: Run) -> pd.DataFrame:
    """Steps of decoders in float32, as `passes` gives those of encoders; bytes are those that a
    step must read. Plain are GPT-2's over one sequence."""
    kinds = (
        partial(run.rows, "step", how="fused", dtype="float32"),
        *(partial(run.rows, what) for what in ("batch", "heads")),
        partial(run.rows, "size", how="cold"),
    )
    rows = gathered("decoder steps", *kinds)
    return _with_causes(rows, plain=rows["what"] == "step")


def _with_causes(rows: pd.DataFrame, plain: pd.Series) -> pd.DataFrame:
    rows = rows[rows["model"].isin(KNOWN)]
    found = [_causes(row) for row in rows.itertuples()]
    found = pd.DataFrame(found, columns=list(CAUSES), index=rows.index, dtype=float)
    return rows[["model", "tokens", "seconds"]].join(found).assign(plain=plain)


def _causes(row) -> tuple:
    arch = KNOWN[row.model]
    if row.what == "encode":
        costs = encoder_pass(arch, row.tokens, FUSED if row.how == "fused" else UNFUSED)
        return OPERATORS[row.how] * arch.n_layers, costs["total"].bytes, matmul_flops(costs)
    if row.what == "heads":
        arch = arch.replace(n_kv_heads=row.n)
    flops = matmul_flops(decoder_step(arch, row.tokens, FUSED, row.batch))
    moved = step_bytes(arch, row.tokens, compulsory_bytes(arch), row.batch)
    return OPERATORS["fused"] * arch.n_layers, moved, flops


def shares(work: pd.DataFrame) -> pd.DataFrame:
    """What share of the time of each plain row of `work` each cause has.

    work: rows of `passes` or `steps`. Columns: model, tokens, cause, share and the ends of its 95 %
    interval, percentiles over points drawn with replacement. Raises Missing with fewer points than
    causes.
    """
    if len(work) < len(CAUSES):
        raise Missing("the run has too few points to tell what limits them")
    causes = tuple(work[list(CAUSES)].itertuples(index=False, name=None))
    best, low, high = _shares(causes, tuple(work["seconds"]), tuple(work["plain"]))
    names = work.loc[work["plain"], ["model", "tokens"]]
    parts = [names.assign(cause=cause, share=best[:, i], share_low=low[:, i], share_high=high[:, i])
             for i, cause in enumerate(CAUSES)]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


@cache  # claims and figures ask the same of a run
def _shares(causes: tuple[tuple, ...], seconds: tuple, plain: tuple) -> tuple[np.ndarray, ...]:
    """Of each plain point the share of each cause, and the ends of its interval."""
    causes, seconds, n = np.array(causes), np.array(seconds), len(seconds)
    scaled = causes / causes.mean(axis=0)
    at, draw = scaled[np.array(plain)], np.random.default_rng(SEED)

    def of(drawn) -> np.ndarray:
        costs, _ = nnls(scaled[drawn] / seconds[drawn, None], np.ones(n))
        parts = at * costs
        return parts / parts.sum(axis=1, keepdims=True)

    best, others = of(np.arange(n)), [of(draw.integers(0, n, n)) for _ in range(DRAWS)]
    return best, *np.percentile(others, (2.5, 97.5), axis=0)


def regimes(run: Run) -> pd.DataFrame:
    """What limits each model at each length: the rows of `shares` with a column regime, which is
    named by the cause that has more than half of the time, interval and all, else undecided."""
    of = [lambda kind=kind: shares(kind(run)) for kind in (passes, steps)]
    rows = gathered("points to tell what limits them", *of)
    most = rows[rows["share_low"] > 0.5].set_index(["model", "tokens"])["cause"].map(CAUSES)
    named = [most.get((row.model, row.tokens), "undecided") for row in rows.itertuples()]
    names = {name: KNOWN[name].name for name in rows["model"].unique()}
    return rows.assign(model=rows["model"].map(names), regime=named)


@claim("decoding_is_memory_bound", model="GPT-2")
@claim("encoding_is_not_memory_bound", model="BERT-Base", holds=False)
def follows_bytes(run: Run, model: str, holds: bool = True) -> Interval | float:
    """Whether more than half of a model's time follows its bytes, at every length: 1 if so (or, not
    `holds`, if nowhere), 0 if at any length otherwise, else `EITHER`."""
    rows = regimes(run).query("model == @model and cause == 'bytes'")
    rows = rows[rows["tokens"].isin(LENGTHS)]
    if rows.empty:
        raise Missing(f"the run has no {model}")
    so, not_so = rows["share_low"] > 0.5, rows["share_high"] < 0.5
    if not holds:
        so, not_so = not_so, so
    return 1.0 if so.all() else 0.0 if not_so.any() else EITHER
