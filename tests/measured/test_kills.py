"""Processes that measure are killed at any moment: nothing finished is lost, the next goes on."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analysis.measured import driver
from analysis.measured.links import BETWEEN
from analysis.measured.run import load_run

KILLS = 50  # of each command
NAMES = [str(i) for i in range(400)]
MEASURE = """
import sys, time
from analysis.__main__ import main
from analysis.measured import driver
from analysis.measured.timing import Key, Measurement, Sample, Task

def work(seconds):
    time.sleep(0.01)
    return Measurement(Sample((float(time.time()) % 1000 + 1,)))

driver.all_tasks = lambda *_: ([Task(Key("attention", n), 0, 0.0, work) for n in NAMES], [], [])
driver.with_links = lambda run, *_: run
sys.exit(main(["measure", "--budget", "smoke", "--device", "cpu", "--out", sys.argv[1]]))
"""
LINKS = """
import sys
from pathlib import Path
from analysis.measured.launch import launch
program = sys.executable, sys.argv[2], "no split"
launch(2, Path(sys.argv[1]), 60, program, budget="smoke")
"""
PROGRAM = Path(__file__).with_name("tiny_links.py")


def start(code, *arguments):
    command = [sys.executable, "-c", code.replace("NAMES", repr(NAMES)), *map(str, arguments)]
    return subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True)  # fmt: skip


def kill(process):
    """It and its children; what had ended by itself must have ended well."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        assert process.returncode == 0, process.stderr.read()
    process.communicate()


def finished(out):
    """What a file has of each point."""
    return {point.key: point.seconds for point in load_run(out).points} if out.exists() else {}


def changed(out, since, process):
    """Wait until the file is another, or the process ended."""
    while process.poll() is None and (out.stat().st_mtime_ns if out.exists() else 0) == since:
        time.sleep(0.005)


@pytest.mark.slow
def test_killed_measuring_goes_on(tmp_path):
    out, chance = tmp_path / "run.json", random.Random(0)
    before = {}
    for _ in range(KILLS):
        process = start(MEASURE, out)
        changed(out, out.stat().st_mtime_ns if out.exists() else 0, process)
        time.sleep(chance.uniform(0, 0.2))
        kill(process)
        now = finished(out)
        assert before.items() <= now.items()
        before = now
    process = start(MEASURE, out)
    assert process.wait() == 0, process.stderr.read()
    run, now = load_run(out), finished(out)
    assert run.finished and before.items() <= now.items()
    assert {key.model for key in now} | {each.model for each in run.not_measured} == set(NAMES)
    cut = [each for each in run.not_measured if each.reason == driver.ENDED]
    assert 0 < len(cut) <= KILLS  # for others a machine that is busy has no time
    assert all(each.reason.startswith("budget") for each in run.not_measured if each not in cut)


@pytest.mark.slow
def test_killed_links_leave_the_former(tmp_path):
    out, chance = tmp_path / "run.json", random.Random(0)
    process = start(LINKS, out, PROGRAM)
    assert process.wait() == 0, process.stderr.read()
    whole = set(finished(out))
    assert {key.what for key in whole} <= set(BETWEEN)
    for _ in range(KILLS):
        process, end = start(LINKS, out, PROGRAM), time.monotonic() + chance.uniform(0, 12)
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        kill(process)
        assert set(finished(out)) == whole and load_run(out).finished
    process = start(LINKS, out, PROGRAM)
    assert process.wait() == 0, process.stderr.read()
    copies = list(tmp_path.glob("run.json.previous-*"))
    assert copies and all(set(finished(copy)) == whole for copy in copies)
