"""The claims are the paper's, and each has one acceptance, which follows from how it is printed."""

import csv
import math
from dataclasses import FrozenInstanceError

import pytest

from analysis.errors import InputError
from analysis.published.claims import load_claims
from analysis.published.tables import DATA, load_table

# The abstract and Fig. 1 of arXiv:2403.14123, and the authors' article of the same name.
PRINTED = {
    "peak_flops_twenty_years": 60000,
    "dram_bandwidth_twenty_years": 100,
    "interconnect_twenty_years": 30,
    "peak_flops_two_years": 3.0,
    "dram_bandwidth_two_years": 1.6,
    "interconnect_two_years": 1.4,
    "transformer_parameters_two_years": 410,
    "accelerator_memory_two_years": 2,
    "transformer_training_compute_two_years": 750,
    "all_training_compute_two_years": 15,
    "training_memory_over_parameters": 3.5,
    "training_memory_over_state": 3.5,
    "models_fit_their_accelerators": 1,
    "recommenders_reach_ten_terabytes": 10,
    "gpt2_arithmetic_intensity": 2,
    "bert_base_least_arithmetic_intensity": 117,
    "bert_base_flops_512": 97,
    "gpt2_flops_512": 92,
    "gpt2_moves_more_bytes": 100,
    "bert_large_flops_512": 310,
    "models_in_order_of_latency": 1,
    "gpt2_over_bert_base_latency_128": 45,
    "gpt2_over_bert_base_latency_256": 46.5,
    "gpt2_over_bert_base_latency_512": 67,
    "gpt2_over_bert_base_latency_1024": 47.44,
    "gpt2_over_bert_base_latency_2048": 38.6,
    "gpt2_over_bert_base_latency_4096": 27.9,
    "decoding_is_memory_bound": 1,
    "encoding_is_not_memory_bound": 1,
    "peak_flops_to_2026": 3.0,
    "dram_bandwidth_to_2026": 1.6,
    "interconnect_to_2026": 1.4,
    "accelerator_memory_to_2026": 2,
    "transformer_parameters_to_2026": 410,
    "transformer_training_compute_to_2026": 750,
    "compute_outgrows_memory_to_2026": 1.875,
    "rematerialisation_memory": 5,
    "rematerialisation_compute": 1.2,
    "zero_model_size": 8,
    "second_order_memory": 3.5,
    "second_order_tuning": 1,
    "training_below_half_precision": 1,
    "int4_decoding_speed": 8,
    "smaller_models_decode_faster": 1,
    "int8_quality": 1,
    "int4_quality": 1,
    "int4_size": 8,
    "structured_pruning": 1,
    "unstructured_pruning": 1,
    "half_precision_compute": 10,
    "cpu_peak_below_accelerators": 10,
    "bandwidth_instead_of_peak": 1,
    "generating_follows_bandwidth": 1,
    "prompts_follow_peak": 1,
    "four_bits_on_others_machines": 1,
    "more_devices_bring_no_faster_token": 1,
    "longer_texts_cost_their_cache": 1,
    "more_arithmetic_speeds_encoding": 1,
    "more_arithmetic_leaves_decoding": 1,
    "ratio_follows_ridge_point": 1,
}
# Kind and rule -> how far ours may lie from what is printed, each worked out by hand.
ACCEPTED = {
    "peak_flops_twenty_years": (55_000, 65_000),  # one digit: half of 10,000
    "peak_flops_two_years": (2.95, 3.05),
    "transformer_training_compute_two_years": (745, 755),  # two digits
    "bert_large_flops_512": (309.5, 310.5),  # three, as the numbers beside it show
    "bert_base_least_arithmetic_intensity": (116.5, math.inf),
    "gpt2_over_bert_base_latency_128": (44.5 / 1.5, 45.5 / 0.5),
    "gpt2_over_bert_base_latency_4096": (2343.5 / 84.5, 2344.5 / 83.5),
    "training_memory_over_parameters": (3, 4),
    "gpt2_moves_more_bytes": (31.6228, 316.228),
    "recommenders_reach_ten_terabytes": (3.16228, math.inf),
    "half_precision_compute": (10, math.inf),
    "rematerialisation_memory": (2.5, math.inf),  # half of "up to 5"
    "rematerialisation_compute": (-math.inf, 1.25),
    "int8_quality": (-math.inf, 1.01),
    "smaller_models_decode_faster": (0.9, 1.1),
    "accelerator_memory_to_2026": (2**0.5, 2**1.5),
    "compute_outgrows_memory_to_2026": (1.875**0.5, 1.875**1.5),
    "decoding_is_memory_bound": (1, 1),
}


