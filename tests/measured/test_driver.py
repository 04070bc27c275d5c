"""What fits into a budget is measured, what does not is named; with a clock that is not real."""

import pytest

from analysis.errors import InputError
from analysis.measured.driver import AIM, all_tasks, run_tasks, with_links
from analysis.measured.run import Run, load_run, save_run
from analysis.measured.schema import Machine
from analysis.measured.timing import BUDGETS, Budget, Key, Measurement, Sample, Task

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

    def task(self, name, estimate=10.0, memory=0, error=None, what="attention", **more):
        def run(seconds):
            self.ran.append(name)
            self.now += estimate * self.slowness
            if error is not None:
                raise error
            return Measurement(Sample((1.0,)), **more)

        return Task(Key(what, name), memory, estimate, run)

    def go(self, tasks, run=None, budget=BUDGET, **options):
        run = run or Run.new(MACHINE, budget.name)
        run_tasks(
            tasks, run, budget, lambda run: self.saved.append(len(run.points)),
            clock=lambda: self.now, **options,
        )  # fmt: skip
        return run


def keys(each):
    return [one.key.model for one in each]


def reason(run, name):
    return next(each.reason for each in run.not_measured if each.model == name)


def test_all_that_fits_is_measured_in_order_and_saved_each_time():
    bench = Bench()
    run = bench.go([bench.task("a"), bench.task("b"), bench.task("c")])
    assert keys(run.points) == ["a", "b", "c"] and run.not_measured == []
    assert bench.saved == [0, 1, 1, 2, 2, 3]  # before and after each


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
    assert keys(run.points) == ["short"] and "would take 1e+03 s" in reason(run, "long")


def test_the_pace_of_another_kind_only_makes_it_more_careful():
    bench = Bench(slowness=0.01)
    run = bench.go([bench.task("a", what="launch"), bench.task("b", estimate=90)])
    assert keys(run.points) == ["a"]


def test_a_budget_of_nothing_measures_nothing():
    bench = Bench()
    run = bench.go([bench.task("a")], budget=Budget("none", 0, 0, 0, 0))
    assert run.points == [] and "budget none of 0 s" in reason(run, "a")


def test_time_that_went_before_counts():
    bench = Bench()
    assert keys(bench.go([bench.task("a"), bench.task("b")], used=65).points) == ["a"]


def test_memory_of_the_budget_and_free_memory_bound_a_point():
    bench = Bench()
    tasks = [bench.task("huge", memory=2 * 10**9), bench.task("big", memory=5 * 10**8)]
    run = bench.go([*tasks, bench.task("small", memory=1)], free_memory=lambda: 10**8)
    assert keys(run.points) == ["small"] and bench.ran == ["small"]
    assert reason(run, "huge") == "needs 2.00 GB of memory; budget quick allows 1.00 GB"
    assert reason(run, "big") == "needs 0.50 GB of memory; free are 0.10 GB"


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
    assert "\n" not in reason(run, "bad") and 0 < len(reason(run, "bad")) <= 300


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
    assert bench.ran == ["a", "b", "a", "b"] and bench.saved == [0, 1, 1, 2, 2, 2, 2, 2]
    assert [point.seconds for point in run.points] == [[[1.0], [1.0]]] * 2


def test_what_a_visit_has_no_time_for_comes_after_what_it_has():
    bench = Bench()
    tasks = [bench.task("long", 45), bench.task("a"), bench.task("b"), bench.task("c", 1000)]
    run = bench.go(tasks, budget=VISITED)
    # 40 s each: the long one fits into what the first and the second leave together.
    assert bench.ran == ["a", "b", "a", "b"] and "would take 45 s" in reason(run, "long")
    bench = Bench()
    run = bench.go([bench.task("long", 35), bench.task("a", 5), bench.task("b")], budget=VISITED)
    assert bench.ran == ["long", "a", "long", "a"] and "would take 10 s" in reason(run, "b")
    bench = Bench()
    bench.go([bench.task("long", 45), bench.task("a")], budget=VISITED)
    assert bench.ran == ["a", "a", "long"]


def test_what_failed_is_not_tried_again_and_what_was_measured_stays():
    bench = Bench()
    run = bench.go([bench.task("bad", error=RuntimeError("no")), bench.task("a")], budget=VISITED)
    assert bench.ran == ["bad", "a", "a"] and reason(run, "bad") == "no"


def test_an_interrupted_visit_is_finished():
    run = Run.new(MACHINE, "twice")
    for key in "aab":
        run.add(Key("attention", key), Measurement(Sample((1.0,))))
    bench = Bench()
    bench.go([bench.task(key) for key in "abc"], run, budget=VISITED)
    assert bench.ran == ["c", "b", "c"]


def test_progress_says_what_and_how_long():
    bench, said = Bench(), []
    bench.go(
        [bench.task("a"), bench.task("b", estimate=1000), bench.task("c", estimate=20)],
        progress=lambda *what: said.append(what),
    )
    assert said == [("attention a", 0, 3, 80), ("attention c", 2, 3, 20), ("", 3, 3, 0)]


