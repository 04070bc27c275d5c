"""Each erratum of the sources is found by computation."""

import pytest

from analysis.compared import errata
from analysis.compared.training_memory import activations_over_parameters, breakdown


def test_models_drawn_and_printed_differently():
    found = errata.drawn_against_printed().set_index("label")
    assert set(found.index) == {"BERT", "ResNet50", "DenseNet", "ResNext101"}
    assert found.loc["BERT", ["drawn", "printed"]].tolist() == [5.33e20, 2.5e20]


def test_every_lead_of_these_chapters_is_listed():
    places = [erratum.where for erratum in errata.errata()]
    for words in (
        "peak FLOPS",
        "DRAM",
        "interconnect",
        "accelerator memory",
        "BERT",
        "RoBERTa",
        "AlexNet",
        "GPT-2 optimizer",
        "GPT-2 length",
    ):
        assert any(words in place for place in places), words
    assert all(text for erratum in errata.errata() for text in vars(erratum).values())


def test_totals_that_are_not_the_sum_of_their_parts():
    printed = breakdown("table").set_index("model")
    off = printed["total"] - printed["sum"]
    assert off[off.abs() > 0.005].round(2).to_dict() == {"AlexNet": 0.54, "GPT-2": 0.10}
    drawn = breakdown("figure")
    assert (drawn["total"] - drawn["sum"]).abs().max() < 0.005


def test_activations_over_parameters_by_hand():
    """Of 0.71/0.23, 4.64/0.54, 5.14/0.22, 6.04/0.07, 7.34/0.31, 11.78/1.02, 14.38/1.32 and
    8.63/5.86 the middle two are 14.38/1.32 and 11.78/1.02."""
    assert activations_over_parameters() == pytest.approx((14.38 / 1.32 + 11.78 / 1.02) / 2)
