"""A made-up machine whose run is known in every number, and what the report says of it."""

import numpy as np
import pytest

from analysis.compared import (
    decoding,
    figures,
    profiling,
    ridges,
    roof_tables,
    roofs,
    verdicts,
)
from analysis.compared.counts import LENGTHS
from analysis.compared.page import percent
from analysis.errors import InputError
from analysis.measured.runs import Machine, Point, Run, now
from analysis.predicted.architectures import GPT2
from analysis.predicted.roofline import compulsory_bytes
from analysis.predicted.transformer import CLASSES

BANDWIDTH, PEAK = 20e9, 200e9  # bytes/s, FLOP/s: a ridge point of 10 FLOP/byte
CONTEXTS = (1, 128, 256, 512, 1024, 2048, 4096)


def machine(**changes):
    known = dict(
        device="cpu", device_name="Made-up <b>CPU</b>", cpu="Made-up", cores=2, threads=2,
        caches={"L3": 32_000_000}, memory_bytes=24 * 10**9, gpu_memory_bytes=None, os="none",
        python="3.12", torch="2.13", numpy="2", blas="none", fast_paths=[],
    )  # fmt: skip
    return Machine(**known | changes)


def point(key, kind, seconds, flops=None, bytes=None, **details):
    times = [seconds * (1 + error) for error in (-0.01, 0.0, 0.01)]
    return Point(key=key, kind=kind, seconds=[times], flops=flops, bytes=bytes, details=details)


def step_seconds(context):
    """A step that moves what it must at 95 % of the bandwidth."""
    return float(compulsory_bytes(GPT2, context)) / (0.95 * BANDWIDTH)


def points():
    yield point("bandwidth/sum", "ceiling", 1.0, bytes=int(BANDWIDTH), dtype="float64")
    yield point("bandwidth/triad", "ceiling", 1.0, bytes=int(BANDWIDTH))
    yield point("matmul/float32/64x64x64", "ceiling", 1.0, flops=int(PEAK), dtype="float32")
    for i, length in enumerate(LENGTHS):
        for model, factor in (("bert-base", 1), ("bert-large", 3)):
            yield point(f"encode/{model}/{length}/fused", "latency", 0.15 * factor * 3**i)
    for context in CONTEXTS:
        yield point(f"step/gpt2/{context}/fused", "step", step_seconds(context), flops=1, bytes=1)
        yield point(f"read/gpt2/{context}/fused", "ceiling", 1.0, bytes=int(BANDWIDTH))
    yield point("step/gpt2/512/unfused", "step", 1.0)
    yield point("read/gpt2/512/unfused", "ceiling", 1.0, bytes=int(BANDWIDTH))
    for name, moved in (("mha", 0.3), ("ffn", 0.6)):  # in 0.5 s each
        key = f"breakdown/gpt2/512/{name}_projections"
        yield point(key, "breakdown", 0.5, bytes=int(moved * BANDWIDTH))
    loop = sum(step_seconds(context) for context in range(1, 513))
    yield point("check/gpt2/512/loop", "check", loop)
    yield point("check/gpt2/512/sampled", "check", 1.02 * loop)
    yield point("breakdown/bert-base/256/other", "breakdown", 1.0, bytes=1)  # a part only
    whole = "encode/bert-base/128/unfused"
    yield point(whole, "latency", 1.02)
    for share, name in zip((0.2, 0.1, 0.4, 0.3), CLASSES, strict=True):
        yield point(f"breakdown/bert-base/128/{name}", "breakdown", share, bytes=1, whole=whole)


@pytest.fixture(scope="module")
def run():
    return Run(
        schema_version=2, method_version="2", budget="quick", machine=machine(), started=now(),
        finished=now(), wall_seconds=1.0, points=list(points()), not_measured=[],
    )  # fmt: skip


@pytest.fixture(scope="module")
def empty(run):
    return run.model_copy(update={"points": []})


