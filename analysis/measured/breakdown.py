"""Where the time of a pass goes: its operator classes, timed inside of whole passes.

Stamps stand where one class ends and another begins, so that every moment of a pass belongs to
exactly one class and the classes add up to the pass: what is between matmuls, launches and Python
included, is "other". The network must have unfused attention: a fused kernel is one class only.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import torch

from analysis.measured.linear import Linear
from analysis.measured.rest import patched
from analysis.measured.timing import Clock
from analysis.predicted.transformer import CLASSES


def split(work: Callable[[], object], clock: Clock) -> dict[str, float]:
    """Seconds of one call of `work` by operator class; every moment of it is in one class."""
    marks = []

    def mark(name: str) -> None:
        marks.append((name, _event() if clock.device == "cuda" else clock.now()))

    clock.now()
    mark("")
    with stamped(mark):
        work()
    mark("other")
    clock.now()  # waits for the last event
    parts = dict.fromkeys(CLASSES, 0.0)
    for (_, before), (name, after) in pairwise(marks):
        cuda = clock.device == "cuda"
        parts[name] += before.elapsed_time(after) / 1000 if cuda else after - before
    return parts


@contextmanager
def stamped(mark: Callable[[str], None]) -> Iterator[None]:
    """Calls `mark(operator class)` at the end of what each class does in an unfused network: of
    "other" where a projection or an act-to-act matmul begins, of its own class where it ends."""
    linear, matmul = Linear.__call__, torch.matmul

    def project(self, x):
        mark("other")
        y = linear(self, x)
        mark(self.operator_class)
        return y

    def multiply(a, b):
        mark("other")
        y = matmul(a, b)
        mark("act_to_act")
        return y

    with patched(project, multiply):
        yield


def _event() -> "torch.cuda.Event":
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event
