"""Remedies for decoding in a run: what each was predicted to gain, and what it gained."""

import re

import numpy as np
import pandas as pd

from analysis.compared.counts import LENGTHS
from analysis.compared.profiling import Spread
from analysis.compared.roofs import ceilings
from analysis.measured.formats import CONTEXTS, FORMATS, GROUP
from analysis.measured.quantised import GROUPS
from analysis.measured.runs import Point, Run
from analysis.measured.serving import (
    BATCH_CONTEXTS,
    HEADS,
    HEADS_BATCH,
    HEADS_CONTEXT,
    SIZE_CONTEXT,
    SIZES,
)
from analysis.measured.timing import Sample
from analysis.predicted.architectures import ARCHITECTURES, GPT2
from analysis.predicted.operations import FUSED, UNFUSED
from analysis.predicted.roofline import compulsory_bytes
from analysis.predicted.serving import (
    batch_to_reach,
    knee,
    projection_bytes,
    step_bytes,
)
from analysis.predicted.transformer import decoder_step, encoder_pass

# Format -> bits, inputs that share a scale (None: a row), bytes of a scale and its zero point.
STORED = {
    "float32": (32, None, 0),
    "bfloat16": (16, None, 0),
    "int8": (8, None, 2),
    "int8-planes": (8, max(GROUPS), 8),
    "int8-dynamic": (8, None, 4),
    "int4": (4, GROUP, 4),
}
ENCODERS = {"bert-base": "BERT-Base", "bert-large": "BERT-Large"}


def spread(sample: Sample | None) -> Spread:
    """The median and interval of a sample; NaN without one."""
    return Spread(sample.median, *sample.interval) if sample else Spread(*(np.nan,) * 3)


def detail(point: Point, name: str) -> float:
    """A number among a point's details; NaN where there is none: a run may come from elsewhere."""
    value = point.details.get(name)
    return float(value) if isinstance(value, int | float) and value >= 0 else np.nan


def formats(run: Run, context: int = CONTEXTS[0]) -> pd.DataFrame:
    """Return what weights in each format gain, by format.

    Columns: format, weight_bytes (as stored), bytes (of a step: weights and cache), median (s),
    gain, low, high (times as fast as float32), predicted (gain, by the bytes), share (of the read
    ceiling between the steps), products (seconds), products_share, attention (seconds), error (of
    the logits).
    """
    prefix, rows = f"serve/weights/gpt2/{context}", []
    whole = step_bytes(GPT2, context, projection_bytes(GPT2))
    attention = run.sample(f"serve/attention/gpt2/{context}")
    read = run.point("serve/weights/gpt2/read")
    for name, stored in STORED.items():
        key = f"{prefix}/{name}"
        point, gain = run.point(key), run.ratio(f"{prefix}/float32", key)
        products = run.point(f"serve/products/gpt2/{name}")
        if None in (point, gain, products, read, attention):
            continue
        moved = step_bytes(GPT2, context, projection_bytes(GPT2, *stored))
        size = detail(point, "weight_bytes")
        rate = read.bytes / read.sample.median
        taken = products.sample.median
        rows.append(
            (
                name, size, moved, point.sample.median, gain.median, *gain.interval, whole / moved,
                moved / point.sample.median / rate, taken, size / taken / rate,
                attention.median, detail(point, "error"),
            )
        )  # fmt: skip
    columns = "format weight_bytes bytes median gain low high predicted share products"
    return pd.DataFrame(rows, columns=f"{columns} products_share attention error".split())


def no_kernel(run: Run) -> dict[str, str]:
    """Return the formats that the machine has no kernel for, and what it said."""
    point = run.point(f"serve/weights/gpt2/{CONTEXTS[0]}/float32")
    details = point.details if point else {}
    return {name: str(details[f"no {name}"]) for name in FORMATS if f"no {name}" in details}


def gain(run: Run, name: str) -> float | None:
    """Return how many times as fast a step is in that format as in float32; None if unknown."""
    rows = formats(run).set_index("format")
    return float(rows.loc[name, "gain"]) if name in rows.index else None


def batches(run: Run, context: int) -> pd.DataFrame:
    """Return steps by the number of sequences that share them: batch, median, low, high (s),
    rate (tokens/s), predicted (s, the roofline), predicted_rate."""
    roof, rows = ceilings(run), []
    for point in run.points:
        match = re.fullmatch(rf"serve/batch/gpt2/{context}/([1-9][0-9]{{0,4}})", point.key)
        if match:
            n, this = int(match[1]), spread(point.sample)
            costs = decoder_step(GPT2, context, FUSED, n)
            predicted = float(roof.time(costs)) if roof else np.nan
            rows.append((n, this.median, this.low, this.high, n / this.median, predicted))
    frame = pd.DataFrame(rows, columns="batch median low high rate predicted".split())
    frame = frame.sort_values("batch", ignore_index=True)
    return frame.assign(predicted_rate=frame["batch"] / frame["predicted"])


