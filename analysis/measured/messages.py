"""Messages between the processes of a process group, timed by all of them together.

An all-reduce is checked in turn with it, so that both meet the same machine: by torch's own
benchmark of the same call, and by plain copies of the bytes that a ring moves for the sum, bare
and as a ring sums them.
"""

import time
from collections.abc import Callable
from functools import partial

import torch
import torch.distributed as dist
from torch.utils.benchmark import Timer

from analysis.measured.timing import Clock, Measurement, Sample

SECONDS, LEAST, MOST = 0.4, 5, 70  # of a point's visit; repetitions
CHECK_SECONDS = 5.0  # of a visit of an all-reduce and its checks, which are timed in turn
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


def all_reduce(size: int, device: torch.device, checked: bool) -> Measurement:
    """Sum `size` bytes over all processes, if `checked` in turn with its checks; the sum is
    verified.

    A repetition is the mean of calls in a row, as nccl-tests and torch's benchmark measure."""
    x, n = torch.ones(max(1, size // 4), device=device), dist.get_world_size()
    calls = max(1, min(MOST_CALLS, CALL_BYTES // size))
    clock, first = Clock(device.type), dist.get_rank() == 0

    def reduce() -> None:
        dist.all_reduce(x)

    def steady(work: Callable[[], None]) -> float:
        work()  # as torch's benchmark does before it times
        return clock.time(work, calls)

    timed = {"all_reduce": partial(steady, reduce)}
    if checked:
        benchmark = Timer("reduce()", globals={"reduce": reduce})
        timed |= {
            # As the first process sees it: the others are never the slowest.
            "benchmark": lambda: benchmark.timeit(calls).median * first,
            "ring_sum": partial(steady, ring(x, sums=True)),
            "ring_copy": partial(steady, ring(x)),
        }
    seconds = CHECK_SECONDS if checked else SECONDS
    samples = dict(zip(timed, times_of(*timed.values(), seconds=seconds), strict=True))
    x.fill_(1)
    dist.all_reduce(x)
    if not (x == n).all():
        raise RuntimeError("all_reduce: wrong result after timing")
    details = state(device, calls=calls)
    beside = {
        f"link/{name}/{n}/{size}": ("check", Measurement(sample, None, size, details))
        for name, sample in samples.items()
    }
    del beside[f"link/all_reduce/{n}/{size}"]
    return Measurement(samples["all_reduce"], None, size, details, beside)


def ring(x: torch.Tensor, sums: bool = False) -> Callable[[], None]:
    """Copies of what a ring moves to sum x: 2 (n - 1) times an n-th of it to the next process.
    With `sums` as it sums: an n-th travels in two halves, and is added in the first n - 1."""
    n, rank = dist.get_world_size(), dist.get_rank()
    part = x.new_ones(max(1, len(x) // n))
    got = torch.empty_like(part)
    halves = 2 if sums else 1
    copies = [dist.P2POp(dist.irecv, each, (rank - 1) % n) for each in got.chunk(halves)]
    copies += [dist.P2POp(dist.isend, each, (rank + 1) % n) for each in part.chunk(halves)]
    together = dist.get_backend() == "nccl"  # it needs that; elsewhere it is slower to start

    def copy() -> None:
        for turn in range(2 * (n - 1)):
            works = (
                dist.batch_isend_irecv(copies)
                if together
                else [each.op(each.tensor, each.peer) for each in copies]
            )
            for work in works:
                work.wait()
            if sums and turn < n - 1:
                torch.add(part, got, out=got)

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
