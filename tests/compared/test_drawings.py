"""Drawings as pages hold them: in the inks of both themes, named on hover, the same bytes."""

import importlib
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from analysis.compared import figures
from analysis.compared.page import NARROW, svg

ROOT = Path(__file__).resolve().parents[2]
FAINT = {"cfcfcf", "dddddd", "e3e3e3", "ffffff"}  # bands, grids and halos
INKS = re.compile(r"--ink-([0-9a-f]{6}): (#[0-9a-f]{6});")
THEMES = dict(
    re.findall(
        r'^html\[data-theme="(light|dark)"\] \{(.*?)^\}',
        (ROOT / "book" / "_static" / "report.css").read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
)


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb, as WCAG 2 defines it."""
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_the_standard():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # WCAG's known edge


@pytest.fixture(scope="module")
def drawings(plots) -> list[tuple[str, ElementTree.Element]]:
    """Every drawing, with its name, as pages are given the wide one, which has all that the narrow
    one has."""
    return [(name, ElementTree.fromstring(svg(plot.figures[0]))) for name, plot in plots.items()]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_letters_and_marks_can_be_read_in_both_themes(drawings, theme):
    inks = dict(INKS.findall(THEMES[theme]))
    assert inks["ffffff"] == re.search(r"--pst-color-background: (#\w+)", THEMES[theme])[1]
    for name, root in drawings:
        for part in root.iter():
            least = 4.5 if part.tag.endswith("}text") else 3
            for ink in re.findall(r"#([0-9a-f]{6})", part.get("style", "")):
                if ink not in FAINT:
                    assert contrast(inks[ink], inks["ffffff"]) >= least, (name, ink)
                assert ink in inks, name


def test_every_series_and_point_has_a_title(drawings):
    for name, root in drawings:
        titles = [each.text for each in root.iter("{http://www.w3.org/2000/svg}title")]
        assert titles and all(titles), name


def test_what_is_written_keeps_its_digits_and_coordinates_do_not():
    rows = pd.DataFrame({"x": [1, 10], "y": [0.0001, 0.01], "by": "a"})
    drawn = svg(figures.lines(rows, "x", "y", by="by", xlabel="x (0.8071)", ylabel="y").figures[0])
    assert {"0.0001", "0.01", "x (0.8071)"} <= set(re.findall(r">([^<>]+)</text>", drawn))
    assert not re.search(r'(?:\bd|\b[xy]|transform)="[^"]*\.\d{3}', drawn)


def test_a_drawing_in_a_page_has_ids_of_its_own_and_no_ground(plots, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "book" / "_ext")
    inline, plot = importlib.import_module("inline"), plots["fig-gap"]
    text = inline.drawings("fig-gap", "Two lines.", *map(svg, plot.figures))
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids)) and all(each.startswith("fig-gap-") for each in ids)
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', text)) == set(ids)
    assert text.count('role="img" aria-label="Two lines."') == 2
    assert not re.search(r"#[0-9a-f]{6}\b|<style|ground|font-family", text)


def test_a_page_is_given_the_drawing_and_its_data(plots):
    plot = plots["fig-gap"]
    bundle = plot._repr_mimebundle_()
    for kind, figure in zip(("image/svg+xml", NARROW), plot.figures, strict=True):
        assert bundle[kind] == svg(figure) and bundle[kind].count("<svg") == 1
    assert bundle["text/csv"] == plot.data.to_csv(index=False)


def test_the_same_figure_has_the_same_bytes():
    rows = pd.DataFrame({"x": [1, 10, 100], "y": [1.0, 3.0, 2.0], "name": "GPT-2"})
    twice = [figures.lines(rows, "x", "y", "name", "x", "y") for _ in range(2)]
    first, again = ([svg(figure) for figure in plot.figures] for plot in twice)
    assert first == again
