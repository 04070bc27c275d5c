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
    "int8-dynamic": "int8, activations too",
    "int4": "int4, weights only",
}
NONE = "not measured"


def span(row) -> str:
    return f"{times(row.gain)} ({between((row.low, row.high))})"


def format_table(run: Run, name: str) -> Table:
    """Show what weights in each format gain and lose."""
    rows, missing = serving.formats(run).set_index("format"), serving.no_kernel(run)
    shown = []
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
                "Read ceiling": percent(row["share"]),
                "Products alone": percent(row["products_share"]),
                "Error of logits": percent(row["error"]),
            }
        )
    caption = (
        "Decoder steps of GPT-2 by the format of the weights: bytes of weights, scales and cache; "
        "speed over float32, predicted from bytes and measured with 95 % interval; bytes/s over "
        "those of a plain sum, of the step and of its products with weights; error of the logits, "
        "relative to float32's, with random weights."
    )
    return Table(pd.DataFrame(shown).fillna("–"), name, caption)


def formats_in_words(run: Run) -> str:
    """Say what int8 and int4 gain and where the rest of the time goes."""
    rows = serving.formats(run).set_index("format")
    if not {"float32", "int8", "int4"} <= set(rows.index):
        return "The steps in int8 and int4 were not measured in this run."
    text = "; ".join(
        f"{NAMES[key]}: {span(rows.loc[key])} as fast per token as float32"
        for key in ("int8", "int4")
    )
    four, whole = rows.loc["int4"], rows.loc["float32"]
    rest = [1 - row["products"] / row["median"] for row in (whole, four)]
    return (
        f"{text}. Bytes would allow {times(rows.loc['int8', 'predicted'])} and "
        f"{times(four['predicted'])}. Two things stand between. The kernels widen each integer "
        f"before they multiply, so that their products read at "
        f"{percent(rows.loc['int8', 'products_share'])} and {percent(four['products_share'])} of "
        f"the read ceiling where those of float32 reach {percent(whole['products_share'])}. And "
        f"what is no product with weights, {percent(rest[0])} of a step in float32, stays as it "
        f"was and becomes {percent(rest[1])} of one in int4."
    )


def dynamic_in_words(run: Run) -> str:
    """Say what rounding activations too gains."""
    rows = serving.formats(run).set_index("format")
    if not {"int8", "int8-dynamic"} <= set(rows.index):
        return "Products of integers with integers were not measured in this run."
    eight, both = rows.loc["int8"], rows.loc["int8-dynamic"]
    return (
        f"Where activations are rounded to 8 bits too, the processor multiplies integers as they "
        f"are and a step is {times(both['gain'])} as fast as in float32, instead of "
        f"{times(eight['gain'])}: the price is {percent(both['error'])} of error in the logits "
        f"instead of {percent(eight['error'])}."
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
    most = number(rows["most"].max()) if len(rows) else "all"
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
