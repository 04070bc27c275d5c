"""Two processes that measure the links between them; what goes wrong ends soon and in one line."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from analysis.__main__ import main
from analysis.errors import InputError
from analysis.measured import links
from analysis.measured.launch import launch
from analysis.measured.run import load_run, save_run
from analysis.measured.timing import Key, Measurement, Sample

PROGRAM = Path(__file__).with_name("tiny_links.py")
MESSAGES = [Key("link", how=how, n=n) for how in ("all_reduce", "send_recv") for n in (8, 4096)]
REDUCED = MESSAGES[:2]
SPLIT = [Key("tensor", model, 8, n=n) for model in ("bert-base", "gpt2") for n in (1, 2)]
SHARDS = [Key("shard", "gpt2", 64, n=stage) for stage in range(4)]
# Stand-ins for the program: one writes what it was told, one hangs once it has something to show.
WRITES = """import os, sys; told, known = sys.argv, os.environ
open(told[told.index('--out') + 1] + known['RANK'], 'w').write(
    f"{known['WORLD_SIZE']} {known['MASTER_ADDR']} {told[told.index('--timeout') + 1]}")"""
HANGS = "import sys, time; open(sys.argv[sys.argv.index('--out') + 1], 'w'); time.sleep(600)"


def program(planted="nothing"):
    return sys.executable, str(PROGRAM), planted


def keys(run):
    return {point.key for point in run.points}


@pytest.fixture(scope="module")
def everything(linked):
    """A finished run of all links."""
    return load_run(linked)


def test_two_torchruns_find_each_other_and_measure_everything(everything, as_archived):
    run = everything
    assert keys(run) == {*MESSAGES, *SPLIT, *SHARDS}
    as_archived(run, "link", "tensor", "shard")
    assert run.row("shard", n=3).passing_bytes > 0 and set(run.rows("shard").processes) == {2}
    assert len(set(run.rows("shard").turn)) == 1 and run.rows("shard").turn[0]
    assert run.finished and run.budget == "links"
    for row in run.rows("link").itertuples():
        assert row.bytes == row.n and len(row.sample.sizes) == 2
        assert (row.backend, row.device, row.processes, row.turn) == ("gloo", "cpu", 2, "")
    assert run.row("link", how="all_reduce", n=8).calls == 10
    tensors = run.rows("tensor", model="gpt2")
    assert list(tensors.processes) == list(tensors.n) == [1, 2]


def measured_again(out, budget, finished, everything):
    """A run of that file after links are measured anew, of which each step looks at the file."""
    save_run(everything.model_copy(update={"budget": budget, "finished": finished}), out)
    former, again = out.read_bytes(), Measurement(Sample((1.0,)), None, 8, {"processes": 2})

    def points():
        for key in MESSAGES:
            yield key, again
            assert out.read_bytes() == former  # until all are there
        yield SHARDS[0], "needs more memory"

    run = links.open_run(out, torch.device("cpu"))
    links.measure_into(run, out, points(), time.monotonic())
    assert (out.parent / "run.json.previous-1").read_bytes() == former
    return load_run(out)


def test_an_interrupted_run_takes_new_links_and_stays_unfinished(everything, tmp_path):
    again = measured_again(tmp_path / "run.json", "smoke", None, everything)
    assert again.finished is None  # what else the interrupted run wants is still to come
    assert keys(again) == set(MESSAGES)
    assert [(each.key, each.reason) for each in again.not_measured] == [
        (SHARDS[0], "needs more memory")
    ]
    assert again.visits(MESSAGES[0]) == 1 and again.started == everything.started


def test_links_that_are_measured_again_replace_the_former_when_all_are_there(everything, tmp_path):
    again = measured_again(tmp_path / "run.json", "smoke", everything.finished, everything)
    assert again.finished and keys(again) == set(MESSAGES)


@pytest.mark.parametrize(
    ("planted", "says"), [("lost", "process 1 of 2 was ended by signal 9;"), ("hangs", "process 0")]
)
def test_a_process_that_is_lost_or_hangs_ends_all_and_loses_nothing(planted, says, tmp_path):
    out, start = tmp_path / "run.json", time.monotonic()
    with pytest.raises(InputError, match=says) as caught:
        launch(2, out, 3, program(planted))
    assert time.monotonic() - start < 60
    assert "\n" not in str(caught.value) and str(out) in str(caught.value)
    run = load_run(out)
    assert keys(run) == set(REDUCED) and run.finished is None
    assert run.crashed(links.LINK) or planted == "hangs"


def test_processes_that_end_well_end_the_launcher(tmp_path):
    out = tmp_path / "run.json"
    launch(2, out, 60, (sys.executable, "-c", WRITES))
    said = [Path(f"{out}{rank}").read_text() for rank in range(2)]
    assert said == ["2 127.0.0.1 60"] * 2


def test_processes_end_when_their_time_is_over(tmp_path):
    out, start = tmp_path / "run.json", time.monotonic()
    with pytest.raises(InputError, match="not all done in 2 s; what was measured before is in"):
        launch(2, out, 60, (sys.executable, "-c", HANGS), most=2)
    assert time.monotonic() - start < 20


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


@pytest.fixture
def alone(monkeypatch, one_thread):
    """What this process says when it is one of several whose others are not there."""
    known = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}

    def measure(out, **environment):
        for name, value in (known | environment).items():
            monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
        with pytest.raises(InputError) as caught:
            links.measure_links(out, 2, "cpu", "smoke")
        os.environ.pop("LOCAL_WORLD_SIZE", None)
        assert "\n" not in str(caught.value) and not out.exists()
        return str(caught.value)

    return measure


def test_a_wrong_number_of_processes_is_one_line(tmp_path, alone):
    out = tmp_path / "run.json"
    assert "between processes" in alone(out, WORLD_SIZE="3", MASTER_PORT=free_port())
    assert "one process has no link" in alone(out, WORLD_SIZE="1")
    assert "one process has no link" in alone(out, WORLD_SIZE="")


def test_a_port_in_use_is_one_line(tmp_path, alone):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert "between processes" in alone(tmp_path / "run.json", MASTER_PORT=port)


def test_a_process_says_one_line_and_ends_with_2(tmp_path, monkeypatch, capsys, one_thread):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setattr(os, "_exit", sys.exit)
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # pytest's own stay
    with pytest.raises(SystemExit) as ended:
        main(["links", "--out", str(tmp_path / "run.json")])
    said = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and said == ["error: one process has no link: start two or more"]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_processes_end_with_their_launcher(sent, tmp_path):
    # A job in the background of a script ignores the interrupt, and its children inherit that.
    # A termination is an exit, as on the command line.
    script = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);" \
             "signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number));" \
             "from analysis.measured.launch import launch; from pathlib import Path;" \
             "launch(2, Path(sys.argv[1]), 60, tuple(sys.argv[2:]))"  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "run.json"), sys.executable, "-c", HANGS],
        stderr=(tmp_path / "said").open("w"), start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (tmp_path / "run.json").exists():
        assert process.poll() is None, (tmp_path / "said").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(sent)
    process.wait(timeout=30)
    left = subprocess.run(
        ["ps", "-o", "pid=", "-s", str(process.pid)], capture_output=True, text=True
    )
    assert left.stdout.strip() == ""


def test_a_port_in_use_ends_the_job_of_a_cluster(tmp_path):
    """The Slurm script, with stand-ins for Slurm; a program that is silent has the port."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    for name, text in (("scontrol", "echo 127.0.0.1"), ("srun", 'shift; SLURM_NODEID=0 exec "$@"')):
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    with socket.socket() as taken:
        for job in range(20000):
            try:
                taken.bind(("", 20000 + job))
                break
            except OSError:
                continue
        taken.listen()
        slurm = {"SLURM_JOB_ID": str(job), "SLURM_NNODES": "2", "SLURM_JOB_NODELIST": "a,b"}
        done = subprocess.run(
            ["bash", links.__file__.replace(".py", ".sbatch")], cwd=tmp_path, timeout=60,
            env=os.environ | slurm | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
            capture_output=True, text=True,
        )  # fmt: skip
    assert done.returncode != 0 and not (tmp_path / "runs").exists()
    assert "RendezvousConnectionError" in done.stderr.splitlines()[-1]


@pytest.mark.skipif(
    torch.cuda.device_count() < 2, reason="needs 2 GPUs: NCCL gives each process its own"
)
def test_two_gpus_measure_everything(tmp_path):
    out = tmp_path / "run.json"
    launch(2, out, 60, program(), "cuda")
    run = load_run(out)
    row = run.row("link", how="all_reduce", n=4096)
    assert run.finished and (row.backend, row.device) == ("nccl", "cuda")
