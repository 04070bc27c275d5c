"""The links of a run: bus bandwidth by message, and models split over processes."""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.compared.page import Table, between, number, percent, times
from analysis.errors import InputError
from analysis.measured.runs import Run
from analysis.measured.timing import BUDGETS
from analysis.predicted.architectures import ARCHITECTURES
from analysis.predicted.links import (
    BUS,
    bus_bandwidth,
    communication_time,
    most_useful,
    parallel_time,
)

PROJECTIONS = 6  # of a layer, as `measured.parallel` splits it
NUMBER = re.compile("[1-9][0-9]{0,9}")
COLUMNS = "operation processes bytes seconds low_time high_time bandwidth low high".split()


def messages(run: Run) -> pd.DataFrame:
    """Return each timed message: operation, processes, bytes, seconds, low_time, high_time, and its
    bus bandwidth, low, high (bytes/s), as nccl-tests defines it."""
    rows = []
    for point in run.points:
        match point.key.split("/"):
            case ["link", operation, n, size] if operation in BUS:
                if not (NUMBER.fullmatch(n) and NUMBER.fullmatch(size) and int(n) > 1):
                    raise InputError(f"point {point.key} of the run: expected processes and bytes")
                n, size, (low, high) = int(n), int(size), point.sample.interval
                seconds = np.array([point.sample.median, high, low])
                rates = bus_bandwidth(operation, size, seconds, n)
                rows.append((operation, n, size, seconds[0], low, high, *rates))
    return pd.DataFrame(rows, columns=COLUMNS).sort_values(
        ["operation", "bytes"], ignore_index=True
    )


def reduce_times(run: Run) -> dict[int, float]:
    """Return the seconds of an all-reduce by its bytes; empty where none was timed."""
    rows = messages(run)
    rows = rows[rows["operation"] == "all_reduce"]
    return dict(zip(rows["bytes"], rows["seconds"], strict=True))


@dataclass(frozen=True)
class Split:
    """Layers of a model, on one process and split over several (seconds)."""

    model: str
    length: int
    processes: int
    alone: float
    measured: float
    low: float
    high: float
    predicted: float  # shared out, and then the communication
    communication: float

    @property
    def rows(self) -> int:
        return 1 if ARCHITECTURES[self.model].kind == "decoder" else self.length


def splits(run: Run) -> list[Split]:
    """Return every model that the run has on one process and on several."""
    reduced, found = reduce_times(run), []
    for point in run.points:
        match point.key.split("/"):
            case ["tensor", model, length, n] if model in ARCHITECTURES and n != "1":
                alone = run.sample(f"tensor/{model}/{length}/1")
                if not (alone and reduced and NUMBER.fullmatch(length) and NUMBER.fullmatch(n)):
                    continue
                arch, n, length = ARCHITECTURES[model], int(n), int(length)
                rows = 1 if arch.kind == "decoder" else length
                found.append(
                    Split(
                        model, length, n, alone.median, point.sample.median, *point.sample.interval,
                        parallel_time(arch, rows, alone.median, n, reduced),
                        communication_time(arch, rows, reduced),
                    )
                )  # fmt: skip
    return found


def link_of(run: Run) -> tuple[float, float] | None:
    """Return what an all-reduce costs to start (s), half that of the smallest message between two,
    and the best bus bandwidth (bytes/s); None where none was timed."""
    rows = messages(run)
    rows = rows[rows["operation"] == "all_reduce"]
    if rows.empty:
        return None
    rounds = 2 * (rows["processes"].iloc[0] - 1)
    return float(rows["seconds"].iloc[0] / rounds), float(rows["bandwidth"].max())


def split_table(run: Run, name: str) -> Table:
    """Show what splitting saves and costs: measured, predicted, and the share of communication."""
    link, rows = link_of(run), []
    for each in splits(run):
        arch = ARCHITECTURES[each.model]
        rows.append(
            {
                "Model": f"{arch.name} at {each.length}",
                "Processes": each.processes,
                "On one (ms)": number(1e3 * each.alone),
                "Split (ms)": number(1e3 * each.measured),
                "95 % interval": between((1e3 * each.low, 1e3 * each.high)),
                "Speed-up": times(each.alone / each.measured),
                "Predicted (ms)": number(1e3 * each.predicted),
                "Messages": percent(each.communication / each.measured),
                "Most useful": most_useful(arch, each.rows, each.alone, *link),
            }
        )
    columns = ["Model", "Processes", "On one (ms)", "Split (ms)"]
    frame = pd.DataFrame(rows, columns=None if rows else columns)
    caption = (
        "Layers split over processes of one thread each: BERT's pass over that many tokens, a step "
        "of GPT-2 at that context. Messages are what its all-reduces take alone, over the "
        "measured time. Last, beyond how many processes it would take longer again."
    )
    return Table(frame, name, caption)


def how_to_add(budget: str) -> str:
    """Return the command that adds links to a run of that budget, which may be a file's text."""
    return f'"make measure-links BUDGET={budget if budget in BUDGETS else "smoke"}"'


def links_in_words(run: Run) -> str:
    """Say what the links do at best and what a message costs to start."""
    link = link_of(run)
    if link is None:
        return f"This run has no links; {how_to_add(run.budget)} adds them."
    start, best = link
    return (
        f"A message costs {number(1e6 * start)} µs to start, whatever its size, and long ones move "
        f"at up to {number(best / 1e9)} GB/s of bus bandwidth."
    )


def processes_in_words(run: Run) -> str:
    """Say how many processes were measured, through what."""
    for point in run.points:
        if point.key.startswith("link/all_reduce/"):
            n, through = point.key.split("/")[2], point.details.get("backend", "an unknown backend")
            return f"This run has {n} processes, which talk through {through}."
    return links_in_words(run)


def splits_in_words(run: Run) -> str:
    """Say what splitting gained, at best and at worst."""
    found = splits(run)
    if not found:
        return f"This run has no model that was split; {how_to_add(run.budget)} adds them."
    gains = {f"{ARCHITECTURES[s.model].name} at {s.length}": s.alone / s.measured for s in found}
    best, worst = max(gains, key=gains.get), min(gains, key=gains.get)
    n = found[0].processes
    last = max(found, key=lambda split: split.measured / split.predicted)
    extra = (last.measured - last.predicted) / (PROJECTIONS * ARCHITECTURES[last.model].n_layers)
    return (
        f"On {n} processes {best} is {times(gains[best])} as fast as on one, and {worst} "
        f"is {times(gains[worst])} as fast. Beyond the prediction, torch's bookkeeping of split "
        f"tensors and waiting take up to {number(1e3 * extra, 2)} ms for each projection."
    )
