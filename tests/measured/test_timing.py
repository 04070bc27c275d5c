"""Samples and repetitions, with a clock that is not real; nothing here asserts a speed."""

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.errors import InputError
from analysis.measured.driver import AIM
from analysis.measured.timing import (
    BUDGETS,
    MOST,
    Key,
    Sample,
    budget_named,
    measure,
    measure_in_turn,
)


def test_a_sample_has_a_best_a_median_and_an_interval():
    sample = Sample((3.0, 1.0, 2.0, 2.5, 10.0))
    assert (sample.n, sample.best, sample.median) == (5, 1.0, 2.5)
    low, high = sample.interval
    assert 1 <= low <= 2.5 <= high <= 10


def test_the_interval_spans_those_of_the_visits():
    early, late = (1.0, 1.1, 1.2), (2.0, 2.1, 2.3)
    both = Sample(early + late, (3, 3))
    assert both.interval == (Sample(early).interval[0], Sample(late).interval[1])
    assert both.median == pytest.approx(1.6)
    for sizes in ((3,), (6, 0), (7,)):
        with pytest.raises(ValueError, match="add up"):
            Sample(early + late, sizes)


def test_the_interval_holds_what_visits_of_this_machine_would_differ_by():
    """1.96 standard deviations over the root of the visits, in logarithms."""
    sample = Sample((2.0,) * 6, (3, 3), drift=0.1)
    assert sample.interval == pytest.approx((2 / 1.1487, 2 * 1.1487), rel=1e-4)
    assert Sample((2.0,) * 6, (6,), drift=0.1).interval[1] == pytest.approx(2 * 1.2165, rel=1e-4)
    assert Sample((1.0, 9.0), (1, 1), drift=0.1).interval == (1.0, 9.0)


def test_two_times_have_their_range_as_interval():
    assert Sample((2.0, 1.0)).interval == (1.0, 2.0)
    assert Sample((2.0,)).interval == (2.0, 2.0)


@given(st.lists(st.floats(1e-9, 1e3), min_size=1, max_size=20))
def test_an_interval_holds_the_median_and_is_the_same_each_time(times):
    sample = Sample(tuple(times))
    low, high = sample.interval
    assert min(times) <= low <= sample.median * (1 + 1e-12)
    assert sample.median <= high * (1 + 1e-12) and high <= max(times)
    assert Sample(tuple(times)).interval == (low, high)


@pytest.mark.parametrize("times", [(), (0.0,), (-1.0,), (float("nan"),), (1.0, float("inf"))])
def test_a_sample_refuses_what_is_not_a_time(times):
    with pytest.raises(ValueError, match="positive"):
        Sample(times)


def test_the_warm_up_is_not_in_the_sample(clock):
    sample = measure(clock.work(5.0, 1.0), "cpu", 3.0, 2.0, least=1, clock=clock)
    assert sample.times == (1.0, 1.0, 1.0)


def test_at_least_so_many_repetitions_however_long_they_take(clock):
    sample = measure(clock.work(100.0), "cpu", 1.0, 1.0, least=5, clock=clock)
    assert sample.n == 5 and clock.calls == 6


def test_no_warm_up_when_none_is_wanted(clock):
    assert measure(clock.work(7.0, 1.0), "cpu", 1.0, 0, least=1, clock=clock).times == (7.0,)


def test_of_many_repetitions_a_spread_is_kept(clock):
    sample = measure(clock.work(*(float(i) for i in range(1, 900))), "cpu", 3e5, 1.0, clock=clock)
    assert sample.n <= MOST
    assert sample.times[0] == 2.0 and sample.times[-1] > 700


def test_work_shorter_than_a_clock_can_tell_is_repeated_within_a_repetition(clock):
    sample = measure(clock.work(1e-6), "cpu", 1e-3, 1e-5, clock=clock)
    assert sample.median == pytest.approx(1e-6)
    assert clock.calls > 100 * sample.n - 100


def test_the_garbage_collector_is_off_meanwhile_and_on_again(clock):
    seen, tick = [], clock.work(1.0)

    def work():
        seen.append(gc.isenabled())
        tick()

    measure(work, "cpu", 1.0, 1.0, clock=clock)
    assert not any(seen) and gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        measure(lambda: 1 / 0, "cpu", 1.0, 1.0, clock=clock)
    assert gc.isenabled()


def test_two_works_in_turn_see_the_same_machine(clock):
    order, tick = [], clock.work(1.0)
    works = [lambda name=name: (order.append(name), tick(), gc.isenabled()) for name in "ab"]
    first, second = measure_in_turn(works, clock, 5.0, least=2)
    assert "".join(order) == "ababab" and len(first) == len(second) == 3
    assert not any(collected for *_, collected in first)
    first, _ = measure_in_turn(works, clock, 0.0, least=2)
    assert len(first) == 2


def test_the_real_clock_moves():
    assert measure(lambda: sum(range(1000)), "cpu", 0.001, 0.001).n >= 5


@pytest.mark.parametrize(("name", "most"), [("smoke", 150), ("quick", 900), ("full", 5400)])
def test_budgets_end_in_time_with_their_links(name, most):
    """A budget aims at a share of its time; links are ended when theirs is over."""
    budget = budget_named(name)
    aimed = budget.wall_seconds + budget.remedy_seconds + budget.ladder_seconds
    assert AIM * aimed + budget.link_seconds <= most
    assert budget.brief == (name == "smoke") and budget.of(1, 2) == 1 + budget.brief


def test_budgets_by_name():
    assert list(BUDGETS) == ["smoke", "quick", "full"]
    assert BUDGETS["quick"].memory_bytes <= 8 * 2**30
    with pytest.raises(InputError, match="smoke, quick, full"):
        budget_named("huge")


def test_a_key_is_told_in_the_words_that_it_has():
    assert str(Key("launch")) == "launch"
    assert str(Key("heads", "gpt2", 4096, batch=4, n=12)) == "heads gpt2 4096 batch 4 12"
    assert str(Key("matmul", how="8x8x8", dtype="int8")) == "matmul 8x8x8 int8"