def test_latency_relative_to_bert_base_at_128(run):
    relative = profiling.relative_latency(run).set_index(["model", "sequence_length"])["value"]
    assert relative["BERT-Base", 128] == 1
    assert relative["BERT-Large", 256] == pytest.approx(9)
    seconds = sum(step_seconds(context) for context in range(1, 257))
    assert relative["GPT-2", 256] == pytest.approx(seconds / 0.15, rel=1e-6)
    assert len(relative) == 18


def test_intervals_take_the_ends_that_lie_furthest_apart(run):
    row = profiling.relative_latency(run).query("model == 'BERT-Large'").iloc[0]
    assert (row["low"], row["high"]) == pytest.approx((3 * 0.99 / 1.01, 3 * 1.01 / 0.99))


def test_what_was_not_measured_has_no_row_and_no_verdict(empty):
    assert profiling.relative_latency(empty).empty
    assert roofs.predictions(empty).empty
    judged = {v.id: v.verdict for v in verdicts.all_verdicts(run=empty)}
    assert {judged[name] for name in verdicts.MEASURED} == {"not measured"}
    for say in (
        profiling.distance_in_words,
        decoding.steps_in_words,
        decoding.sampled_against_loop,
    ):
        assert "not measured" in say(empty) or "lacks" in say(empty) or "No " in say(empty)


def test_sampled_generation_against_the_loop(run):
    said = decoding.sampled_against_loop(run)
    assert "by +2.0 %" in said
    spent = sum(3 * step_seconds(context) for context in CONTEXTS)
    whole = sum(step_seconds(context) for context in range(1, 4097))
    assert f"took {percent(spent / whole)} of a generation of 4096 tokens" in said


def test_ceilings_and_regimes(run):
    roof = roofs.ceilings(run)
    assert roof.bandwidth_bytes_per_s == pytest.approx(BANDWIDTH / 0.99)
    assert roof.ridge_point == pytest.approx(10)
    low, high = roofs.ridge(run)  # 1 % either way, and the best 1 % above
    assert (low, high) == pytest.approx((10 * 0.99 / 1.01, 10 * 1.01 / 0.99))
    assert {roofs.regime_of(run, "GPT-2", n) for n in LENGTHS} == {"memory-bound"}
    assert roofs.regime_of(run, "BERT-Base", 128) == "compute-bound"
    assert roofs.holds(run, "GPT-2", "memory-bound") == 1
    assert roofs.holds(run, "GPT-2", "compute-bound") == 0


def test_steps_read_at_the_share_that_they_were_made_with(run):
    timed = decoding.step_rates(run)
    assert timed["share"].to_numpy() == pytest.approx(0.95, rel=1e-6)
    assert timed["low"].to_numpy() == pytest.approx(0.95, rel=1e-6)  # each with the read after it
    assert {c: share.median for c, share in decoding.weight_shares(run).items()} == {
        512: pytest.approx(0.9)
    }
    without = run.model_copy(update={"points": [p for p in run.points if "read/" not in p.key]})
    assert decoding.step_rates(without)["share"].isna().all()
    assert decoding.weight_shares(without) == {}
    assert ":name: tab" in decoding.step_table(without, "tab")._repr_mimebundle_()["text/markdown"]


def test_lower_bound_by_hand(run):
    """GPT-2's bound: compulsory bytes less the cache, at the read bandwidth, over all steps."""
    found = roofs.predictions(run).set_index(["model", "sequence_length", "prediction"])
    moved = compulsory_bytes(GPT2, np.arange(1, 129)) - 32_000_000
    expected = float(moved.sum()) / (BANDWIDTH / 0.99)
    assert found.loc[("GPT-2", 128, "lower bound"), "predicted"] == pytest.approx(expected)
    assert found.loc[("GPT-2", 128, "lower bound"), "ratio"] > 1


def test_a_beaten_bound_is_said(run):
    predicted = roofs.predictions(run)
    below = predicted[predicted["prediction"] == "lower bound"]
    assert "never" in roof_tables.beaten_in_words(below.assign(predicted=0.0))
    assert "GPT-2 at 128" in roof_tables.beaten_in_words(below.assign(predicted=1e9))


