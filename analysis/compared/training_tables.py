"""What the chapter on training shows: its tables, and its sentences about a run."""

import pandas as pd

from analysis.compared.page import Table, between, number, percent, times
from analysis.compared.profiling import Spread
from analysis.compared.shards import zero_cells, zero_quality
from analysis.compared.training import (
    BIG,
    DEVICES,
    HOWS,
    LENGTH,
    ROWS,
    UNIT,
    curve,
    every_layer,
    kept_by_torch,
    published_rows,
    row_bytes,
    second_order,
    zero_factor,
)
from analysis.compared.trials import quality_cells
from analysis.measured.runs import Run
from analysis.predicted.activations import MIXED, PUBLISHED, activations
from analysis.predicted.architectures import ARCHITECTURES, BERT_BASE, GPT2_XL
from analysis.predicted.footprint import model_state
from analysis.published.claims import load_claims


def published_table(name: str) -> Table:
    """Show the authors' rows beside ours."""
    rows = published_rows()
    ways = {PUBLISHED.name: "outputs of matmuls, 32 bits", MIXED.name: "all kept, 16 bits"}
    frame = pd.DataFrame(
        {
            "Model": rows["model"],
            "Part": [
                f"{part}: {ways[kept]}" if part == "activations" else part
                for part, kept in zip(rows["part"], rows["kept"], strict=True)
            ],
            "Printed": rows["printed"].map(number),
            "Ours": rows["ours"].map(number),
            "Deviation": [percent(each, sign=True) for each in rows["deviation"]],
        }
    )
    return Table(frame, name, "The Transformers of the authors' table, in units of 1.024e9 bytes.")


def zero_table(name: str, devices: tuple[int, ...] = (1, 8, 64, DEVICES)) -> Table:
    """Show bytes a parameter on each device, by stage of ZeRO."""
    rows = []
    for stage, what in enumerate(("nothing", "optimizer", "and gradients", "and parameters")):
        row = {"Stage": str(stage), "Divided": what}
        for n in devices:
            held = sum(model_state(GPT2_XL, "adam", 2, stage, n).values()) / GPT2_XL.n_parameters
            row[f"{n} devices" if n > 1 else "1 device"] = number(held)
        rows.append(row | {"Less": times(zero_factor(stage, devices[-1]))})
    caption = "Bytes a parameter on each device, Adam in 16 bits, by stage of ZeRO."
    return Table(pd.DataFrame(rows), name, caption)


def state_table(name: str, models: tuple[str, ...] = ("bert-base", "gpt2")) -> Table:
    """Show what optimizers hold, over what plain gradient descent holds."""
    names = {
        "sgd": "gradient descent",
        "momentum": "momentum",
        "adafactor": "Adafactor",
        "adam": "Adam",
        "kronecker": "second order, Kronecker factors",
        "diagonal": "second order, diagonal",
        "full": "second order, full",
    }
    rows = []
    for key, words in names.items():
        row = {"Optimizer": words}
        for model in models:
            arch = ARCHITECTURES[model]
            held, plain = (sum(model_state(arch, each).values()) for each in (key, "sgd"))
            row |= {f"{arch.name} (GB)": number(held / 1e9)}
            row |= {f"{arch.name}, over gradient descent": times(held / plain)}
        rows.append(row)
    caption = "Parameters, gradients and optimizer state in float32, by optimizer."
    return Table(pd.DataFrame(rows), name, caption)


def curve_table(run: Run, name: str) -> Table:
    """Show each point of `curve`: bytes, predicted and kept by autograd, and the time."""
    rows = [
        {
            "Model": each.model,
            "Length": each.sequence_length,
            "Kept": HOWS[each.how],
            "Predicted (MB)": number((each.predicted_saved + each.predicted_again) / 1e6),
            "Autograd (MB)": number((each.saved + each.again) / 1e6),
            "Less memory": times(each.factor),
            "Predicted compute": times(each.predicted_compute),
            "Time": times(each.time),
            "95 % interval": between((each.low, each.high)),
        }
        for each in curve(run).itertuples()
    ]
    if not rows:
        reason = run.reason(f"train/bert-base/{LENGTH}/none") or "not among this run's points"
        rows = [{"Model": "not measured", "Reason": reason}]
    caption = (
        "Activations of a training step, and the time of a step over that of the step which keeps "
        "all, timed in turn."
    )
    return Table(pd.DataFrame(rows), name, caption)


