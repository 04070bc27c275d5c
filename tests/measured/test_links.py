"""Two processes that measure the links between them; what goes wrong ends soon and in one line."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time

import pytest

from analysis.errors import InputError
from analysis.measured.launch import launch
from analysis.measured.runs import load_run

# The program with messages and models that take no time; what is planted happens in one process.
PROGRAM = textwrap.dedent(
    """
    import os, sys, time
    from analysis.measured import links
    from analysis.predicted.architectures import BERT_BASE, GPT2

    tiny = {"n_layers": 2, "d_model": 16, "n_heads": 2, "d_ff": 32, "vocab_size": 50}
    links.SIZES, links.SECONDS, links.VISITS = (8, 4096), 0.01, 2
    links.array_bytes = lambda *_: (2**20, False)
    links.ARCHITECTURES = {"bert-base": BERT_BASE.replace(**tiny), "gpt2": GPT2.replace(**tiny)}
    links.SPLIT = (("bert-base", 8), ("gpt2", 8))
    links.square_tasks = lambda *_: []
    planted, rank = sys.argv.pop(1), os.environ.get("RANK")
    measured = links.send_recv

    def after_all_reduce(*of):
        if rank == "1":
            {"lost": lambda: os.kill(os.getpid(), 9), "hangs": lambda: time.sleep(600),
             "nothing": lambda: None}[planted]()
        return measured(*of)

    links.send_recv = after_all_reduce
    links.main()
    """
)

MESSAGES = ("all_reduce", "ring_copy", "send_recv")


def program(planted="nothing"):
    return sys.executable, "-c", PROGRAM, planted


def test_two_processes_measure_everything(tmp_path):
    out = tmp_path / "run.json"
    launch(2, out, 60, program())
    run = load_run(out)
    links = {f"link/{name}/2/{size}" for name in MESSAGES for size in (8, 4096)}
    split = {f"tensor/{model}/8/{n}" for model in ("bert-base", "gpt2") for n in (1, 2)}
    ranks = {f"ranks/{rank}/bandwidth/sum" for rank in ("alone", 0, 1)}
    assert {point.key for point in run.points} == links | split | ranks
    assert run.finished and run.budget == "links"
    for name in MESSAGES:
        point = run.point(f"link/{name}/2/4096")
        assert point.bytes == 4096 and len(point.seconds) == 2
        assert (point.details["backend"], point.details["device"]) == ("gloo", "cpu")
    before = run.point("ranks/0/bandwidth/sum").bytes
    launch(2, out, 60, program())  # measures anew what is between processes
    assert run.visits("link/ring_copy/2/8") == load_run(out).visits("link/ring_copy/2/8")
    assert load_run(out).point("ranks/0/bandwidth/sum").bytes == before


@pytest.mark.parametrize(
    ("planted", "says"), [("lost", "process 1 of 2 was ended by SIGKILL"), ("hangs", "process 0")]
)
def test_a_process_that_is_lost_or_hangs_ends_all_and_loses_nothing(planted, says, tmp_path):
    out, start = tmp_path / "run.json", time.monotonic()
    with pytest.raises(InputError, match=says) as caught:
        launch(2, out, 5, program(planted))
    assert time.monotonic() - start < 60
    assert "\n" not in str(caught.value) and str(out) in str(caught.value)
    run = load_run(out)
    assert {p.key for p in run.points} == {
        f"link/{name}/2/{size}" for name in ("all_reduce", "ring_copy") for size in (8, 4096)
    }
    assert run.finished is None


def alone(tmp_path, **environment):
    """One process of the program, without its others."""
    known = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    kept = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE")}
    return subprocess.run(
        [*program(), "--out", str(tmp_path / "run.json"), "--timeout", "2"],
        env=kept | known | environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def said(done):
    assert done.returncode == 2, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "Traceback" not in done.stderr
    return errors[0]


def test_a_wrong_number_of_processes_is_one_line(tmp_path):
    assert "between processes" in said(alone(tmp_path, WORLD_SIZE="3", MASTER_PORT=free_port()))
    assert "one process has no link" in said(alone(tmp_path, WORLD_SIZE="1"))


def test_a_port_in_use_is_one_line(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "between processes" in said(alone(tmp_path, MASTER_PORT=str(taken.getsockname()[1])))


def test_without_a_launcher_the_command_is_named(tmp_path):
    kept = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE")}
    done = subprocess.run(
        [*program(), "--out", str(tmp_path / "run.json")],
        env=kept, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "torchrun --standalone" in said(done)


def test_interrupted_processes_end_with_their_launcher(tmp_path):
    script = "import sys; from analysis.measured.launch import launch; from pathlib import Path;" \
             "launch(2, Path(sys.argv[1]), 60, tuple(sys.argv[2:]))"  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "run.json"), *program("hangs")],
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (tmp_path / "run.json").exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.wait(timeout=30)
    left = subprocess.run(
        ["ps", "-o", "pid=", "-s", str(process.pid)], capture_output=True, text=True
    )
    assert left.stdout.strip() == ""
