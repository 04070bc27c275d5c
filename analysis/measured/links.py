"""The links between processes, and models split over them; one program on one machine or many:

    torchrun --standalone --nproc-per-node 2 -m analysis.measured.links --out FILE
    torchrun --nnodes 4 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:PORT \\
        -m analysis.measured.links --out FILE

Keys of the points, all of them in one run, which the first process saves after each:

    link/OPERATION/PROCESSES/BYTES    all_reduce of all, send_recv of two: half a round trip
    tensor/MODEL/LENGTH/PROCESSES     layers split by tensor parallelism (`measured.parallel`)
    ranks/RANK/bandwidth/sum          a ceiling of every process, all at the same time
    ranks/RANK/matmul/float32/MxKxN

Times are those of the slowest process. Whatever goes wrong between processes ends each of them
within `--timeout` seconds and in one line; what was measured before is in the file.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import click
import torch
import torch.distributed as dist

from analysis.errors import InputError
from analysis.measured import machine, parallel
from analysis.measured.ceilings import KERNELS, bandwidth_task
from analysis.measured.products import square_tasks
from analysis.measured.runs import Run, load_run, now, save_run
from analysis.measured.timing import BUDGETS, Measurement, Sample
from analysis.predicted.architectures import ARCHITECTURES

SIZES = tuple(2**power for power in range(3, 27, 2)) + (2**26,)  # bytes, 8 B to 64 MiB
SECONDS, LEAST, MOST = 0.4, 5, 50  # of a point; repetitions
SPLIT = (("bert-large", 128), ("bert-large", 512), ("gpt2", 128), ("gpt2", 512))
SHARE = 2**26  # bytes of the array that each process sums


def times_of(work: Callable[[], object], seconds: float = SECONDS) -> Sample:
    """Repetitions that all processes begin together, each as long as the slowest takes."""
    taken, agreed = [], torch.zeros(1)
    work()
    start = time.perf_counter()
    while True:
        dist.barrier()
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
        # The first process decides when it is enough, so that all stop together.
        agreed[0] = len(taken) >= LEAST and time.perf_counter() - start > seconds
        dist.broadcast(agreed, 0)
        if agreed.item() or len(taken) == MOST:
            break
    slowest = torch.tensor(taken, dtype=torch.float64)
    dist.all_reduce(slowest, dist.ReduceOp.MAX)
    return Sample(tuple(slowest.tolist()))


def all_reduce(size: int) -> Measurement:
    """Sum `size` bytes over all processes; the result is verified."""
    x = torch.ones(max(1, size // 4))
    sample = times_of(lambda: dist.all_reduce(x))
    x.fill_(1)
    dist.all_reduce(x)
    if not (x == dist.get_world_size()).all():
        raise RuntimeError("all_reduce: wrong result after timing")
    return Measurement(sample, None, size, {"backend": dist.get_backend()})


def send_recv(size: int) -> Measurement:
    """Half a round trip of `size` bytes between the first two processes."""
    x, rank = torch.ones(max(1, size // 4)), dist.get_rank()

    def trip() -> None:
        for sender in (0, 1):
            if rank == sender:
                dist.send(x, 1 - sender)
            elif rank == 1 - sender:
                dist.recv(x, sender)

    sample = Sample(tuple(seconds / 2 for seconds in times_of(trip).times))
    return Measurement(sample, None, size, {"backend": dist.get_backend()})


@torch.inference_mode()
def split(model: str, length: int, processes: int) -> Measurement:
    """A pass or step of the layers over all processes or, while the others wait, on one."""
    from torch.distributed.device_mesh import init_device_mesh

    arch = ARCHITECTURES[model]
    mesh = init_device_mesh("cpu", (processes,)) if processes > 1 else None
    works = mesh is not None or dist.get_rank() == 0
    layers, x = parallel.stack(arch, length, mesh) if works else (None, None)
    sample = times_of((lambda: layers(x)) if works else (lambda: None))
    state = {"threads": torch.get_num_threads(), "attention": "fused", "parts": "layers"}
    return Measurement(sample, details=state)


def ceilings() -> Iterator[tuple[str, Measurement]]:
    """A bandwidth and a product of every process, measured by all at the same time."""
    kernel = next(kernel for kernel in KERNELS if kernel.name == "sum")
    tasks = [bandwidth_task(kernel, "cpu", BUDGETS["quick"], SHARE, True)]
    tasks += square_tasks("float32", [1024], "cpu", BUDGETS["quick"], {})
    for task in tasks:
        dist.barrier()
        gathered = [None] * dist.get_world_size()
        dist.all_gather_object(gathered, task.run(SECONDS))
        for rank, measurement in enumerate(gathered):
            yield f"ranks/{rank}/{task.key}", measurement


def points() -> Iterator[tuple[str, str, Measurement]]:
    """(key, kind, measurement) of everything, in the order of its value."""
    n = dist.get_world_size()
    for operation, of, run in (("all_reduce", n, all_reduce), ("send_recv", 2, send_recv)):
        for size in SIZES:
            yield f"link/{operation}/{of}/{size}", "ceiling", run(size)
    for key, measurement in ceilings():
        yield key, "ceiling", measurement
    for model, length in SPLIT:
        if ARCHITECTURES[model].n_heads % n == 0:
            for processes in (1, n):
                key = f"tensor/{model}/{length}/{processes}"
                yield key, "latency", split(model, length, processes)


def open_run(out: Path) -> Run:
    """The run of `out`, whose points between processes are measured anew, or a new one."""
    if not out.exists():
        return Run.new(machine.describe("cpu", torch.get_num_threads()), "links")
    run = load_run(out)
    run.points = [p for p in run.points if p.key.split("/")[0] not in ("link", "tensor", "ranks")]
    return run


def measure_links(out: Path, timeout: float) -> None:
    """Measure everything that is between processes; the first of them saves it in `out`.

    Raises InputError, in one line, where processes are missing, lost or hang, or where this is
    not one of several."""
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        raise InputError(
            "this is one of several processes: start them with make measure-links, or with "
            "torchrun --standalone --nproc-per-node 2 -m analysis.measured.links --out FILE"
        )
    if int(os.environ["WORLD_SIZE"]) < 2:
        raise InputError("one process has no link: start two or more")
    here = int(os.environ.get("LOCAL_WORLD_SIZE", os.environ["WORLD_SIZE"]))
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // here))
    run, start = None, time.monotonic()
    try:
        dist.init_process_group("gloo", timeout=timedelta(seconds=timeout))
        run = open_run(out) if dist.get_rank() == 0 else None
        before = run.wall_seconds if run else 0
        for key, kind, measurement in points():
            if run is not None:
                run.add(key, kind, measurement)
                run.wall_seconds = round(before + time.monotonic() - start, 3)
                save_run(run, out)
        if run is not None:
            run.finished = now()
            save_run(run, out)
        dist.destroy_process_group()
    except (RuntimeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        kept = f"; {len(run.points)} points are in {out}" if run and run.points else ""
        raise InputError(f"between processes: {' '.join(str(error).split())[:300]}{kept}") from None


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FILE")
@click.option("--timeout", type=click.FloatRange(1, 3600), default=60, show_default=True)
def main(out: Path, timeout: float) -> None:
    """One of the processes that measure the links between them."""
    try:
        measure_links(out, timeout)
    except InputError as error:
        click.echo(f"error: {' '.join(str(error).split())}", err=True)
        # Not sys.exit: a process group that lost a member may hang when it is taken down.
        sys.stderr.flush()
        os._exit(2)


if __name__ == "__main__":
    main(prog_name="python -m analysis.measured.links")
