"""A run's decoder steps: how fast they read, and whether they add up to a generation."""

import numpy as np
import pandas as pd

from analysis.compared.counts import LENGTHS, PAPER_MODELS
from analysis.compared.page import Table, between, number, percent
from analysis.compared.profiling import latency, steps
from analysis.measured.runs import Point, Run
from analysis.measured.timing import Sample
from analysis.predicted.roofline import compulsory_bytes

MODEL, KEY = "GPT-2", "gpt2"


def step_rates(run: Run) -> pd.DataFrame:
    """Return each timed decoder step: context, median, low_time, high_time (s), bytes (each weight,
    key and value once), rate (bytes/s), and share, low, high: its rates over those of the reads
    that were timed between the steps, which meet the same machine; NaN without such reads."""
    timed = steps(run)
    moved = compulsory_bytes(PAPER_MODELS[MODEL], timed["context"].to_numpy())
    frame = timed.rename(columns={"low": "low_time", "high": "high_time"})
    frame = frame.assign(rate=moved / timed["median"], bytes=moved)
    shares = [
        _share(run, context, "fused", amount, f"step/{KEY}/{context}/fused")
        for context, amount in zip(timed["context"], moved, strict=True)
    ]
    ends = [(s.median, *s.interval) if s else (np.nan,) * 3 for s in shares]
    return frame.assign(
        **dict(zip(("share", "low", "high"), np.reshape(ends, (-1, 3)).T, strict=True))
    )


def weight_shares(run: Run) -> dict[int, Sample]:
    """Return, by context, the rates at which unfused steps read in their products with weights,
    over those of the reads that were timed between the steps, one by one."""
    found = {}
    for context in steps(run, "unfused")["context"]:
        keys = [f"breakdown/{KEY}/{context}/{name}_projections" for name in ("mha", "ffn")]
        parts = [run.point(key) for key in keys]
        if all(parts):
            share = _share(run, context, "unfused", sum(part.bytes for part in parts), *keys)
            if share:
                found[int(context)] = share
    return found


def _share(run: Run, context: int, attention: str, moved: float, *keys: str) -> Sample | None:
    """Rates of moving `moved` bytes in the times of `keys` together, each over that of the read
    that followed it; None without such reads."""
    read: Point | None = run.point(f"read/{KEY}/{context}/{attention}")
    samples = [run.sample(key) for key in keys]
    if read is None or any(sample.n != read.sample.n for sample in samples):
        return None
    taken = np.sum([sample.times for sample in samples], axis=0)
    rates = moved / taken * np.array(read.sample.times) / read.bytes
    return Sample(tuple(rates), read.sample.sizes)


def step_table(run: Run, name: str) -> Table:
    """Show each timed decoder step: time, bytes/s, and the share of the read ceiling."""
    weights, rows = weight_shares(run), []
    for step in step_rates(run).itertuples():
        product = weights.get(step.context)
        rows.append(
            {
                "Context": step.context,
                "Time (ms)": number(1e3 * step.median),
                "95 % interval": between((1e3 * step.low_time, 1e3 * step.high_time)),
                "GB/s": number(step.rate / 1e9),
                "Share of the read ceiling": "–" if np.isnan(step.share) else percent(step.share),
                "Share, products alone": percent(product.median) if product else "–",
            }
        )
    caption = (
        "Decoder steps of GPT-2: weights, keys and values once, over the time, and that rate over "
        "the rate of a plain sum which was timed between the steps; last, the same for the "
        "products with the weights within unfused steps."
    )
    return Table(pd.DataFrame(rows), name, caption)


def steps_in_words(run: Run) -> str:
    """Say how fast the timed steps read, in time and as a share of the read ceiling."""
    timed, weights = step_rates(run), weight_shares(run)
    if timed.empty:
        return "No decoder step was measured in this run; a larger budget has them."
    first, shares = timed.iloc[0], timed["share"].dropna()
    text = f"A step takes {number(1e3 * first['median'])} ms at a context of {first['context']:.0f}"
    if len(shares):
        text += (
            f", and the steps read their weights and cache at {percent(shares.min())} to "
            f"{percent(shares.max())} of the read ceiling that was timed between them"
        )
    if weights:
        medians = [share.median for share in weights.values()]
        text += (
            f". The products with the weights, timed within steps, read at {percent(min(medians))} "
            f"to {percent(max(medians))} of it: what is missing goes to the many small operators "
            "between them, which move next to nothing and cost a start each"
        )
    return text + "."


def sampled_against_loop(run: Run) -> str:
    """Say how the integral over steps compares with the full loop, where the run has both, and
    what the timed steps cost.

    The samples of the check are taken between pieces of the loop, so that both see one machine.
    """
    for point in run.points:
        if point.kind == "check" and point.key.endswith("/loop"):
            sampled = run.sample(point.key.replace("/loop", "/sampled"))
            off = percent(sampled.median / point.sample.median - 1, sign=True)
            tokens = point.key.split("/")[2]
            return (
                f"Over {tokens} tokens the integral differs from the full loop, which takes "
                f"{number(point.sample.median)} s, by {off}.{_cost(run)}"
            )
    return "The full loop that checks this was not measured in this run."


def _cost(run: Run) -> str:
    """What the timed steps took together, over the longest generation that they stand for."""
    whole = latency(run, MODEL, LENGTHS[-1])
    if whole is None:
        return ""
    spent = sum(sum(run.sample(f"step/{KEY}/{c}/fused").times) for c in steps(run)["context"])
    return (
        f" The timed steps took {percent(spent / whole.median)} of a generation of "
        f"{LENGTHS[-1]} tokens."
    )
