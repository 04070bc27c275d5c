"""What fits into a budget is measured, what does not is named; with a clock that is not real."""

import pytest

from analysis.errors import InputError
from analysis.measured.driver import AIM, all_tasks, length_in, run_tasks
from analysis.measured.runs import Machine, Run
from analysis.measured.timing import BUDGETS, Budget, Measurement, Sample, Task

MACHINE = Machine(
    device="cpu", device_name="a CPU", cpu="a CPU", cores=2, threads=2, caches={"L3": 2**25},
    memory_bytes=2**34, gpu_memory_bytes=None, os="Linux", python="3.11", torch="2.6", numpy="2",
    blas="mkl", fast_paths=[],
)  # fmt: skip
BUDGET = Budget("quick", 100, 10**9, seconds_per_point=1, warm_seconds=0)


class Bench:
    """Tasks that take their estimate times `slowness`."""

    def __init__(self, slowness=1.0):
        self.now, self.slowness, self.ran, self.saved = 0.0, slowness, [], []

    def task(self, key, estimate=10.0, memory=0, error=None, kind="latency"):
        def run(seconds):
            self.ran.append(key)
            self.now += estimate * self.slowness
            if error is not None:
                raise error
            return Measurement(Sample((1.0,)))

        return Task(key, kind, memory, estimate, run)

    def go(self, tasks, run=None, budget=BUDGET, **options):
        run = run or Run.new(MACHINE, budget.name)
        run_tasks(
            tasks, run, budget, lambda run: self.saved.append(len(run.points)),
            clock=lambda: self.now, **options,
        )  # fmt: skip
        return run


def keys(each):
    return [one.key for one in each]


def test_all_that_fits_is_measured_in_order_and_saved_each_time():
    bench = Bench()
    run = bench.go([bench.task("a"), bench.task("b"), bench.task("c")])
    assert keys(run.points) == ["a", "b", "c"] and run.not_measured == []
    assert bench.saved == [1, 2, 3]


@pytest.mark.parametrize("slowness", [0.5, 1, 2, 4])
def test_a_slow_machine_ends_in_time_by_measuring_less_and_says_so(slowness):
    bench = Bench(slowness)
    run = bench.go([bench.task(str(i), estimate=5) for i in range(100)])
    assert bench.now <= BUDGET.wall_seconds
    assert len(run.points) == pytest.approx(AIM * 100 / 5 / slowness, abs=1)
    assert len(run.points) + len(run.not_measured) == 100
    assert all("budget quick of 100 s" in each.reason for each in run.not_measured)


def test_what_is_too_long_is_left_out_for_what_is_not():
    bench = Bench()
    run = bench.go([bench.task("long", estimate=1000), bench.task("short")])
    assert keys(run.points) == ["short"] and "would take 1e+03 s" in run.reason("long")


def test_the_pace_of_another_kind_only_makes_it_more_careful():
    bench = Bench(slowness=0.01)
    run = bench.go([bench.task("a", kind="ceiling"), bench.task("b", estimate=90)])
    assert keys(run.points) == ["a"]


def test_a_budget_of_nothing_measures_nothing():
    bench = Bench()
    run = bench.go([bench.task("a")], budget=Budget("none", 0, 0, 0, 0))
    assert run.points == [] and "budget none of 0 s" in run.reason("a")


def test_time_that_went_before_counts():
    bench = Bench()
    assert keys(bench.go([bench.task("a"), bench.task("b")], used=65).points) == ["a"]


def test_memory_of_the_budget_and_free_memory_bound_a_point():
    bench = Bench()
    tasks = [bench.task("huge", memory=2 * 10**9), bench.task("big", memory=5 * 10**8)]
    run = bench.go([*tasks, bench.task("small", memory=1)], free_memory=lambda: 10**8)
    assert keys(run.points) == ["small"] and bench.ran == ["small"]
    assert run.reason("huge") == "needs 2.00 GB of memory; budget quick allows 1.00 GB"
    assert run.reason("big") == "needs 0.50 GB of memory; free are 0.10 GB"


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("out of\nmemory: " + "x" * 1000),
        NotImplementedError("no such kernel"),
        MemoryError(),
        InputError("not built"),
    ],
)
def test_a_failing_point_is_not_measured_and_costs_no_other(error):
    bench = Bench()
    run = bench.go([bench.task("a"), bench.task("bad", error=error), bench.task("c")])
    assert keys(run.points) == ["a", "c"]
    assert "\n" not in run.reason("bad") and 0 < len(run.reason("bad")) <= 300


