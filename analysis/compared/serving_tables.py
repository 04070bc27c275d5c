"""Tables and sentences of the chapter on serving."""

import numpy as np
import pandas as pd

from analysis.compared import serving
from analysis.compared.page import Table, between, number, percent, times
from analysis.measured.runs import Run

NAMES = {
    "float32": "float32",
    "bfloat16": "bfloat16",
    "int8": "int8, weights only",
    "int8-planes": "int8, in two planes",
    "int8-dynamic": "int8, activations too",
    "int4": "int4, weights only",
}
NONE = "not measured"


def span(row) -> str:
    return f"{times(row.gain)} ({between((row.low, row.high))})"


def format_table(run: Run, name: str) -> Table:
    """Show what weights in each format gain and lose."""
    rows, later = (serving.formats(run, n).set_index("format") for n in serving.CONTEXTS)
    missing, shown = serving.no_kernel(run), []
    for key, label in NAMES.items():
        if key not in rows.index:
            shown.append({"Weights": label, "Tokens/s": missing.get(key, NONE)})
            continue
        row = rows.loc[key]
        shown.append(
            {
                "Weights": label,
                "Tokens/s": number(1 / row["median"]),
                "MB a token": number(row["bytes"] / 1e6),
                "Predicted": times(row["predicted"]),
                "Measured": span(row),
                f"At {max(serving.CONTEXTS)} tokens": times(later.loc[key, "gain"])
                if key in later.index
                else "–",
                "Read ceiling": percent(row["share"]),
                "Products alone": percent(row["products_share"]),
                "Error of logits": percent(row["error"]),
            }
        )
    caption = (
        f"Decoder steps of GPT-2 at {min(serving.CONTEXTS)} tokens by the format of the weights: "
        "bytes of weights, scales and cache; speed over float32, predicted from bytes and measured "
        "with 95 % interval; bytes/s over those of a plain sum, of the step and of its products "
        "with weights; error of the logits, relative to float32's, with random weights."
    )
    return Table(pd.DataFrame(shown).fillna("–"), name, caption)


def eight_and_four(run: Run) -> tuple[pd.Series, pd.Series] | None:
    """Return the rows of `serving.formats` of the faster weights of 8 bits and of those of 4; None
    without them."""
    rows = serving.formats(run).set_index("format")
    if not {"int8", "int8-planes", "int4"} <= set(rows.index):
        return None
    return rows.loc[rows.loc[["int8", "int8-planes"], "gain"].idxmax()], rows.loc["int4"]


def formats_in_words(run: Run) -> str:
    """Say what int8 and int4 gain, and what stands between them and their bytes."""
    rows = serving.formats(run).set_index("format")
    both = eight_and_four(run)
    if both is None or "float32" not in rows.index:
        return "The steps in int8 and int4 were not measured in this run."
    (best, four), whole, eight = both, rows.loc["float32"], rows.loc["int8"]
    later = serving.formats(run, max(serving.CONTEXTS)).set_index("format")
    text = (
        f"at {min(serving.CONTEXTS)} tokens weights of 8 bits are {span(best)} as fast "
        f"per token as float32 and those of 4 bits {span(four)}, where bytes would allow "
        f"{times(eight['predicted'])} and {times(four['predicted'])}. The kernels must widen each "
        f"integer before they multiply it: their products with weights read at "
        f"{percent(eight['products_share'])} of the read ceiling in int8 and at "
        f"{percent(four['products_share'])} in int4, where float32 reads at "
        f"{percent(whole['products_share'])}. The same 8-bit integers as two planes "
        "of 4 bits, through the kernel of int4, are "
        f"{times(rows.loc['int8-planes', 'gain'] / eight['gain'])} as fast as through their own."
    )
    if "int4" in later.index:
        other = later.loc["int4"]
        text += (
            f" What is no product stays as it was: attention to a cache in float32 and small "
            f"operators take {percent(1 - other['products'] / other['median'])} of a step in int4 "
            f"at {max(serving.CONTEXTS)} tokens, attention alone "
            f"{percent(other['attention'] / other['median'])}, so that there int4 gains only "
            f"{span(other)}."
        )
    return text


def dynamic_in_words(run: Run) -> str:
    """Say what rounding activations too gains, and what bfloat16 does."""
    rows = serving.formats(run).set_index("format")
    if not {"bfloat16", "int8", "int8-dynamic"} <= set(rows.index):
        return "Products of integers with integers were not measured in this run."
    both, half = rows.loc["int8-dynamic"], rows.loc["bfloat16"]
    return (
        "Where activations are rounded to 8 bits too, the processor multiplies integers as they "
        f"are: {times(both['gain'])} as fast as float32, for {percent(both['error'])} of error in "
        f"the logits instead of {percent(rows.loc['int8', 'error'])}. bfloat16 halves the bytes "
        f"and is {times(half['gain'])} as fast."
    )


def crossing_table(run: Run, name: str) -> Table:
    """Show where decoding passes the ridge point."""
    rows = serving.crossings(run)
    frame = pd.DataFrame(
        {
            "Context": rows["context"],
            "By intensity": [
                "at no batch" if np.isnan(n) else f"{n:.0f} sequences" for n in rows["by_intensity"]
            ],
            "Knee, predicted": rows["predicted"].map(number),
            "Knee, measured": rows["measured"].map(number),
            "Gain, predicted": rows["predicted_gain"].map(times),
            "Gain, measured": rows["gain"].map(times),
        }
    )
    most = rows["most"].max() if len(rows) else "all"
    caption = (
        "Where decoding leaves memory behind: the least batch whose intensity reaches the ridge "
        f"point, the knees of predicted and measured steps, and tokens/s of {most} sequences over "
        "those of one."
    )
    return Table(frame, name, caption)


