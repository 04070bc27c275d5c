"""What all figures share: looks with a fixed meaning, axes, and labels that keep apart."""

from typing import NamedTuple

import matplotlib.ticker
import numpy as np
import pandas as pd
import seaborn
from adjustText import adjust_text
from matplotlib import patheffects
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.compared.page import number

PAPER, FAINT, GREY = "#8a8a8a", "#cfcfcf", "#5a5a5a"
HALO = [patheffects.withStroke(linewidth=2.5, foreground="white")]


class Look(NamedTuple):
    """How something is drawn wherever it is: marker and dash also tell it apart without colour."""

    colour: str
    marker: str = "o"
    dash: str | tuple = "-"
    label: str = ""  # "": its own name


# Compute is black, memory green, links blue, as in the paper.
LOOKS = {
    "peak_flops": Look("#000000", label="peak FLOPS"),
    "dram_bandwidth": Look("#007f5f", label="DRAM bandwidth"),
    "interconnect": Look("#0072b2"),
    "accelerator_memory": Look("#007f5f", label="accelerator memory"),
    "transformer_parameters": Look("#b3401b", label="Transformer models"),
    "transformer_training_compute": Look("#b3401b", label="Transformers"),
    "cv_parameters": Look("#6b6b6b", label="vision models"),
    "recsys_parameters": Look("#8c5a9e", label="recommender"),
    "other_training_compute": Look("#6b6b6b", label="other models"),
    "all_training_compute": Look("#6b6b6b", dash="--", label="all models"),
    "parameters": Look("#b3401b"),
    "optimizer": Look("#e1a100"),
    "activations": Look("#5b8db8"),
    "BERT-Base": Look("#5b8db8", "o"),
    "BERT-Large": Look("#12436d", "s"),
    "GPT-2": Look("#b3401b", "^"),
    "mha_projections": Look("#12436d", label="MHA (projections)"),
    "act_to_act": Look("#e1a100", label="MHA (act-to-act matmuls)"),
    "ffn_projections": Look("#5b8db8", label="FFN (projections)"),
    "other": Look("#8c5a9e", label="Other"),
    "total": Look("#000000", label="Total"),
    "OPT-175B": Look("#6b6b6b", dash="--"),
    "Llama 3.1 405B": Look("#12436d"),
    "gpt-oss-120b": Look("#e1a100"),
    "Qwen3-235B-A22B": Look("#8c5a9e", dash="-."),
    "DeepSeek-V3": Look("#007f5f"),
    "open models": Look("#5a5a5a"),
    "32 bits": Look("#8a8a8a"),
    "16 bits": Look("#000000"),
    "8 bits": Look("#0072b2"),
    "4 bits": Look("#b3401b"),
    "all-reduce": Look("#0072b2"),
    "send": Look("#d55e00", "s"),
    "reading memory": Look("#007f5f", ""),
    "the paper's claim": Look("#000000", "*"),
    "encode": Look("#12436d", "s", "-", "encoder pass"),
    "decode_many": Look("#e1a100", "D", "-.", "shared decoder step"),
    "decode": Look("#b3401b", "^", "--", "decoder step alone"),
}
# For names that have no look of their own: by order of appearance.
OTHERS = [
    Look(colour, marker, dash)
    for colour, marker, dash in zip(
        ("#b3401b", "#12436d", "#8c5a9e", "#007f5f", "#e1a100", "#6b6b6b"),
        "osD^vP",
        ("-", "--", ":", "-.", (0, (1, 1)), (0, (5, 1))),
        strict=True,
    )
]


def looks(names) -> dict[str, Look]:
    """The look of each of `names`, in their order; each with the label that it has in a legend."""
    others = iter(OTHERS * 4)
    found = {name: LOOKS.get(name) or next(others) for name in dict.fromkeys(names)}
    return {name: look._replace(label=look.label or str(name)) for name, look in found.items()}


def data_of(rows: pd.DataFrame) -> pd.DataFrame:
    """What the CSV under a figure holds: all that is drawn, without raw repetitions."""
    return rows.drop(columns=[name for name in ("sample", "turn") if name in rows])


def axes(height: float | None = None, **kwargs):
    """A figure as wide as a phone, `height` inches high, and its axes."""
    figure = Figure()
    if height:
        figure.set_figheight(height)
    found = figure.subplots(**kwargs)
    for ax in np.atleast_1d(found).flat:
        seaborn.despine(ax=ax)
    return figure, found


def scale(ax, which: str, values=()) -> None:
    """Make "x" or "y" a log axis with plain numbers: at `values`, if these are few, or else at
    powers of ten or, on a short axis, between them too."""
    along = getattr(ax, f"{which}axis")
    getattr(ax, f"set_{which}scale")("log")
    some = sorted(set(values))
    if 0 < len(some) <= 8:
        along.set_major_locator(matplotlib.ticker.FixedLocator(some))
        along.set_major_formatter(lambda value, _: f"{value:g}")
    else:
        low, high = getattr(ax, f"get_{which}lim")()
        most = 100 if which == "x" else 300  # labels beside each other need more room
        subs = (1, 2, 5) if high / max(low, 1e-300) < most else (1,)
        ticks = 5 if which == "x" and high / max(low, 1e-300) > 1e4 else 7
        along.set_major_locator(matplotlib.ticker.LogLocator(subs=subs, numticks=ticks))
        along.set_major_formatter(lambda value, _: plain(value))
    along.set_minor_locator(matplotlib.ticker.NullLocator())


def legend(figure: Figure, styles: dict[str, dict]) -> None:
    """Say above the figure what lines and markers are; styles: what each is called -> its style."""
    handles = [Line2D([], [], label=label, **style) for label, style in styles.items()]
    if handles:
        figure.legend(handles=handles, loc="outside upper center", ncols=2, fontsize=9.5)


def plain(value: float) -> str:
    """A number of an axis: plain up to a million, then a power of ten."""
    if 1e-4 <= abs(value) < 1e6:
        return number(value, 2)
    return f"$10^{{{round(np.log10(value))}}}$"


def label_points(ax, rows: pd.DataFrame, x: str, y: str, label: str, colour: str) -> list:
    """Write each point's name without what is in brackets, which the CSV keeps."""
    return [
        ax.text(at, value, name.split(" (")[0], fontsize=8.5, color=colour, path_effects=HALO)
        for at, value, name in zip(rows[x], rows[y], rows[label], strict=True)
        if name
    ]


def spread(ax, texts: list) -> None:
    """Move labels off points, lines and each other; the library's search starts from a seed."""
    np.random.seed(0)  # adjustText draws from the global generator
    points = [scatter.get_offsets().data for scatter in ax.collections]
    x, y = np.concatenate(points + _log_samples(ax)).T
    adjust_text(
        texts, x=x, y=y, ax=ax, expand=(1.06, 1.3), time_lim=None, iter_lim=300,
        force_text=(0.2, 0.35), force_static=(0.15, 0.25), max_move=8,
        arrowprops={"arrowstyle": "-", "color": "#999999", "lw": 0.5},
    )  # fmt: skip


def _log_samples(ax) -> list[np.ndarray]:
    """50 points along each straight line of a log axis, in data units, for labels to avoid."""
    samples = []
    for line in ax.lines:
        (x0, y0), (x1, y1) = line.get_xydata()
        samples.append(np.column_stack([np.linspace(x0, x1), np.geomspace(y0, y1)]))
    return samples
