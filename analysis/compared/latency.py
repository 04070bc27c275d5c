"""What a run says of BERT and GPT-2: how long they take, how fast decoding reads, and where the
time goes."""

from functools import partial

import numpy as np
import pandas as pd

from analysis.compared.claims import EITHER, Interval, claim, interval
from analysis.compared.counts import LENGTHS, PAPER_MODELS
from analysis.compared.ratios import matched, ratios
from analysis.compared.shown import gathered
from analysis.measured.run import Missing, Run, ratio
from analysis.measured.timing import Sample
from analysis.predicted.architectures import GPT2
from analysis.predicted.generation import integrate_generation
from analysis.predicted.roofline import compulsory_bytes
from analysis.predicted.transformer import CLASSES
from analysis.published.tables import load_table

NAMES = {"bert-base": "BERT-Base", "bert-large": "BERT-Large", "gpt2": "GPT-2"}
PROJECTIONS = ("mha_projections", "ffn_projections")


def latencies(run: Run, how: str = "fused") -> pd.DataFrame:
    """Seconds of each encoder pass, and of each generation from nothing: model, tokens, seconds,
    low, high. A generation is the integral over the steps, where these reach its length."""

    def passes() -> pd.DataFrame:
        rows = run.rows("encode", how=how, dtype="float32", batch=1)
        rows = rows[rows["tokens"].isin(LENGTHS)].replace({"model": NAMES})
        return rows[["model", "tokens", "seconds", "low", "high"]]

    def generations() -> pd.DataFrame:
        steps = run.rows("step", model="gpt2", how=how, dtype="float32", batch=1)
        contexts, ends = steps["tokens"], steps[["low", "high"]].to_numpy()
        reached = [n for n in LENGTHS if contexts.min() == 1 and contexts.max() >= n]
        times = [integrate_generation(contexts, steps["seconds"], ends, n) for n in reached]
        frame = pd.DataFrame(times, columns=["seconds", "low", "high"])
        return frame.assign(model="GPT-2", tokens=reached)

    return gathered("passes or generations", passes, generations)


def relative(run: Run, over: int = LENGTHS[0]) -> pd.DataFrame:
    """Latencies over BERT-Base's at `over` tokens, as the paper prints them at the shortest length:
    the columns of `latencies`, value, value_low, value_high. Of generations that were timed in turn
    with that pass they are pair by pair, else the ends are those that lie furthest apart."""

    def apart() -> pd.DataFrame:
        base = run.row("encode", model="bert-base", tokens=over, how="fused", dtype="float32")
        rows = latencies(run)
        value = rows["seconds"] / base["seconds"]
        itself = (rows["model"] == NAMES["bert-base"]) & (rows["tokens"] == over)  # which is 1
        ends = {"value_low": rows["low"] / base["high"], "value_high": rows["high"] / base["low"]}
        return rows.assign(value=value, **{k: v.mask(itself, value) for k, v in ends.items()})

    def pairs() -> pd.DataFrame:
        rows = in_turn(run).query(f"over == {over}")
        return rows.drop(columns="over").assign(model=NAMES["gpt2"])

    rows = gathered("latencies", apart, pairs)
    return rows.groupby(["model", "tokens"], as_index=False).last()


def in_turn(run: Run) -> pd.DataFrame:
    """GPT-2's generations over BERT-Base's passes where both were timed in turn, pair by pair:
    tokens (of the generation), over (tokens of the pass), value, value_low, value_high. Of turns
    that both reach a length the shorter counts, whose contexts lie closer together."""
    turns, found = [turn for _, turn in run.rows("pair").groupby("turn")], []
    for points in sorted(turns, key=lambda turn: turn["tokens"].max()):
        by = dict(list(points.groupby("model")))
        if set(by) != {"bert-base", "gpt2"} or by["gpt2"]["tokens"].min() > 1:
            continue
        contexts = by["gpt2"]["tokens"]
        for over in by["bert-base"].itertuples():
            each = np.array([ratio(step, over) for step in by["gpt2"].itertuples()])
            for tokens in (n for n in LENGTHS if n <= contexts.max()):
                value = integrate_generation(contexts, each[:, 0], each[:, 1:], tokens)
                found.append((tokens, over.tokens, *value))
    columns = ["tokens", "over", "value", "value_low", "value_high"]
    return pd.DataFrame(found, columns=columns).drop_duplicates(["tokens", "over"])


def printed() -> pd.DataFrame:
    """The paper's latencies over BERT-Base's at the shortest length: model, tokens, value."""
    table = load_table("counts_by_length").rename(columns={"sequence_length": "tokens"})
    return table[table["quantity"] == "relative_latency"][["model", "tokens", "value"]]


