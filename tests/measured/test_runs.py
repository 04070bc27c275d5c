"""Run files: written whole, read as data that may come from anyone."""

import json
import math
from pathlib import Path

import pytest

from analysis.errors import InputError
from analysis.measured import runs
from analysis.measured.runs import Machine, Run, find_run, load_run, local_path, reusable, save_run
from analysis.measured.timing import Measurement, Sample

MACHINE = Machine(
    device="cpu", device_name="Some CPU @ 2 GHz", cpu="Some CPU @ 2 GHz", cores=2, threads=2,
    caches={"L3": 2**25}, memory_bytes=2**34, gpu_memory_bytes=None, os="Linux", python="3.11.7",
    torch="2.6", numpy="2.0", blas="mkl", fast_paths=["AVX2"],
)  # fmt: skip


def a_run() -> Run:
    run = Run.new(MACHINE, "quick")
    sample = Sample((0.1234567891, 0.2))
    run.add("bandwidth/triad", "ceiling", Measurement(sample, None, 3 * 2**28, {"dtype": "x"}))
    run.add("encode/bert-base/128/fused", "latency", Measurement(sample, 10**12, 10**9))
    run.skip("encode/bert-base/4096/fused", "budget quick of 360 s is used up")
    return run


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "run.json"
    save_run(a_run(), path)
    return path


def test_what_is_saved_is_loaded(file):
    run = load_run(file)
    assert run == a_run().model_copy(update={"started": run.started})
    assert run.sample("bandwidth/triad").times == (0.123457, 0.2)
    assert run.point("nothing") is None and run.sample("nothing") is None
    assert run.visits("bandwidth/triad") == 1 and run.visits("encode/bert-base/4096/fused") == 0
    assert "used up" in run.reason("encode/bert-base/4096/fused")


def test_drift_is_pooled_over_visits_and_known_when_a_run_is_read(file):
    run = a_run()
    assert run.drift == 0
    for seconds in (math.e, 1.0):  # a visit more each: logarithms 1 and 0 apart from the first
        run.add("launch", "ceiling", Measurement(Sample((seconds,) * 3)))
    for seconds in (1.0, 1.0, 1.0):
        run.add("cache/sum", "ceiling", Measurement(Sample((seconds,)), None, 1))
    assert run.drift == pytest.approx(math.sqrt(0.5 / 3))
    save_run(run, file)
    low, high = load_run(file).sample("cache/sum").interval
    assert high == pytest.approx(1 / low) and high == pytest.approx(math.exp(1.96 / math.sqrt(18)))


def test_the_widest_drift_that_a_file_can_have_is_finite(file):
    each("points.0.seconds", [[1e-10], [1e7]])(file)
    for point in load_run(file).points:  # the other, of one visit, gets the whole drift
        low, high = point.sample.interval
        assert 0 < low < high < math.inf


def test_a_file_has_a_line_a_point_and_is_plain_json(file):
    text = file.read_text("utf-8")
    assert json.loads(text)["schema_version"] == 2
    assert sum("bandwidth/triad" in line for line in text.splitlines()) == 1
    assert list(file.parent.iterdir()) == [file]


def test_a_failed_write_leaves_the_old_file(file, monkeypatch):
    before = file.read_bytes()

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runs.os, "replace", fail)
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
    "unknown kind": each("points.0.kind", "rumour"),
    "two lines": each("machine.cpu", "one\ntwo"),
    "reversed text": each("machine.cpu", "one \u202e two"),
    "escape": each("machine.device_name", "\x1b[2J"),
    "too long": each("machine.cpu", "x" * 301),
    "no threads": each("machine.threads", 0),
    "unknown device": each("machine.device", "abacus"),
    "twice": each("points.1.key", "bandwidth/triad"),
    "measured and not": each("points.1.key", "encode/bert-base/4096/fused"),
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


def test_another_schema_version_is_named(file):
    FAULTS["another version"](file)
    with pytest.raises(InputError, match="schema version is not 2"):
        load_run(file)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        load_run(tmp_path / "none.json")


def test_markup_stays_text(tmp_path):
    text = "<script>alert(1)</script> [x](javascript:0) {{x}} \"'& \\"
    run = Run.new(MACHINE.model_copy(update={"cpu": text}), "quick")
    run.skip("a", text)
    save_run(run, tmp_path / "run.json")
    loaded = load_run(tmp_path / "run.json")
    assert loaded.machine.cpu == text and loaded.reason("a") == text


def test_a_second_visit_adds_to_a_point_and_to_those_beside_it(tmp_path):
    run = Run.new(MACHINE, "quick")
    for seconds in (1.0, 2.0):
        part = Measurement(Sample((seconds / 4,)), 3, 4)
        run.add("a", "step", Measurement(Sample((seconds,) * 3), beside={"b": ("ceiling", part)}))
    save_run(run, tmp_path / "run.json")
    loaded = load_run(tmp_path / "run.json")
    assert [(point.key, point.kind) for point in loaded.points] == [("a", "step"), ("b", "ceiling")]
    assert loaded.visits("a") == loaded.visits("b") == 2
    assert loaded.sample("a") == Sample((1.0,) * 3 + (2.0,) * 3, (3, 3), loaded.drift)
    assert loaded.point("b").seconds == [[0.25], [0.5]] and loaded.point("b").flops == 3


def test_a_reason_is_cut_to_one_line():
    run = Run.new(MACHINE, "quick")
    run.skip("a", "one\ntwo\x1b " + "x" * 1000)
    assert run.reason("a").startswith("one two") and len(run.reason("a")) == 300


def test_find_a_run_by_name_or_file(file, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "ARCHIVE", tmp_path)
    assert find_run("run") == tmp_path / "run.json"
    assert find_run(str(file)) == file
    for name in ("nothing", "../run", "", str(tmp_path)):
        with pytest.raises(InputError, match="archived: run"):
            find_run(name)


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