def test_a_finished_point_is_not_measured_again():
    bench = Bench()
    tasks = [bench.task("a"), bench.task("b", error=KeyboardInterrupt()), bench.task("c")]
    run = Run.new(MACHINE, "quick")
    with pytest.raises(KeyboardInterrupt):
        bench.go(tasks, run)
    assert keys(run.points) == ["a"]
    again = Bench()
    again.go([again.task(key) for key in "abc"], run)
    assert again.ran == ["b", "c"] and keys(run.points) == ["a", "b", "c"]


VISITED = Budget("twice", 100, 10**9, seconds_per_point=1, warm_seconds=0, visits=2)


def test_points_are_visited_again_with_the_others_in_between():
    bench = Bench()
    run = bench.go([bench.task("a"), bench.task("b")], budget=VISITED)
    assert bench.ran == ["a", "b", "a", "b"] and bench.saved == [1, 2, 2, 2]
    assert [point.seconds for point in run.points] == [[[1.0], [1.0]]] * 2


def test_what_a_visit_has_no_time_for_comes_after_what_it_has():
    bench = Bench()
    tasks = [bench.task("long", 45), bench.task("a"), bench.task("b"), bench.task("c", 1000)]
    run = bench.go(tasks, budget=VISITED)
    # 40 s each: the long one fits into what the first and the second leave together.
    assert bench.ran == ["a", "b", "a", "b"] and "would take 45 s" in run.reason("long")
    bench = Bench()
    run = bench.go([bench.task("long", 35), bench.task("a", 5), bench.task("b")], budget=VISITED)
    assert bench.ran == ["long", "a", "long", "a"] and "would take 10 s" in run.reason("b")
    bench = Bench()
    bench.go([bench.task("long", 45), bench.task("a")], budget=VISITED)
    assert bench.ran == ["a", "a", "long"]


def test_what_failed_is_not_tried_again_and_what_was_measured_stays():
    bench = Bench()
    run = bench.go([bench.task("bad", error=RuntimeError("no")), bench.task("a")], budget=VISITED)
    assert bench.ran == ["bad", "a", "a"] and run.reason("bad") == "no"


def test_an_interrupted_visit_is_finished():
    run = Run.new(MACHINE, "twice")
    for key in "aab":
        run.add(key, "latency", Measurement(Sample((1.0,))))
    bench = Bench()
    bench.go([bench.task(key) for key in "abc"], run, budget=VISITED)
    assert bench.ran == ["c", "b", "c"]


def test_progress_says_what_and_how_long():
    bench, said = Bench(), []
    bench.go(
        [bench.task("a"), bench.task("b", estimate=1000), bench.task("c", estimate=20)],
        progress=lambda *what: said.append(what),
    )
    assert said == [("a", 0, 3, 80), ("c", 2, 3, 20), ("", 3, 3, 0)]


def test_what_others_are_compared_with_comes_first_and_what_is_long_last(monkeypatch):
    from analysis.measured import products

    monkeypatch.setattr(products, "probe", lambda dtype, device: 1e11)
    tasks, remedies = all_tasks("cpu", BUDGETS["quick"], 1)
    order = keys(tasks + remedies)
    assert len(set(order)) == len(order)
    assert order[0].startswith("bandwidth/")
    places = [
        order.index(key)
        for key in (
            "bandwidth/product",
            "matmul/float32/2048x2048x2048",
            "encode/bert-base/128/fused",
            "matmul/float32/128x768x768",
            "encode/bert-base/4096/fused",
            "matmul/float32/4096x768x768",
            "train/gpt2/128/none",
            "train/bert-base/512/none",
        )
    ]
    assert places == sorted(places)


def test_remedies_have_a_budget_of_their_own():
    budget = Budget("quick", 100, 10**9, 1, 0, remedy_seconds=20)
    bench = Bench()
    run = bench.go([bench.task(str(i), estimate=5) for i in range(9)], budget=budget.for_remedies())
    assert bench.now == AIM * 20 - 1 and run.budget == "quick for remedies"
    assert "budget quick for remedies of 20 s" in run.reason("8")
    assert BUDGETS["smoke"].for_remedies().wall_seconds == 0


@pytest.mark.parametrize(
    ("key", "length"), [("encode/bert-base/128/fused", 128), ("check/gpt2", 0), ("a/b/c/9", 9)]
)
def test_the_length_in_a_key(key, length):
    assert length_in(key) == length
