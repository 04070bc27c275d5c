"""A made-up machine of known ceilings, and what they predict."""

import numpy as np
import pytest

from analysis.compared import regimes, roofs, shown
from analysis.compared.counts import LENGTHS, PAPER_MODELS
from analysis.measured.run import Missing, find_run, load_run
from analysis.measured.schema import Point
from analysis.predicted.architectures import BERT_BASE, GPT2
from analysis.predicted.operations import FUSED, UNFUSED
from analysis.predicted.roofline import compulsory_bytes, intensity_ends, pieces
from analysis.predicted.transformer import decoder_step, encoder_pass, matmul_flops

BANDWIDTH, PEAK = 20e9, 200e9  # bytes/s, FLOP/s: a ridge point of 10 FLOP/byte
SLOW, REST = 100e9, 5e9  # FLOP/s of the models' own shapes, bytes/s of the rest
CACHE = 32_000_000
CONTEXTS = (1, 64, 512)


def point(what, seconds, **columns):
    times = [seconds * (1 + error) for error in (-0.01, 0.0, 0.01)]
    return Point(what=what, seconds=[times], **columns)


def parts(arch, tokens):
    """Points of every part of a pass or step, at the rates SLOW and REST."""
    key = next(key for key, name in roofs.NAMES.items() if name == arch.name)
    same = {"model": key, "tokens": tokens, "turn": f"{arch.name} {tokens}"}
    for shape, amount in pieces(arch, tokens, UNFUSED).items():
        if shape != "other":
            yield point("alone", amount / SLOW, how=shape, flops=amount, **same)
        else:
            yield point("other", amount / REST, bytes=amount, **same)


def points():
    yield point("bandwidth", 1.0, how="sum", dtype="float64", bytes=int(BANDWIDTH))
    yield point("bandwidth", 0.5, how="triad", dtype="float64", bytes=int(BANDWIDTH))  # it writes
    yield point("read", 0.5, how="weights", bytes=int(BANDWIDTH))  # not between GPT-2's own steps
    yield point("matmul", 1.0, how="64x64x64", flops=int(PEAK))
    yield point("matmul", 0.1, how="64x64x64", dtype="bfloat16", flops=int(PEAK))
    for how in ("fused", "unfused"):
        for n in LENGTHS:
            turn = f"BERT-Base {n}" if how == "unfused" else ""
            yield point("encode", 0.01 * n, model="bert-base", tokens=n, how=how, turn=turn)
        for n in CONTEXTS:
            turn = f"GPT-2 {n}" if how == "unfused" else ""
            yield point("step", 0.05 + n / 1e6, model="gpt2", tokens=n, how=how, turn=turn)
    yield from parts(BERT_BASE, 128)
    for context in CONTEXTS:
        yield from parts(GPT2, context)


@pytest.fixture(scope="module")
def run(reference):
    machine = reference.machine.model_copy(update={"caches": {"L3": CACHE}})
    return reference.model_copy(update={"points": list(points()), "machine": machine})


@pytest.mark.parametrize("clock, share", [(PEAK / 64, 1.0), (PEAK / 32, 0.5), (None, None)])
def test_the_share_of_the_peak_is_of_what_the_cores_can_do(run, clock, share):
    known = dict(vendor="AuthenticAMD", family=25, model=1, clock_hz=clock, threads=2)
    machine = run.machine.model_copy(update=known | {"fast_paths": ["fma"]})  # 32 FLOP a cycle
    found = roofs.peak_share(run.model_copy(update={"machine": machine}))
    best = 1 / 0.99  # of three repetitions
    assert found == (share and pytest.approx((PEAK / share, share * best)))


def test_without_products_no_share_is_known(run):
    assert roofs.peak_share(run.model_copy(update={"points": []})) is None


@pytest.fixture(scope="module")
def predicted(run):
    return roofs.predictions(run).set_index(["prediction", "model", "tokens"])


