"""Run files: written whole, read as data that may come from anyone."""

import json
import os
from pathlib import Path

import pytest

from analysis.errors import InputError
from analysis.measured import run as runs
from analysis.measured.run import (
    Missing,
    Run,
    archived,
    find_run,
    load_run,
    local_path,
    ratio,
    reusable,
    save_run,
)
from analysis.measured.schema import Machine
from analysis.measured.timing import Key, Measurement, Sample

MACHINE = Machine(
    device="cpu", device_name="Some CPU @ 2 GHz", cpu="Some CPU @ 2 GHz", cores=2, threads=2,
    caches={"L3": 2**25}, memory_bytes=2**34, gpu_memory_bytes=None, os="Linux", python="3.11.7",
    torch="2.6", numpy="2.0", blas="mkl", fast_paths=["AVX2"],
)  # fmt: skip


TRIAD = Key("bandwidth", how="triad", dtype="float64")
PASS, LONG = (Key("encode", "bert-base", n, how="fused") for n in (128, 4096))


def a_run() -> Run:
    run = Run.new(MACHINE, "quick")
    sample = Sample((0.1234567891, 0.2))
    run.add(TRIAD, Measurement(sample, None, 3 * 2**28, {"resides_in": "memory"}))
    run.add(PASS, Measurement(sample, 10**12, 10**9))
    run.skip(LONG, "budget quick of 360 s is used up")
    return run


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "run.json"
    save_run(a_run(), path)
    return path


def test_what_is_saved_is_loaded(file):
    run = load_run(file)
    assert run == a_run().model_copy(update={"started": run.started})
    assert run.find(TRIAD).sample.times == (0.123457, 0.2)
    assert run.find(Key("launch")) is None
    assert run.visits(TRIAD) == 1 and run.visits(LONG) == 0
    (missing,) = run.not_measured
    assert missing.key == LONG and "used up" in missing.reason


def test_rows_have_the_columns_of_keys_and_the_details(file):
    run = load_run(file)
    run.add(Key("encode", "bert-base", 64, how="fused"), Measurement(Sample((3.0, 1.0, 2.0)), 7))
    rows = run.rows("encode", how="fused")
    assert list(rows.tokens) == [64, 128] and list(rows.what) == ["encode"] * 2
    assert rows.seconds[0] == 2 and (rows.low[0], rows.high[0]) == rows["sample"][0].interval
    assert run.row("bandwidth").resides_in == "memory"
    assert run.row("encode", tokens=64).flops == 7
    with pytest.raises(Missing, match="the run has no encode gpt2"):
        run.rows("encode", model="gpt2")
    with pytest.raises(Missing, match="2 points encode"):
        run.row("encode")


def test_a_ratio_is_taken_pair_by_pair_within_a_turn():
    run = Run.new(MACHINE, "quick")
    slow, fast = Key("attention", "slow"), Key("attention", "fast")
    ours = Measurement(Sample((2.0, 4.0, 8.0)), beside={fast: Measurement(Sample((1.0, 2.0, 4.0)))})
    run.add(slow, ours)
    run.add(Key("attention", "later"), Measurement(Sample((1.0, 2.0, 4.0))))
    a, b, c = (run.row("attention", model=name) for name in ("slow", "fast", "later"))
    assert ratio(a, b) == (2, 2, 2)
    assert ratio(a, c) == (2, 2 / 4, 8 / 1)  # of the ends that are furthest apart
    assert ratio(a, a) == (1, 1, 1)
    tuples = list(run.rows("attention").itertuples())  # by model: fast, later, slow
    assert ratio(tuples[2], tuples[0]) == ratio(a, b)


def test_what_is_not_in_turn_has_no_turn():
    run = Run.new(MACHINE, "quick")
    inside, alone = Key("attention", "inside"), Key("attention", "alone")
    other = Measurement(Sample((1.0,)), in_turn=False)
    beside = {inside: Measurement(Sample((1.0,))), alone: other}
    run.add(Key("attention", "first"), Measurement(Sample((1.0,)), beside=beside))
    assert [point.turn for point in run.points] == ["attention first", "attention first", ""]