def crossings(run: Run) -> pd.DataFrame:
    """Return where decoding passes the ridge point, by context: context, by_intensity (the batch
    whose intensity reaches it; NaN: none does), predicted and measured (knees), most (sequences
    measured), gain and predicted_gain (tokens/s at most over those of one sequence)."""
    roof, rows = ceilings(run), []
    for context in BATCH_CONTEXTS:
        timed = batches(run, context)
        if len(timed) < 3 or timed["batch"].iloc[0] != 1 or roof is None:
            continue
        reached = batch_to_reach(GPT2, roof.ridge_point, context, FUSED)
        knees = [knee(timed["batch"].tolist(), timed[c].tolist()) for c in ("predicted", "median")]
        rates = [timed[c].iloc[-1] / timed[c].iloc[0] for c in ("rate", "predicted_rate")]
        rows.append((context, reached or np.nan, *knees, timed["batch"].iloc[-1], *rates))
    columns = "context by_intensity predicted measured most gain predicted_gain"
    return pd.DataFrame(rows, columns=columns.split())


def heads(run: Run) -> pd.DataFrame:
    """Return steps by heads of keys and values: kv_heads, cache_bytes, median (s), gain, low, high
    (times as fast as with all heads), predicted (by the bytes)."""
    rows, base = [], f"serve/heads/gpt2/{HEADS[0]}"
    sizes = {}
    for n in HEADS:
        arch = GPT2.replace(n_kv_heads=n)
        weights = projection_bytes(arch)
        sizes[n] = step_bytes(arch, HEADS_CONTEXT, weights, HEADS_BATCH)
        point, faster = (
            run.point(f"serve/heads/gpt2/{n}"),
            run.ratio(base, f"serve/heads/gpt2/{n}"),
        )
        if point and faster:
            cache = sizes[n] - weights
            rows.append((n, cache, point.sample.median, faster.median, *faster.interval,
                         sizes[HEADS[0]] / sizes[n]))  # fmt: skip
    columns = "kv_heads cache_bytes median gain low high predicted"
    return pd.DataFrame(rows, columns=columns.split())


def attention(run: Run) -> pd.DataFrame:
    """Return what fusing attention gains in encoder passes: model, sequence_length, gain, low,
    high, saved (share of the bytes), predicted (gain, by the roofline)."""
    roof, rows = ceilings(run), []
    for key, name in ENCODERS.items():
        for n in LENGTHS:
            both = [run.sample(f"encode/{key}/{n}/{how}") for how in ("unfused", "fused")]
            if roof is None or not all(both):
                continue
            faster = spread(both[0]).over(spread(both[1]))
            costs = [encoder_pass(ARCHITECTURES[key], n, how) for how in (UNFUSED, FUSED)]
            saved = 1 - costs[1]["total"].bytes / costs[0]["total"].bytes
            times = [float(roof.time(each)) for each in costs]
            rows.append(
                (name, n, faster.median, faster.low, faster.high, saved, times[0] / times[1])
            )
    columns = "model sequence_length gain low high saved predicted"
    return pd.DataFrame(rows, columns=columns.split())


def sizes(run: Run) -> pd.DataFrame:
    """Return steps of models of other sizes: model, parameters, resides_in, bytes, median, low,
    high (s), rate (bytes/s), predicted (s, by the bytes and the read rate between the steps)."""
    rows, read = [], run.point("serve/size/read")
    for name, arch in SIZES.items():
        for how, where in (("step", "memory"), ("warm", "cache")):
            point = run.point(f"serve/size/{name}/{how}")
            if point and read:
                moved, this = compulsory_bytes(arch, SIZE_CONTEXT), spread(point.sample)
                predicted = moved / (read.bytes / read.sample.median)
                ends = (this.median, this.low, this.high)
                rows.append(
                    (name, arch.n_parameters, where, moved, *ends, moved / this.median, predicted)
                )
    columns = "model parameters resides_in bytes median low high rate predicted"
    return pd.DataFrame(rows, columns=columns.split())


def in_proportion(run: Run, tolerance: float = 0.15) -> float | None:
    """Return 1 if steps that read from memory take time in proportion to their bytes, within
    `tolerance`, against GPT-2; 0 if not; None without them."""
    rows = sizes(run).query("resides_in == 'memory' and parameters > 5e7").set_index("model")
    if "gpt2" not in rows.index or len(rows) < 3:
        return None
    rates = rows["rate"] / rows.loc["gpt2", "rate"]
    return float((rates - 1).abs().max() <= tolerance)
