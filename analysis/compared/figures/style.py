"""What all figures share: two widths, looks with a fixed meaning, axes, a legend."""

import csv
import functools
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import matplotlib.ticker
import numpy as np
import pandas as pd
import seaborn
from matplotlib.dates import AutoDateLocator, DateFormatter
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.compared.page import SUPERSCRIPTS, Plot, styled

WIDTHS = (7.2, 3.9)  # inches: the text column of a screen, and a phone
NEAR = 0.1  # of a log axis: a number that is nearer to the one before it is not written
PAPER, FAINT, GREY, BAND = "#8a8a8a", "#cfcfcf", "#5a5a5a", "#dddddd"


def drawn(draw: Callable[..., tuple[Figure, pd.DataFrame]]) -> Callable[..., Plot]:
    """Make a function that draws a figure and says its data one that draws it for both widths; the
    data leave raw repetitions out."""

    @functools.wraps(draw)
    def both(*args, **kwargs) -> Plot:
        found = []
        for width in WIDTHS:
            with styled(width):
                found.append(draw(*args, **kwargs))
        rows = found[0][1].drop(columns=["sample", "turn"], errors="ignore")
        return Plot(tuple(figure for figure, _ in found), rows)

    return both


def wide(figure: Figure) -> bool:
    """Whether a figure is drawn for a screen."""
    return figure.get_figwidth() == WIDTHS[0]


class Look(NamedTuple):
    """How something is drawn wherever it is: marker and dash also tell it apart without colour."""

    colour: str
    marker: str
    dash: str | tuple
    label: str = ""  # "": its own name


# A row a look. Compute is black, memory green, links blue, as in the paper.
with Path(__file__).with_name("looks.csv").open(encoding="utf-8", newline="") as stream:
    LOOKS = {row.pop("name"): Look(**row) for row in csv.DictReader(stream)}
# For names that have no look of their own: by order of appearance.
OTHERS = [
    Look("#b3401b", "o", "-"),
    Look("#12436d", "s", "--"),
    Look("#8c5a9e", "D", ":"),
    Look("#007f5f", "^", "-."),
    Look("#e1a100", "v", (0, (1, 1))),
    Look("#6b6b6b", "P", (0, (5, 1))),
]


def looks(names) -> dict[str, Look]:
    """The look of each of `names`, in their order; each with the label that it has in a legend."""
    others = iter(OTHERS * 4)
    found = {name: LOOKS.get(name) or next(others) for name in dict.fromkeys(names)}
    return {name: look._replace(label=look.label or str(name)) for name, look in found.items()}


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
        apart = (some[-1] / some[0]) ** NEAR
        kept = some[:1]
        for value in some[1:]:
            if value >= apart * kept[-1]:
                kept.append(value)
        along.set_major_locator(matplotlib.ticker.FixedLocator(kept))
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
    return "10" + str(round(np.log10(value))).translate(SUPERSCRIPTS)
