"""Timing: repetitions, their spread, and budgets that bound what is measured.

Nothing here knows what is measured, and torch is imported only to read a device's clock, so that
the logic can be tested with a clock that is not real.
"""

import gc
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from typing import Any

import numpy as np

from analysis.errors import InputError

METHOD_VERSION = "6"  # of the way of measuring; runs of another version are not reused
# Whose runs are compared: method 3 timed the same, but multiplied by torch's plain product alone,
# and knew neither rungs nor pairs; method 4 multiplied two to eight rows by slices alone; all
# before 6 timed the parts of a pass minutes apart from it, and added biases to dynamic int8.
COMPARED = ("3", "4", "5", METHOD_VERSION)

MOST = 70  # repetitions kept of a visit
SHORTEST = 1e-4  # seconds; shorter work is repeated within a repetition, as clocks tick at 1e-6
RESAMPLES = 2000
NORMAL = 1.96  # standard deviations to either side hold 95 %


@dataclass(frozen=True)
class Key:
    """Which point: the columns that name it in a run. `n` is the number that points of its kind
    vary besides (`schema.WHATS`); 0 and "" are where a kind has none."""

    what: str
    model: str = ""
    tokens: int = 0  # sequence length, or context of a step
    batch: int = 1
    how: str = ""
    dtype: str = "float32"
    n: int = 0

    def __str__(self) -> str:
        dtype = self.dtype if self.dtype != "float32" else ""
        batch = f"batch {self.batch}" if self.batch > 1 else ""
        named = (self.what, self.model, self.tokens or "", batch, self.how, dtype, self.n or "")
        return " ".join(str(each) for each in named if each)


