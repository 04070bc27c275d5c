"""Messages between the processes of a process group, timed by all of them together.

Plain copies are the independent check of an all-reduce: they move the same bytes without the
library's sum, by another clock, in turn with it, so that both meet the same machine.
"""

import time
from collections.abc import Callable
from functools import partial

import torch
import torch.distributed as dist
from torch.utils.benchmark import timer

from analysis.measured.timing import Clock, Measurement, Sample

SECONDS, LEAST, MOST = 0.4, 5, 50  # of a point's visit; repetitions
CHECK_SECONDS = 1.2  # of a visit of two that are timed in turn


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
    while True:
        taken.append([])
        for once in timed:
            dist.barrier()
            taken[-1].append(once())
        # The first process decides when it is enough, so that all stop together.
        agreed.fill_(len(taken) >= least and time.perf_counter() - start > enough)
        dist.broadcast(agreed, 0)
        if agreed.item() or len(taken) == MOST:
            break
    slowest = torch.tensor(taken, dtype=torch.float64, device=device)
    dist.all_reduce(slowest, dist.ReduceOp.MAX)
    return [Sample(tuple(times)) for times in slowest.T.tolist()]


def all_reduce(size: int, device: torch.device) -> Measurement:
    """Sum `size` bytes over all processes, in turn with plain copies; the sum is verified."""
    x, n = torch.ones(max(1, size // 4), device=device), dist.get_world_size()
    reduce = partial(Clock(device.type).time, lambda: dist.all_reduce(x))
    copy = ring_copy(x)

    def copied() -> float:
        start = timer()
        copy()
        return timer() - start

    reduced, check = times_of(reduce, copied, seconds=CHECK_SECONDS)
    x.fill_(1)
    dist.all_reduce(x)
    if not (x == n).all():
        raise RuntimeError("all_reduce: wrong result after timing")
    check = Measurement(check, None, size, state(device, clock="torch.utils.benchmark"))
    beside = {f"link/ring_copy/{n}/{size}": ("check", check)}
    return Measurement(reduced, None, size, state(device), beside)


def ring_copy(x: torch.Tensor) -> Callable[[], None]:
    """Copies of what a ring moves to sum x: 2 (n - 1) times an n-th of it to the next process."""
    n, rank = dist.get_world_size(), dist.get_rank()
    part = x.new_ones(max(1, len(x) // n))
    got = torch.empty_like(part)

    def copy() -> None:
        for _ in range(2 * (n - 1)):
            send = dist.P2POp(dist.isend, part, (rank + 1) % n)
            receive = dist.P2POp(dist.irecv, got, (rank - 1) % n)
            for work in dist.batch_isend_irecv([send, receive]):
                work.wait()

    return copy


def send_recv(size: int, device: torch.device) -> Measurement:
    """Half a round trip of `size` bytes between the first two processes."""
    x, rank = torch.ones(max(1, size // 4), device=device), dist.get_rank()

    def trip() -> None:
        for sender in (0, 1):
            if rank == sender:
                dist.send(x, 1 - sender)
            elif rank == 1 - sender:
                dist.recv(x, sender)

    (sample,) = times_of(partial(Clock(device.type).time, trip))
    half = Sample(tuple(seconds / 2 for seconds in sample.times))
    return Measurement(half, None, size, state(device))


def state(device: torch.device, **more: str | int) -> dict[str, str | int]:
    """How a point was measured."""
    return {"backend": dist.get_backend(), "device": device.type} | more