def test_breakdown_shares_and_sum(run):
    shares = profiling.breakdown(run, "BERT-Base")
    assert set(shares["sequence_length"]) == {128} and len(shares) == len(CLASSES)
    assert shares["share"].sum() == pytest.approx(1)
    assert shares["sum_over_whole"].iloc[0] == pytest.approx(1 / 1.02)
    said = profiling.sums_in_words({"BERT-Base": shares})
    assert "98.0 %" in said and "at none of 1 lengths" in said
    assert "at 1 of 1 lengths" in profiling.sums_in_words({"": shares.assign(low=1.06, high=1.1)})
    assert "at 1 of 1 lengths" in profiling.sums_in_words({"": shares.assign(low=0.9, high=0.94)})


def test_measured_verdicts(run):
    judged = {v.id: v for v in verdicts.all_verdicts(run=run)}
    assert judged["decoding_is_memory_bound"].verdict == "reproduced"
    assert judged["models_in_order_of_latency"].ours == sum(
        profiling.latency(run, "BERT-Large", n).median < profiling.latency(run, "GPT-2", n).median
        for n in LENGTHS
    )
    assert judged["gpt2_over_bert_base_latency_512"].ours == pytest.approx(
        profiling.gpt2_over_bert(run, 512)
    )


def test_a_run_from_elsewhere_whose_points_do_not_fit_together_is_shown(run):
    cut = [
        each.model_copy(update={"seconds": [[1.0]]}) if each.key.startswith("read/") else each
        for each in run.points
    ]
    this = run.model_copy(update={"points": cut})
    assert decoding.step_rates(this)["share"].isna().all() and decoding.weight_shares(this) == {}
    whole = [
        each.model_copy(update={"seconds": [[1.0]]}) if "unfused" in each.key else each
        for each in run.points
    ]
    shares = profiling.breakdown(run.model_copy(update={"points": whole}), "BERT-Base")
    assert shares["sum_over_whole"].isna().all() and len(shares) == len(CLASSES)


@pytest.mark.parametrize("length", ["many", "0", "-1", "064", "9" * 20, ""])
def test_a_key_without_a_number_of_tokens_is_one_line(run, length):
    odd = [point(f"step/gpt2/{length}/fused", "step", 1.0)]
    with pytest.raises(InputError, match="expected a number of tokens") as caught:
        profiling.steps(run.model_copy(update={"points": odd}))
    assert "\n" not in str(caught.value)
    odd = [point(f"breakdown/{length}", "breakdown", 1.0, bytes=1)]
    with pytest.raises(InputError, match="expected a number of tokens"):
        profiling.breakdown(run.model_copy(update={"points": odd}), "GPT-2")


def test_text_from_a_run_is_escaped_in_tables(run):
    text = profiling.run_card(run, "tab")._repr_mimebundle_()["text/markdown"]
    assert "<b>" not in text


def test_tables_and_figures_of_a_run_and_of_an_empty_one(run, empty):
    for this in (run, empty):
        for table in (profiling.run_card, profiling.latency_table, profiling.not_measured_table,
                      roof_tables.ceilings_table, roof_tables.regime_table,
                      roof_tables.prediction_table, decoding.step_table):  # fmt: skip
            assert ":name: tab" in table(this, "tab")._repr_mimebundle_()["text/markdown"]
    roof = roofs.ceilings(run)
    shares = {"BERT-Base": profiling.breakdown(run, "BERT-Base")}
    for plot in (
        figures.relative_latency(profiling.printed_latency(),
                                 {"this": profiling.relative_latency(run)}),
        figures.latency_breakdown(shares),
        figures.latency_breakdown({}),
        figures.roofline(roofs.roofline_points(run), roof.bandwidth_bytes_per_s,
                         roof.peak_flop_per_s),
        figures.machine_among(ridges.shipped_machines(), roofs.measured_machines({"this": run})),
        figures.predicted_against_measured(roofs.predictions(run)),
    ):  # fmt: skip
        assert plot.svg().count("<svg") == 1 and len(plot.data)


def test_the_papers_ridge_point_by_its_data_sheet():
    """2867 GFLOP/s over 140.8 GB/s (data/hardware/accelerators.csv)."""
    assert roofs.paper_ridge() == pytest.approx(2867 / 140.8)
