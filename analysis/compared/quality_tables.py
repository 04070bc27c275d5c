"""Tables and sentences of what quality remedies leave, and of pruned steps."""

from math import isnan

import pandas as pd

from analysis.compared import quality
from analysis.compared.page import Table, between, number, signed, times
from analysis.compared.serving_tables import span
from analysis.measured.quality import DRAFT, MODEL
from analysis.measured.runs import Run
from analysis.predicted.architectures import BYTE_DECODER
from analysis.published.claims import load_claims

NONE = "not measured"
WORDS = {
    "none": "float32",
    "bfloat16": "bfloat16, activations too",
    "float16": "float16, activations too",
    "int8-activations": "8 bits, activations too",
    "tuned": "float32, trained more",
    quality.tuned("structured"): "heads and neurons pruned, trained more",
    quality.tuned("unstructured"): "single weights pruned, trained more",
}


def in_words(row) -> str:
    """Return what a row of `quality.scores` is of."""
    if row.remedy in WORDS:
        return WORDS[row.remedy]
    words = quality.FAMILIES[row.family]
    return f"{row.amount} bits, {words}" if "int" in row.family else f"{words}: {row.amount} %"


def quality_table(run: Run, name: str) -> Table:
    """Show bits per byte after the remedies that readers would choose among."""
    rows = quality.scores(run)
    chosen = rows["remedy"].isin(WORDS) | rows["family"].str.startswith("int")
    chosen |= rows["amount"].isin([30, 50, 80])
    shown = [
        {
            "Remedy": in_words(row),
            "KB": number(row.weight_bytes / 1e3),
            "KB in sparse rows": "–" if isnan(row.sparse_bytes) else number(row.sparse_bytes / 1e3),
            "Bits per byte": number(row.bits_per_byte, 4),
            "95 % interval": between((row.low, row.high)),
            "Difference": signed(row.difference),
            "Its interval": f"{signed(row.difference_low)} to {signed(row.difference_high)}",
        }
        for row in rows[chosen].itertuples()
        if row.remedy in WORDS or row.family
    ]
    if not shown:
        reason = run.reason(f"quality/{MODEL}/none") or "not among this run's points"
        shown = [{"Remedy": NONE, "Reason": reason}]
    caption = (
        "Bits per byte of the trained decoder on held-out modules: bytes of its weights as stored; "
        "the difference is from the decoder before the remedy, paired by module."
    )
    return Table(pd.DataFrame(shown), name, caption)


def quality_in_words(run: Run) -> str:
    """Say what rounding leaves of the quality."""
    rows = quality.scores(run).set_index("remedy")
    needed = ["none", "int8-row", "int4-row", "int4-group", "bfloat16"]
    if not set(needed) <= set(rows.index):
        return "the quality of rounded weights was not measured in this run."
    eight, row, group, *both = (
        f"{signed(rows.loc[name, 'difference'])} "
        f"({signed(rows.loc[name, 'difference_low'])} to "
        f"{signed(rows.loc[name, 'difference_high'])})"
        for name in (*needed[1:4], "int8-activations")
        if name in rows.index
    )
    both = f" (activations too: by {both[0]})" if both else ""
    return (
        f"the decoder needs {number(rows.loc['none', 'bits_per_byte'])} bits for a byte; weights "
        f"of 8 bits change that by {eight}{both}, weights of 4 bits by {row} with a scale for each "
        f"row and by {group} with one for each {quality.GROUP} inputs."
    )


def draft_in_words(run: Run) -> str:
    """Say how good the draft is."""
    point = run.point(f"quality/{DRAFT}/none")
    bits = point and point.details.get("bits_per_byte")
    if not isinstance(bits, float):
        return "The draft's quality was not measured in this run."
    return f"The draft needs {number(bits)} bits."


def pruning_in_words(run: Run) -> str:
    """Say what pruning leaves of the quality."""
    rows = quality.scores(run).set_index("remedy")
    each = []
    for family in quality.PRUNED:
        claim, after = quality.tuned(family), quality.more_bits(run, quality.tuned(family))
        bare = quality.more_bits(run, claim.removeprefix("tuned-"))
        if after is None or bare is None:
            continue
        each.append(
            f"without {rows.loc[claim.removeprefix('tuned-'), 'amount']} % of its "
            f"{quality.FAMILIES[family]} the decoder needs {times(bare[0])} the bits, and "
            f"{times(after[0], 4)} ({between(after[1:], 4)}) when both are trained some more"
        )
    return "; ".join(each) + "." if each else "pruned models were not scored in this run."