def test_ceilings_are_the_best_of_what_only_reads_and_of_float32(run):
    roof = roofs.ceilings(run)
    assert roof.bandwidth_bytes_per_s == pytest.approx(BANDWIDTH / 0.99)
    assert roof.peak_flop_per_s == pytest.approx(PEAK / 0.99)
    low, high = roofs.ridge(run)  # 1 % either way, and the best 1 % above
    assert (low, high) == pytest.approx((10 * 0.99 / 1.01, 10 * 1.01 / 0.99))
    drawn = roofs.roof(run)
    assert drawn.loc[0, ["bandwidth", "peak"]].tolist() == pytest.approx(
        [BANDWIDTH / 0.99, PEAK / 0.99]
    )


def test_rows_of_ceilings_have_the_best_of_each_kernel_and_data_type(run):
    rows = roofs.ceiling_rows(run).set_index("ceiling")
    assert rows["unit"].to_dict() == {
        "memory: sum": "GB/s", "memory: triad": "GB/s",
        "products of matrices, float32": "GFLOP/s", "products of matrices, bfloat16": "GFLOP/s",
    }  # fmt: skip
    assert rows.loc["memory: triad", "rate"] == pytest.approx(40 / 0.99)
    assert rows.loc["products of matrices, float32", "rate_low"] == pytest.approx(200 / 1.01)


def test_without_ceilings_there_is_nothing_to_say(run):
    bare = run.model_copy(update={"points": [p for p in run.points if p.what == "encode"]})
    for of in (roofs.ceilings, roofs.predictions, roofs.ceiling_rows):
        with pytest.raises(Missing):
            of(bare)
    assert list(shown.both(roofs.roof, {"one": run, "bare": bare})["run"]) == ["one"]


def test_intensity_of_gpt2_is_that_of_a_step_in_mid_generation():
    """By hand: 12 layers of 12 d d weights and the LM head, 4 bytes each, twice as many FLOPs; and
    of the cache of 256 tokens 2 d elements a layer, each for one multiply-add."""
    d, n, vocabulary, context = 768, 12, 50257, 256
    numbers = n * (12 * d * d + 2 * context * d) + d * vocabulary
    least, greatest = intensity_ends(GPT2, 512)
    assert greatest == pytest.approx(2 * numbers / (4 * numbers), rel=2e-3)  # biases and norms
    middle = decoder_step(GPT2, context, FUSED)
    assert least == middle["total"].intensity
    assert greatest == matmul_flops(middle) / compulsory_bytes(GPT2, context)


def test_lower_bound_by_hand(predicted):
    """GPT-2's bound: compulsory bytes less the cache, at the read bandwidth, over all steps."""
    moved = compulsory_bytes(GPT2, np.arange(1, 129)) - CACHE
    row = predicted.loc[("lower bound", "GPT-2", 128)]
    measured = float((0.05 + np.arange(1, 129) / 1e6).sum())
    ratio = measured / (float(moved.sum()) / (BANDWIDTH / 0.99))
    ends = row[["ratio_low", "ratio", "ratio_high"]].tolist()
    assert ends == pytest.approx([0.99 * ratio, ratio, 1.01 * ratio])


def test_roofline_by_hand(predicted):
    """Each class of an encoder pass at the slower of its FLOPs and its bytes."""
    costs = encoder_pass(BERT_BASE, 512, FUSED)
    seconds = sum(
        max(costs[name].flops / PEAK, costs[name].bytes / BANDWIDTH) * 0.99
        for name in costs if name != "total"
    )  # fmt: skip
    assert predicted.loc[("roofline", "BERT-Base", 512), "ratio"] == pytest.approx(5.12 / seconds)