def gpt2_over_bert(run: Run, tokens: int) -> Interval:
    """How many times as long GPT-2 generates `tokens` as BERT-Base encodes them; Missing where the
    run lacks either."""
    rows = relative(run, tokens).query("model == 'GPT-2' and tokens == @tokens")
    if rows.empty:
        raise Missing("the run has no generation as long")
    return interval(rows.iloc[0])


for _tokens in LENGTHS:
    claim(f"gpt2_over_bert_base_latency_{_tokens}", tokens=_tokens)(gpt2_over_bert)


@claim("models_in_order_of_latency")
def in_order(run: Run) -> Interval | float:
    """Whether BERT-Base < BERT-Large < GPT-2 at each of the paper's lengths, intervals and all;
    Missing until all are measured."""
    ends = ["low", "high"]
    wide = latencies(run).pivot(index="tokens", columns="model", values=ends)
    wide = {end: wide[end].reindex(index=LENGTHS, columns=list(PAPER_MODELS)) for end in ends}
    low, high = (each.to_numpy() for each in wide.values())
    if np.isnan(low).any():
        raise Missing("the run has not each model at each length")
    if (high[:, :-1] < low[:, 1:]).all():
        return 1.0
    return 0.0 if (low[:, :-1] > high[:, 1:]).any() else EITHER


def together(points: pd.DataFrame) -> pd.DataFrame:
    """Points of each turn as one, a row a turn, named as its first: sample, their times added
    repetition by repetition, each times its `weight` where there is one, seconds (its median) and
    bytes (of all). Missing where the visits of a turn differ: a run may come from elsewhere."""
    rows = []
    for _, each in points.groupby("turn", sort=False):
        samples = list(each["sample"])
        if len({sample.sizes for sample in samples}) > 1:
            raise Missing("the run has parts that were not timed in turn")
        times = each.get("weight", np.ones(len(each))) @ np.array([s.times for s in samples])
        sample = Sample(tuple(times), samples[0].sizes)
        row = each.iloc[0].to_dict() | {"sample": sample, "seconds": sample.median}
        rows.append(row | {"bytes": each["bytes"].sum()})
    return pd.DataFrame(rows, columns=points.columns)


def steps(run: Run) -> pd.DataFrame:
    """How GPT-2's steps read: part ("step", or "products", those with weights in unfused steps),
    tokens (the context), seconds, bytes (each weight, key and value once) and, in per cent of what
    the read that was timed in turn reached, share, share_low, share_high."""
    parts = gathered(
        "decoder steps",
        partial(run.rows, "step", model="gpt2", how="fused", dtype="float32"),
        partial(run.rows, "breakdown", model="gpt2"),
    )
    parts, reads = parts[parts["how"].isin(("fused", *PROJECTIONS))], run.rows("read", model="gpt2")
    rows, reads = matched(together(parts[parts["turn"].isin(reads["turn"])]), reads, ["turn"])
    parts = rows["what"].map({"step": "step", "breakdown": "products"})
    must = [compulsory_bytes(GPT2, context) for context in rows["tokens"]]
    moved = rows["bytes"].where(parts == "products", must)
    shares = ratios(reads, rows, "share")
    rows = rows.assign(part=parts, bytes=moved)[["part", "tokens", "seconds", "bytes"]]
    return rows.assign(**{k: 100 * share * moved / reads["bytes"] for k, share in shares.items()})


def breakdown(run: Run) -> pd.DataFrame:
    """Where the time of an unfused pass or step goes: model, tokens, operator_class, seconds,
    share_percent (of the four classes), and sum_over_whole with its ends: their sum over the passes
    without stamps that were timed in turn with them. Some parts only add up to nothing."""
    unfused = (partial(run.rows, what, how="unfused") for what in ("encode", "step"))
    parts, wholes = run.rows("breakdown"), gathered("passes", *unfused)
    parts, _ = matched(parts, wholes, ["turn"])
    parts = parts.groupby("turn").filter(lambda turn: set(turn["how"]) == set(CLASSES))
    sums, wholes = matched(together(parts), wholes, ["turn"])
    over = sums[["turn"]].assign(**ratios(sums, wholes, "sum_over_whole"))
    parts = parts.merge(over, on="turn")
    whole = parts.groupby("turn")["seconds"].transform("sum")
    shares = 100 * parts["seconds"] / whole
    parts = parts.assign(model=parts["model"].replace(NAMES), share_percent=shares)
    columns = "model tokens how seconds share_percent "
    columns += "sum_over_whole sum_over_whole_low sum_over_whole_high"
    return parts[columns.split()].rename(columns={"how": "operator_class"})
