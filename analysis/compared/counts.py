"""The printed counts of the paper, cell by cell, beside what the predicted room counts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.compared.page import Table, number, percent
from analysis.predicted.architectures import BERT_BASE, BERT_LARGE, GPT2, Architecture
from analysis.predicted.operations import PUBLISHED, UNFUSED, Convention, Cost, projection
from analysis.predicted.transformer import CLASSES, decoder_step, encoder_pass, generation, prefill
from analysis.published.tables import load_table

PAPER_MODELS = {"BERT-Base": BERT_BASE, "BERT-Large": BERT_LARGE, "GPT-2": GPT2}
LENGTHS = (128, 256, 512, 1024, 2048, 4096)
PHASES: dict[str, Callable[..., dict[str, Cost]]] = {
    "encode": encoder_pass,
    "prefill": prefill,
    "step": decoder_step,
    "generate": generation,
}
OPERATOR_CLASSES = {
    "mha_projections": "MHA (projections)",
    "act_to_act": "MHA (act-to-act matmuls)",
    "ffn_projections": "FFN (projections)",
    "other": "Other",
    "total": "Total",
}
VALUES = {
    "flops": lambda cost: cost.flops / 1e9,
    "mops": lambda cost: cost.bytes / 1e9,
    "arithmetic_intensity": lambda cost: cost.intensity,
}


def default_phase(architecture: Architecture) -> str:
    """What the paper does with a model: an encoder encodes, a decoder generates."""
    return "encode" if architecture.kind == "encoder" else "generate"


def count(architecture: Architecture, length, convention: Convention = PUBLISHED):
    """Count the paper's workload at `length` tokens (int or array): class -> Cost."""
    return PHASES[default_phase(architecture)](architecture, length, convention)


def one_projection(architecture: Architecture, length, convention: Convention = PUBLISHED) -> Cost:
    """FLOPs and weight bytes of one of the four d x d attention projections of every layer."""
    d = architecture.d_model
    cost, none = (projection(rows, d, d, True, convention) for rows in (length, 0))
    return Cost(cost.flops, none.bytes_read) * architecture.n_layers


def cells(data: Path | None = None) -> pd.DataFrame:
    """Return every printed cell of the two count tables with our count and its status.

    Columns: table, model, sequence_length, operator_class, quantity, printed, decimals, ours,
    without (ours less `one_projection`, totals only) and status, one of "reproduced" (within half
    a unit of the last digit), "cut" (the digits of ours, not rounded), "one projection short"
    (`without` is within half a percent), or "differs". Sources: arXiv:2302.14017, Tables 3 and
    11, Figures 4 to 6.
    """
    by_class = load_table("operator_breakdown", data).assign(table="operator_breakdown")
    by_length = load_table("counts_by_length", data).assign(table="counts_by_length")
    by_length = by_length[by_length["quantity"].isin(VALUES)].assign(operator_class="total")
    frame = pd.concat([by_class, by_length], ignore_index=True).rename(columns={"value": "printed"})
    ours, without = [], []
    for cell in frame.itertuples():
        architecture, length = PAPER_MODELS[cell.model], cell.sequence_length
        cost, value = count(architecture, length)[cell.operator_class], VALUES[cell.quantity]
        ours.append(float(value(cost)))
        short = cost + one_projection(architecture, length) * -1
        without.append(float(value(short)) if cell.operator_class == "total" else np.nan)
    frame = frame.assign(ours=ours, without=without)
    frame["status"] = [_status(c) for c in frame.itertuples()]
    return frame[
        "table model sequence_length operator_class quantity printed decimals "
        "ours without status".split()
    ]


def _status(cell) -> str:
    unit = 10.0**-cell.decimals
    rounding = 1 + 1e-9  # the printed decimal is not exact in binary
    if abs(cell.ours - cell.printed) <= unit / 2 * rounding:
        return "reproduced"
    if 0 <= cell.ours - cell.printed < unit * rounding:
        return "cut"
    # A model printed one projection short is so in all its cells: FLOPs tell it to 0.5 %.
    if abs(cell.without / cell.printed - 1) < 0.005:
        return "one projection short"
    return "differs"


def curves(models: dict[str, Architecture], lengths, convention: Convention) -> pd.DataFrame:
    """Return flops (1e9), mops (1e9 bytes) and intensity of each model at each length, long."""
    frames = [
        pd.DataFrame(
            {
                "model": name,
                "sequence_length": lengths,
                "quantity": quantity,
                "value": value(count(architecture, np.asarray(lengths), convention)["total"]),
            }
        )
        for name, architecture in models.items()
        for quantity, value in VALUES.items()
    ]
    return pd.concat(frames, ignore_index=True)


