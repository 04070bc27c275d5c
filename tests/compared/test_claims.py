"""The rule of verdicts, and that every claim is computed once and judged where it says."""

import re
from pathlib import Path

import pytest

from analysis.compared import claims
from analysis.compared.growth import fit_trends
from analysis.compared.verdicts import verdicts
from analysis.measured.run import Missing
from analysis.published.claims import Claim, load_claims

ROOT = Path(__file__).resolve().parents[2]


def made(corrected: bool = False) -> Claim:
    """A claim of a hundred, give or take a tenth."""
    return Claim("id", "It grows.", 100.0, "ratio", 0.1, "data", corrected, "01_x", "tab-x",
                 "Fig. 1", "https://example.org")  # fmt: skip


@pytest.mark.parametrize(
    ("ours", "corrected", "word"),
    [
        (100.0, False, "reproduced"),
        (110.0, False, "reproduced"),  # the edge belongs to the tolerance
        (89.9, False, "differs"),
        (110.1, False, "differs"),
        (110.1, True, "corrected"),
        (105.0, True, "reproduced"),  # nothing to correct
        (None, False, "not measured"),
        (float("nan"), True, "not measured"),
    ],
)
def test_rule(ours, corrected, word):
    judged = claims.judge(made(corrected), ours)
    assert judged.word == word
    assert judged.deviation == (None if word == "not measured" else pytest.approx(ours / 100 - 1))


@pytest.fixture(scope="module")
def judged(reference):
    return verdicts({"reference": reference})


def test_every_claim_has_one_function_and_every_function_a_claim(judged):
    assert set(claims.COMPUTED) == set(load_claims())
    assert list(judged["id"]) == list(load_claims())
    assert set(judged["verdict"]) <= set(claims.VERDICTS)


def test_a_second_function_for_a_claim_is_refused():
    with pytest.raises(ValueError, match="int4_size is computed twice"):
        claims.claim("int4_size")(lambda data: 1.0)


def test_every_page_that_a_claim_names_has_the_table_that_it_names():
    for each in load_claims().values():
        text = (ROOT / "notebooks" / f"{each.page}.md").read_text("utf-8")
        assert re.search(rf'verdict_table\([^`]*"{each.label}"', text), each
        assert f'page="{each.page}"' in text, each


def test_claims_about_machines_are_judged_by_every_run(reference, judged):
    empty = reference.model_copy(update={"points": []})
    both = verdicts({"reference": reference, "here": empty})
    here = both[both["run"] == "here"]
    assert set(here["basis"]) == {"machine"} and set(here["verdict"]) == {"not measured"}
    assert len(here) == (judged["basis"] == "machine").sum()
    assert set(both[both["run"] == "data"]["basis"]) == {"data"}


def test_what_is_not_reproduced(judged):
    """The paper's trends and counts follow from its sources, but for these."""
    data = judged[judged["run"] == "data"].set_index("id")["verdict"]
    assert data[data != "reproduced"].to_dict() == {
        "training_memory_over_parameters": "differs",  # its own table gives about 11, not 3 to 4
        "bert_large_flops_512": "corrected",  # one projection left out
        "interconnect_to_2026": "not measured",  # two generations are too few
        "transformer_parameters_to_2026": "differs",
        "transformer_training_compute_to_2026": "differs",
        "compute_outgrows_memory_to_2026": "differs",  # not at one precision
        "int4_size": "differs",  # scales, and what is no weight of a product
    }


def test_tolerances_of_rates_that_go_on_are_the_papers_own_intervals():
    """Half the interval of the paper's fit, over its rate; for models that would admit anything."""
    known, widths = load_claims(), {}
    for trend, growth in fit_trends().items():
        low, high = growth.interval_over(2)
        widths[trend] = (high - low) / 2 / growth.over(2)
    for trend in ("peak_flops", "dram_bandwidth", "interconnect", "accelerator_memory"):
        assert known[f"{trend}_to_2026"].tolerance == pytest.approx(widths[trend], rel=0.02)
    both = (widths["peak_flops"] ** 2 + widths["dram_bandwidth"] ** 2) ** 0.5
    assert known["compute_outgrows_memory_to_2026"].tolerance == pytest.approx(both, rel=0.05)


def test_the_table_has_columns_of_here_only_where_there_is_one(reference, judged):
    heads = list(claims.verdict_table(judged, "tab", "C.").frame.columns)
    assert heads == ["Claim", "Paper", "Ours", "Off", "Allowed", "Verdict"]
    both = verdicts({"reference": reference, "here": reference})
    table = claims.verdict_table(both, "tab", "C.").frame
    assert list(table.columns)[6:] == ["Here", "Verdict here"]
    machine = table[table["Here"] != ""]
    assert (machine["Here"] == machine["Ours"]).all() and len(machine) < len(table)


def test_a_number_that_is_missing_is_no_number(reference):
    def lacking(run):
        raise Missing("the run has none")

    claims.COMPUTED["made_up"] = lacking
    try:
        each = made()
        each = Claim(**{**vars(each), "id": "made_up"})
        assert claims.ours(each, reference) is None
    finally:
        del claims.COMPUTED["made_up"]
