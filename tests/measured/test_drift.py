"""Drift: how far a machine differs from itself from visit to visit, by kind of point."""

import math

import pytest

from analysis.measured.run import load_run, save_run
from analysis.measured.timing import Key, Measurement, Sample


@pytest.fixture
def file(tmp_path):
    return tmp_path / "run.json"


def test_drift_is_pooled_over_visits_by_kind_and_known_when_a_run_is_read(new_run, file):
    run, cache = new_run(), Key("cache")
    run.add(Key("launch"), Measurement(Sample((1.0,) * 3)))
    assert run.drifts == {}
    run.add(Key("launch"), Measurement(Sample((math.e,) * 3)))  # logarithms 0 and 1
    for seconds in (1.0, 1.0, 1.0):
        run.add(cache, Measurement(Sample((seconds,)), None, 1))
    others = Key("launch", "other")
    for seconds in (1.0, 1.0):
        run.add(others, Measurement(Sample((seconds,))))
    run.add(Key("draft"), Measurement(Sample((1.0,))))
    launch = math.sqrt(0.5 / 2)
    pooled = math.sqrt(0.5 / 4)  # of a kind that no point was visited twice of
    assert {what: run.drifts[what] for what in ("launch", "cache", "draft")} == pytest.approx(
        {"launch": launch, "cache": 0, "draft": pooled}
    )
    save_run(run, file)
    low, high = load_run(file).find(others).sample.interval
    assert high == pytest.approx(1 / low)
    assert high == pytest.approx(math.exp(1.96 * launch / math.sqrt(2)))


def test_a_single_visit_borrows_the_drift_of_its_kind(new_run):
    lender, run = new_run(), new_run()
    for each in (lender, lender, run):
        each.add(Key("launch"), Measurement(Sample((1.0,) * 3)))
    lender.add(Key("launch"), Measurement(Sample((math.e,) * 3)))
    run.add(Key("cache"), Measurement(Sample((1.0,)), None, 1))
    assert run.find(Key("launch")).sample.interval == (1, 1)
    run.borrow(lender)
    drift = lender.drifts["launch"]
    assert run.find(Key("launch")).sample.interval[1] == pytest.approx(math.exp(1.96 * drift))
    assert run.borrowed == ["launch"] and run.drifts == {}
    lender.borrow(lender)
    assert lender.borrowed == []  # it has its own


def test_the_widest_drift_that_a_file_can_have_is_finite(new_run, file):
    run = new_run()
    for key in (Key("launch"), Key("draft")):  # the other, of one visit, gets the whole drift
        run.add(key, Measurement(Sample((1e-10,))))
    run.points[0].seconds = [[1e-10], [1e7]]
    save_run(run, file)
    for point in load_run(file).points:
        low, high = point.sample.interval
        assert 0 < low < high < math.inf