def class_curves(architecture: Architecture, lengths, convention: Convention) -> pd.DataFrame:
    """Return intensity and share of the bytes of each operator class at each length, long."""
    counted = count(architecture, np.asarray(lengths), convention)
    frames = [
        pd.DataFrame(
            {
                "operator_class": name,
                "sequence_length": lengths,
                "arithmetic_intensity": cost.intensity,
                "share_of_bytes": cost.bytes / counted["total"].bytes,
            }
        )
        for name, cost in counted.items()
    ]
    return pd.concat(frames, ignore_index=True)


def breakdown_table(model: str, length: int, name: str) -> Table:
    """Show one model at one length by operator class: the paper's cells beside ours."""
    shown = cells()
    shown = shown[
        (shown["table"] == "operator_breakdown")
        & (shown["model"] == model)
        & (shown["sequence_length"] == length)
    ]
    rows = []
    for operator_class, label in OPERATOR_CLASSES.items():
        row = {"Operator class": label}
        for cell in shown[shown["operator_class"] == operator_class].itertuples():
            head = {"flops": "GFLOPs", "mops": "GB", "arithmetic_intensity": "FLOP/byte"}
            head = head[cell.quantity]
            mark = "" if cell.status == "reproduced" else " *"
            row[f"{head}, paper"] = f"{cell.printed:.{cell.decimals}f}{mark}"
            row[f"{head}, ours"] = f"{cell.ours:.{max(cell.decimals, 2)}f}"
        rows.append(row)
    caption = (
        f"{model} at {length} tokens under the convention published: the paper's cells "
        "and ours. A star marks a cell that cannot be right; see the errata."
    )
    return Table(pd.DataFrame(rows), name, caption)


def traced_table(name: str) -> Table:
    """Show what torch dispatches beside the convention `unfused` in float32, class by class.

    Networks are traced on torch's device "meta": its operators and shapes, nothing computed.
    """
    from analysis.measured.networks import Decoder, Encoder
    from analysis.measured.traced import trace

    encoder = Encoder(BERT_BASE, "unfused", device="meta")
    decoder = Decoder(GPT2, "unfused", device="meta")
    cases = [
        ("BERT-Base, 128 tokens", trace(encoder, _ids(128)), encoder_pass(BERT_BASE, 128, UNFUSED)),
        ("BERT-Base, 512 tokens", trace(encoder, _ids(512)), encoder_pass(BERT_BASE, 512, UNFUSED)),
        *(
            (
                f"GPT-2, one step at {context}",
                trace(decoder.step, _ids(1), context),
                decoder_step(GPT2, context, UNFUSED),
            )
            for context in (1, 128, 1024)
        ),
    ]
    rows = [
        {
            "Call": case,
            "Operator class": OPERATOR_CLASSES[operator_class],
            "FLOPs, traced": f"{traced.classes[operator_class].flops:,}",
            "Predicted": f"{predicted[operator_class].flops:,}",
            "Bytes, traced": f"{traced.classes[operator_class].bytes:,}",
            "Predicted ": f"{predicted[operator_class].bytes:,}",
            "Not counted": ", ".join(traced.uncounted) or "none",
        }
        for case, traced, predicted in cases
        for operator_class in CLASSES
    ]
    caption = "Operators that torch dispatched, in float32, beside the convention unfused."
    return Table(pd.DataFrame(rows), name, caption)


def _ids(length: int):
    import torch

    return torch.zeros(1, length, dtype=torch.long, device="meta")


def count_json(
    architecture: Architecture, phase: str, length: int, convention: Convention, batch: int = 1
) -> dict:
    """Return what `python -m analysis count --json` prints; integers are exact."""
    counted = PHASES[phase](architecture, length, convention, batch)
    shown = {
        name: {"flops": cost.flops, "bytes": cost.bytes, "intensity": float(cost.intensity)}
        for name, cost in counted.items()
    }
    return {
        "architecture": architecture.name,
        "convention": convention.name,
        "phase": phase,
        "sequence_length": length,
        "batch": batch,
        "operators": {name: shown[name] for name in CLASSES},
        "total": shown["total"],
    }


def bert_large_table(name: str) -> Table:
    """Show BERT-Large's printed FLOPs beside counts with four and with three projections."""
    printed = cells().query("table == 'counts_by_length' and model == 'BERT-Large'")
    printed = printed[printed["quantity"] == "flops"]
    rows = [
        {
            "Length": c.sequence_length,
            "Printed": number(c.printed, 4),
            "All four projections": f"{c.ours:,.1f}",
            "Three of four": f"{c.without:,.1f}",
            "Too low by": percent(c.ours / c.printed - 1),
        }
        for c in printed.itertuples()
    ]
    return Table(
        pd.DataFrame(rows), name, "FLOPs of BERT-Large (1e9), printed and counted two ways."
    )
