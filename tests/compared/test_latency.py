"""A made-up machine whose run is known in every number, and what is said of its latencies."""

from functools import partial

import numpy as np
import pytest

from analysis.compared import claims, latency, shown
from analysis.compared.counts import LENGTHS
from analysis.measured.run import Missing, find_run, load_run
from analysis.measured.schema import Point
from analysis.predicted.architectures import GPT2
from analysis.predicted.roofline import compulsory_bytes
from analysis.predicted.transformer import CLASSES
from analysis.published.claims import load_claims

BANDWIDTH = 20e9  # bytes/s
CONTEXTS = (1, 128, 256, 512, 1024, 2048, 4096)
# A disturbance of each repetition: what is timed in turn meets the same, so that it cancels.
NOISE = np.array([1.0, 1.3, 0.9, 2.0, 1.1])


def point(what, seconds, turn="", **columns):
    """Three repetitions, 1 % apart; of points in turn five, disturbed in common."""
    times = seconds * (NOISE if turn else np.array([0.99, 1.0, 1.01]))
    return Point(what=what, seconds=[times.tolist()], turn=turn, **columns)


def step_seconds(context):
    """A step that moves what it must at 95 % of the bandwidth."""
    return float(compulsory_bytes(GPT2, context)) / (0.95 * BANDWIDTH)


def points():
    for i, length in enumerate(LENGTHS):
        for model, factor in (("bert-base", 1), ("bert-large", 3)):
            columns = {"model": model, "tokens": length, "how": "fused"}
            yield point("encode", 0.15 * factor * 4**i, **columns)
    for context in CONTEXTS:
        at = {"model": "gpt2", "tokens": context}
        for how in ("fused", "unfused"):
            turn = f"pass gpt2 {context} {how}"
            yield point("step", step_seconds(context), turn, **at, how=how)
            yield point("read", 1.0, turn, **at, how=how, bytes=int(BANDWIDTH))
    for name, moved in (("mha", 0.3), ("ffn", 0.6)):  # in 0.5 s each
        yield point("breakdown", 0.5, "pass gpt2 512 unfused", model="gpt2", tokens=512,
                    how=f"{name}_projections", bytes=int(moved * BANDWIDTH))  # fmt: skip
    at, turn = {"model": "bert-base", "tokens": 128}, "pass bert-base 128 unfused"
    yield point("encode", 1.02, turn, **at, how="unfused")
    for share, name in zip((0.2, 0.1, 0.4, 0.3), CLASSES, strict=True):
        yield point("breakdown", share, turn, **at, how=name, bytes=1)


@pytest.fixture(scope="module")
def run(reference):
    return reference.model_copy(update={"points": list(points())})


def without(run, keep):
    return run.model_copy(update={"points": [each for each in run.points if keep(each)]})


def test_latency_relative_to_bert_base_at_128(run):
    rows = latency.relative(run)
    value = rows.set_index(["model", "tokens"])["value"]
    assert value["BERT-Large", 256] == pytest.approx(12)
    # The sum over all contexts; every time is affine in its context, so none is lost between.
    turned = np.median(NOISE) * sum(step_seconds(context) for context in range(1, 257))
    assert value["GPT-2", 256] == pytest.approx(turned / 0.15, rel=1e-6)
    assert len(rows) == 18


def test_a_ratio_of_a_thing_to_itself_is_one(run):
    base = latency.relative(run).iloc[0]
    assert base[["value", "value_low", "value_high"]].tolist() == [1, 1, 1]


def test_intervals_take_the_ends_that_lie_furthest_apart(run):
    row = latency.relative(run).query("model == 'BERT-Large'").iloc[0]
    assert (row["value_low"], row["value_high"]) == pytest.approx((2.97 / 1.01, 3.03 / 0.99))