def test_what_a_machine_cannot_have_is_noted_once_and_only_while_it_has_it_not():
    missing = Key("weights", "other")
    bench = Bench()
    run = bench.go([bench.task("a", missing={missing: "no kernel"})], budget=VISITED)
    assert bench.ran == ["a", "a"] and reason(run, "other") == "no kernel"
    assert len(run.not_measured) == 1
    run.add(missing, Measurement(Sample((1.0,)), details={"weight_bytes": 1, "error": 0.0}))
    assert run.not_measured == []


def test_what_was_not_measured_gets_another_chance():
    run = Bench().go([Bench().task("long", estimate=1000)])
    assert "would take" in reason(run, "long")
    bench = Bench()
    bench.go([bench.task("long")], run)
    assert keys(run.points) == ["long"] and run.not_measured == []


def test_what_others_are_compared_with_comes_first_and_what_is_long_last(monkeypatch):
    from analysis.measured import products, training

    for module in (products, training):
        monkeypatch.setattr(module, "probe", lambda dtype, device: 1e11)
    tasks, remedies, ladder = all_tasks("cpu", BUDGETS["quick"], 1, [])
    order = [str(task.key) for task in tasks + remedies]
    assert len(set(order)) == len(order)
    assert order[0].startswith("bandwidth ")
    places = [
        order.index(key)
        for key in (
            "bandwidth product float64",
            "matmul 2048x2048x2048",
            "encode bert-base 128 fused",
            "encode bert-base 128 unfused",
            "matmul 2048x2048x2048 int8",
            "encode bert-base 4096 fused",
            "train gpt2 128 none",
            "train bert-base 512 none",
        )
    ]
    assert places == sorted(places)
    assert order.index("generation gpt2 512 loop") > order.index("matmul 2048x2048x2048 int8")
    brief = [task.key for each in all_tasks("cpu", BUDGETS["smoke"], 1, []) for task in each]
    assert {key.what for key in brief} == {
        "bandwidth", "matmul", "cache", "launch", "pair", "encode", "step", "train", "weights",
        "quality", "batch", "heads", "size", "prune", "read",
    }  # fmt: skip
    every = tasks + remedies + ladder
    assert {key for key in brief if key.what != "size"} <= {task.key for task in every}


def test_remedies_have_a_budget_of_their_own():
    budget = Budget("quick", 100, 10**9, 1, 0, remedy_seconds=20)
    budget, bench = budget.part("remedies", budget.remedy_seconds), Bench()
    run = bench.go([bench.task(str(i), estimate=5) for i in range(9)], budget=budget)
    assert bench.now == AIM * 20 - 1 and run.budget == "quick for remedies"
    assert "budget quick for remedies of 20 s" in reason(run, "8")


@pytest.fixture
def linked(tmp_path, monkeypatch):
    """What `with_links` makes of a run, with a stand-in for the processes."""
    from analysis.measured import launch, machine

    monkeypatch.setattr(machine, "available_devices", lambda: ["cpu", "cuda"])
    monkeypatch.setattr(machine.torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(machine, "free_memory_bytes", lambda device: 0)

    def link(does, device="cpu", **about):
        path, said = tmp_path / "run.json", []
        run = Run.new(MACHINE.model_copy(update=about), "quick")
        run.add(Key("launch"), Measurement(Sample((1.0,))))
        save_run(run, path)

        def stand_in(processes, out, timeout, **options):
            said.append((processes, out, options))
            does(out)

        monkeypatch.setattr(launch, "launch", stand_in)
        found = with_links(run, path, device, BUDGETS["quick"])
        assert found.find(Key("launch"))
        return found, said

    return link


LINK = Key("link", how="all_reduce", n=8)


def add_link(out):
    run = load_run(out)
    run.add(LINK, Measurement(Sample((1.0,)), None, 8, {"processes": 2}))
    save_run(run, out)


def test_links_are_added_to_the_run_in_their_time(linked):
    run, [(processes, out, options)] = linked(add_link)
    assert run.find(LINK) and run.not_measured == [] and processes == 2
    assert options == {"device": "cpu", "budget": "quick", "most": BUDGETS["quick"].link_seconds}


@pytest.mark.parametrize(
    "error", [InputError("process 1 of 2: lost"), OSError("no more processes")]
)
def test_links_that_fail_lose_nothing_and_say_why(linked, error):
    def fails(out):
        add_link(out)
        raise error

    run, _ = linked(fails)
    assert run.find(LINK) and reason(run, "") == str(error)


@pytest.mark.parametrize(
    ("device", "about", "says"),
    [
        ("cpu", {"cores": 1}, "two processes, each with a core"),
        ("mps", {}, "and its own mps"),
        ("cuda", {}, "2 processes on this machine and 1 GPUs"),
    ],
)
def test_where_two_processes_cannot_be_had_it_is_said(linked, device, about, says):
    run, launched = linked(add_link, device, **about)
    assert launched == [] and says in reason(run, "")
