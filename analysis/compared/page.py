"""What a chapter puts on its page: figures with their data, numbered tables, numbers in prose."""

import io
import json
import math
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from analysis.text import NARROW, cell, plain

STYLE = Path(__file__).with_name("report.mplstyle")


def as_csv(frame: pd.DataFrame) -> str:
    """The frame as CSV text, in which no cell is a formula to a spreadsheet."""
    safe = frame.rename(columns=cell)
    for name in safe.select_dtypes(["object", "string", "category"]):
        safe[name] = [cell(v) if isinstance(v, str) else v for v in safe[name]]
    return safe.to_csv(index=False)


SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
PLACES = r'>[^<]+<|\bid="[^"]*"|(\d+\.\d{3,})'  # of coordinates; what is written keeps its digits
# A halo keeps letters off the grid; on pages report.css draws it in the colour of the ground.
LETTERS = "*{stroke-linejoin:round}text{paint-order:stroke;stroke:#fff;stroke-width:2.5px}"


def styled(width: float = 7.2) -> AbstractContextManager:
    """The book's one style for figures `width` inches wide, without touching the caller's."""
    return matplotlib.style.context([STYLE, {"figure.figsize": (width, 4.2)}])


def name(artist, names) -> None:
    """Give an artist the name that shows on hover, or each of its points one, in their order."""
    names = list(map(str, names))
    if len(names) > 1:  # points that lack a number are not drawn
        there = np.isfinite(np.ma.filled(artist.get_offsets(), np.nan)).all(axis=1)
        names = [each for each, drawn in zip(names, there, strict=True) if drawn]
    artist.set_gid(json.dumps(names, ensure_ascii=False))


def svg(figure: Figure) -> str:
    """Return a figure as SVG text whose named parts have titles: the same bytes each time."""
    text = io.StringIO()
    figure.patch.set_gid("ground")
    with styled():
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        FigureCanvasSVG(figure).print_svg(text, metadata=nothing)  # savefig draws twice
    for prefix, space in (("", SVG), ("xlink", XLINK)):
        ElementTree.register_namespace(prefix, space)
    short = re.sub(PLACES, lambda n: f"{float(n[1]):.2f}" if n[1] else n[0], text.getvalue())
    root = ElementTree.fromstring(short)
    root.find(f".//{{{SVG}}}style").text = LETTERS
    for part in root.findall(".//*[@id]"):
        if part.get("id").startswith("["):
            names = json.loads(part.attrib.pop("id"))
            marks = list(part.iter(f"{{{SVG}}}use")) or list(part.iter(f"{{{SVG}}}path"))
            for mark, said in zip([part] if len(names) == 1 else marks, names, strict=True):
                title = ElementTree.Element(f"{{{SVG}}}title")
                title.text = said
                mark.insert(0, title)
    return ElementTree.tostring(root, "unicode") + "\n"


@dataclass(frozen=True)
class Plot:
    """A figure, drawn for screens and for phones, and the table of exactly what both draw."""

    figures: tuple[Figure, Figure]
    data: pd.DataFrame

    def _repr_mimebundle_(self, **_):
        wide, narrow = map(svg, self.figures)
        return {
            "image/svg+xml": wide,
            NARROW: narrow,
            "text/csv": as_csv(self.data),
            "text/plain": f"<figure of {len(self.data)} rows>",
        }


@dataclass(frozen=True)
class Table:
    """A frame shown as a numbered table with a caption; `name` is its label for references.

    Cells of columns in `markup` are our own MyST text; all others are escaped, since they may
    come from a file made elsewhere.
    """

    frame: pd.DataFrame
    name: str
    caption: str
    markup: tuple[str, ...] = ()

    def _repr_mimebundle_(self, **_):
        columns = list(self.frame.columns)
        numeric = [pd.api.types.is_numeric_dtype(self.frame[c]) for c in columns]
        lines = [_row(map(escape, columns)), _row("--:" if n else ":--" for n in numeric)]
        for values in self.frame.itertuples(index=False):
            cells = zip(columns, values, strict=True)
            lines.append(_row(str(v) if c in self.markup else escape(v) for c, v in cells))
        body = "\n".join(lines)
        return {
            "text/markdown": f":::{{table}} {self.caption}\n:name: {self.name}\n\n{body}\n:::",
            "text/html": self._plain().to_html(index=False),
            "text/plain": str(self._plain()),
        }

    def _plain(self) -> pd.DataFrame:
        """The frame as a notebook shows it, which knows no roles."""
        cells = {c: self.frame[c].astype(str).map(plain) for c in self.markup if c in self.frame}
        return self.frame.assign(**cells)


