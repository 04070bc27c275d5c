"""Two processes that measure the links between them; what goes wrong ends soon and in one line."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from types import SimpleNamespace

import pytest
import torch
from analysis.measured.runs import Run, load_run, local_path, save_run

from analysis.errors import InputError
from analysis.measured import links, machine, messages, parallel, runs
from analysis.measured.launch import launch
from analysis.predicted.architectures import BERT_BASE, GPT2

# The program with messages and models that take no time; what is planted happens in one process.
PROGRAM = textwrap.dedent(
    """
    import os, sys, time
    import torch
    from analysis.measured import links, messages, parallel
    from analysis.predicted.architectures import BERT_BASE, GPT2

    tiny = {"n_layers": 2, "d_model": 16, "n_heads": 2, "d_ff": 32, "vocab_size": 50}
    links.SIZES, messages.SECONDS, messages.CHECK_SECONDS = (8, 4096), 0.01, 0.01
    links.array_bytes = lambda *_: (2**20, False)
    links.ARCHITECTURES = {"bert-base": BERT_BASE.replace(**tiny), "gpt2": GPT2.replace(**tiny)}
    links.square_tasks = lambda *_: []
    planted, rank = sys.argv.pop(1), os.environ.get("RANK")
    # What splits a model takes seconds to import.
    links.SPLIT = () if planted == "no split" else (("bert-base", 8), ("gpt2", 8))
    if planted == "no split":
        links.sharded.points = lambda *_: ()
    measured, split = links.send_recv, links.split

    def compared_split(model, length, processes, device):
        found = split(model, length, processes, device)
        if processes > 1:
            mesh = torch.distributed.device_mesh.init_device_mesh("cpu", (processes,))
            with torch.no_grad():
                layers, x = parallel.stack(links.ARCHITECTURES[model], length, mesh)
                whole, same = parallel.stack(links.ARCHITECTURES[model], length)
                assert (x == same).all() and torch.allclose(layers(x), whole(x), atol=1e-5)
        return found

    links.split = compared_split

    def after_all_reduce(*of):
        if rank == "1":
            {"lost": lambda: os.kill(os.getpid(), 9), "hangs": lambda: time.sleep(600),
             "nothing": lambda: None, "no split": lambda: None}[planted]()
        return measured(*of)

    links.send_recv = after_all_reduce
    links.main()
    """
)

REDUCED = ("all_reduce", "benchmark", "ring_sum", "ring_copy")
MESSAGES = (*REDUCED, "send_recv")


def program(planted="nothing"):
    return sys.executable, "-c", PROGRAM, planted


def test_two_processes_measure_everything(tmp_path):
    out = tmp_path / "run.json"
    launch(2, out, 60, program())
    run = load_run(out)
    sent = {f"link/{name}/2/{size}" for name in MESSAGES for size in (8, 4096)}
    split = {f"tensor/{model}/8/{n}" for model in ("bert-base", "gpt2") for n in (1, 2)}
    ranks = {f"ranks/{rank}/bandwidth/sum" for rank in ("alone", 0, 1)}
    shards = {f"shard/gpt2/{stage}/2" for stage in range(4)}
    assert {point.key for point in run.points} == sent | split | ranks | shards
    assert run.point("shard/gpt2/3/2").details["passing_bytes"] > 0
    assert run.finished and run.budget == "links"
    for name in MESSAGES:
        point = run.point(f"link/{name}/2/4096")
        assert point.bytes == 4096 and len(point.seconds) == 2
        assert (point.details["backend"], point.details["device"]) == ("gloo", "cpu")
    assert run.point("link/ring_sum/2/8").details["calls"] == 10
    save_run(run.model_copy(update={"budget": "quick", "finished": None}), out)
    # Measures anew what is between processes; only the full budget has room for checks.
    launch(2, out, 60, program("no split"), budget="quick")
    again = load_run(out)
    assert again.finished is None  # what else the interrupted run wants is still to come
    unchecked = {f"link/{name}/2/{n}" for name in ("all_reduce", "send_recv") for n in (8, 4096)}
    assert {point.key for point in again.points} == unchecked | ranks
    assert again.visits("link/all_reduce/2/8") == 2 and again.started == run.started


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
        f"link/{name}/2/{size}" for name in REDUCED for size in (8, 4096)
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


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_processes_end_with_their_launcher(sent, tmp_path):
    # A job in the background of a script ignores the interrupt, and its children inherit that.
    script = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);" \
             "from analysis.measured.launch import launch; from pathlib import Path;" \
             "launch(2, Path(sys.argv[1]), 60, tuple(sys.argv[2:]))"  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "run.json"), *program("hangs")],
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


TORCHRUN = (sys.executable, "-m", "torch.distributed.run")


def torchrun(tmp_path, planted, *options):
    """A started torchrun of the program, with two processes on this machine or one of two."""
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    return subprocess.Popen(
        [*TORCHRUN, *options, str(script), planted, "--out", str(tmp_path / "run.json"),
         "--timeout", "5", "--device", "cpu"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_two_torchruns_find_each_other_and_save_one_run(tmp_path):
    """As on two machines: each starts one process, and they meet at a port of the first."""
    meet = f"--rdzv-endpoint=127.0.0.1:{free_port()}"
    options = ("--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d", "--rdzv-id=1", meet)
    both = [torchrun(tmp_path, "no split", *options, "--local-addr=127.0.0.1") for _ in range(2)]
    for each in both:
        said = each.communicate(timeout=120)[1]
        assert each.returncode == 0, said
    run = load_run(tmp_path / "run.json")
    assert run.finished and run.point("ranks/1/bandwidth/sum") and run.point("link/ring_copy/2/8")


@pytest.mark.parametrize("planted", ["lost", "hangs"])
def test_torchrun_ends_when_a_process_does_or_hangs(planted, tmp_path):
    process = torchrun(tmp_path, planted, "--standalone", "--nproc-per-node=2")
    said = process.communicate(timeout=120)[1]
    assert process.returncode != 0
    # Of a lost process torchrun may end the other before it can say so.
    lines = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(lines) <= 1 and (lines or planted == "lost")
    assert all("points are in" in line for line in lines)
    run = load_run(tmp_path / "run.json")
    assert run.point("link/all_reduce/2/4096") and run.finished is None


def test_a_machine_that_does_not_come_ends_torchrun(tmp_path):
    process = torchrun(
        tmp_path, "nothing", "--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d",
        f"--rdzv-endpoint=127.0.0.1:{free_port()}", "--rdzv-conf=join_timeout=2",
    )  # fmt: skip
    assert "RendezvousTimeoutError" in process.communicate(timeout=60)[1]
    assert process.returncode != 0 and not (tmp_path / "run.json").exists()


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


@pytest.mark.parametrize(("sums", "halves"), [(False, 1), (True, 2)])
def test_copies_move_what_a_ring_moves(sums, halves, monkeypatch):
    """The second of four processes, whose others are stand-ins: what it sends, to whom."""
    sent, added = [], []

    def isend(tensor, peer):
        sent.append((peer, tensor.numel()))
        return SimpleNamespace(wait=lambda: None)

    def irecv(tensor, peer):
        added.append((peer, tensor[0].item()))  # what the round before has left
        tensor.fill_(1)
        return SimpleNamespace(wait=lambda: None)

    dist = SimpleNamespace(
        get_world_size=lambda: 4, get_rank=lambda: 1, get_backend=lambda: "gloo",
        isend=isend, irecv=irecv,
        P2POp=lambda op, tensor, peer: SimpleNamespace(op=op, tensor=tensor, peer=peer),
    )  # fmt: skip
    monkeypatch.setattr(messages, "dist", dist)
    messages.ring(torch.ones(32), sums)()
    rounds = 2 * (4 - 1)
    assert sent == [(2, 8 // halves)] * rounds * halves
    assert {peer for peer, _ in added} == {0}
    sums_seen = [value for _, value in added[halves::halves]]  # the last round's is not seen
    assert sums_seen == ([2, 2, 2, 1, 1] if sums else [1] * 5)


@pytest.fixture
def gpus(monkeypatch):
    """A machine that seems to have that many GPUs, and this the second of two processes on it."""

    def pretend(count):
        there = ["cpu", "cuda"] if count else ["cpu"]
        monkeypatch.setattr(machine, "available_devices", lambda: there)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setenv("LOCAL_RANK", "1")
        monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")

    return pretend


@pytest.mark.parametrize(
    ("count", "asked", "where"),
    [(2, "auto", "cuda:1"), (2, "cuda", "cuda:1"), (2, "cpu", "cpu"), (1, "auto", "cpu"),
     (0, "auto", "cpu")],
)  # fmt: skip
def test_each_process_has_a_gpu_of_its_own_or_all_use_the_cpu(count, asked, where, gpus):
    gpus(count)
    assert links.place(asked) == torch.device(where)


@pytest.mark.parametrize(("count", "says"), [(1, "2 processes .* 1 GPUs"), (0, "is not there")])
def test_too_few_gpus_are_one_line(count, says, gpus):
    gpus(count)
    with pytest.raises(InputError, match=says) as caught:
        links.place("cuda")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("arch", [BERT_BASE, GPT2])
def test_a_split_model_is_all_where_it_should_be(arch):
    """ "meta" stands in for a GPU: torch keeps shapes there and computes nothing."""
    layers, x = parallel.stack(arch.replace(n_layers=1), 8, device="meta")
    caches = [layer.cache for layer in layers if layer.decodes]
    assert {t.device.type for t in (x, *layers.parameters(), *caches)} == {"meta"}
    with torch.inference_mode():
        assert layers(x).device.type == "meta"


@pytest.mark.skipif(
    torch.cuda.device_count() < 2, reason="needs 2 GPUs: NCCL gives each process its own"
)
def test_two_gpus_measure_everything(tmp_path):
    out = tmp_path / "run.json"
    launch(2, out, 60, program(), "cuda")
    run = load_run(out)
    details = run.point("link/all_reduce/2/4096").details
    assert run.finished and (details["backend"], details["device"]) == ("nccl", "cuda")


def test_links_are_kept_in_the_run_that_the_book_shows(tmp_path, monkeypatch):
    for module in (runs, links):
        monkeypatch.setattr(module, "LOCAL", tmp_path)
    here = machine.describe("cpu", torch.get_num_threads())
    save_run(Run.new(here, "quick"), local_path(here, "quick"))
    assert links.own_file("quick", 2, "cpu") == local_path(here, "quick")
    assert links.own_file("full", 2, "cpu") == tmp_path / "links.json"  # nothing shows it yet


def test_a_run_of_another_machine_is_not_mixed(tmp_path):
    out = tmp_path / "run.json"
    device = torch.device("cpu")
    run = links.open_run(out, device)
    run.machine.device_name = "another"
    links.save_run(run, out)
    with pytest.raises(InputError, match="another machine or device: another"):
        links.open_run(out, device)