def test_a_file_has_a_line_a_point_and_is_plain_json(file):
    text = file.read_text("utf-8")
    assert json.loads(text)["schema_version"] == 3
    assert sum('"triad"' in line for line in text.splitlines()) == 1
    assert list(file.parent.iterdir()) == [file]


def test_a_failed_write_leaves_the_old_file(file, monkeypatch):
    before = file.read_bytes()

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(InputError, match="No space left"):
        save_run(a_run(), file)
    assert file.read_bytes() == before and list(file.parent.iterdir()) == [file]


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        save_run(a_run(), tmp_path / "file" / "run.json")
    with pytest.raises(InputError, match="cannot be written"):
        save_run(a_run(), tmp_path)


def fault(change):
    """A saved run after `change` of its JSON."""

    def edit(file: Path):
        content = json.loads(file.read_text("utf-8"))
        change(content)
        file.write_text(json.dumps(content), "utf-8")

    return edit


def each(path, value):
    """Set a field, given as a dotted path."""

    def change(content):
        *before, last = (int(part) if part.isdigit() else part for part in path.split("."))
        for part in before:
            content = content[part]
        content[last] = value

    return fault(change)


FAULTS = {
    "truncated": lambda file: file.write_bytes(file.read_bytes()[:-20]),
    "empty": lambda file: file.write_bytes(b""),
    "binary": lambda file: file.write_bytes(b"\xff\xfe\x00"),
    "foreign": lambda file: file.write_text('{"results": [1, 2]}'),
    "a list": lambda file: file.write_text("[1]"),
    "deep": lambda file: file.write_text("[" * 100_000),
    "too large": lambda file: file.write_text(" " * (runs.FILE_BYTES + 1)),
    "another version": each("schema_version", 1),
    "no version": fault(lambda content: content.pop("schema_version")),
    "unknown field": each("points.0.verdict", "good"),
    "negative time": each("points.0.seconds", [[-1.0]]),
    "a time that no clock shows": each("points.0.seconds", [[1e-300]]),  # drift would overflow
    "no visit": each("points.0.seconds", []),
    "no times": each("points.0.seconds", [[]]),
    "times of no visit": each("points.0.seconds", [1.0]),
    "too many times": each("points.0.seconds", [[1.0] * 71]),
    "too many visits": each("points.0.seconds", [[1.0]] * 11),
    "infinite time": each("points.0.seconds", [[float("inf")]]),
    "a number in text": each("points.0.seconds", [["1"]]),
    "NaN in the details": each("points.0.details", {"x": float("nan")}),
    "truth in the details": each("points.0.details", {"x": True}),
    "nested details": each("points.0.details", {"x": {"y": 1}}),
    "no bytes of a bandwidth": each("points.0.bytes", None),
    "huge count": each("points.0.bytes", 10**30),
    "unknown kind": each("points.0.what", "rumour"),
    "a kind of the former schema": each("points.0.kind", "ceiling"),
    "a key of the former schema": each("points.0.key", "bandwidth/triad"),
    "a detail that is a column": each("points.0.details", {"tokens": 3}),
    "a count that is none": each("points.0.details", {"weight_bytes": -1}),
    "a number that is text": each("points.0.details", {"error": "small"}),
    "no batch": each("points.0.batch", 0),
    "huge tokens": each("points.0.tokens", 10**9),
    "two lines": each("machine.cpu", "one\ntwo"),
    "reversed text": each("machine.cpu", "one \u202e two"),
    "escape": each("machine.device_name", "\x1b[2J"),
    "too long": each("machine.cpu", "x" * 301),
    "no threads": each("machine.threads", 0),
    "unknown device": each("machine.device", "abacus"),
    "twice": fault(lambda content: content["points"].append(content["points"][0])),
    "measured and not": each("points.1.tokens", 4096),
    "no time zone": each("started", "2026-01-01T00:00:00"),
    "no date": each("started", "yesterday"),
    "back in time": each("finished", "1999-01-01T00:00:00Z"),
    "too many points": fault(lambda content: content.update(not_measured=[{}] * 5001)),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_file_is_refused_in_one_line(file, name):
    FAULTS[name](file)
    with pytest.raises(InputError) as caught:
        load_run(file)
    text = str(caught.value)
    assert text.startswith(str(file)) and text.isprintable() and len(text) < 700
    assert "[" not in text.removeprefix(str(file))  # of no type of the schema


def test_another_schema_version_is_named(file):
    FAULTS["another version"](file)
    with pytest.raises(InputError, match="schema version is not 3, which is the one read here$"):
        load_run(file)
    each("schema_version", 2)(file)
    with pytest.raises(InputError, match="not 3.*python -m publishing.migrate FILE brings"):
        load_run(file)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        load_run(tmp_path / "none.json")


def test_markup_stays_text(tmp_path):
    text = "<script>alert(1)</script> [x](javascript:0) {{x}} \"'& \\"
    run = Run.new(MACHINE.model_copy(update={"cpu": text}), "quick")
    run.skip(LONG, text)
    save_run(run, tmp_path / "run.json")
    loaded = load_run(tmp_path / "run.json")
    assert loaded.machine.cpu == text and loaded.not_measured[0].reason == text


def test_a_second_visit_adds_to_a_point_and_to_those_beside_it(tmp_path):
    run, one, other = Run.new(MACHINE, "quick"), Key("attention", "a"), Key("attention", "b")
    for seconds in (1.0, 2.0):
        part = Measurement(Sample((seconds / 4,)), 3, 4)
        run.add(one, Measurement(Sample((seconds,) * 3), beside={other: part}))
    save_run(run, tmp_path / "run.json")
    loaded = load_run(tmp_path / "run.json")
    assert [point.key for point in loaded.points] == [one, other]
    assert loaded.visits(one) == loaded.visits(other) == 2
    assert loaded.find(one).sample == Sample(
        (1.0,) * 3 + (2.0,) * 3, (3, 3), loaded.drifts["attention"]
    )
    assert loaded.find(other).seconds == [[0.25], [0.5]] and loaded.find(other).flops == 3


def test_a_reason_is_cut_to_one_line_and_the_last_counts():
    run = Run.new(MACHINE, "quick")
    run.skip(LONG, "before")
    run.skip(LONG, "one\ntwo\x1b " + "x" * 1000)
    (missing,) = run.not_measured
    assert missing.reason.startswith("one two") and len(missing.reason) == 300


def test_find_a_run_by_name_or_file(file, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "ARCHIVE", tmp_path)
    assert find_run("run") == tmp_path / "run.json"
    assert find_run(str(file)) == file
    for name in ("nothing", "../run", "", str(tmp_path)):
        with pytest.raises(InputError, match="archived: run"):
            find_run(name)


def test_a_path_from_the_project_is_found_where_chapters_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = archived()[0]
    assert load_run(find_run(f"data/runs/{name}.json")) == load_run(find_run(name))


def test_a_local_run_is_reused_only_where_everything_is_the_same(monkeypatch):
    run = a_run()
    assert reusable(run, MACHINE, "quick") and not reusable(run, MACHINE, "full")
    path = local_path(MACHINE, "quick")
    assert path.parent == runs.LOCAL and path.name.startswith("some-cpu-2-ghz-")
    for change in ({"threads": 1}, {"torch": "2.7"}, {"cpu": "B"}, {"device": "mps"}):
        other = MACHINE.model_copy(update=change)
        assert not reusable(run, other, "quick") and local_path(other, "quick") != path
    assert reusable(run, MACHINE.model_copy(update={"os": "Linux 7"}), "quick")
    monkeypatch.setattr(runs, "METHOD_VERSION", "next")
    assert not reusable(run, MACHINE, "quick")


def test_archived_runs_are_valid():
    for name in runs.archived():
        assert load_run(find_run(name)).finished