@dataclass(frozen=True)
class Download:
    """A table that a page offers whole, as the file `name` (book/_ext/rerun.py writes it), with
    what it holds, in words."""

    frame: pd.DataFrame
    name: str
    holds: str = ""

    def _repr_mimebundle_(self, **_):
        return {
            "text/csv": as_csv(self.frame),
            "text/markdown": f"{self.holds or 'Download'}: {{table-file}}`{self.name}`",
            "text/plain": f"<{self.name}, {len(self.frame)} rows>",
        }


def beside(
    rows: pd.DataFrame,
    by: list[str],
    value: str,
    name: str,
    caption: str,
    show: Callable[[float], str] | None = None,
    paper: pd.Series | None = None,
    also: dict[str, Callable] | None = None,
    heads: dict[str, str] | None = None,
) -> Table:
    """Show the paper, the reference and here side by side, a row for each of `by`.

    rows: as `shown.both` returns them: `run`, the columns of `by`, `value` and, where it has an
    interval, VALUE_low and VALUE_high. paper: printed values, indexed by `by`. also: columns that
    stand before the runs, of whichever run has them first, each with what makes its text. show:
    by default `number`. heads: what a column is called. What a run lacks is a dash.
    """
    show, rows = show or number, rows.set_index(by)
    cells = {"Paper": paper.map(show)} if paper is not None else {}
    for column, text in (also or {}).items():
        first = rows[column].groupby(level=by, sort=False).first()
        cells[column] = first.map(lambda v, text=text: "–" if pd.isna(v) else text(v))
    for run, part in rows.groupby("run", sort=False):
        cells[run.capitalize()] = part.apply(_with_interval, axis=1, value=value, show=show)
    order = pd.concat(cells.values()).index.drop_duplicates()
    frame = pd.DataFrame(cells).reindex(order).fillna("–").reset_index(names=by)
    return Table(frame.rename(columns=heads or {}), name, caption)


def _with_interval(row: pd.Series, value: str, show: Callable[[float], str]) -> str:
    if pd.isna(row[value]):
        return "–"
    low, high = row.get(f"{value}_low"), row.get(f"{value}_high")
    exact = pd.isna(low) or low == high
    return show(row[value]) + ("" if exact else f" ({between((low, high))})")


def _row(cells) -> str:
    return "| " + " | ".join(cells) + " |"


def escape(value) -> str:
    """Return `value` as MyST text that shows as it is: no markup, HTML, role or line break."""
    text = " ".join(("" if pd.isna(value) else str(value)).split())
    return "".join(f"\\{c}" if c in r"\`*_{}[]()<>#+-.!|$~:@&^=" + '"' else c for c in text)


SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, digits: int = 3) -> str:
    """Return `value` to `digits` significant digits: plain up to a million, then 1.2×10⁹."""
    if value < 0:
        return f"\N{MINUS SIGN}{number(-value, digits)}"
    if value == 0 or not math.isfinite(value):
        return str(value)
    places = digits - 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, places)
    if abs(rounded) >= 1e6 or abs(rounded) < 1e-4:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa}×10{str(int(exponent)).translate(SUPERSCRIPTS)}"
    return f"{rounded:,.{max(0, digits - 1 - math.floor(math.log10(abs(rounded))))}f}"


def times(value: float, digits: int = 3) -> str:
    """Return a factor, as in 1.59×."""
    return f"{number(value, digits)}×"


def percent(value: float, digits: int = 2, sign: bool = False) -> str:
    """Return a share (0.123) in per cent (12 %), with its sign when it is a deviation."""
    text = number(abs(value) * 100, digits)
    return f"{('−' if value < 0 else '+' if sign else '')}{text} %"


def signed(value: float) -> str:
    """Return a difference to four places, with its sign."""
    return f"{value:+.4f}".replace("-", "\N{MINUS SIGN}")


def between(bounds: tuple[float, float], digits: int = 3) -> str:
    """Return an interval, as in 1.45 to 1.75."""
    return f"{number(bounds[0], digits)} to {number(bounds[1], digits)}"


def say(**texts) -> None:
    """Hand texts to the prose of the page: `{glue:text}`name`` prints them."""
    from myst_nb import glue  # only pages need it; the command line does not

    for name, text in texts.items():
        glue(name, text, display=False)
