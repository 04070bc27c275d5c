"""What a run says of BERT and GPT-2: how long they take, how fast decoding reads, and where the
time goes."""

from functools import partial
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pandas as pd

from analysis.compared.claims import EITHER, Interval, claim
from analysis.compared.counts import LENGTHS, PAPER_MODELS
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


def relative(run: Run) -> pd.DataFrame:
    """Latencies over BERT-Base's at the shortest length, as the paper prints them: the columns of
    `latencies`, value, value_low, value_high. The ends are those that lie furthest apart."""
    base = run.row("encode", model="bert-base", tokens=LENGTHS[0], how="fused", dtype="float32")
    rows = latencies(run)
    value = rows["seconds"] / base["seconds"]
    itself = (rows["model"] == NAMES["bert-base"]) & (rows["tokens"] == LENGTHS[0])  # which is 1
    ends = {"value_low": rows["low"] / base["high"], "value_high": rows["high"] / base["low"]}
    return rows.assign(value=value, **{k: v.mask(itself, value) for k, v in ends.items()})


def printed() -> pd.DataFrame:
    """The paper's latencies over BERT-Base's at the shortest length: model, tokens, value."""
    table = load_table("counts_by_length").rename(columns={"sequence_length": "tokens"})
    return table[table["quantity"] == "relative_latency"][["model", "tokens", "value"]]


def gpt2_over_bert(run: Run, tokens: int) -> Interval:
    """How many times as long GPT-2 generates `tokens` as BERT-Base encodes them; Missing without
    either. They are not timed in turn, so that the ends lie furthest apart."""
    decoder, encoder = (_of(run, model, tokens) for model in ("GPT-2", "BERT-Base"))
    ends = decoder.low / encoder.high, decoder.high / encoder.low
    return decoder.seconds / encoder.seconds, *ends


def _of(run: Run, model: str, tokens: int) -> SimpleNamespace:
    """The row of `latencies` of a model and length; Missing without."""
    rows = latencies(run).query("model == @model and tokens == @tokens")
    if rows.empty:
        raise Missing(f"the run has no {model} over {tokens} tokens")
    return SimpleNamespace(**rows.iloc[0])


for _tokens in LENGTHS:
    claim(f"gpt2_over_bert_base_latency_{_tokens}", tokens=_tokens)(gpt2_over_bert)


@claim("models_in_order_of_latency")
def in_order(run: Run) -> Interval | float:
    """Whether BERT-Base < BERT-Large < GPT-2 at each of the paper's lengths, intervals and all;
    Missing until all are measured."""
    wide = [[_of(run, model, n) for model in PAPER_MODELS] for n in LENGTHS]
    pairs = [pair for models in wide for pair in pairwise(models)]
    if all(one.high < other.low for one, other in pairs):
        return 1.0
    return 0.0 if any(one.low > other.high for one, other in pairs) else EITHER


def together(points: pd.DataFrame) -> SimpleNamespace:
    """Points of one turn as one: their times are added, repetition by repetition, and their bytes.
    Missing where their visits differ: a run may come from elsewhere."""
    samples = list(points["sample"])
    if len({sample.sizes for sample in samples}) > 1:
        raise Missing("the run has parts that were not timed in turn")
    sample = Sample(tuple(np.sum([s.times for s in samples], axis=0)), samples[0].sizes)
    return SimpleNamespace(turn=points["turn"].iloc[0], sample=sample, bytes=points["bytes"].sum())


def steps(run: Run) -> pd.DataFrame:
    """How GPT-2's steps read: part ("step", or "products", those with weights in unfused steps),
    tokens (the context), seconds, bytes (each weight, key and value once) and, in per cent of what
    the read that was timed in turn reached, share, share_low, share_high."""
    parts = gathered(
        "decoder steps",
        partial(run.rows, "step", model="gpt2", how="fused", dtype="float32"),
        partial(run.rows, "breakdown", model="gpt2"),
    )
    parts = parts[parts["how"].isin(("fused", *PROJECTIONS))]
    reads = {read.turn: read for read in run.rows("read", model="gpt2").itertuples()}
    rows = []
    for turn, points in parts[parts["turn"].isin(reads)].groupby("turn", sort=False):
        timed, read, first = together(points), reads[turn], points.iloc[0]
        step = first["what"] == "step"
        moved = compulsory_bytes(GPT2, int(first["tokens"])) if step else timed.bytes
        shares = 100 * np.array(ratio(read, timed)) * moved / read.bytes
        part = "step" if step else "products"
        rows.append((part, first["tokens"], timed.sample.median, moved, *shares))
    columns = "part tokens seconds bytes share share_low share_high".split()
    return pd.DataFrame(rows, columns=columns)


def breakdown(run: Run) -> pd.DataFrame:
    """Where the time of an unfused pass or step goes: model, tokens, operator_class, seconds,
    share_percent (of the four classes), and sum_over_whole with its ends: their sum over the passes
    without stamps that were timed in turn with them. Some parts only add up to nothing."""
    unfused = (partial(run.rows, what, how="unfused") for what in ("encode", "step"))
    wholes = {row.turn: row for row in gathered("passes", *unfused).itertuples()}
    rows = []
    for turn, points in run.rows("breakdown").groupby("turn", sort=False):
        if turn in wholes and set(points["how"]) == set(CLASSES):
            over, total = ratio(together(points), wholes[turn]), points["seconds"].sum()
            rows += [
                (
                    NAMES.get(p.model, p.model),
                    p.tokens,
                    p.how,
                    p.seconds,
                    100 * p.seconds / total,
                    *over,
                )
                for p in points.itertuples()
            ]
    columns = "model tokens operator_class seconds share_percent "
    columns += "sum_over_whole sum_over_whole_low sum_over_whole_high"
    return pd.DataFrame(rows, columns=columns.split())
