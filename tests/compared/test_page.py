"""What reaches the page: numbers as text, and cells from elsewhere that stay text."""

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from analysis.compared.page import Table, beside, between, escape, number, percent, times
from analysis.text import plain


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (64313.18, 3, "64,300"),
        (1.5915, 3, "1.59"),
        (9.999, 3, "10.0"),
        (0.0123456, 2, "0.012"),
        (2, 1, "2"),
        (0, 3, "0"),
        (-3.14159, 2, "−3.1"),
        (5.33e20, 3, "5.33×10²⁰"),
        (999_999, 3, "1.00×10⁶"),
        (5e-6, 1, "5×10⁻⁶"),
    ],
)
def test_number(value, digits, text):
    assert number(value, digits) == text


@given(st.floats(1e-3, 9e5), st.integers(1, 6))
def test_number_keeps_its_digits(value, digits):
    assert float(number(value, digits).replace(",", "")) == pytest.approx(
        value, rel=0.5 * 10 ** (1 - digits) * 1.0001
    )


def test_factors_shares_and_intervals():
    assert times(104.26) == "104×"
    assert percent(0.0719, sign=True) == "+7.2 %"
    assert percent(-0.005, sign=True) == "−0.50 %"
    assert between((1.447, 1.75)) == "1.45 to 1.75"
    assert between((-0.0491, 0.108)) == "−0.0491 to 0.108"
    assert math.isnan(float(number(float("nan"))))


@given(st.text(max_size=60))
def test_escaped_text_renders_as_itself(text):
    """CommonMark shows the escaped text as the same words: no link, markup or HTML."""
    shown = MarkdownIt("commonmark", {"html": True}).parseInline(escape(text))[0].children or []
    assert {token.type for token in shown} <= {"text", "text_special"}


def test_only_our_own_columns_may_hold_markup():
    frame = pd.DataFrame({"x": ["<b>a|b</b>"], "Verdict": ["{bdg-success}`ok`"]})
    text = Table(frame, "tab", "Caption.", markup=("Verdict",))._repr_mimebundle_()["text/markdown"]
    assert "<b>" not in text and "{bdg-success}`ok`" in text
    assert plain("[60,000](<https://a.b/c>) in {doc}`Errata </book/e>`") == "60,000 in Errata"
    frame_html = Table(frame, "tab", "Caption.", ("Verdict",))._repr_mimebundle_()["text/html"]
    assert "ok" in frame_html and "bdg" not in frame_html
    assert "&lt;b&gt;" in Table(frame, "tab", "Caption.")._repr_mimebundle_()["text/html"]


ROWS = pd.DataFrame(
    [
        ("GPT-2", 128, "reference", 13.6, 7.4, 24.8),
        ("BERT-Base", 128, "reference", 1.0, float("nan"), float("nan")),
        ("GPT-2", 128, "here", 12.1, 11.8, 12.6),
        ("GPT-2", 512, "here", 15.0, 14.0, 16.0),
    ],
    columns=["model", "tokens", "run", "value", "value_low", "value_high"],
)


def test_paper_reference_and_here_stand_side_by_side():
    paper = pd.Series({("GPT-2", 128): 45.0, ("BERT-Large", 128): 3.0})
    table = beside(ROWS.assign(more=[1, 2, 1, 3]), ["model", "tokens"], "value", "tab", "Caption.",
                   paper=paper, also={"more": str}, heads={"tokens": "Length"})  # fmt: skip
    shown = table.frame.set_index(["model", "Length"])
    assert list(shown.columns) == ["Paper", "more", "Reference", "Here"]
    assert list(shown.loc[("GPT-2", 128)]) == ["45.0", "1", "13.6 (7.40 to 24.8)",
                                               "12.1 (11.8 to 12.6)"]  # fmt: skip
    assert list(shown.loc[("BERT-Base", 128)]) == ["–", "2", "1.00", "–"]
    assert shown.loc[("GPT-2", 512), "Reference"] == "–"
    assert list(shown.loc[("BERT-Large", 128)]) == ["3.00", "–", "–", "–"]


def test_without_here_there_is_no_such_column():
    only = ROWS[ROWS["run"] == "reference"]
    assert list(beside(only, ["model", "tokens"], "value", "t", "C.").frame.columns) == [
        "model", "tokens", "Reference",
    ]  # fmt: skip