def test_claims_are_those_printed_in_file_order():
    claims = load_claims()
    found = [(name, round(claim.value, 2)) for name, claim in claims.items()]
    assert found == [(name, round(value, 2)) for name, value in PRINTED.items()]
    assert all(name == claim.id for name, claim in claims.items())


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_accepted_follows_from_kind_and_rule(name):
    assert load_claims()[name].acceptance == pytest.approx(ACCEPTED[name], rel=1e-5)


def test_every_claim_can_be_judged():
    for claim in load_claims().values():
        low, high = claim.acceptance
        assert low <= high and (low > 0 or high < math.inf)
        assert claim.statement.endswith(".") and claim.printed_in
        assert claim.source.startswith("https://")


def test_a_rate_that_stopped_or_halved_did_not_go_on():
    for claim in load_claims().values():
        if claim.rule == "goes on":
            low, high = claim.acceptance
            assert low > 1 and low == pytest.approx(claim.value**0.5)
            assert high < claim.value**2


FAULTS = {
    "an unknown kind": ("kind", "roughly", "expected one of"),
    "an empty kind": ("kind", "", "expected a value"),
    "an empty rule": ("rule", "", "expected a value"),
    "an empty number": ("printed", "", "expected a value"),
    "no number": ("printed", "many", "expected text like"),
    "a rule of another kind": ("rule", "printed range", "expected of 'equal' one of"),
    "more digits than printed": ("digits", "3", "expected 2 to 2, as 3.0 has, found '3'"),
    "fewer digits than printed": ("digits", "1", "expected 2 to 2, as 3.0 has, found '1'"),
    "no digits": ("digits", "", "expected the significant digits of each number printed"),
    "a range that is none": ("kind", "between", "expected of 'between' one of printed range"),
    "a yes that is a number": ("printed", "yes", "expected yes where the kind is yes or no"),
    "nothing": ("printed", "0", "expected positive numbers"),
    "a range": ("printed", "3-4", "expected a range where the kind is between"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_row_that_contradicts_itself_stops_with_file_line_and_column(fault, tmp_path):
    column, value, expected = FAULTS[fault]
    with (DATA / "published" / "claims.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[3]["id"] == "peak_flops_two_years"  # which is line 5
    rows[3][column] = value
    (tmp_path / "published").mkdir()
    with (tmp_path / "published" / "claims.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(InputError) as error:
        load_claims(tmp_path)
    text, where = str(error.value), "rule" if "of 'between'" in expected else column
    assert text.startswith(f"published/claims.csv, line 5, column {where}: ")
    assert expected in text and "\n" not in text


def test_latency_ratios_are_those_of_the_printed_latencies():
    table = load_table("counts_by_length")
    printed = table[table["quantity"] == "relative_latency"].set_index(["model", "sequence_length"])
    for length in (128, 256, 512, 1024, 2048, 4096):
        ratio = printed["value"]["GPT-2", length] / printed["value"]["BERT-Base", length]
        claim = load_claims()[f"gpt2_over_bert_base_latency_{length}"]
        assert claim.value == pytest.approx(ratio, rel=1e-12)


def test_a_claim_does_not_change():
    with pytest.raises(FrozenInstanceError):
        load_claims()["peak_flops_two_years"].value = 1


def test_faults_are_those_of_the_table(tmp_path):
    with pytest.raises(InputError, match="published/claims.csv: cannot be read"):
        load_claims(tmp_path)


def test_a_rate_that_goes_on_is_the_rate_printed():
    claims = load_claims()
    for name, claim in claims.items():
        printed = claims.get(name.replace("_to_2026", "_two_years"))
        if name.endswith("_to_2026") and printed:
            assert (claim.value, claim.unit) == (printed.value, printed.unit)
    rates = [claims[f"{name}_two_years"].value for name in ("peak_flops", "dram_bandwidth")]
    assert claims["compute_outgrows_memory_to_2026"].value == rates[0] / rates[1]