def speed_in_words(run: Run) -> str:
    """Say what pruning does to a step's time."""
    rows = quality.steps(run).set_index(["kind", "share"])
    keys = ("structured", 50), ("zeros", 90), ("csr", 90)
    if keys[0] not in rows.index:
        return "the steps of pruned models were not timed in this run."
    text = f"without half of its heads and neurons a step is {span(rows.loc[keys[0]])} as fast"
    if not set(keys) <= set(rows.index):
        return f"{text}; steps with zeros were not timed in this run."
    wins = quality.wins_from(run)
    sparse = f"win from {wins} % zeros on" if wins else "win at no share that was measured"
    zeros, csr = (rows.loc[key] for key in keys[1:])
    return (
        f"{text}; with 90 % zeros in dense matrices it is {span(zeros)} as fast, as a dense kernel "
        "reads and multiplies zeros like any number. Sparse rows bring the number of its column "
        "with each weight, so that "
        f"their bytes break even at half; torch's {sparse}, and at 90 % a step is {span(csr)} as "
        f"fast, where bytes would allow {times(csr['predicted'])}."
    )


def step_table(run: Run, name: str) -> Table:
    """Show bytes and time of pruned steps."""
    kinds = {
        "structured": "heads and neurons",
        "zeros": "zeros, dense matrices",
        "csr": "zeros, sparse rows",
    }
    shown = [
        {
            "Pruned": kinds[row.kind],
            "Share": f"{row.share} %",
            "Layers (MB)": number(row.layer_bytes / 1e6),
            "Step (ms)": number(1e3 * row.median),
            "Allowed by bytes": times(row.predicted),
            "Measured": span(row),
        }
        for row in quality.steps(run).itertuples()
    ]
    if not shown:
        shown = [{"Pruned": NONE}]
    caption = (
        f"Steps of GPT-2's size at {quality.CONTEXT} tokens, pruned: bytes of the layers' "
        "matrices, and speed over the whole model, timed in turn."
    )
    return Table(pd.DataFrame(shown), name, caption)


def factor_table(run: Run, name: str) -> Table:
    """Show each claim of size and quality: how many times smaller the paper's share, arithmetic and
    the bytes of the trained decoder make it, and its bits per byte before and after."""
    claims, rows = load_claims(), []
    cells = {  # claim -> how many times smaller it has the model, remedy whose size, whose quality
        "int8_quality": (32 / 8, "int8-row", "int8-row"),
        "int4_size": (claims["int4_size"].value, "int4-group", "int4-group"),
    }
    for family, share in quality.PRUNED.items():
        bare, after = f"{family}-{share}", quality.tuned(family)
        cells[f"{family}_pruning"] = 1 / (1 - share / 100), bare, after
    for key, (claimed, sized, scored) in cells.items():
        row, found = quality.score(run, scored), quality.more_bits(run, scored)
        size = quality.smaller_measured(run, sized)
        before = row is not None and row["bits_per_byte"] - row["difference"]
        rows.append(
            {
                "Claim": claims[key].statement,
                "Smaller: paper": times(claimed),
                "Predicted": times(quality.smaller(sized, BYTE_DECODER)),
                "Measured": times(size) if size else NONE,
                "Bits per byte": f"{number(before, 4)} before, {number(row.bits_per_byte, 4)} after"
                if before
                else NONE,
                "Times the bits": f"{times(found[0], 4)} ({between(found[1:], 4)})"
                if found
                else NONE,
            }
        )
    caption = (
        "What the paper says of size and quality, put to the trained decoder. Smaller: by the "
        "claim's bits or share, by arithmetic with scales, embeddings and numbers of columns "
        "counted, and by the bytes of its tensors. Bits with their 95 % interval; what pruning "
        "loses, no formula predicts."
    )
    return Table(pd.DataFrame(rows), name, caption)
