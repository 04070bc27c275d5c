"""Where the paper's sources disagree with themselves or with arithmetic, each computed here."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.compared.counts import OPERATOR_CLASSES, cells
from analysis.compared.page import Table, number, percent, times
from analysis.compared.scaling import choices, fit, trend_points
from analysis.compared.training_memory import PARTS, breakdown
from analysis.published.tables import load_table

# The README's tables print two significant digits: anything beyond 5 % is not rounding.
ROUNDING = 0.05


@dataclass(frozen=True)
class Erratum:
    """One disagreement: where it stands, what is printed, what follows, what it changes."""

    where: str
    printed: str
    follows: str
    effect: str


def drawn_against_printed(data: Path | None = None) -> pd.DataFrame:
    """Return the models whose drawn and printed numbers differ by more than rounding.

    Points of the figures and rows of the README's tables are matched by date, which both carry
    to the day, and by quantity; of two rows of one day, the one nearer in value is meant.
    Columns: label (drawn), model (printed), quantity, drawn, printed, ratio (drawn/printed).
    """
    points, sizes = load_table("figure_points", data), load_table("model_sizes", data)
    quantity = {"parameters": "parameters", "FLOP": "training_compute"}
    drawn = points[points["unit"].isin(quantity)].assign(quantity=points["unit"].map(quantity))
    printed = sizes.assign(
        printed=sizes["value"].where(sizes["unit"] != "PFLOP", sizes["value"] * 1e15)
    )
    both = drawn.merge(printed, on=["date", "quantity"], suffixes=("", "_printed"))
    both = both.assign(drawn=both["value"], ratio=both["value"] / both["printed"])
    both = both.assign(off=(both["ratio"] - 1).abs()).sort_values("off")
    both = both.drop_duplicates(["label", "quantity"]).query("off > @ROUNDING")
    return both[["label", "model", "quantity", "drawn", "printed", "ratio"]]


def errata(data: Path | None = None) -> list[Erratum]:
    """Return every erratum, in the order of the chapters."""
    return [*_hardware(data), *_models(data), *_training_memory(data), *_counts(data)]


def errata_table(name: str, caption: str) -> Table:
    """Return all errata as a table of the book."""
    rows = [
        {
            "Where": e.where,
            "Printed": e.printed,
            "What follows": e.follows,
            "What it changes": e.effect,
        }
        for e in errata()
    ]
    return Table(pd.DataFrame(rows), name, caption)


def _hardware(data: Path | None) -> list[Erratum]:
    flops, links = trend_points("peak_flops", data), trend_points("interconnect", data)
    by_choice = {(c.trend, c.points): c.growth for c in choices(data)}
    (drawn, fp32, same_chips, _), (dram, dram_h100), (lane, link, *_) = (
        [g for (trend, _), g in by_choice.items() if trend == name]
        for name in ("peak_flops", "dram_bandwidth", "interconnect")
    )
    mixed = (flops["number_format"] != "fp32").sum()
    alike = load_table("like_with_like", data)
    hbm3 = alike[alike["quantity"] == "memory_bandwidth"]["value"].iloc[0]
    last = trend_points("dram_bandwidth", data).iloc[-1]
    return [
        Erratum(
            "Scaling figure, peak FLOPS",
            f"one series of {len(flops)} points",
            f"{len(flops) - mixed} points are FP32 rates; {mixed}, all since 2017, are 16-bit "
            f"rates, most of matrix units",
            f"FP32 throughout: {times(same_chips.over(20))} in 20 years instead of "
            f"{times(drawn.over(20))} (FP32 points alone: {times(fp32.over(20))})",
        ),
        Erratum(
            "Scaling figure, DRAM bandwidth",
            f"ends with {last['label']} at {number(last['value'])} GB/s, under an H100",
            f"the H100's own HBM3 gives {number(hbm3)} GB/s",
            f"{times(dram_h100.over(20))} in 20 years instead of {times(dram.over(20))}",
        ),
        Erratum(
            "Scaling figure, interconnect",
            f"“bandwidth”, in units of {number(links['value'].iloc[0])} GT/s",
            "the points are the signalling rate of one lane; a link has more lanes as well",
            f"whole links: {times(link.over(20))} in 20 years instead of {times(lane.over(20))}",
        ),
    ]


def _models(data: Path | None) -> list[Erratum]:
    points = load_table("figure_points", data)
    memory = points[points["series"] == "accelerator_memory"]
    divisor = (memory["value"] / memory["plotted_value"]).median()
    compute = trend_points("transformer_training_compute", data)
    differing = drawn_against_printed(data)
    bert = differing[
        (differing["label"] == "BERT") & (differing["quantity"] == "training_compute")
    ].iloc[0]
    vision = differing[differing["quantity"] == "parameters"]
    mended = compute.assign(
        value=compute["value"].where(compute["label"] != "BERT", bert["printed"])
    )
    sizes = load_table("model_sizes", data)
    cells = sizes.pivot(index="quantity", columns="model", values="value")
    same = cells.index[cells["RoBERTa Large"] == cells["GPT-2"]]
    roberta = cells.loc["parameters", "RoBERTa Large"]
    bert_size = cells.loc["parameters", "BERT Large"]
    return [
        Erratum(
            "Model-size figure, accelerator memory",
            "memory drawn on the axis of parameter counts",
            f"each value is the memory in GB divided by {number(divisor)}, that is "
            f"{number(divisor)} bytes a parameter",
            "the slope is unaffected; where the lines cross depends on this divisor",
        ),
        Erratum(
            "Training-compute figure, BERT",
            f"drawn {number(bert['drawn'] / 1e15, 3)} PFLOP, printed "
            f"{number(bert['printed'] / 1e15, 3)} PFLOP",
            f"the two differ by {times(bert['ratio'])}",
            f"with the printed value Transformers grow {times(fit(mended).over(2))} in 2 years "
            f"instead of {times(fit(compute).over(2))}",
        ),
        Erratum(
            "Model-size figure, vision models",
            "; ".join(
                f"{r.label} drawn at {number(r.drawn / 1e6)} million" for r in vision.itertuples()
            ),
            "; ".join(
                f"the table prints {r.model} at {number(r.printed / 1e6)} million"
                for r in vision.itertuples()
            ),
            "none on the trends: vision models carry no trend line",
        ),
        Erratum(
            "NLP table, RoBERTa Large",
            f"{number(roberta / 1e6, 4)} million parameters",
            f"the row repeats GPT-2's {', '.join(q.replace('_', ' ') for q in same)}; RoBERTa "
            f"Large has the shape of BERT Large ({number(bert_size / 1e6)} million)",
            "none on the trends: the point is not drawn in the model-size figure",
        ),
    ]


def _training_memory(data: Path | None) -> list[Erratum]:
    printed, drawn = (breakdown(basis, data).set_index("model") for basis in ("table", "figure"))
    alexnet, gpt2 = printed.loc["AlexNet"], printed.loc["GPT-2"]
    bar = drawn.loc["GPT-2", "optimizer"]
    rows = load_table("training_memory", data)
    sizes = load_table("model_sizes", data)
    length = rows.loc[rows["model"] == "GPT-2", "input_size"].iloc[0]
    context = sizes.loc[sizes["model"] == "GPT-2", "input_size"].iloc[0]
    return [
        Erratum(
            "Training-memory table, AlexNet total",
            f"{number(alexnet['total'])} GB",
            f"its {len(PARTS)} parts sum to {number(alexnet['sum'])} GB, as the bar is drawn",
            f"the printed total is {percent(alexnet['total'] / alexnet['sum'] - 1)} too high",
        ),
        Erratum(
            "Training-memory table, GPT-2 optimizer",
            f"{number(gpt2['optimizer'], 4)} GB",
            f"the printed total and the bar need {number(bar, 4)} GB, twice the parameters, as "
            f"for the other Transformers",
            f"{number(bar - gpt2['optimizer'], 1)} GB of {number(gpt2['total'], 4)} GB: none",
        ),
        Erratum(
            "Training-memory table, GPT-2 length",
            f"{length} tokens",
            f"GPT-2 reads {context} tokens, as the NLP table says",
            "none on the sums; the printed length cannot be used to recompute activations",
        ),
    ]


def _counts(data: Path | None) -> list[Erratum]:
    printed = cells(data)
    wrong = printed[printed["status"] == "differs"]
    large = printed[printed["status"] == "one projection short"]
    flops = large[large["quantity"] == "flops"]
    low, high = (flops["ours"] / flops["printed"] - 1).agg(["min", "max"])
    worst = (flops["without"] / flops["printed"] - 1).abs().max()
    cut = printed[printed["status"] == "cut"]
    return [
        *(
            _contradicted(rows, printed)
            for _, rows in wrong.groupby(["model", "operator_class", "quantity"], sort=False)
        ),
        Erratum(
            "Survey, Fig. 4 and 6 (reprinted), BERT-Large",
            "; ".join(f"{c.printed:.0f} at {c.sequence_length}" for c in flops.itertuples())
            + " (1e9 FLOPs)",
            "these are the FLOPs of three of the four attention projections of every layer (within "
            f"{percent(worst)}); the printed bytes leave out its weights as well",
            f"BERT-Large needs {percent(low)} to {percent(high)} more FLOPs than printed; the "
            "order of the models does not change",
        ),
        Erratum(
            "Survey, tables and figures (reprinted), last digits",
            "; ".join(
                f"{c.model} {c.sequence_length} {_words(c)} {c.printed:.{c.decimals}f}"
                for c in cut.itertuples()
            ),
            "the digits are cut where the others are rounded: "
            + "; ".join(f"{c.ours:.{c.decimals + 2}f}" for c in cut.itertuples()),
            "none",
        ),
    ]


def _words(cell) -> str:
    quantity = {"mops": "bytes", "flops": "FLOPs"}.get(cell.quantity, "intensity")
    return f"{OPERATOR_CLASSES[cell.operator_class]}, {quantity}"


def _contradicted(cells_of_row: pd.DataFrame, printed: pd.DataFrame) -> Erratum:
    """Set one cell, or the same cell at several lengths, against its neighbours in print.

    The other two cells of a row, with their rounding, bound what the cell can be. Where the count
    does not depend on length (equal `ours`), the tightest bounds hold for every length.
    """
    first = cells_of_row.iloc[0]
    same = printed[
        (printed["table"] == first["table"])
        & (printed["model"] == first["model"])
        & (printed["operator_class"] == first["operator_class"])
        & printed["sequence_length"].isin(cells_of_row["sequence_length"])
    ]
    bounds = [_implied(row, first["quantity"]) for _, row in same.groupby("sequence_length")]
    low, high = min(bounds, key=lambda b: b[1] / b[0])
    lengths = ", ".join(map(str, cells_of_row["sequence_length"]))
    places = 4 if high / low < 1.001 else 3
    return Erratum(
        f"Survey tables 3 and 11, {first['model']} at {lengths}, {_words(first)}",
        f"{first['printed']:.{first['decimals']}f}",
        f"the other cells of the row allow {low:.{places}f} to {high:.{places}f}"
        + (" (the ratio does not depend on length)" if len(cells_of_row) > 1 else "")
        + f"; we count {first['ours']:.{places}f}",
        "none on the totals, which agree with our count",
    )


def _implied(row: pd.DataFrame, quantity: str) -> tuple[float, float]:
    """Bounds on one cell of a row from the other two, each within half of its last digit."""
    half = {c.quantity: 0.5 * 10.0**-c.decimals for c in row.itertuples()}
    low = {c.quantity: c.printed - half[c.quantity] for c in row.itertuples()}
    high = {c.quantity: c.printed + half[c.quantity] for c in row.itertuples()}
    if quantity == "flops":
        return (
            low["mops"] * low["arithmetic_intensity"],
            high["mops"] * high["arithmetic_intensity"],
        )
    over = {"mops": "arithmetic_intensity", "arithmetic_intensity": "mops"}[quantity]
    return low["flops"] / high[over], high["flops"] / low[over]
