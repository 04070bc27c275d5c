"""On a ladder whose speeds are put in, the elasticities come out, and the verdicts follow them."""

from collections.abc import Callable

import numpy as np
import pytest

from analysis.compared import ladder
from analysis.compared.claims import judge, verdicts
from analysis.measured.run import Missing
from analysis.measured.schema import Point
from analysis.predicted.architectures import BERT_BASE, GPT2
from analysis.predicted.operations import FUSED
from analysis.predicted.transformer import decoder_step, encoder_pass
from analysis.published.claims import load_claims

PEAKS = {"SSE4.1": (2008, 5e10), "AVX": (2011, 1e11), "AVX2": (2013, 2e11)}
BANDWIDTH, ROUNDS, READ = 25e9, 6, 2**28
ENCODED = encoder_pass(BERT_BASE, 128, FUSED)["total"]
STEP = decoder_step(GPT2, 64, FUSED)["total"]
Time = Callable[[float], float]  # seconds at a peak


def by_peak(peak: float) -> float:
    return ENCODED.flops / peak


def by_bandwidth(peak: float) -> float:
    return STEP.bytes / BANDWIDTH


def climbed(reference, encode: Time, step: Time, noise: float = 0.0, read: Time | None = None):
    """The reference with rungs of `PEAKS`, on which passes, steps and reads take so long."""
    draw = np.random.default_rng(1)

    def point(rung: str, seconds: float, flops: int, moved: int, details=(), **named) -> Point:
        times = [[seconds * float(np.exp(noise * draw.normal())) for _ in range(ROUNDS)]]
        return Point(what="rung", how=rung, turn="read ladder", seconds=times, flops=flops or None,
                     bytes=moved, details=dict(details), **named)  # fmt: skip

    points = []
    for rung, (year, peak) in PEAKS.items():
        details = {"year": year, "precision": "highest"}
        points += [
            point(rung, 2 * 2048**3 / peak, 2 * 2048**3, 3 * 2048**2, details, n=2048),
            point(rung, read(peak) if read else READ / BANDWIDTH, 0, READ),
            point(rung, encode(peak), ENCODED.flops, ENCODED.bytes, model="bert-base", tokens=128),
            point(rung, step(peak), STEP.flops, STEP.bytes, model="gpt2", tokens=64),
        ]
    return reference.model_copy(update={"points": points})


def words(run) -> list[str]:
    claims = load_claims()
    of = {"more_arithmetic_speeds_encoding": ladder.encoding,
          "more_arithmetic_leaves_decoding": ladder.decoding,
          "ratio_follows_ridge_point": ladder.following}  # fmt: skip
    return [judge(claims[id], number(run)) for id, number in of.items()]


def test_the_thesis_gives_one_nothing_and_one(reference):
    run = climbed(reference, by_peak, by_bandwidth)
    rows = ladder.elasticities(run).set_index("model")
    assert rows.loc["", ["value", "gain"]].tolist() == pytest.approx([0, 1])
    assert rows.loc["bert-base", "value"] == pytest.approx(1)
    assert rows.loc["gpt2", "value"] == pytest.approx(0, abs=1e-9)
    assert rows.loc["bert-base", "gain"] == pytest.approx(4) == rows["peak_gain"].iloc[0]
    assert ladder.following(run)[0] == pytest.approx(1)
    assert words(run) == ["reproduced"] * 3


def test_reads_that_need_later_instructions_are_seen(reference):
    run = climbed(reference, by_peak, by_bandwidth, read=lambda peak: peak**-0.25)
    rows = ladder.elasticities(run).set_index("model")
    assert rows.loc["", ["value", "gain"]].tolist() == pytest.approx([0.25, 4**0.25])
    assert rows.loc["gpt2", "value"] == pytest.approx(0, abs=1e-9)


def test_a_decoder_that_computes_is_seen(reference):
    run = climbed(reference, by_peak, lambda peak: STEP.flops / peak)
    assert words(run) == ["reproduced", "differs", "differs"]


def test_an_encoder_that_waits_is_seen(reference):
    run = climbed(reference, lambda peak: 1.0, by_bandwidth)
    assert words(run) == ["differs", "reproduced", "differs"]


def test_noise_leaves_it_undecided(reference):
    assert words(climbed(reference, by_peak, by_bandwidth, noise=0.3)) == ["undecided"] * 3


