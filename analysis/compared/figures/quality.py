"""Figures of what remedies do to quality, and pruning to time."""

import pandas as pd

from analysis.compared.figures.style import COLOURS, axes, nothing
from analysis.compared.page import Plot, styled

LINES = {  # family or kind -> label, colour, marker, line
    "int-row": ("a scale for each row", COLOURS["GPT-2"], "o", "-"),
    "int-group": ("a scale for each group", COLOURS["BERT-Large"], "s", "--"),
    "structured": ("structured", COLOURS["GPT-2"], "o", "-"),
    "unstructured": ("unstructured", COLOURS["BERT-Large"], "s", "--"),
    "zeros": ("zeros, dense", COLOURS["other"], "^", "-"),
    "csr": ("zeros, sparse rows", COLOURS["BERT-Large"], "s", "--"),
    "float32": ("float32", COLOURS["GPT-2"], "o", "-"),
    "autocast": ("autocast to bfloat16", COLOURS["BERT-Large"], "s", "--"),
    "momentum": ("momentum", COLOURS["other"], "^", ":"),
    "adam": ("AdamW", COLOURS["GPT-2"], "o", "-"),
    "second-order": ("second order", COLOURS["BERT-Large"], "s", "--"),
}


def _line(ax, x, y, low, high, name: str, **options) -> None:
    label, colour, marker, line = LINES[name]
    ax.errorbar(x, y, yerr=[y - low, high - y], fmt=marker, ls=line, color=colour,
                label=options.pop("label", label), **options)  # fmt: skip


def quality_by_bits(rows: pd.DataFrame) -> Plot:
    """Draw what rounding weights adds to the bits per byte, against their bits (`quality.scores`),
    with intervals."""
    rows = rows[rows["family"].isin(["int-row", "int-group"])]
    if rows.empty:
        return nothing("this run has no quality of rounded weights")
    with styled():
        figure, ax = axes(3.8)
        for name, part in rows.groupby("family", sort=False):
            _line(ax, part["amount"], part["difference"], part["difference_low"],
                  part["difference_high"], name)  # fmt: skip
        ax.set_yscale("symlog", linthresh=0.001)
        ax.set(xlabel="bits of a weight", ylabel="bits per byte, more than before")
        ax.set_xticks(sorted(set(rows["amount"])))
        ax.invert_xaxis()
        figure.legend(loc="outside upper center", ncols=2)
    return Plot(figure, rows.reset_index(drop=True))


def quality_by_sparsity(rows: pd.DataFrame, tuned: pd.DataFrame) -> Plot:
    """Draw bits per byte against the share pruned (`quality.scores`), with intervals; `tuned` are
    those trained some more, at their shares."""
    families = ["structured", "unstructured"]
    rows = rows[rows["family"].isin(families)]
    if rows.empty:
        return nothing("this run has no quality of pruned models")
    rows = pd.concat([rows.assign(trained_more=False), tuned.assign(trained_more=True)])
    with styled():
        figure, ax = axes(4.2)
        for name in families:
            for more, part in rows[rows["family"] == name].groupby("trained_more"):
                options = {"label": f"{LINES[name][0]}, tuned", "mfc": "white", "zorder": 3}
                values = (part[each] for each in ("bits_per_byte", "low", "high"))
                _line(ax, part["amount"], *values, name, **(options if more else {}))
        ax.set(xlabel="pruned (%)", ylabel="bits per byte")
        figure.legend(loc="outside upper center", ncols=2)
    return Plot(figure, rows.reset_index(drop=True))


def speed_by_sparsity(rows: pd.DataFrame) -> Plot:
    """Draw how many times as fast a step is as the whole model's, against the share pruned
    (`quality.steps`): measured with intervals, and allowed by bytes."""
    if rows.empty:
        return nothing("this run has no steps of pruned models")
    with styled():
        figure, ax = axes(4.2)
        for name, part in rows.groupby("kind", sort=False):
            _line(ax, part["share"], part["gain"], part["low"], part["high"], name)
            if name != "zeros":
                label, colour, marker, _ = LINES[name]
                ax.plot(part["share"], part["predicted"], marker, mfc="none", ls=":", color=colour,
                        label=f"{label}, by bytes")  # fmt: skip
        ax.axhline(1, color="black", lw=0.8)
        ax.set(xlabel="pruned (%)", ylabel="speed, over the whole model (1)")
        ax.set_ylim(0)
        figure.legend(loc="outside upper center", ncols=2)
    return Plot(figure, rows)


def loss_curves(rows: pd.DataFrame) -> Plot:
    """Draw the loss of the first training steps by data type (`low_precision.loss_curves`)."""
    return _while_training(rows, "dtype", "loss (bits per byte)")


def quality_by_steps(rows: pd.DataFrame) -> Plot:
    """Draw the bits per byte of held-out modules by optimizer (`trials.curves`)."""
    return _while_training(rows, "way", "held-out bits per byte")


def _while_training(rows: pd.DataFrame, by: str, what: str) -> Plot:
    """A line for each value of `by`: the mean of the seeds, and what they span."""
    with styled():
        figure, ax = axes(3.8)
        for name, part in rows.groupby(by, sort=False):
            label, colour, marker, line = LINES[name]
            ax.plot(part["step"], part["mean"], marker, ls=line, color=colour, ms=4, label=label)
            ax.fill_between(part["step"], part["least"], part["greatest"], color=colour, alpha=0.2)
        ax.set(xlabel="training steps", ylabel=what)
        figure.legend(loc="outside upper center", ncols=rows[by].nunique())
    return Plot(figure, rows)
