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
from analysis.measured.runs import load_run
from analysis.measured.timing import Measurement, Sample, Task

DONE = Measurement(Sample((1.0, 2.0, 3.0)), 10**9, 10**9, {"dtype": "float32"})


@pytest.fixture
def ran(monkeypatch):
    """Three points that take no time; the keys of those that ran."""
    keys = []

    def task(key):
        return Task(key, "ceiling", 0, 0.0, lambda seconds: keys.append(key) or DONE)

    monkeypatch.setattr(driver, "all_tasks", lambda *arguments: ([task(key) for key in "abc"], []))
    return keys


def run(*arguments, capsys):
    code = main(["measure", "--budget", "smoke", "--device", "cpu", *map(str, arguments)])
    streams = capsys.readouterr()
    return code, streams.out, streams.err


def test_measured_once_and_then_shown(ran, tmp_path, capsys):
    out = tmp_path / "new" / "run.json"
    code, text, progress = run("--out", out, capsys=capsys)
    assert code == 0 and "95 %" in text and str(out) in text and "at most" in progress
    assert ran == ["a", "b", "c"] and load_run(out).finished
    code, text, _ = run("--out", out, "--json", capsys=capsys)
    assert code == 0 and ran == ["a", "b", "c"]
    assert [point["key"] for point in json.loads(text)["points"]] == ["a", "b", "c"]


def test_fresh_measures_again_and_keeps_what_was(ran, tmp_path, capsys):
    out = tmp_path / "run.json"
    run("--out", out, capsys=capsys)
    before = out.read_bytes()
    assert run("--out", out, "--fresh", capsys=capsys)[0] == 0
    assert ran == ["a", "b", "c"] * 2
    assert (tmp_path / "run.previous.json").read_bytes() == before


def test_without_out_the_run_is_in_the_local_folder(ran, tmp_path, capsys, monkeypatch):
    from analysis.measured import runs

    monkeypatch.setattr(runs, "LOCAL", tmp_path)
    assert run(capsys=capsys)[0] == 0 and len(list(tmp_path.glob("*-smoke.json"))) == 1
    assert run(capsys=capsys)[0] == 0 and ran == ["a", "b", "c"]


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
    ("content", "says"), [("{", "not a run"), ('{"a": 1}', "not a run"), (None, "Is a directory")]
)
def test_a_file_that_is_not_a_run_is_not_overwritten(content, says, ran, tmp_path, capsys):
    out = tmp_path / "run.json"
    out.mkdir() if content is None else out.write_text(content)
    code, _, err = run("--out", out, capsys=capsys)
    assert code == 2 and says in err and ran == []
    assert content is None or out.read_text() == content


def test_a_run_of_another_machine_is_not_overwritten(ran, tmp_path, capsys):
    out = tmp_path / "run.json"
    run("--out", out, capsys=capsys)
    text = out.read_text()
    threads = load_run(out).machine.threads
    out.write_text(text.replace(f'"threads": {threads}', f'"threads": {threads + 1}'))
    before = out.read_text()
    code, _, err = run("--out", out, capsys=capsys)
    assert code == 2 and "another machine" in err and out.read_text() == before


SLOW = textwrap.dedent(
    """
    import signal, sys, time
    from analysis.__main__ import main
    from analysis.measured import driver

    # A job in the background of a script ignores the interrupt, and its children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from analysis.measured.timing import Measurement, Sample, Task

    def slow(seconds):
        time.sleep(0 if sys.argv[2] == "finish" else 60)
        return Measurement(Sample((3.0,)))

    fast = lambda seconds: Measurement(Sample((float(sys.argv[3]),)))
    driver.all_tasks = lambda *arguments: ([
        Task("a", "ceiling", 0, 0.0, fast), Task("b", "ceiling", 0, 0.0, slow),
        Task("c", "ceiling", 0, 0.0, fast),
    ], [])
    sys.exit(main(["measure", "--budget", "smoke", "--device", "cpu", "--out", sys.argv[1]]))
    """
)


@pytest.mark.parametrize("how", ["SIGKILL", "SIGINT"])
def test_a_killed_run_is_finished_and_keeps_its_points(how, tmp_path):
    if not hasattr(signal, how) or os.name == "nt":
        pytest.skip(f"no {how} here")
    out = tmp_path / "run.json"
    command = [sys.executable, "-c", SLOW, str(out)]
    process = subprocess.Popen([*command, "hang", "1"], stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while not (out.exists() and load_run(out).visits("a")):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        process.send_signal(getattr(signal, how))
        err = process.communicate(timeout=30)[1]
    finally:
        process.kill()
    assert "Traceback" not in err and process.returncode == (130 if how == "SIGINT" else -9)
    assert load_run(out).finished is None

    done = subprocess.run([*command, "finish", "2"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    run = load_run(out)
    assert [point.key for point in run.points] == ["a", "b", "c"] and run.finished
    assert [point.seconds for point in run.points] == [[[1.0]], [[3.0]], [[2.0]]]
