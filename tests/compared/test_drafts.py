"""Drafts, in a run that is made up and whose times are known, and what one would gain elsewhere."""

import pytest

from analysis.compared import serving
from analysis.measured.run import Missing
from analysis.measured.schema import Point

SLOWER = (1.0, 3.0, 1.0, 2.0)  # the machine, from one repetition to the next
AGREED = {"agreement": 0.7, "agreement_low": 0.65, "agreement_high": 0.75}


def timed(how: str, seconds: float, n: int = 0, **details) -> Point:
    return Point(what="speculative", model="byte-decoder", how=how, n=n, turn="drafts",
                 seconds=[[slow * seconds for slow in SLOWER]], details=details)  # fmt: skip


def drafted(n: int, seconds: float, accepted: int, examined: int, checks: int) -> list[Point]:
    counts = {"accepted": accepted, "examined": examined, "checks": checks, "equal": 1}
    return [timed("drafted", seconds, n, **counts), timed("check", 0.015, n)]


@pytest.fixture
def made(reference):
    def run(*points: Point):
        base = [timed("greedy", 1.0, **AGREED), timed("step", 0.01), timed("draft step", 0.004)]
        return reference.model_copy(update={"points": [*base, *points]})

    return run


def test_drafts_by_hand(made):
    run = made(*drafted(2, 0.8, accepted=90, examined=150, checks=100),
               *drafted(1, 0.9, accepted=60, examined=100, checks=100))  # fmt: skip
    rows = serving.drafts(run).set_index("n")
    assert rows["gain"].to_list() == pytest.approx([1 / 0.9, 1 / 0.8])
    assert rows["gain_low"].to_list() == pytest.approx(rows["gain"].to_list())  # pair by pair
    assert rows["acceptance"].to_list() == pytest.approx([0.6, 0.6])
    assert rows["found"].to_list() == pytest.approx([1.6, 1.9])
    assert rows["expected"].to_list() == pytest.approx([1.6, 1.96])
    assert (rows["draft"].iloc[0], rows["check"].iloc[0]) == pytest.approx((0.4, 1.5))
    assert rows["predicted"].to_list() == pytest.approx([1.6 / 1.9, 1.96 / 2.3])


@pytest.mark.parametrize("counts", [(5, 4, 1), (0, 0, 1), (1, 2, 0)])
def test_counts_that_cannot_be_are_left_out(made, counts):
    with pytest.raises(Missing):
        serving.drafts(made(*drafted(1, 0.9, *counts)))


def test_drafted_tokens_without_counts_are_refused():
    with pytest.raises(ValueError, match="drafted 1 has no checks"):
        timed("drafted", 0.9, 1)


def test_without_steps_nothing_is_predicted(made):
    run = made(*drafted(1, 0.9, 60, 100, 100))
    run.points = [each for each in run.points if each.how != "draft step"]
    with pytest.raises(Missing):
        serving.drafts(run)
