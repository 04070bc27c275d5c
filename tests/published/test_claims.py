"""The claims are the paper's, and each can be judged."""

from dataclasses import FrozenInstanceError

import pytest

from analysis.errors import InputError
from analysis.published.claims import load_claims
from analysis.published.tables import load_table

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
    # Figures 4, 6 and 9 of arXiv:2302.14017, which the paper reprints.
    "gpt2_arithmetic_intensity": 2,
    "bert_base_least_arithmetic_intensity": 117,
    "bert_base_flops_512": 97,
    "gpt2_flops_512": 92,
    "bert_large_flops_512": 310,
    "models_in_order_of_latency": 6,
    "gpt2_over_bert_base_latency_128": 45,
    "gpt2_over_bert_base_latency_256": 46.5,
    "gpt2_over_bert_base_latency_512": 67,
    "gpt2_over_bert_base_latency_1024": 47.44,
    "gpt2_over_bert_base_latency_2048": 38.6,
    "gpt2_over_bert_base_latency_4096": 27.9,
    "decoding_is_memory_bound": 1,
    "encoding_is_not_memory_bound": 1,
    # The same rates, read as going on; 3.0/1.6 is the growth of their ratio.
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
    "int4_decoding_speed": 8,
    "smaller_models_decode_faster": 1,
    "int8_quality": 1,
    "int4_size": 8,
    "structured_pruning": 1,
    "unstructured_pruning": 1,
}


def test_claims_are_those_printed_in_file_order():
    claims = load_claims()
    assert [(name, claim.value) for name, claim in claims.items()] == list(PRINTED.items())
    assert all(name == claim.id for name, claim in claims.items())


def test_every_claim_can_be_judged():
    for claim in load_claims().values():
        assert 0 < claim.tolerance < 0.5
        assert claim.statement.endswith(".") and claim.printed_in
        assert claim.source.startswith("https://")


def test_the_range_of_training_memory_is_3_to_4():
    claim = load_claims()["training_memory_over_parameters"]
    assert claim.value * (1 - claim.tolerance) == pytest.approx(3, abs=0.01)
    assert claim.value * (1 + claim.tolerance) == pytest.approx(4, abs=0.01)


def test_latency_ratios_are_those_of_the_printed_latencies():
    table = load_table("counts_by_length")
    printed = table[table["quantity"] == "relative_latency"].set_index(["model", "sequence_length"])
    for length in (128, 256, 512, 1024, 2048, 4096):
        ratio = printed["value"]["GPT-2", length] / printed["value"]["BERT-Base", length]
        claim = load_claims()[f"gpt2_over_bert_base_latency_{length}"]
        assert claim.value == pytest.approx(ratio, rel=5e-4)


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