@dataclass(frozen=True)
class Sample:
    """Raw times of repetitions of the same work, in seconds, in the order they were taken.

    `sizes` are those of its visits: repetitions in a row, minutes apart from the next visit's.
    `drift` says how far visits of this machine differ: the standard deviation of the logarithms of
    their medians; 0 where it is not known, or where it cancels, as in ratios of neighbours.
    """

    times: tuple[float, ...]
    sizes: tuple[int, ...] = ()  # none: one visit
    drift: float = 0.0

    def __post_init__(self):
        if not self.times or not all(math.isfinite(t) and t > 0 for t in self.times):
            raise ValueError("a sample is one or more positive, finite times")
        if self.sizes and (sum(self.sizes) != self.n or min(self.sizes) < 1):
            raise ValueError("the sizes of visits are positive and add up to the times")

    @property
    def n(self) -> int:
        return len(self.times)

    @property
    def best(self) -> float:
        """The shortest time, as STREAM reports: what is left when nothing else disturbs."""
        return min(self.times)

    @property
    def median(self) -> float:
        return float(np.median(self.times))

    @cached_property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the median: what the intervals of the visits span, and what as many
        visits of this machine's drift would, as it differs more from itself minutes apart than in
        repetitions in a row. The same at each call."""
        ends = np.cumsum(self.sizes or (self.n,))
        visits = np.split(self.times, ends[:-1])
        lows, highs = zip(*(bootstrap(tuple(each), np.median) for each in visits), strict=True)
        apart = math.exp(NORMAL * self.drift / math.sqrt(len(ends)))
        return min(*lows, self.median / apart), max(*highs, self.median * apart)


@lru_cache(4096)  # intervals of the same points are asked for again and again
def bootstrap(values: tuple[float, ...], statistic: Callable) -> tuple[float, float]:
    """95 % by the percentile bootstrap (Efron 1979) of `np.median` or `np.mean`; the same at each
    call. With fewer than three values there is nothing to resample: the least and the greatest."""
    if len(values) < 3:
        return float(min(values)), float(max(values))
    drawn = np.random.default_rng(0).choice(values, (RESAMPLES, len(values)))
    low, high = np.percentile(statistic(drawn, axis=1), (2.5, 97.5))
    return float(low), float(high)


class Clock:
    """Times work on a device: "cpu" (time.perf_counter), "cuda" (events on the current stream) or
    "mps" (perf_counter between synchronisations). A test overrides `now`."""

    def __init__(self, device: str = "cpu"):
        self.device, self.synchronise = device, None
        if device != "cpu":
            import torch

            self.synchronise = {"cuda": torch.cuda, "mps": torch.mps}[device].synchronize

    def now(self) -> float:
        """Seconds since an arbitrary start, once the device has done what it was given."""
        if self.synchronise:
            self.synchronise()
        return time.perf_counter()

    def time(self, work: Callable[[], object], calls: int = 1) -> float:
        """Seconds a call, averaged over `calls` calls."""
        if self.device == "cuda":
            return self._time_with_events(work, calls)
        start = self.now()
        for _ in range(calls):
            work()
        return (self.now() - start) / calls

    def _time_with_events(self, work: Callable[[], object], calls: int) -> float:
        import torch

        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(calls):
            work()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1000 / calls


def measure(
    work: Callable[[], object],
    device: str,
    seconds: float,
    warm_seconds: float,
    least: int = 5,
    clock: Clock | None = None,
) -> Sample:
    """Time `work` on `device` for about `seconds`, after warming up for about `warm_seconds`.

    At least one call warms up, unless `warm_seconds` is 0; the rest is as in `measure_in_turn`.
    """
    clock = clock or Clock(device)
    with _no_garbage_collection():
        shortest, start = math.inf, clock.now()
        while warm_seconds and (shortest == math.inf or clock.now() - start < warm_seconds):
            shortest = min(shortest, max(clock.time(work), 1e-7))
        calls = max(1, math.ceil(SHORTEST / shortest))
        (times,) = measure_in_turn([partial(clock.time, work, calls)], clock, seconds, least)
    return Sample(times)


def measure_in_turn(
    works: Sequence[Callable[[], object]], clock: Clock, seconds: float, least: int
) -> list[tuple]:
    """What each of `works` returns, all called in turn for about `seconds` and at least `least`
    times each, so that all see the same machine; of more than `MOST` every k-th is kept, so that
    they span all of `seconds`. The garbage collector is off meanwhile."""
    rounds, start = [], clock.now()
    with _no_garbage_collection():
        while len(rounds) < least or clock.now() - start < seconds:
            rounds.append([work() for work in works])
    return list(zip(*rounds[:: math.ceil(len(rounds) / MOST)], strict=True))


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    collected = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if collected:
            gc.enable()


@dataclass(frozen=True)
class Measurement:
    """A sample, what one repetition of it computed and moved, and how: shape, dtype, cold or warm.

    rate = `flops` / time in FLOP/s; bandwidth = `bytes` / time in bytes/s. None: not meaningful.
    `beside`: other points of the same visit, timed in turn with it unless they say otherwise;
    `missing`: those that this machine cannot have, and why.
    """

    sample: Sample
    flops: int | None = None
    bytes: int | None = None
    details: dict[str, str | float | int] = field(default_factory=dict)
    beside: dict[Key, "Measurement"] = field(default_factory=dict)
    in_turn: bool = True
    missing: dict[Key, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """A point to measure: `run(seconds)` spends about `seconds` on repetitions.

    `memory_bytes` are needed while it runs; `estimate_seconds` is the wall time that it should
    take, preparation included. `run` allocates what it needs and keeps nothing.
    """

    key: Key
    memory_bytes: int
    estimate_seconds: float
    run: Callable[[float], Measurement]


@dataclass(frozen=True)
class Budget:
    """What measuring may cost. `memory_bytes` None: what is free. A point is visited up to `visits`
    times, for `seconds_per_point` and at least `least` repetitions each. What remedies cost and
    gain is measured afterwards, in up to `remedy_seconds`, then the ladder, in up to
    `ladder_seconds`, by at least `ladder_rounds` a visit, and links last, in up to `link_seconds`.
    `brief`: of everything, the points that each chapter's first numbers are made of."""

    name: str
    wall_seconds: float
    memory_bytes: int | None
    seconds_per_point: float
    warm_seconds: float
    visits: int = 1
    least: int = 3
    remedy_seconds: float = 0
    ladder_seconds: float = 0
    ladder_rounds: int = 3
    link_seconds: float = 0
    brief: bool = False

    def part(self, what: str, seconds: float) -> "Budget":
        return replace(self, name=f"{self.name} for {what}", wall_seconds=seconds)

    def of(self, everything: Any, brief: Any) -> Any:
        """What is measured at this budget."""
        return brief if self.brief else everything


# fmt: off
BUDGETS = {
    budget.name: budget
    for budget in (
        Budget("smoke", 53, 5 * 10**9, 0.2, 0.1, brief=True,
               remedy_seconds=74, ladder_seconds=35, link_seconds=20),
        Budget("quick", 360, 8 * 10**9, 0.4, 0.1, 2, 2,
               remedy_seconds=360, ladder_seconds=180, link_seconds=175),
        Budget("full", 2850, None, 1.0, 0.3, 3, 2,
               remedy_seconds=2550, ladder_seconds=540, ladder_rounds=10, link_seconds=600),
    )
}
# fmt: on


def budget_named(name: str) -> Budget:
    """The budget of that name; an unknown name is an InputError that lists all."""
    if name not in BUDGETS:
        raise InputError(f"no budget {name!r}; there are: {', '.join(BUDGETS)}")
    return BUDGETS[name]