def test_visits_that_differ_widen_the_interval(reference):
    """As of every ratio of points timed in turn: what each visit says is within it."""
    alike = climbed(reference, by_peak, by_bandwidth, noise=0.01)
    apart = alike.model_copy(deep=True)
    for point in apart.points:
        (times,) = point.seconds
        slower = 1.5 if point.model == "gpt2" and point.how == "AVX2" else 1.0
        point.seconds = [times[:3], [slower * each for each in times[3:]]]
    (_, low, high), (_, least, most) = ladder.decoding(alike), ladder.decoding(apart)
    assert high - low < 0.1 < most - least
    assert least < 1 and most > 1.2


def test_a_rung_that_a_neighbour_slows_for_a_while_is_slow_at_its_peak_too(reference):
    """Its best round alone would not be what its passes were timed beside."""
    run = climbed(reference, by_peak, by_bandwidth)
    for point in run.points:
        if point.how == "AVX2" and point.model != "gpt2":
            (times,) = point.seconds
            point.seconds = [times[:1] + [2 * each for each in times[1:]]]
    assert ladder.encoding(run) == pytest.approx((1, 1, 1))


@pytest.mark.parametrize("model", ["", "bert-base", "gpt2"])
def test_works_that_were_not_visited_as_often_give_no_slope(reference, model):
    run = climbed(reference, by_peak, by_bandwidth)
    for point in run.points:
        if point.model == model:
            point.seconds = [point.seconds[0][:3]]
    with pytest.raises(Missing):
        ladder.following(run)


@pytest.mark.parametrize("odd", [{"dtype": "bfloat16"}, {"batch": 2}, {"n": 7}])
@pytest.mark.parametrize("work", [{"model": "", "n": 0}, {"n": 2048}, {"model": "gpt2"}])
def test_a_work_that_is_there_twice_is_taken_once(reference, work, odd):
    """A run may come from elsewhere."""
    run = climbed(reference, by_peak, by_bandwidth)
    like = next(p for p in run.points if all(getattr(p, k) == v for k, v in work.items()))
    other = like.model_copy(update={**odd, "seconds": [[1.0] * ROUNDS]})
    more = run.model_copy(update={"points": [*run.points, other]})
    assert ladder.elasticities(more).equals(ladder.elasticities(run))
    assert ladder.following(more) == ladder.following(run)


def test_rungs_share_their_memory(reference):
    rows = ladder.rungs(climbed(reference, by_peak, by_bandwidth))
    assert list(rows["rung"]) == list(PEAKS) and set(rows["bandwidth"]) == {BANDWIDTH}
    assert list(rows["ridge"]) == [peak / BANDWIDTH for _, peak in PEAKS.values()]


def test_predictions_are_flops_over_peak_or_bytes_over_bandwidth(reference):
    rows = ladder.climbed(climbed(reference, by_peak, by_bandwidth))
    encoded = rows[rows["model"] == "bert-base"]
    np.testing.assert_allclose(encoded["predicted"], encoded["value"])
    np.testing.assert_allclose(encoded["of_peak"], 1)
    steps = rows[rows["model"] == "gpt2"]
    assert steps["predicted"].nunique() == 1 and (steps["predicted"] < steps["value"] * 1.01).all()


def test_what_is_no_product_is_told_from_slow_products(reference):
    run = climbed(reference, lambda peak: by_peak(peak) / 0.8 + 0.01, by_bandwidth)
    rest = [Point(what="rest", model="bert-base", tokens=128, how=rung, seconds=[[0.01]])
            for rung in PEAKS]  # fmt: skip
    run = run.model_copy(update={"points": run.points + rest})
    found = ladder.shares(run).pivot(index="rung", columns="part", values="value")
    for rung, (_, peak) in PEAKS.items():
        whole = by_peak(peak) / 0.8 + 0.01
        assert found.loc[rung, "products at the peak"] == pytest.approx(by_peak(peak) / whole)
        assert found.loc[rung, "no products"] == pytest.approx(0.01 / whole)
        assert found.loc[rung].sum() == pytest.approx(1)


def test_a_run_without_rungs_is_missing(reference):
    bare = reference.model_copy(
        update={"points": [p for p in reference.points if p.what not in ("rung", "rest")]}
    )
    with pytest.raises(Missing):
        ladder.encoding(bare)
    rows = verdicts({"reference": bare}, page="14_twenty_years_on_one_chip")
    assert len(rows) == 3 and set(rows["verdict"]) == {"not measured"}


def test_one_rung_is_no_ladder(reference):
    run = climbed(reference, by_peak, by_bandwidth)
    alone = run.model_copy(update={"points": [p for p in run.points if p.how == "AVX"]})
    with pytest.raises(Missing):
        ladder.rungs(alone)
