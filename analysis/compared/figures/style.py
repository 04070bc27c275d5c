"""What all figures share: two widths, looks with a fixed meaning, axes, a legend."""

import functools
import textwrap
from collections.abc import Callable
from typing import NamedTuple

import matplotlib.ticker
import numpy as np
import pandas as pd
import seaborn
from matplotlib.dates import AutoDateLocator, DateFormatter
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.compared.page import Plot, styled

WIDTHS = (7.2, 3.9)  # inches: the text column of a screen, and a phone
PAPER, FAINT, GREY = "#8a8a8a", "#cfcfcf", "#5a5a5a"


def drawn(draw: Callable[..., tuple[Figure, pd.DataFrame]]) -> Callable[..., Plot]:
    """Make a function that draws a figure and says its data one that draws it for both widths."""

    @functools.wraps(draw)
    def both(*args, **kwargs) -> Plot:
        found = []
        for width in WIDTHS:
            with styled(width):
                found.append(draw(*args, **kwargs))
        return Plot(tuple(figure for figure, _ in found), found[0][1])

    return both


def wide(figure: Figure) -> bool:
    """Whether a figure is drawn for a screen."""
    return figure.get_figwidth() == WIDTHS[0]


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


def wrapped(text: str, figure: Figure, letters: int = 30) -> str:
    """A text in lines of `letters` where the figure is for a phone."""
    return text if wide(figure) else "\n".join(textwrap.fill(t, letters) for t in text.split("\n"))


def dates(ax) -> None:
    """Write years along the x axis, as many as there is room for."""
    across = ax.get_subplotspec().get_gridspec().ncols
    most = int(ax.figure.get_figwidth() * 1.3 / across)
    ax.xaxis.set_major_locator(AutoDateLocator(minticks=2, maxticks=most))
    ax.xaxis.set_major_formatter(DateFormatter("%Y"))


def axes(height: float, n: int = 1, columns: int = 1, **kwargs) -> tuple[Figure, list]:
    """A figure and its `n` axes: `height` inches if they lie under each other, as on a phone.

    columns: how many lie side by side on a screen.
    """
    figure = Figure()
    columns = columns if wide(figure) else 1
    rows = -(-n // columns)
    figure.set_figheight(height if columns == 1 else height * rows / n + 0.6)
    found = figure.subplots(rows, columns, squeeze=False, **kwargs)
    seaborn.despine(figure)
    for ax in found.flat[n:]:
        ax.remove()
    return figure, list(found.flat[:n])


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
        few = which == "x" and not wide(ax.figure) and high > 10 * low
        close = (1, 3) if few else (1, 2, 5)
        subs = close if high / max(low, 1e-300) < most else (1,)
        ticks = 5 if which == "x" and high / max(low, 1e-300) > 1e4 else 7
        along.set_major_locator(matplotlib.ticker.LogLocator(subs=subs, numticks=ticks))
        along.set_major_formatter(lambda value, _: plain(value))
    along.set_minor_locator(matplotlib.ticker.NullLocator())


def legend(figure: Figure, styles: dict[str, dict]) -> None:
    """Say above the figure what lines and markers are; styles: what each is called -> its style."""
    handles = [Line2D([], [], label=label, **style) for label, style in styles.items()]
    if handles:
        longest = max(map(len, styles)) + 7  # letters, its sign among them
        columns = max(1, min(len(styles), int(figure.get_figwidth() * 12.5) // longest))
        figure.legend(handles=handles, loc="outside upper center", ncols=columns)
        for text in figure.legends[0].get_texts():
            text.set_parse_math(False)  # names may come from a file made elsewhere


def plain(value: float) -> str:
    """A number of an axis: plain up to a million, then a power of ten."""
    if 1e-4 <= abs(value) < 1e6:
        return f"{value:,g}"
    power = str(round(np.log10(value)))
    return "10" + power.translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
