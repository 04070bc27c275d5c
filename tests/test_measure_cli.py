"""`python -m analysis measure`: interrupted and finished, and a user's mistakes."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from analysis.__main__ import main
from analysis.measured import driver
from analysis.measured.run import load_run
from analysis.measured.timing import Key, Measurement, Sample, Task

DONE = Measurement(Sample((1.0, 2.0, 3.0)), 10**9, 10**9, {"state": "cold"})
NAMES = ("a", "b", "c")
LINK = Key("link", how="all_reduce", n=8)


@pytest.fixture
def ran(monkeypatch):
    """Three points that take no time, and links; the names of those that ran."""
    names = []

    def task(name):
        key = Key("matmul", how=name)
        return Task(key, 0, 0.0, lambda seconds: names.append(name) or DONE)

    def with_links(run, path, device, budget):
        names.append("links")
        run = load_run(path)  # as the processes save it
        run.add(LINK, Measurement(Sample((1.0,)), None, 8, {"processes": 2}))
        return run

    monkeypatch.setattr(driver, "all_tasks", lambda *arguments: ([task(n) for n in NAMES], [], []))
    monkeypatch.setattr(driver, "with_links", with_links)
    return names


def run(*arguments, capsys):
    code = main(["measure", "--budget", "smoke", "--device", "cpu", *map(str, arguments)])
    streams = capsys.readouterr()
    return code, streams.out, streams.err


def test_measured_once_and_then_shown(ran, tmp_path, capsys):
    out = tmp_path / "new" / "run.json"
    code, text, progress = run("--out", out, capsys=capsys)
    assert code == 0 and "95 %" in text and str(out) in text and "at most" in progress
    assert ran == [*NAMES, "links"] and load_run(out).finished and load_run(out).find(LINK)
    code, text, _ = run("--out", out, "--json", capsys=capsys)
    assert code == 0 and ran == [*NAMES, "links"]
    assert [point["how"] for point in json.loads(text)["points"]] == [*NAMES, "all_reduce"]


def test_fresh_measures_again_and_keeps_what_was(ran, tmp_path, capsys):
    out = tmp_path / "run.json"
    run("--out", out, capsys=capsys)
    before = out.read_bytes()
    assert run("--out", out, "--fresh", capsys=capsys)[0] == 0
    assert ran == [*NAMES, "links"] * 2
    copy = tmp_path / "run.json.previous-1"
    assert copy.read_bytes() == before
    assert run("--out", out, "--fresh", capsys=capsys)[0] == 0
    assert copy.read_bytes() == before and (tmp_path / "run.json.previous-2").exists()


def test_without_out_the_run_is_in_the_local_folder(ran, tmp_path, capsys, monkeypatch):
    from analysis.measured import run as runs

    monkeypatch.setattr(runs, "LOCAL", tmp_path)
    assert run(capsys=capsys)[0] == 0 and len(list(tmp_path.glob("*-smoke.json"))) == 1
    assert run(capsys=capsys)[0] == 0 and ran == [*NAMES, "links"]


def test_an_interrupted_run_with_links_is_resumed_without_new_ones(ran, tmp_path, capsys):
    out = tmp_path / "run.json"
    run("--out", out, capsys=capsys)
    whole = json.loads(out.read_text())
    out.write_text(json.dumps(whole | {"finished": None, "points": whole["points"][1:]}))
    run("--out", out, capsys=capsys)
    assert ran == [*NAMES, "links", "a"] and load_run(out).finished


def test_an_interrupt_as_links_are_noted_is_no_crash(tmp_path, monkeypatch, capsys):
    def save_run(run, path):
        saved(run, path)
        if run.crashed(driver.LINK):
            raise KeyboardInterrupt

    out, saved = tmp_path / "run.json", driver.save_run
    monkeypatch.setattr(driver, "all_tasks", lambda *_: ([], [], []))
    monkeypatch.setattr(driver, "save_run", save_run)
    assert run("--out", out, capsys=capsys)[0] == 130
    assert not load_run(out).crashed(driver.LINK)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--budget", "nothing"),
        ("--budget", ""),
        ("--device", "abacus"),
        ("--threads", "0"),
        ("--threads", "99999999"),
        ("--threads", "two"),
        ("--out",),
        ("extra",),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(arguments, ran, tmp_path, capsys):
    out = () if arguments == ("--out",) else ("--out", tmp_path / "run.json")
    code, text, err = run(*out, *arguments, capsys=capsys)
    assert code == 2 and text == "" and err.startswith("error: ") and err.count("\n") == 1
    assert ran == [] and list(tmp_path.iterdir()) == []


def test_an_absent_device_is_one_line_and_exit_2(ran, tmp_path, capsys, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, _, err = run("--device", "cuda", "--out", tmp_path / "run.json", capsys=capsys)
    assert code == 2 and err.count("\n") == 1 and "'cuda' is not there" in err


@pytest.mark.parametrize(
    ("content", "says"),
    [("{", "not a run"), ('{"a": 1}', "not a run"), (None, "Is a directory"),
     ('{"schema_version": 2}', "python -m publishing.migrate")],
)  # fmt: skip
def test_a_file_that_is_not_a_run_is_not_overwritten(content, says, ran, tmp_path, capsys):
    out = tmp_path / "run.json"
    out.mkdir() if content is None else out.write_text(content)
    code, _, err = run("--out", out, capsys=capsys)
    assert code == 2 and says in err and ran == []
    assert content is None or out.read_text() == content


@pytest.mark.parametrize("change", ["threads", "method_version", "budget"])
def test_a_run_of_another_machine_method_or_budget_is_not_overwritten(
    change, ran, tmp_path, capsys
):
    out = tmp_path / "run.json"
    run("--out", out, capsys=capsys)
    content = json.loads(out.read_text())
    other = content["machine"] if change == "threads" else content
    other[change] = content["machine"]["threads"] + 1 if change == "threads" else "other"
    out.write_text(json.dumps(content))
    before = out.read_text()
    code, _, err = run("--out", out, capsys=capsys)
    assert code == 2 and "another machine, or by another method or budget" in err
    assert err.count("\n") == 1 and out.read_text() == before


HANGS = textwrap.dedent(
    """
    import signal, sys, time
    from analysis.__main__ import main
    from analysis.measured import driver

    # A job in the background of a script ignores the interrupt, and its children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from analysis.measured.timing import Key, Measurement, Sample, Task

    def hangs(seconds):
        time.sleep(60)

    fast = lambda seconds: Measurement(Sample((1.0,)))
    driver.all_tasks = lambda *arguments: ([
        Task(Key("attention", name), 0, 0.0, work) for name, work in zip("abc", (fast, hangs, fast))
    ], [], [])
    driver.with_links = lambda run, *_: run
    sys.exit(main(["measure", "--budget", "smoke", "--device", "cpu", "--out", sys.argv[1]]))
    """
)


@pytest.mark.parametrize("how", ["SIGKILL", "SIGINT"])
def test_a_killed_run_is_finished_and_keeps_its_points(how, tmp_path, capsys, monkeypatch):
    if not hasattr(signal, how) or os.name == "nt":
        pytest.skip(f"no {how} here")
    out = tmp_path / "run.json"
    command = [sys.executable, "-c", HANGS, str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while not (out.exists() and load_run(out).crashed(Key("attention", "b"))):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        process.send_signal(getattr(signal, how))
        err = process.communicate(timeout=30)[1]
    finally:
        process.kill()
    assert "Traceback" not in err and process.returncode == (130 if how == "SIGINT" else -9)
    assert load_run(out).finished is None

    again = Measurement(Sample((2.0,)))
    tasks = [Task(Key("attention", name), 0, 0.0, lambda seconds: again) for name in NAMES]
    monkeypatch.setattr(driver, "all_tasks", lambda *arguments: (tasks, [], []))
    monkeypatch.setattr(driver, "with_links", lambda run, *_: run)
    code, _, err = run("--out", out, capsys=capsys)
    assert code == 0, err
    whole = load_run(out)
    seconds = {point.model: point.seconds[0][0] for point in whole.points}
    if how == "SIGINT":
        assert seconds == {"a": 1.0, "b": 2.0, "c": 2.0} and whole.not_measured == []
    else:  # it may be what killed the process, as where memory is short
        assert seconds == {"a": 1.0, "c": 2.0}
        assert [(each.model, each.reason) for each in whole.not_measured] == [("b", driver.ENDED)]
    assert whole.finished and whole.under_way == []


@pytest.mark.parametrize("change", [{"method_version": "former"}, {"schema_version": 2}])
def test_what_the_default_file_held_of_another_method_or_schema_is_kept(
    change, ran, tmp_path, capsys, monkeypatch
):
    from analysis.measured import run as runs

    monkeypatch.setattr(runs, "LOCAL", tmp_path)
    run(capsys=capsys)
    (file,) = tmp_path.glob("*.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    former = file.read_bytes()
    assert run(capsys=capsys)[0] == 0 and ran == [*NAMES, "links"] * 2
    (copy,) = tmp_path.glob("*.json.previous-1")
    assert copy.read_bytes() == former and load_run(file).finished
    assert list(tmp_path.glob("*.json")) == [file]  # pages take no copy for a run


def test_a_clock_that_was_set_back_ends_no_run_early(ran, tmp_path, capsys):
    out = tmp_path / "run.json"
    run("--out", out, capsys=capsys)
    later = {"started": "2999-01-01T00:00:00Z", "finished": None}
    out.write_text(json.dumps(json.loads(out.read_text()) | later))
    assert run("--out", out, capsys=capsys)[0] == 0
    assert load_run(out).finished == load_run(out).started


def test_another_process_that_measures_into_the_file_is_one_line(ran, tmp_path, capsys):
    out = tmp_path / "run.json"
    script = "from analysis.files import locked; from pathlib import Path; import sys\n" \
             "with locked(Path(sys.argv[1])): print(flush=True); input()"  # fmt: skip
    other = subprocess.Popen([sys.executable, "-c", script, str(out)], text=True,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    other.stdout.readline()
    code, _, err = run("--out", out, capsys=capsys)
    assert code == 2 and "another process is writing it" in err and err.count("\n") == 1
    assert ran == [] and not out.exists()
    other.communicate("")
    assert run("--out", out, capsys=capsys)[0] == 0


def test_a_pipe_or_a_folder_that_cannot_be_written_is_one_line(ran, tmp_path, capsys, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    for fresh in ((), ("--fresh",)):
        code, _, err = run("--out", tmp_path / "pipe", *fresh, capsys=capsys)
        assert code == 2 and "found a device or a pipe" in err and err.count("\n") == 1
    out = tmp_path / "run.json"
    run("--out", out, capsys=capsys)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    code, _, err = run("--out", out, "--fresh", capsys=capsys)
    assert code == 2 and err.count("\n") == 1
    assert "run.json.previous-1: cannot be written: Permission denied" in err