def test_calibrated_by_hand(predicted):
    """An encoder's matmuls at the rate of its own shapes and the rest at its own bytes/s; a step's
    act-to-act matmuls are bytes, and a generation is the integral over the timed contexts."""
    costs = encoder_pass(BERT_BASE, 128, UNFUSED)
    seconds = matmul_flops(costs) / SLOW + costs["other"].bytes / REST
    row = predicted.loc[("calibrated", "BERT-Base", 128)]
    ends = row[["ratio", "ratio_low", "ratio_high"]].tolist()
    assert ends == pytest.approx([1.28 / seconds] * 3)  # in pairs, which err alike
    steps = decoder_step(GPT2, np.arange(1, 513), UNFUSED)
    flops = steps["mha_projections"].flops + steps["ffn_projections"].flops
    rest = steps["act_to_act"].bytes + steps["other"].bytes
    seconds = float((flops / SLOW + rest / REST).sum())
    measured = float((0.05 + np.arange(1, 513) / 1e6).sum())
    ratio = predicted.loc[("calibrated", "GPT-2", 512), "ratio"]
    assert ratio == pytest.approx(measured / seconds)


def test_without_a_part_there_is_no_calibrated_prediction(run, predicted):
    """Parts of one length of BERT-Base were made up above, of contexts up to 512 of GPT-2's."""
    found = predicted.loc["calibrated"].index.tolist()
    assert found == [("BERT-Base", 128), ("GPT-2", 128), ("GPT-2", 256), ("GPT-2", 512)]
    few = [p for p in run.points if (p.what, p.how) != ("alone", "128x768x3072")]
    found = roofs.calibrated(run.model_copy(update={"points": few}))
    assert set(found["model"]) == {"GPT-2"}


@pytest.mark.parametrize("odd", [
    {"how": "x"}, {"how": "9" * 20}, {"flops": 0}, {"turn": "GPT-2 1"}, {"turn": ""},
])  # fmt: skip
def test_a_part_that_is_odd_is_no_part(run, odd):
    """A run may come from elsewhere."""
    like = next(p for p in run.points if p.what == "alone")
    points = [like.model_copy(update=odd), *(p for p in run.points if p is not like)]
    found = roofs.calibrated(run.model_copy(update={"points": points}))
    assert set(found["model"]) == {"GPT-2"}


def test_steps_of_other_numbers_are_none_of_the_generation(run):
    step = next(p for p in run.points if p.what == "step" and p.how == "unfused")
    other = step.model_copy(update={"dtype": "bfloat16"})
    found = run.model_copy(update={"points": [*run.points, other]})
    assert roofs.calibrated(found).equals(roofs.calibrated(run))


def test_points_lie_where_their_flops_and_times_say(run):
    row = roofs.points(run).query("model == 'BERT-Base' and tokens == 512").iloc[0]
    total = encoder_pass(BERT_BASE, 512, FUSED)["total"]
    assert row["intensity"] == total.intensity
    ends = row[["rate_low", "rate", "rate_high"]].tolist()
    assert ends == pytest.approx([total.flops / (5.12 * e) for e in (1.01, 1, 0.99)])


def test_the_papers_ridge_point_by_its_data_sheet():
    """2867 GFLOP/s over 140.8 GB/s (data/hardware/accelerators.csv)."""
    assert roofs.paper_ridge() == pytest.approx(2867 / 140.8)


def test_the_former_reference_is_as_it_was():
    """Numbers of the report before runs were tables."""
    reference = load_run(find_run("amd-epyc-2-cores"))
    assert roofs.ceilings(reference).ridge_point == pytest.approx(3.2692010806638363)
    rows = roofs.predictions(reference)
    off = (1 / rows["ratio"] - 1).abs().groupby(rows["prediction"]).median()
    assert off["roofline"] == pytest.approx(0.30367496, rel=1e-6)
    assert set(rows["model"]) == set(PAPER_MODELS)
    assert not (rows.query("prediction == 'lower bound'")["ratio_high"] < 1).any()
    rows = regimes.regimes(reference)
    assert rows.groupby("model")["regime"].agg(set).to_dict() == {
        "BERT-Base": {"compute-bound"}, "BERT-Large": {"compute-bound"}, "GPT-2": {"memory-bound"},
    }  # fmt: skip
