"""The rule of verdicts, and that every claim is computed once and judged where it says."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from analysis.compared import claims
from analysis.measured.run import Missing
from analysis.published.claims import Claim, load_claims

ROOT = Path(__file__).resolve().parents[2]


def made(corrected: bool = False, kind: str = "equal", rule: str = "last digit") -> Claim:
    """A claim of 3.0, give or take half a unit of its last digit."""
    return Claim("id", "It grows.", "growth", kind, "3.0", "2", rule, "ratio", "data", corrected,
                 "01_x", "tab-x", "Fig. 1", "https://example.org", "sourced")  # fmt: skip


@pytest.mark.parametrize(
    ("ours", "low", "high", "text"),
    [
        (3.0, 2.9, 3.04, "3.00 (2.90 to 3.04)"),
        (0.0, -0.5, 0.5, "0.0 (−0.500 to 0.500)"),
        (0.0, 0.0, 0.0, "0.0"),
    ],
)
def test_a_number_has_digits_for_its_interval_also_about_nought(ours, low, high, text):
    row = SimpleNamespace(verdict="differs", kind="equal", ours=ours, low=low, high=high,
                          accepted_low=0.9, accepted_high=1.1)  # fmt: skip
    assert claims.with_interval(row) == text


@pytest.mark.parametrize(
    ("ours", "corrected", "word"),
    [
        (3.0, False, "reproduced"),
        (3.05, False, "reproduced"),  # the edge is accepted
        (2.94, False, "differs"),
        (3.06, False, "differs"),
        (3.06, True, "corrected"),
        (3.01, True, "reproduced"),  # nothing to correct
        ((3.0, 2.96, 3.04), False, "reproduced"),
        ((3.0, 2.90, 3.04), False, "undecided"),
        ((3.4, 3.04, 3.50), False, "undecided"),  # whatever its middle
        ((3.4, 3.04, 3.50), True, "undecided"),
        ((3.0, 2.00, 4.00), False, "undecided"),  # both edges
        ((3.4, 3.30, 3.50), False, "differs"),
        (None, False, "not measured"),
        (float("nan"), True, "not measured"),
    ],
)
def test_rule(ours, corrected, word):
    assert claims.judge(made(corrected), ours) == word


def test_at_least_and_at_most_have_one_edge():
    most, least = (made(kind=kind) for kind in ("at most", "at least"))
    assert [claims.judge(least, x) for x in (2.94, 2.96, 99.0)] == [
        "differs", "reproduced", "reproduced"]  # fmt: skip
    assert [claims.judge(most, x) for x in (0.0, 3.04, 3.06)] == [
        "reproduced", "reproduced", "differs"]  # fmt: skip
    assert claims.judge(most, (3.0, 2.0, 3.1)) == "undecided"


def test_every_badge_has_a_colour_of_its_own_as_its_ground_is_the_pages():
    """The theme's own text is white on what the style sheet leaves without a ground."""
    sheet = (ROOT / "book" / "_static" / "report.css").read_text("utf-8")
    for word, badge in claims.BADGES.items():
        (kind,) = re.findall(r"bdg-(\w+)", badge)
        assert re.search(rf"\.sd-bg-{kind} \{{ color: var\(--report-\w+\) !important", sheet), word


def test_yes_no_and_either():
    yes = Claim("id", "It is.", "it", "yes or no", "yes", "", "yes or no", "", "machine", False,
                "01_x", "tab-x", "Fig. 1", "https://example.org", "sourced")  # fmt: skip
    words = [claims.judge(yes, each) for each in (1.0, 0.0, claims.EITHER, None)]
    assert words == ["reproduced", "differs", "undecided", "not measured"]


@pytest.fixture(scope="module")
def judged(reference):
    return claims.verdicts({"reference": reference})


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
    both = claims.verdicts({"reference": reference, "here": empty})
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
        "training_memory_over_state": "differs",  # 4.07 in the median
        "transformer_training_compute_two_years": "differs",  # 755.04: not 750 in two digits
        "peak_flops_to_2026": "undecided",  # chips of one year are too unlike
        "dram_bandwidth_to_2026": "undecided",
        "interconnect_to_2026": "not measured",  # one generation is too few
        "accelerator_memory_to_2026": "undecided",
        "transformer_parameters_to_2026": "differs",
        "transformer_training_compute_to_2026": "undecided",
        "compute_outgrows_memory_to_2026": "undecided",
        "second_order_tuning": "undecided",  # less than momentum, more than AdamW
        "half_precision_compute": "undecided",  # 8.02 in the median, up to 14.8
        "generating_follows_bandwidth": "differs",  # 0.44: cards of 2 TB/s reach half of it
        "prompts_follow_peak": "differs",
        "four_bits_on_others_machines": "differs",
        "longer_texts_cost_their_cache": "differs",  # its cache is read at half of the rate
    }


def test_the_table_has_columns_of_here_only_where_there_is_one(reference, judged):
    heads = list(claims.verdict_table(judged, "tab", "C.").frame.columns)
    assert heads == ["Claim", "Paper", "Accepted", "Ours", "Verdict"]
    both = claims.verdicts({"reference": reference, "here": reference})
    table = claims.verdict_table(both, "tab", "C.").frame
    assert list(table.columns)[5:] == ["Here", "Verdict here"]
    machine = table[~table["Here"].isin(["", "–"])]  # what the reference lacks, another run has
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
