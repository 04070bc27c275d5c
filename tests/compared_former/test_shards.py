"""A made-up run whose processes hold what is known."""

import pytest

from analysis.compared import shards
from analysis.compared import training_tables as tables
from analysis.measured.runs import Machine, Point, Run
from analysis.predicted.architectures import GPT2

MACHINE = Machine(
    device="cpu", device_name="a CPU", cpu="a CPU", cores=2, threads=2, caches={},
    memory_bytes=None, gpu_memory_bytes=None, os="Linux", python="3", torch="2", numpy="2",
    blas="none", fast_paths=[],
)  # fmt: skip
N = GPT2.n_parameters
HELD = {0: (4, 4, 8), 1: (4, 4, 4), 2: (6, 2, 4), 3: (2, 2, 4)}  # bytes a parameter, on two
TIMES = {0: 1.0, 1: 1.1, 2: 1.5, 3: 2.0}
SLOWER = (1.0, 3.0, 2.0)  # the machine, from one repetition to the next


def point(stage, n="2", **changes):
    sizes = [each * N for each in HELD[stage]]
    details = dict(
        zip(("parameters_bytes", "gradients_bytes", "optimizer_bytes"), sizes, strict=True)
    )
    return Point(
        key=f"shard/gpt2/{stage}/{n}", kind="latency",
        seconds=[[slow * TIMES[stage] for slow in SLOWER]], flops=None, bytes=None,
        details=details | {"passing_bytes": 3 * N} | changes,
    )  # fmt: skip


def run(*points):
    made = Run.new(MACHINE, "links")
    made.points = list(points)
    return made


@pytest.fixture
def divided():
    return run(*map(point, HELD))


def test_what_is_held_is_compared_with_the_formula(divided):
    rows = shards.shards(divided).set_index("stage")
    assert (rows["predicted"] / N).to_list() == [16, 12, 10, 8]
    assert (rows["held"] / N).to_list() == [16, 12, 12, 8]
    # Repetitions are compared in their turn, so that a machine that slows down costs no width.
    for column in ("time", "low", "high"):
        assert rows[column].to_list() == pytest.approx(list(TIMES.values()))
    frame = shards.shard_table(divided, "t").frame
    assert frame["Held over predicted"].to_list() == ["1.00×", "1.00×", "1.20×", "1.00×"]
    assert frame["Step"].to_list() == ["1", "1.10×", "1.50×", "2.00×"]


def test_sentences_and_the_cells_of_the_factor(divided):
    text = shards.shards_in_words(divided)
    assert "2 processes holds what the formula says, within 0.0 %, at stages 0, 1, 3; 20 %" in text
    assert "20 % more than the formula says at stage 2" in text and "2.00×" in text
    assert "75 % of the parameters" in text
    row = tables.factor_table(divided, "t").frame.set_index("Paper").loc["8.0×"]
    assert row["Predicted"] == "7.86× on 400 devices; 1.60× on 2 processes"
    assert (row["Measured"], row["95 % interval"]) == ("1.33× on 2 processes", "exact: bytes")
    assert "2 processes, each of which holds 20 % more" in shards.zero_in_words(divided)


def test_words_are_of_the_most_processes_and_the_table_of_all(divided):
    divided.points += [point(stage, "4") for stage in HELD]
    assert "each of 4 processes" in shards.shards_in_words(divided)
    assert shards.shard_table(divided, "t").frame["Processes"].to_list() == ["2"] * 4 + ["4"] * 4


@pytest.mark.parametrize(
    "odd",
    [
        point(1, "1"),
        point(1, "²"),
        point(1, "3"),  # without stage 0 to compare with
        point(1, gradients_bytes="many"),
        point(1, gradients_bytes=-1),
        point(1, passing_bytes=0),
        point(1).model_copy(update={"key": "shard/gpt2/9/2"}),
        point(1).model_copy(update={"key": "shard/tomorrow"}),
    ],
)
def test_points_that_do_not_belong_there_are_left_out(odd):
    assert shards.shards(run(point(0), odd))["stage"].to_list() == [0]


def test_a_run_without_them_says_why():
    empty = run()
    assert shards.shards(empty).empty
    assert "nobody to divide with" in shards.shards_in_words(empty)
    assert "GB of memory" in shards.shard_table(empty, "t").frame.to_string()
    assert shards.zero_cells(empty)[1].startswith("not measured")
    assert "prediction" in shards.zero_in_words(empty)
    empty.skip("shard/gpt2/0/2", "needs 12 GB of memory; free are 3 GB")
    assert "free are 3 GB" in shards.shards_in_words(empty)
