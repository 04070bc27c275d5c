"""Verdicts: the rule, and that every claim is judged by a chapter that exists."""

from pathlib import Path

import pytest

from analysis.compared import verdicts
from analysis.compared.scaling import fit_trends
from analysis.published.claims import Claim, load_claims

ROOT = Path(__file__).resolve().parents[2]
CLAIM = Claim("id", "It grows.", 100.0, "ratio", 0.1, "chapter", "Fig. 1", "https://example.org")


@pytest.mark.parametrize(
    ("ours", "corrected", "verdict"),
    [
        (100.0, False, "reproduced"),
        (110.0, False, "reproduced"),  # the edge belongs to the tolerance
        (89.9, False, "differs"),
        (110.1, False, "differs"),
        (110.1, True, "corrected"),
        (105.0, True, "reproduced"),  # nothing to correct
        (None, False, "not measured"),
    ],
)
def test_rule(ours, corrected, verdict):
    judged = verdicts.judge(CLAIM, ours, corrected)
    assert judged.verdict == verdict
    assert judged.deviation == (None if ours is None else pytest.approx(ours / 100 - 1))


def test_every_claim_is_judged_in_order_by_a_chapter_that_exists():
    judged = verdicts.all_verdicts()
    assert [v.id for v in judged] == list(load_claims())
    chapters = {path.stem.split("_", 1)[1] for path in (ROOT / "notebooks").glob("*.md")}
    assert {v.chapter for v in judged} <= chapters
    assert {v.verdict for v in judged} <= set(verdicts.VERDICTS)


def test_every_claim_has_one_way_to_be_judged():
    trends = {name for name in verdicts.OURS if name.endswith("_years")}
    ways = set(verdicts.OURS) | set(verdicts.MEASURED)
    assert ways - trends <= set(load_claims()) <= ways
    assert not set(verdicts.OURS) & set(verdicts.MEASURED)


def test_what_is_not_reproduced():
    """The paper's trends and counts follow from its sources, but for these."""
    judged = {v.id: v.verdict for v in verdicts.all_verdicts() if v.id not in verdicts.MEASURED}
    assert {name: verdict for name, verdict in judged.items() if verdict != "reproduced"} == {
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
    claims, widths = load_claims(), {}
    for trend, growth in fit_trends().items():
        low, high = growth.interval_over(2)
        widths[trend] = (high - low) / 2 / growth.over(2)
    for trend in ("peak_flops", "dram_bandwidth", "interconnect", "accelerator_memory"):
        assert claims[f"{trend}_to_2026"].tolerance == pytest.approx(widths[trend], rel=0.02)
    both = (widths["peak_flops"] ** 2 + widths["dram_bandwidth"] ** 2) ** 0.5
    assert claims["compute_outgrows_memory_to_2026"].tolerance == pytest.approx(both, rel=0.05)


def test_json_has_the_documented_keys():
    for row in verdicts.verdicts_json(verdicts.all_verdicts()):
        assert list(row) == [
            "id",
            "claim",
            "published",
            "ours",
            "deviation",
            "tolerance",
            "verdict",
            "chapter",
        ]
