"""Remedies for decoding in a run: what each was predicted to gain, and what it gained."""

import numpy as np
import pandas as pd

from analysis.compared.claims import Interval, claim, interval
from analysis.compared.ratios import faster, over_time
from analysis.compared.roofs import ceilings
from analysis.measured.run import Missing, Run
from analysis.predicted.architectures import ARCHITECTURES, GPT2
from analysis.predicted.operations import FUSED, UNFUSED
from analysis.predicted.serving import (
    STORED,
    draft_speed_up,
    expected_tokens,
    projection_bytes,
    step_bytes,
)
from analysis.predicted.transformer import decoder_step, encoder_pass
from analysis.predicted.trends import straight_line

NAMES = {
    "float32": "float32",
    "bfloat16": "bfloat16",
    "int8": "int8, weights only",
    "int8-planes": "int8, in two planes",
    "int8-dynamic": "int8, activations too",
    "int4": "int4, weights only",
}
BYTES = "byte-decoder"
COUNTS = ["accepted", "examined", "checks", "equal"]  # of drafted tokens


def formats(run: Run) -> pd.DataFrame:
    """What weights in each format gain: a row for each context and format.

    Columns besides those of `Run.rows`: format (its name), bytes (of a step: weights and cache),
    gain (over float32) with its ends, predicted (gain, by the bytes), share (of the read ceiling
    between the steps), products (seconds of the projections alone) and products_share, attention
    (seconds of it alone); and weight_bytes as stored, error (of the logits).
    """
    rows = run.rows("weights", model="gpt2")
    rows = faster(rows[rows["how"].isin(STORED)], rows[rows["how"] == "float32"], ["tokens"])
    products = run.rows("products", model="gpt2").set_index("how")["seconds"]
    attention = run.rows("attention", model="gpt2").set_index("tokens")["seconds"]
    read = run.row("read", how="weights")
    rate = read["bytes"] / read["seconds"]
    whole, moved = (
        np.array([step_bytes(GPT2, n, projection_bytes(GPT2, *STORED[how]))
                  for n, how in zip(rows["tokens"], hows, strict=True)])
        for hows in (["float32"] * len(rows), rows["how"])
    )  # fmt: skip
    taken = rows["how"].map(products)
    return rows.assign(
        format=rows["how"].map(NAMES), bytes=moved, predicted=whole / moved,
        share=moved / rows["seconds"] / rate, products=taken,
        products_share=rows["weight_bytes"] / taken / rate,
        attention=rows["tokens"].map(attention),
    )  # fmt: skip


@claim("int4_decoding_speed")
def int4_gain(run: Run) -> Interval:
    """How many times as fast a step at the least context is in int4 as in float32."""
    four, base = (run.rows("weights", model="gpt2", how=how) for how in ("int4", "float32"))
    return interval(faster(four, base, ["tokens"]).iloc[0], "gain")


def batches(run: Run) -> pd.DataFrame:
    """Steps by context and the number of sequences that share them. Columns besides those of
    `Run.rows`: context (its name), rate (tokens/s) and gain (of it, over one sequence's) with their
    ends, and by the roofline predicted (tokens/s) and predicted_seconds (of the step)."""
    rows, roof = run.rows("batch", model="gpt2"), ceilings(run)
    rows = faster(rows, rows[rows["batch"] == 1], ["tokens"])
    n = rows["batch"]
    seconds = np.array([
        float(roof.time(decoder_step(GPT2, row.tokens, FUSED, row.batch)))
        for row in rows.itertuples()
    ])  # fmt: skip
    return rows.assign(
        context=[f"{tokens} tokens" for tokens in rows["tokens"]], predicted_seconds=seconds,
        **over_time(lambda times: n / times, rows, "rate"),
        predicted=n / seconds, **{k: n * rows[k] for k in ("gain", "gain_low", "gain_high")},
    )  # fmt: skip


