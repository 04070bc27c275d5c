"""Messages between the processes of a process group, timed by all of them together."""

import time
from collections.abc import Callable
from functools import partial

import torch
import torch.distributed as dist

from analysis.measured.timing import MOST, Clock, Measurement, Sample

SECONDS, LEAST = 0.4, 5  # of a point's visit; repetitions
MOST_CALLS, CALL_BYTES = 10, 2**24  # of a repetition


def times_of(
    *timed: Callable[[], float], seconds: float | None = None, least: int = LEAST
) -> list[Sample]:
    """Repetitions of each of `timed`, which return their seconds, in turn. All processes begin
    each together, and it is as long as the slowest takes."""
    # Where the backend wants them: NCCL has no others than those on its GPU.
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    enough = SECONDS if seconds is None else seconds
    taken, agreed = [], torch.zeros(1, device=device)
    for once in timed:
        once()
    start = time.perf_counter()
    while not agreed and len(taken) < MOST:
        taken.append([])
        for once in timed:
            dist.barrier()
            taken[-1].append(once())
        # The first process decides when it is enough, so that all stop together.
        agreed.fill_(len(taken) >= least and time.perf_counter() - start > enough)
        dist.broadcast(agreed, 0)
    slowest = torch.tensor(taken, dtype=torch.float64, device=device)
    dist.all_reduce(slowest, dist.ReduceOp.MAX)
    return [Sample(tuple(times)) for times in slowest.T.tolist()]


def all_reduce(size: int, device: torch.device) -> Measurement:
    """Sum `size` bytes over all processes; the sum is verified.

    A repetition is the mean of calls in a row, as nccl-tests and torch's benchmark measure."""
    x, n = torch.ones(max(1, size // 4), device=device), dist.get_world_size()
    calls, clock = max(1, min(MOST_CALLS, CALL_BYTES // size)), Clock(device.type)

    def steady() -> float:
        dist.all_reduce(x)  # as torch's benchmark does before it times
        return clock.time(lambda: dist.all_reduce(x), calls)

    (sample,) = times_of(steady)
    x.fill_(1)
    dist.all_reduce(x)
    if not (x == n).all():
        raise RuntimeError("all_reduce: wrong result after timing")
    return Measurement(sample, None, size, state(device, calls=calls, processes=n))


def send_recv(size: int, device: torch.device) -> Measurement:
    """Half a round trip of `size` bytes between the first two processes."""
    x, rank = torch.ones(max(1, size // 4), device=device), dist.get_rank()

    def trip() -> None:
        for sender in (0, 1):
            if rank < 2:
                (dist.send if rank == sender else dist.recv)(x, 1 - rank)

    (sample,) = times_of(partial(Clock(device.type).time, trip))
    half = Sample(tuple(seconds / 2 for seconds in sample.times))
    return Measurement(half, None, size, state(device, processes=2))


def state(device: torch.device, **more: str | int) -> dict[str, str | int]:
    """How a point was measured."""
    return {"backend": dist.get_backend(), "device": device.type} | more
