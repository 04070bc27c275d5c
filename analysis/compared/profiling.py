"""One machine's run beside the paper's profile and beside what the roofline predicts."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.compared.counts import LENGTHS, PAPER_MODELS
from analysis.compared.page import Table, between, number, percent, times
from analysis.errors import InputError
from analysis.measured.driver import measure_machine
from analysis.measured.runs import Run, archived, find_run, load_run
from analysis.measured.sampling import integrate_generation
from analysis.measured.timing import Sample
from analysis.predicted.transformer import CLASSES
from analysis.published.tables import load_table

KEYS = {"BERT-Base": "bert-base", "BERT-Large": "bert-large", "GPT-2": "gpt2"}
ENCODERS = ("BERT-Base", "BERT-Large")
ADDS_UP = 0.05  # how far the parts of a whole may be from it


@dataclass(frozen=True)
class Spread:
    """A median of seconds and its 95 % interval."""

    median: float
    low: float
    high: float

    def over(self, other: "Spread") -> "Spread":
        """The ratio of two; its interval takes the ends that lie furthest apart."""
        return Spread(self.median / other.median, self.low / other.high, self.high / other.low)


def book_run() -> Run:
    """Return the run that the book shows: the one that RUN names, else this machine's own at
    BUDGET (both environment variables; by default smoke), measured first where there is none."""
    if name := os.environ.get("RUN"):
        return load_run(find_run(name))
    return measure_machine(os.environ.get("BUDGET") or "smoke")


def archived_runs() -> dict[str, Run]:
    """Return the archived runs by name."""
    return {name: load_run(find_run(name)) for name in archived()}


def tokens_in(key: str) -> int:
    """Return the sequence length or the context in a point's key: of encode/bert-base/128/fused,
    128. InputError where there is none: the run may be a file from elsewhere."""
    text = [*key.split("/"), "", "", ""][2]
    if not re.fullmatch("[1-9][0-9]{0,6}", text):
        raise InputError(f"point {key} of the run: expected a number of tokens, not {text!r}")
    return int(text)


def steps(run: Run, attention: str = "fused", model: str = "gpt2") -> pd.DataFrame:
    """Return the timed decoder steps by context: context, median, low, high (s), flops, bytes."""
    rows = []
    for point in run.points:
        match point.key.split("/"):
            case ["step", this, _, kind] if (this, kind) == (model, attention):
                context, (low, high) = tokens_in(point.key), point.sample.interval
                rows.append((context, point.sample.median, low, high, point.flops, point.bytes))
    columns = ["context", "median", "low", "high", "flops", "bytes"]
    return pd.DataFrame(rows, columns=columns).sort_values("context", ignore_index=True)


def latency(run: Run, model: str, length: int, attention: str = "fused") -> Spread | None:
    """Seconds to encode `length` tokens, or for GPT-2 to generate them from nothing.

    A generation is the integral over the timed steps. None where the run lacks what it needs.
    """
    if model in ENCODERS:
        sample = run.sample(f"encode/{KEYS[model]}/{length}/{attention}")
        return sample and Spread(sample.median, *sample.interval)
    timed = steps(run, attention)
    if timed.empty or timed["context"].max() < length or timed["context"].min() > 1:
        return None
    intervals = list(zip(timed["low"], timed["high"], strict=True))
    return Spread(*integrate_generation(timed["context"], timed["median"], intervals, length))


def relative_latency(run: Run, attention: str = "fused") -> pd.DataFrame:
    """Return latencies relative to BERT-Base at 128 tokens, as the paper prints them.

    Columns: model, sequence_length, attention, seconds, value, low, high. What was not measured
    has no row.
    """
    base = latency(run, "BERT-Base", LENGTHS[0], attention)
    rows = []
    for model in PAPER_MODELS:
        for length in LENGTHS:
            this = latency(run, model, length, attention)
            if this and base:
                ratio = this.over(base)
                rows.append(
                    (model, length, attention, this.median, ratio.median, ratio.low, ratio.high)
                )
    columns = ["model", "sequence_length", "attention", "seconds", "value", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def printed_latency(data: Path | None = None) -> pd.DataFrame:
    """Return the paper's relative latencies: model, sequence_length, value."""
    table = load_table("counts_by_length", data)
    return table[table["quantity"] == "relative_latency"][["model", "sequence_length", "value"]]


def gpt2_over_bert(run: Run, length: int) -> float | None:
    """Return how many times as long GPT-2 generates as BERT-Base encodes, at `length` tokens."""
    gpt2, bert = latency(run, "GPT-2", length), latency(run, "BERT-Base", length)
    return gpt2.over(bert).median if gpt2 and bert else None


def lengths_in_order(run: Run) -> float | None:
    """Return at how many lengths BERT-Base < BERT-Large < GPT-2, once all six are measured."""
    found = [[latency(run, model, n) for model in PAPER_MODELS] for n in LENGTHS]
    if not all(all(row) for row in found):
        return None
    return float(sum(a.median < b.median < c.median for a, b, c in found))