def crossings_in_words(run: Run) -> str:
    """Say what batching gains."""
    rows = serving.crossings(run)
    if rows.empty:
        return "no batch was measured in this run."
    each = [
        f"at a context of {row.context} tokens {row.most} sequences make {times(row.gain)} as many "
        f"tokens per second as one (predicted {times(row.predicted_gain)})"
        for row in rows.itertuples()
    ]
    return "; ".join(each) + "."


def heads_table(run: Run, name: str) -> Table:
    """Show steps with fewer heads of keys and values."""
    rows = serving.heads(run)
    frame = pd.DataFrame(
        {
            "Heads of keys and values": rows["kv_heads"],
            "Cache (MB)": (rows["cache_bytes"] / 1e6).map(number),
            "Step (ms)": (rows["median"] * 1e3).map(number),
            "Predicted": rows["predicted"].map(times),
            "Measured": [span(row) for row in rows.itertuples()],
        }
    )
    caption = (
        f"Steps of GPT-2's size at {serving.HEADS_CONTEXT} tokens with {serving.HEADS_BATCH} "
        "sequences: speed over that with all heads, predicted from bytes and measured."
    )
    return Table(frame, name, caption)


def heads_in_words(run: Run) -> str:
    """Say what fewer heads of keys and values gain."""
    rows = serving.heads(run)
    if len(rows) < 2:
        return "no steps with fewer heads were measured in this run."
    least = rows.iloc[-1]
    return (
        f"with {least['kv_heads']:.0f} instead of {rows['kv_heads'].iloc[0]:.0f} heads of keys and "
        f"values the cache of {serving.HEADS_BATCH} sequences takes "
        f"{number(least['cache_bytes'] / 1e6)} MB instead of "
        f"{number(rows['cache_bytes'].iloc[0] / 1e6)}, and a step is {span(least)} as fast, where "
        f"bytes say {times(least['predicted'])}."
    )


def attention_table(run: Run, name: str) -> Table:
    """Show what fused attention gains."""
    rows = serving.attention(run)
    frame = pd.DataFrame(
        {
            "Model": rows["model"],
            "Length": rows["sequence_length"],
            "Bytes saved": [percent(each) for each in rows["saved"]],
            "Predicted": rows["predicted"].map(times),
            "Measured": [span(row) for row in rows.itertuples()],
        }
    )
    caption = "Encoder passes with fused over those with unfused attention: bytes and speed."
    return Table(frame, name, caption)


def attention_in_words(run: Run) -> str:
    """Say what fusing attention gains at the longest length."""
    rows = serving.attention(run)
    if rows.empty:
        return "no pass with both kinds of attention was measured in this run."
    each = [
        f"{model} over {part['sequence_length'].iloc[-1]} tokens is {span(part.iloc[-1])} as fast, "
        f"with {percent(part['saved'].iloc[-1])} of its bytes saved "
        f"(predicted {times(part['predicted'].iloc[-1])})"
        for model, part in rows.groupby("model")
    ]
    return "; ".join(each) + "."


def size_table(run: Run, name: str) -> Table:
    """Show steps of smaller and larger models."""
    rows = serving.sizes(run)
    frame = pd.DataFrame(
        {
            "Parameters (million)": (rows["parameters"] / 1e6).map(number),
            "Weights come from": rows["resides_in"],
            "Predicted (ms)": (rows["predicted"] * 1e3).map(number),
            "Measured (ms)": (rows["median"] * 1e3).map(number),
            "95 % interval": [
                between((1e3 * row.low, 1e3 * row.high)) for row in rows.itertuples()
            ],
            "GB/s": (rows["rate"] / 1e9).map(number),
        }
    )
    caption = (
        f"Steps at {serving.SIZE_CONTEXT} tokens by size: predicted from bytes at the read rate "
        "between the steps, and measured."
    )
    return Table(frame, name, caption)


def sizes_in_words(run: Run) -> str:
    """Say how a step's time goes with a model's size."""
    rows = serving.sizes(run)
    memory, warm = (rows[rows["resides_in"] == where] for where in ("memory", "cache"))
    if len(memory) < 2:
        return "no models of other sizes were measured in this run."
    large, rate = memory[memory["parameters"] > 5e7], memory.iloc[-1]["rate"]
    text = (
        f"from {number(large['parameters'].min() / 1e6)} to "
        f"{number(large['parameters'].max() / 1e6)} million parameters a step reads at "
        f"{between((large['rate'].min() / 1e9, large['rate'].max() / 1e9))} GB/s, so that its time "
        "goes with the bytes."
    )
    if len(warm):
        this = warm.iloc[0]
        text += (
            f" A model of {number(this['parameters'] / 1e6)} million fits into a cache; again and "
            f"again it reads at {number(this['rate'] / 1e9)} GB/s, "
            f"{times(this['rate'] / rate)} that of the largest: its many small operators hide what "
            "a cache would give."
        )
    return text
