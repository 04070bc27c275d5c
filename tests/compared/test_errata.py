"""Each erratum of the sources is found by computation."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.compared import counts, errata, growth

PAGE = Path(__file__).resolve().parents[2] / "book" / "errata.md"


def test_models_drawn_and_printed_differently():
    found = errata.drawn_against_printed().set_index("label")
    assert set(found.index) == {"BERT", "ResNet50", "DenseNet", "ResNext101"}
    assert found.loc["BERT", ["drawn", "printed"]].tolist() == [5.33e20, 2.5e20]


def test_transformers_with_what_is_printed_for_bert():
    """By numpy's own polynomials, with BERT's 250,000 PFLOP of the README's table."""
    points = growth.trend_points("transformer_training_compute").set_index("label")
    points.loc["BERT", "value"] = 2.5e20
    years = (points["date"] - points["date"].min()).dt.days / 365.25
    slope = np.polyfit(years, np.log10(points["value"]), 1)[0]
    assert errata.compute_as_printed().over(2) == pytest.approx(10 ** (2 * slope), rel=1e-9)


def test_memory_is_drawn_at_six_bytes_a_parameter():
    """The authors' figure: 80 GB of an A100 is drawn at 13.3 billion parameters."""
    assert errata.bytes_per_parameter() == pytest.approx(80 / 13.33, rel=1e-3)


def test_rows_that_repeat_another():
    assert errata.repeated("RoBERTa Large", "GPT-2") == [
        "features", "inference_compute", "parameters",
    ]  # fmt: skip
    assert errata.repeated("GPT-3", "GPT-2") == []


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
    assert errata.implied(row, "flops") == pytest.approx((0.145 * 1.95, 0.155 * 2.05))
    assert errata.implied(row, "mops") == pytest.approx((29.5 / 2.05, 30.5 / 1.95))
    assert errata.implied(row, "arithmetic_intensity") == pytest.approx(
        (29.5 / 0.155, 30.5 / 0.145)
    )


def test_the_cells_that_cannot_be_right_and_what_could():
    found = errata.contradicted(counts.cells())
    assert found[["model", "tokens", "operator_class", "quantity", "printed"]].values.tolist() == [
        ["BERT-Base", (128,), "act_to_act", "mops", 0.006],
        ["GPT-2", (128, 512, 4096), "mha_projections", "arithmetic_intensity", 2.0],
        ["GPT-2", (128,), "act_to_act", "flops", 30],
        ["GPT-2", (512,), "act_to_act", "arithmetic_intensity", 2.0],
    ]
    assert found["ours"].between(found["low"], found["high"]).all()
    assert not found["printed"].between(found["low"], found["high"]).any()