def breakdown(run: Run, model: str) -> pd.DataFrame:
    """Return the share of the time by operator class: sequence_length, operator_class, seconds,
    share (of the four parts), sum_over_whole (the median of the sums of parts over the passes
    without stamps that were timed before them), and the ends of its interval, low and high."""
    rows = []
    for length in sorted({tokens_in(p.key) for p in run.points if p.kind == "breakdown"}):
        points = [run.point(f"breakdown/{KEYS[model]}/{length}/{name}") for name in CLASSES]
        if not all(points):  # some parts only add up to nothing
            continue
        seconds = [point.sample.median for point in points]
        whole = run.sample(str(points[0].details.get("whole")))
        together = [whole, *(point.sample for point in points)]
        over = (None, None, None)
        if whole and len({sample.n for sample in together}) == 1:
            ratios = np.sum([s.times for s in together[1:]], axis=0) / whole.times
            ratio = Sample(tuple(ratios), whole.sizes)
            over = (ratio.median, *ratio.interval)
        rows += [
            (length, name, each, each / sum(seconds), *over)
            for name, each in zip(CLASSES, seconds, strict=True)
        ]
    columns = "sequence_length operator_class seconds share sum_over_whole low high".split()
    return pd.DataFrame(rows, columns=columns)


def distance_in_words(run: Run) -> str:
    """Say how far apart GPT-2 and BERT-Base are, at the longest length that the run has."""
    printed = printed_latency().set_index(["model", "sequence_length"])["value"]
    for length in reversed(LENGTHS):
        ours = gpt2_over_bert(run, length)
        if ours:
            theirs = printed["GPT-2", length] / printed["BERT-Base", length]
            return (
                f"At {length} tokens GPT-2 takes {times(ours)} as long as BERT-Base here, and "
                f"{times(theirs)} in the paper."
            )
    return "This run lacks the points that compare GPT-2 with BERT-Base; a larger budget has them."


def sums_in_words(parts: dict[str, pd.DataFrame]) -> str:
    """Say how far the parts of the breakdowns add up to the passes without stamps."""
    each = [rows.groupby("sequence_length").first() for rows in parts.values()]
    sums = pd.concat(each or [pd.DataFrame(columns=["sum_over_whole", "low", "high"])])
    if sums.empty:
        return "No breakdown was measured in this run; a larger budget has it."
    least, most = sums["sum_over_whole"].min(), sums["sum_over_whole"].max()
    beyond = (sums["low"] > 1 + ADDS_UP) | (sums["high"] < 1 - ADDS_UP)
    return (
        f"The parts add up to {percent(least, 3)} to {percent(most, 3)} of the passes that carry "
        f"no stamps; further than {percent(ADDS_UP)} from them, interval and all, at "
        f"{beyond.sum() or 'none'} of {len(sums)} lengths."
    )


def latency_table(run: Run, name: str) -> Table:
    """Show the paper's relative latencies beside this run's, and the seconds behind them."""
    ours = relative_latency(run).set_index(["model", "sequence_length"])
    rows = []
    for cell in printed_latency().itertuples():
        key = (cell.model, cell.sequence_length)
        row = {"Model": cell.model, "Length": cell.sequence_length, "Paper": number(cell.value)}
        if key in ours.index:
            this = ours.loc[key]
            row |= {
                "Here": number(this["value"]),
                "95 % interval": between((this["low"], this["high"])),
                "Seconds here": number(this["seconds"]),
                "Deviation": percent(this["value"] / cell.value - 1, sign=True),
            }
        else:
            row |= {"Here": "not measured", "95 % interval": "–"}
            row |= {"Seconds here": "–", "Deviation": "–"}
        rows.append(row)
    caption = "Latency relative to BERT-Base at 128 tokens: the paper's Xeon and this run."
    return Table(pd.DataFrame(rows), name, caption)


def run_card(run: Run, name: str) -> Table:
    """Show where a run comes from: machine, date, versions, repetitions, duration."""
    machine = run.machine
    repetitions = [point.sample.n for point in run.points] or [0]
    visits = [len(point.seconds) for point in run.points] or [0]
    caches = ", ".join(f"{k} {number(v / 1e6)} MB" for k, v in machine.caches.items()) or "unknown"
    facts = {
        "Machine": machine.device_name,
        "Processor": f"{machine.cpu}, {machine.cores or '?'} cores, {machine.threads} threads",
        "Caches": caches,
        "Memory": f"{number((machine.memory_bytes or 0) / 1e9)} GB",
        "System": machine.os,
        "Versions": f"Python {machine.python}, torch {machine.torch}, {machine.blas}",
        "Measured": f"{run.started:%Y-%m-%d %H:%M} UTC, {number(run.wall_seconds)} s, "
        f"budget {run.budget}, method version {run.method_version}",
        "Points": f"{len(run.points)}, of {min(repetitions)} to {max(repetitions)} repetitions in "
        f"{min(visits)} to {max(visits)} visits; {len(run.not_measured)} not measured",
        "Drift": f"visits of a point differ by {percent(run.drift)} (standard deviation)"
        if max(visits) > 1
        else "unknown: one visit",
    }
    frame = pd.DataFrame({"Run": facts.keys(), "": facts.values()})
    return Table(frame, name, "Where the numbers of this page come from.")


def not_measured_table(run: Run, name: str) -> Table:
    """Show what the run left out, and why, one row a reason; how long each would have taken is
    in the run file."""
    rows = pd.DataFrame(
        [(m.reason.split(": would take")[0], m.key) for m in run.not_measured],
        columns=["Reason", "Points"],
    )
    grouped = rows.groupby("Reason", sort=False)["Points"].agg(list).reset_index()
    grouped["Points"] = [
        ", ".join(keys[:4]) + (f" and {len(keys) - 4} more" if len(keys) > 4 else "")
        for keys in grouped["Points"]
    ]
    if grouped.empty:
        grouped = pd.DataFrame({"Reason": ["nothing was left out"], "Points": [""]})
    return Table(grouped, name, "What this run did not measure.")