def big_in_words() -> str:
    """Say how far the row that does not agree is off, and what would mend it."""
    rows = published_rows().query("model == @BIG and part == 'activations'").set_index("kept")
    there, ours = rows.loc[PUBLISHED.name, ["printed", "ours"]]
    twice = 2 * ROWS[BIG][1]
    longer = row_bytes(BIG, PUBLISHED, twice)["activations"] / UNIT
    return (
        f"The one is the activations of the Transformer, {number(there, 4)} printed, which is "
        f"{times(there / ours)} what {ROWS[BIG][2]} pairs of {ROWS[BIG][1]} tokens keep. Neither "
        f"element size nor dropout nor the logits explain it; {twice} tokens on both sides would "
        f"({number(longer)}, {percent(longer / there - 1, sign=True)}), but the table prints "
        f"{ROWS[BIG][1]}."
    )


def kept_in_words() -> str:
    """Say how far what autograd keeps is from what is predicted."""
    rows = kept_by_torch()
    off = (rows["kept"] / rows["predicted"] - 1).abs().max()
    return (
        f"Over {rows['model'].nunique()} models and {rows['sequence_length'].nunique()} lengths "
        f"the count is at most {percent(off, 1)} off."
    )


def kept_table(name: str) -> Table:
    """Show the bytes that autograd keeps beside those predicted."""
    rows = kept_by_torch()
    frame = pd.DataFrame(
        {
            "Model": rows["model"],
            "Length": rows["sequence_length"],
            "Predicted (MB)": [number(each / 1e6, 5) for each in rows["predicted"]],
            "Autograd (MB)": [number(each / 1e6, 5) for each in rows["kept"]],
        }
    )
    caption = "Bytes kept for the backward pass, float32, unfused attention, parameters left out."
    return Table(frame, name, caption)


def saved_in_words(run: Run) -> str:
    """Say what computing every layer again saves and costs, by model."""
    rows = curve(run).query("sequence_length == @LENGTH and how == 'layers'")
    if rows.empty:
        return "no training step was measured in this run; a larger budget has them."
    each = [
        f"for {row.model} it leaves {percent(1 / row.factor)} of the activations and takes "
        f"{times(row.time)} the time ({between((row.low, row.high))}; FLOPs say "
        f"{times(row.predicted_compute)})"
        for row in rows.itertuples()
    ]
    return (
        f"when every layer is computed again, {'; '.join(each)}. GPT-2 keeps more because its "
        "loss covers a vocabulary at every token, which no layer's rematerialisation touches, and "
        "pays less because of that loss, and because computing again stops at the last tensor "
        "needed: before a decoder layer's last projection, after an encoder's."
    )


def second_order_in_words(run: Run) -> str:
    """Say what a second-order step needs in memory and in time."""
    ours = second_order(run)
    keys = [f"train/bert-base/{LENGTH}/{how}" for how in ("second-order", "none")]
    samples = [run.sample(key) for key in keys]
    if ours is None or not all(samples):
        return "No second-order step was measured in this run."
    this, plain = (Spread(sample.median, *sample.interval) for sample in samples)
    taken = this.over(plain)
    return (
        f"Measured on BERT-Base at {LENGTH} tokens, state and what autograd keeps together are "
        f"{times(ours)} those of plain gradient descent, and a step takes {times(taken.median)} "
        f"the time ({between((taken.low, taken.high))})."
    )


def factor_table(run: Run, name: str) -> Table:
    """Show each factor: the paper's, the predicted and the measured one with its interval, and the
    quality before and after."""
    row, second, exact = every_layer(run), second_order(run), "exact: bytes"
    plain, again = (activations(BERT_BASE, LENGTH, policy=each) for each in ("none", "layers"))
    state = [sum(model_state(BERT_BASE, each).values()) for each in ("sgd", "diagonal")]
    cells = {
        "rematerialisation_memory": (
            times(plain.bytes / again.bytes),
            row is not None and times(row["factor"]),
            exact,
        ),
        "rematerialisation_compute": (
            times(1 + again.extra / again.flops),
            row is not None and times(row["time"]),
            row is not None and between((row["low"], row["high"])),
        ),
        "zero_model_size": zero_cells(run),
        "second_order_memory": (times(state[1] / state[0]), second and times(second), exact),
    }
    claims, bits = load_claims(), quality_cells() | {"zero_model_size": zero_quality(run)}
    rows = [
        {
            "Claim": claims[key].statement,
            "Paper": times(claims[key].value, 2),
            "Predicted": predicted,
            "Measured": measured or "not measured",
            "95 % interval": interval if measured else "–",
            "Bits per byte": bits[key],
        }
        for key, (predicted, measured, interval) in cells.items()
    ]
    caption = (
        f"Each factor: printed, predicted and measured (BERT-Base, {LENGTH} tokens; ZeRO: second "
        "stage, predicted in 16 bits for many devices, in float32 for those measured), and "
        "the bits per byte of the byte-level decoder trained without and with the remedy."
    )
    return Table(pd.DataFrame(rows), name, caption)
