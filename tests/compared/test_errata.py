"""Each erratum of the sources is found by computation."""

import re
from pathlib import Path

import pandas as pd
import pytest

from analysis.compared import counts, growth

PAGE = Path(__file__).resolve().parents[2] / "book" / "errata.md"


def test_models_drawn_and_printed_differently():
    found = growth.drawn_against_printed().set_index("label")
    assert set(found.index) == {"BERT", "ResNet50", "DenseNet", "ResNext101"}
    assert found.loc["BERT", ["drawn", "printed"]].tolist() == [5.33e20, 2.5e20]


def test_every_lead_is_on_the_page():
    """As the first cells of the table, and the survey's in prose."""
    text = PAGE.read_text("utf-8")
    places = re.findall(r"^\* - (.+)$", text, re.MULTILINE)
    for words in ("peak FLOPS", "DRAM", "interconnect", "accelerator memory", "BERT", "vision",
                  "RoBERTa", "AlexNet", "GPT-2 optimizer", "GPT-2 length"):  # fmt: skip
        assert any(words in place for place in places), words
    for words in ("BERT-Large", "Cells against their neighbours", "Last digits"):
        assert f"**{words}.**" in text


def test_a_cell_is_bounded_by_the_others_of_its_row():
    """A made-up row whose cells are right within half a unit of their last digits."""
    row = pd.DataFrame(
        [("flops", 30, 0), ("mops", 0.15, 2), ("arithmetic_intensity", 2.0, 1)],
        columns=["quantity", "printed", "decimals"],
    )
    assert counts.implied(row, "flops") == pytest.approx((0.145 * 1.95, 0.155 * 2.05))
    assert counts.implied(row, "mops") == pytest.approx((29.5 / 2.05, 30.5 / 1.95))
    assert counts.implied(row, "arithmetic_intensity") == pytest.approx(
        (29.5 / 0.155, 30.5 / 0.145)
    )


def test_the_cells_that_cannot_be_right_and_what_could():
    found = counts.contradicted(counts.cells())
    assert found[["model", "tokens", "operator_class", "quantity", "printed"]].values.tolist() == [
        ["BERT-Base", (128,), "act_to_act", "mops", 0.006],
        ["GPT-2", (128, 512, 4096), "mha_projections", "arithmetic_intensity", 2.0],
        ["GPT-2", (128,), "act_to_act", "flops", 30],
        ["GPT-2", (512,), "act_to_act", "arithmetic_intensity", 2.0],
    ]
    assert found["ours"].between(found["low"], found["high"]).all()
    assert not found["printed"].between(found["low"], found["high"]).any()