def test_a_generation_that_steps_do_not_reach_is_left_out(run):
    short = without(run, lambda p: p.what != "step" or p.tokens <= 600)
    found = latency.latencies(short).query("model == 'GPT-2'")
    assert found["tokens"].tolist() == [128, 256, 512]
    late = without(run, lambda p: p.what != "step" or p.tokens > 1)
    assert "GPT-2" not in set(latency.latencies(late)["model"])


def test_claims_of_the_made_up_machine(run):
    judged = claims.verdicts({"reference": run}, page="06_profiling").set_index("id")
    seconds = np.median(NOISE) * sum(step_seconds(context) for context in range(1, 513))
    ours = judged.loc["gpt2_over_bert_base_latency_512", "ours"]
    assert ours == pytest.approx(seconds / (0.15 * 16), rel=1e-6)
    value = latency.relative(run).pivot(index="tokens", columns="model", values="value")
    assert 0 < (value["BERT-Large"] < value["GPT-2"]).sum() < 6
    assert judged.loc["models_in_order_of_latency", "verdict"] == "differs"


def test_what_was_not_measured_has_no_row_and_no_verdict(run):
    empty = without(run, lambda p: False)
    for of in (latency.relative, latency.steps, latency.breakdown, latency.latencies):
        with pytest.raises(Missing):
            of(empty)
    ids = [id for id, claim in load_claims().items() if claim.page == "06_profiling"]
    assert len(ids) == 7
    assert {claims.ours(load_claims()[id], empty) for id in ids} == {None}
    shorter = without(run, lambda p: p.tokens != 4096)
    for of in (latency.in_order, partial(latency.gpt2_over_bert, tokens=4096)):
        with pytest.raises(Missing):
            of(shorter)


def test_steps_read_at_the_share_that_they_were_made_with(run):
    """Pair by pair: noise that both meet is in neither the share nor its interval."""
    rows = latency.steps(run)
    step = rows[rows["part"] == "step"]
    assert step["tokens"].tolist() == list(CONTEXTS)
    assert step["bytes"].tolist() == [compulsory_bytes(GPT2, context) for context in CONTEXTS]
    for column in ("share", "share_low", "share_high"):
        assert step[column].to_numpy() == pytest.approx(95, rel=1e-4)
    products = rows[rows["part"] == "products"]
    assert products["tokens"].tolist() == [512]
    assert products["share"].tolist() == pytest.approx([90], rel=1e-4)


def test_steps_without_a_read_in_their_turn_have_no_share(run):
    alone = without(run, lambda p: (p.what, p.how) != ("read", "fused"))
    assert set(latency.steps(alone)["part"]) == {"products"}


def test_breakdown_shares_and_sum(run):
    """GPT-2's two parts are not all four, and only add up to nothing."""
    rows = latency.breakdown(run)
    assert set(rows["model"]) == {"BERT-Base"} and list(rows["operator_class"]) == list(CLASSES)
    assert rows["share_percent"].tolist() == pytest.approx([20, 10, 40, 30])
    for column in ("sum_over_whole", "sum_over_whole_low", "sum_over_whole_high"):
        assert rows[column].to_numpy() == pytest.approx(1 / 1.02, rel=1e-4)


def test_parts_of_different_visits_are_not_added(run):
    """A run may come from elsewhere."""
    cut = [p.model_copy(update={"seconds": [[1.0]]}) if p.how == "other" else p for p in run.points]
    with pytest.raises(Missing, match="not timed in turn"):
        latency.breakdown(run.model_copy(update={"points": cut}))


def test_the_former_reference_is_as_it_was():
    """Numbers of the report before runs were tables."""
    reference = load_run(find_run("amd-epyc-2-cores"))
    assert latency.gpt2_over_bert(reference, 4096)[0] == pytest.approx(11.937643668964895)
    assert latency.in_order(reference) == 1
    share = latency.steps(reference).groupby("part")["share"].agg(["min", "max"])
    assert share.round(0).to_numpy().tolist() == [[76, 93], [66, 80]]
    rows = shown.both(latency.relative, {"reference": reference})
    assert set(rows["model"]) == set(latency.printed()["model"])
