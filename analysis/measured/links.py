"""The links between processes, and models split over them; one program on one machine or many:

    torchrun --standalone --nproc-per-node 2 -m analysis links --out FILE

`links.sbatch` is how several machines start it. Points, all of them in one run, which the first
process saves after each: "link", sums over all processes and half of round trips between the first
two, by bytes; "tensor", layers split by tensor parallelism (`measured.parallel`); and last "shard",
steps with their state divided (`measured.sharded`).

Times are those of the slowest process. On the CPU processes talk through gloo; with a GPU for each
(`--device cuda`) through NCCL, timed by events on each GPU's stream. That half has been tried with
stand-ins only, not on GPUs.

Whatever goes wrong between processes ends each of them within `--timeout` seconds and in one line;
what was measured before is in the file. Until all have met, torchrun rules and says the last line:
without `is_host=1` on the machine of the port torch waits for whatever answers there, for ever.
"""

import os
import time
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist

from analysis.errors import InputError
from analysis.files import keep, locked
from analysis.measured import machine, parallel, sharded
from analysis.measured.allowed import may_use
from analysis.measured.messages import all_reduce, send_recv, state, times_of
from analysis.measured.run import LOCAL, Run, load_run, local_path, save_run
from analysis.measured.timing import METHOD_VERSION, Budget, Clock, Key, Measurement, budget_named
from analysis.predicted.architectures import ARCHITECTURES

SIZES = tuple(2**power for power in range(3, 27, 2)) + (2**26,)  # bytes, 8 B to 64 MiB
BRIEF_SIZES = (8, 2**15, 2**21, 2**26)
VISITS = 2  # of each message, the second after all others
BETWEEN = ("link", "tensor", "shard")  # what is between processes
LINK = Key("link")  # all of it
SPLIT = (("bert-large", 128), ("bert-large", 512), ("gpt2", 128), ("gpt2", 512))


def device_for(here: int, asked: str = "auto") -> str:
    """What `here` processes on this machine use: with "auto" "cuda", if each of them can have a GPU
    of its own, or else "cpu". InputError for a device that cannot be had."""
    gpus = torch.cuda.device_count() if "cuda" in machine.available_devices() else 0
    if asked == "cpu" or (asked == "auto" and gpus < here):
        return "cpu"
    machine.choose_device("cuda")
    if gpus < here:
        raise InputError(f"{here} processes on this machine and {gpus} GPUs; each needs its own")
    return "cuda"


def place(asked: str = "auto") -> torch.device:
    """Where the tensors of this process are; see `device_for`."""
    device = device_for(int(os.environ.get("LOCAL_WORLD_SIZE", 1)), asked)
    local = int(os.environ.get("LOCAL_RANK", 0))
    return torch.device(device, local) if device == "cuda" else torch.device(device)


def own_file(budget: str, processes: int, asked: str = "auto") -> Path:
    """Where this machine keeps its links: in its run of that budget, which the book shows, or,
    where there is none, in a run of their own."""
    here = machine.describe(device_for(processes, asked), machine.set_threads())
    path = local_path(here, budget)
    return path if path.exists() else LOCAL / "links.json"