def heads(run: Run) -> pd.DataFrame:
    """Steps by n, their heads of keys and values, most first. Columns besides those of `Run.rows`:
    cache_bytes, gain (over most heads) with its ends, predicted (gain, by the bytes)."""
    rows = run.rows("heads", model="gpt2").sort_values("n", ascending=False)
    bytes_ = []  # of weights, and of all that a step reads
    for row in rows.itertuples():
        arch = GPT2.replace(n_kv_heads=row.n)
        weights = projection_bytes(arch)
        bytes_.append((weights, step_bytes(arch, row.tokens, weights, row.batch)))
    weights, moved = np.transpose(bytes_)
    rows = faster(rows, rows.head(1))
    return rows.assign(cache_bytes=moved - weights, predicted=moved[0] / moved)


def attention(run: Run) -> pd.DataFrame:
    """What fusing attention gains in encoder passes, which were timed in turn with unfused ones, by
    model and tokens: gain with its ends, saved (share of the bytes), predicted (gain, by the
    roofline)."""
    fused, unfused = (run.rows(what, how="unfused", batch=1) for what in ("pair", "encode"))
    rows = faster(fused[fused["model"].isin(ARCHITECTURES)], unfused, ["turn"])
    roof = ceilings(run)
    saved, predicted = [], []
    for row in rows.itertuples():
        costs = [encoder_pass(ARCHITECTURES[row.model], row.tokens, c) for c in (UNFUSED, FUSED)]
        saved.append(1 - costs[1]["total"].bytes / costs[0]["total"].bytes)
        predicted.append(float(roof.time(costs[0]) / roof.time(costs[1])))
    names = [ARCHITECTURES[model].name for model in rows["model"]]
    return rows.assign(model=names, saved=saved, predicted=predicted)


def sizes(run: Run) -> pd.DataFrame:
    """Steps of models of other sizes, by parameters and how ("cold": weights come from memory,
    "warm": from a cache). Columns besides those of `Run.rows`: rate (bytes/s) with its ends, and
    share (of the read ceiling between the steps)."""
    rows = run.rows("size").sort_values("parameters", kind="stable")
    rows = rows.assign(**over_time(lambda times: rows["bytes"] / times, rows, "rate"))
    read = run.row("read", how="size")
    return rows.assign(share=rows["rate"] * read["seconds"] / read["bytes"])


@claim("smaller_models_decode_faster")
def in_proportion(run: Run) -> Interval:
    """By how many per cent the time of a step falls with one per cent of the bytes that it reads
    from memory: the least-squares slope of their logarithms over all models, with its interval by
    Student's t. Raises Missing without three models."""
    rows = sizes(run).query("how == 'cold'")
    if len(rows) < 3:
        raise Missing("the run has no steps of three models that come from memory")
    slope, _, _, reach = straight_line(*np.log(rows[["bytes", "seconds"]].to_numpy(float)).T)
    return float(slope), float(slope - reach), float(slope + reach)


def drafts(run: Run) -> pd.DataFrame:
    """What the trained draft gains the trained byte-level decoder, by n, the tokens drafted at a
    time. Columns besides those of `Run.rows`: draft and check (their times over a step's),
    acceptance (of the tokens that were looked at), found (tokens that a check yields), expected (by
    the acceptance), gain with its ends, and predicted (from acceptance and these times)."""
    times = run.rows("speculative", model=BYTES).set_index(["how", "n"])["seconds"]
    rows = run.rows("speculative", model=BYTES, how="drafted")
    rows = rows.reindex(columns=rows.columns.union(COUNTS, sort=False))  # a run may be another's
    rows = rows.query("0 <= accepted <= examined and examined > 0 and checks > 0")
    rows = faster(rows, run.rows("speculative", model=BYTES, how="greedy"))
    if ("step", 0) not in times or ("draft step", 0) not in times:
        raise Missing("the run has no steps of the byte-level models")
    step, share = times["step", 0], rows["accepted"] / rows["examined"]
    rows = rows.assign(
        acceptance=share, found=1 + rows["accepted"] / rows["checks"],
        draft=times["draft step", 0] / step, check=rows["n"].map(times["check"]) / step,
    )  # fmt: skip
    four = list(zip(share, rows["n"], rows["draft"], rows["check"], strict=True))
    return rows.assign(
        expected=[expected_tokens(accepted, n) for accepted, n, *_ in four],
        predicted=[draft_speed_up(*each) for each in four],
    )
