"""Time on the links between processes, and what splitting a model over them costs and saves.

Tensor parallelism is that of Shoeybi et al. 2019 (Megatron-LM, arXiv:1909.08053, section 3): each
of n processes holds 1/n of the heads and of the FFN, and the two sums of a layer, behind attention
and behind the FFN, are all-reduced.
"""

from collections.abc import Mapping

from analysis.errors import InputError
from analysis.predicted.architectures import Architecture

# Bytes over a link for each byte of the message, as nccl-tests counts its bus bandwidth
# (github.com/NVIDIA/nccl-tests, doc/PERFORMANCE.md): by operation, of n processes.
BUS = {"all_reduce": lambda n: 2 * (n - 1) / n, "send_recv": lambda n: 1.0}


def bus_bandwidth(operation: str, message_bytes, seconds, processes: int):
    """Bytes/s of the busiest link, comparable with what the hardware can do: message over time,
    times `BUS`. Numbers or arrays. Raises InputError for an unknown operation or too few."""
    if operation not in BUS:
        raise InputError(f"no operation {operation!r}; there are: {', '.join(BUS)}")
    if processes < 2:
        raise InputError(f"{processes} processes; a link needs at least 2")
    return message_bytes / seconds * BUS[operation](processes)


def message_time(times: Mapping[int, float], message_bytes: float) -> float:
    """Seconds of a message, between those of the sizes that were measured (bytes -> seconds):
    linear in its size, as time is a start and a share for each byte (Hockney 1994).

    Raises InputError outside of what was measured: nothing is extrapolated."""
    sizes = sorted(times)
    if not sizes or not sizes[0] <= message_bytes <= sizes[-1]:
        raise InputError(f"messages of {message_bytes:.0f} bytes were not measured")
    import numpy as np  # what asks for `BUS` alone does without

    return float(np.interp(message_bytes, sizes, [times[size] for size in sizes]))


def reduced_bytes(arch: Architecture, rows: int) -> int:
    """Bytes of each message of a layer: the activations of `rows` tokens in float32."""
    return 4 * rows * arch.d_model


def communication_time(arch: Architecture, rows: int, times: Mapping[int, float]) -> float:
    """Seconds that a pass or step over `rows` tokens spends in its two all-reduces a layer."""
    return 2 * arch.n_layers * message_time(times, reduced_bytes(arch, rows))


def parallel_time(
    arch: Architecture, rows: int, alone: float, processes: int, times: Mapping[int, float]
) -> float:
    """Seconds of a pass or step split over `processes`: `alone`, its seconds on one, shared out,
    and then the communication. The heads, the embeddings and the norms, which are not split, are
    taken as if they were: a bound from below."""
    return alone / processes + communication_time(arch, rows, times)


def ring_time(message_bytes, processes, start_seconds: float, bytes_per_s: float):
    """Seconds of an all-reduce over a ring: 2 (n - 1) rounds, each a start and 1/n of the message
    (Patarasuk and Yuan 2009). `processes` is a number or an array."""
    rounds = 2 * (processes - 1)
    return rounds * (start_seconds + message_bytes / processes / bytes_per_s)


def most_useful(
    arch: Architecture, rows: int, alone: float, start_seconds: float, bytes_per_s: float,
    most: int = 64,
) -> int:  # fmt: skip
    """The number of processes, up to `most`, beyond which a pass or step takes longer again, if
    links stay what they are."""
    message = reduced_bytes(arch, rows)

    def seconds(n: int) -> float:
        rounds = ring_time(message, n, start_seconds, bytes_per_s)
        return alone / n + 2 * arch.n_layers * rounds

    return min(range(1, most + 1), key=seconds)