@torch.no_grad()  # in inference mode torch would gather the weights at every projection
def split(model: str, tokens: int, processes: int, device: torch.device) -> Measurement:
    """A pass or step of the layers over all processes or, while the others wait, on one. It is
    verified that two sums a layer are all that is sent."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor.debug import CommDebugMode

    arch = ARCHITECTURES[model]
    mesh = init_device_mesh(device.type, (processes,)) if processes > 1 else None
    works = mesh is not None or dist.get_rank() == 0
    layers, x = parallel.stack(arch, tokens, mesh, device) if works else (None, None)
    work = (lambda: layers(x)) if works else (lambda: None)
    (sample,) = times_of(partial(Clock(device.type).time, work))
    if mesh is not None:
        with CommDebugMode() as sent:
            layers(x)
        counts = {str(operation): n for operation, n in sent.get_comm_counts().items()}
        if counts != {"c10d_functional.all_reduce": 2 * arch.n_layers}:
            raise RuntimeError(f"{model}: split otherwise than by two sums a layer: {counts}")
    threads = torch.get_num_threads()
    details = state(device, threads=threads, parts="layers", processes=processes)
    return Measurement(sample, details=details)


def points(device: torch.device, budget: Budget) -> Iterator[tuple[Key, Measurement | str]]:
    """(key, measurement or why there is none) of everything, in the order of its value."""
    n, sizes = dist.get_world_size(), budget.of(SIZES, BRIEF_SIZES)
    for _ in range(budget.of(VISITS, 1)):
        for run in (all_reduce, send_recv):
            for size in sizes:
                yield Key("link", how=run.__name__, n=size), run(size, device)
    for model, tokens in budget.of(SPLIT, SPLIT[2:3]):
        if ARCHITECTURES[model].n_heads % n == 0:
            for processes in (1, n):
                key = Key("tensor", model, tokens, n=processes)
                yield key, split(model, tokens, processes, device)
    if not budget.brief:
        yield sharded.key(0), sharded.stages(ARCHITECTURES["gpt2"], device)


def open_run(out: Path, device: torch.device) -> Run:
    """The run of `out`, or a new one; InputError for one of another machine or method."""
    here = machine.describe(device.type, torch.get_num_threads())
    if not out.exists():
        return Run.new(here, "links")
    run = load_run(out)
    if (run.machine.device_name, run.machine.device) != (here.device_name, here.device):
        raise InputError(f"{out}: a run of another machine or device: {run.machine.device_name}")
    if run.method_version != METHOD_VERSION:
        raise InputError(f"{out}: measured by another method; measure it anew, or another --out")
    return run


def measure_links(out: Path, timeout: float, asked: str, budget: str) -> None:
    """Measure everything that is between processes, on the device that is `asked` for; the first
    of them saves it in `out` point by point or, where it replaces such points, once all is there.

    Raises InputError, in one line, where processes are missing, lost or hang, or where this is
    not one of several."""
    if int(os.environ.get("WORLD_SIZE", 1)) < 2:
        raise InputError("one process has no link: start two or more")
    here = int(os.environ.setdefault("LOCAL_WORLD_SIZE", os.environ["WORLD_SIZE"]))
    torch.set_num_threads(max(1, may_use().cores // here))
    device = place(asked)
    run, start, backend, own = None, time.monotonic(), "gloo", {}
    try:
        if device.type == "cuda":
            torch.cuda.set_device(device)
            backend, own = "nccl", {"device_id": device}
        dist.init_process_group(backend, timeout=timedelta(seconds=timeout), **own)
        first = dist.get_rank() == 0
        alone = first and dist.is_torchelastic_launched()  # else the launcher has the file
        with locked(out) if alone else nullcontext():
            run = open_run(out, device) if first else None
            measure_into(run, out, points(device, budget_named(budget)), start)
        dist.destroy_process_group()
    except InputError:
        raise
    except (RuntimeError, ValueError) as error:
        kept = f"; {len(run.points)} points are in {out}" if run and run.points else ""
        raise InputError(f"between processes: {' '.join(str(error).split())[:300]}{kept}") from None


def measure_into(
    run: Run | None, out: Path, measured: Iterator[tuple[Key, Measurement | str]], start: float
) -> None:
    """Put the points `measured`, from the time `start` on, into `run` and its file; a process that
    has no run only takes part."""
    if run is None:
        for _ in measured:
            pass
        return
    whole, before = run.finished or run.budget == "links", run.wall_seconds
    replaces = any(point.what in BETWEEN for point in run.points)
    run.points = [point for point in run.points if point.what not in BETWEEN]
    run.not_measured = [point for point in run.not_measured if point.what not in BETWEEN]
    run.finished = None
    run.begin(LINK)
    for key, measurement in measured:
        (run.skip if isinstance(measurement, str) else run.add)(key, measurement)
        run.wall_seconds = round(before + time.monotonic() - start, 3)
        if not replaces:
            save_run(run, out)
    run.end(LINK)
    if whole:  # a run whose other points are not all there stays open
        run.finish()
    if replaces:
        keep(out)
    save_run(run, out)
