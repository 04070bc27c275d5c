"""A run: what one machine measured, as one JSON file and as one table, a row a point.

A file is replaced as a whole or not at all; one that is read is bounded in size and checked.
"""

import hashlib
import json
import re
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import pydantic
from pydantic import Field

from analysis.errors import InputError
from analysis.files import read, write
from analysis.measured.schema import (
    KEY,
    TEXT,
    Checked,
    Machine,
    Moment,
    Named,
    NotMeasured,
    Point,
    Text,
)
from analysis.measured.timing import METHOD_VERSION, Key, Measurement, Sample
from analysis.text import one_line

ROOT = Path(__file__).resolve().parents[2]
ARCHIVE = ROOT / "data" / "runs"  # tracked
LOCAL = ROOT / "runs"  # the reader's own; ignored by git
SCHEMA_VERSION = 3
FILE_BYTES, MOST_POINTS = 5_000_000, 5000


class Missing(InputError):
    """A run has no such points; `compared.shown` leaves the run out."""


class Run(Checked):
    """What was measured on one machine, when and how, and what was not, and why."""

    schema_version: Literal[3]
    method_version: Text
    budget: Text
    machine: Machine
    started: Moment
    finished: Moment | None  # None: interrupted, to be resumed
    wall_seconds: Annotated[float, Field(ge=0, le=1e9)]  # spent on it, pauses left out
    points: Annotated[list[Point], Field(max_length=MOST_POINTS)]
    not_measured: Annotated[list[NotMeasured], Field(max_length=MOST_POINTS)]
    # Begun and never ended: a process that is killed cannot say at what.
    under_way: Annotated[list[Named], Field(max_length=MOST_POINTS)] = []
    _borrowed: dict[str, float] = pydantic.PrivateAttr({})  # drifts of another run

    @pydantic.model_validator(mode="after")
    def _consistent(self):
        keys = [each.key for each in (*self.points, *self.not_measured)]
        if len(keys) != len(set(keys)):
            raise ValueError("a point is there twice")
        if self.finished and self.finished < self.started:
            raise ValueError("it finished before it started")
        self._share(self.drifts)
        return self

    @classmethod
    def new(cls, machine: Machine, budget: str) -> "Run":
        return cls(
            schema_version=SCHEMA_VERSION, method_version=METHOD_VERSION, budget=budget,
            machine=machine, started=now(), finished=None, wall_seconds=0.0, points=[],
            not_measured=[],
        )  # fmt: skip

    @property
    def drifts(self) -> dict[str, float]:
        """How far this machine differs from itself from visit to visit, by kind of point: the
        standard deviation of the logarithms of visits' medians, pooled over the points with
        several. A kind of which no point was visited twice has that of all kinds together; where
        no point at all was, there is none."""
        squares, freedom = defaultdict(float), defaultdict(int)
        for point in self.points:
            medians = np.log([median(each) for each in point.seconds])
            squares[point.what] += ((medians - medians.mean()) ** 2).sum()
            freedom[point.what] += len(medians) - 1
        if not (all_freedom := sum(freedom.values())):
            return {}
        pooled = sum(squares.values()) / all_freedom
        return {w: float(np.sqrt(squares[w] / n if n else pooled)) for w, n in freedom.items()}

    @property
    def borrowed(self) -> list[str]:
        """The kinds whose drift is another run's."""
        return sorted(self._borrowed)

    def borrow(self, other: "Run") -> None:
        """Take the drift of another run for the kinds of which this one has none of its own."""
        lent = {what: drift for what, drift in other.drifts.items() if what not in self.drifts}
        self._borrowed = {w: lent[w] for w in {p.what for p in self.points} & lent.keys()}
        self._share(self._borrowed)

    def _share(self, drifts: dict[str, float]) -> None:
        for point in self.points:
            point._drift = drifts.get(point.what, point._drift)

    def rows(self, what: str, **where) -> pd.DataFrame:
        """The points of a kind, a row each, in order of model, tokens, batch and n.

        Columns: those of `Key`, turn, sample (`timing.Sample`), seconds (the median), low, high
        (its 95 % interval), flops, bytes, and one for each detail. `where`: column -> its value.
        Raises Missing where the run has none.
        """
        found = []
        for point in self.points:
            if point.what == what and all(getattr(point, k) == v for k, v in where.items()):
                sample, columns = point.sample, {name: getattr(point, name) for name in KEY}
                columns |= {"turn": point.turn, "sample": sample, "seconds": sample.median}
                columns |= dict(zip(("low", "high"), sample.interval, strict=True))
                columns |= {"flops": point.flops, "bytes": point.bytes}
                found.append(columns | point.details)  # which have names of their own
        if not found:
            asked = " ".join(map(str, (what, *where.values())))
            raise Missing(f"the run has no {asked}")
        order = ["model", "tokens", "batch", "n"]
        return pd.DataFrame(found).sort_values(order, kind="stable", ignore_index=True)

    def row(self, what: str, **where) -> pd.Series:
        """The one point that this names; Missing where the run has none or several."""
        rows = self.rows(what, **where)
        if len(rows) > 1:
            raise Missing(f"the run has {len(rows)} points {what} {where}, not one")
        return rows.iloc[0]

    def find(self, key: Key) -> Point | None:
        """The point of that key; None if it was not measured."""
        return next((point for point in self.points if point.key == key), None)

    def visits(self, key: Key) -> int:
        """How often that point was visited; 0 if it was not measured."""
        point = self.find(key)
        return len(point.seconds) if point else 0

    def add(self, key: Key, measurement: Measurement, turn: str = "") -> None:
        """Add a point, or a visit to it, and what was timed in turn with it; times are kept to 6
        digits, which is finer than any clock here."""
        seconds = [float(f"{time:.6g}") for time in measurement.sample.times]
        turn = turn or (str(key) if measurement.beside else "")
        if point := self.find(key):
            point.seconds = [*point.seconds, seconds]
        else:
            self.points.append(
                Point(
                    **vars(key), turn=turn if measurement.in_turn else "", seconds=[seconds],
                    flops=measurement.flops, bytes=measurement.bytes,
                    details=dict(measurement.details),
                )
            )  # fmt: skip
        self._forget(key)
        for other, each in measurement.beside.items():
            self.add(other, each, turn)
        for other, reason in measurement.missing.items():
            if not self.find(other):
                self.skip(other, reason)

    def skip(self, key: Key, reason: str | Exception) -> None:
        """Note that a point was not measured, with the reason in one line."""
        text = one_line(str(reason), TEXT) or type(reason).__name__
        self._forget(key)
        self.not_measured.append(NotMeasured(**vars(key), reason=text))

    def begin(self, key: Key) -> None:
        """Note that a point is about to be measured, for whoever finds the run after a crash."""
        self.end(key)
        self.under_way = [*self.under_way, Named(**vars(key))]

    def end(self, key: Key) -> None:
        """Note that this process got past a point, whether or not it was measured."""
        self.under_way = [each for each in self.under_way if each.key != key]

    def crashed(self, key: Key) -> bool:
        """Whether a process ended while it measured that point."""
        return any(each.key == key for each in self.under_way)

    def finish(self) -> None:
        """Note that all is done, now or, where the clock was set back since, when it started."""
        self.under_way, self.finished = [], max(now(), self.started)

    def _forget(self, key: Key) -> None:
        """That a point was not measured before."""
        self.not_measured = [each for each in self.not_measured if each.key != key]


def ratio(one, other) -> tuple[float, float, float]:
    """Time of one of `Run.rows` over that of another, and its 95 % interval; each a Series or a
    named tuple.

    Pair by pair where they were timed in turn; of a point over itself one. Else it is of their
    medians, and the interval lies between the ends that are furthest apart, which hold the drift of
    both.
    """
    # A Series has a method of that name.
    a, b = (x["sample"] if isinstance(x, pd.Series) else x.sample for x in (one, other))
    if a is b:  # `schema.Point.sample` is the same object each time
        return 1.0, 1.0, 1.0
    if one.turn and one.turn == other.turn and a.sizes == b.sizes:
        pairs = Sample(tuple(np.divide(a.times, b.times)), a.sizes)
        return pairs.median, *pairs.interval
    return a.median / b.median, a.interval[0] / b.interval[1], a.interval[1] / b.interval[0]


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def save_run(run: Run, path: Path) -> None:
    """Write `run` to `path`, one line a point; whoever reads sees the old file or the new one.

    Raises InputError if the folder cannot be made or written.
    """
    lines = []
    for name, value in run.model_dump(mode="json", exclude_defaults=True).items():
        text = json.dumps(value)
        if value and isinstance(value, list):
            text = "[\n  " + ",\n  ".join(map(json.dumps, value)) + "\n ]"
        lines.append(f' "{name}": {text}')
    write(path, ("{\n" + ",\n".join(lines) + "\n}\n").encode())


def load_run(path: Path) -> Run:
    """Read a run file. Raises InputError, in one line, for one that is not a run of this schema."""
    try:
        return Run.model_validate_json(read(path, FILE_BYTES))
    except pydantic.ValidationError as error:
        raise InputError(f"{path}: not a run of this report: {_first(error)}") from None


def _first(error: pydantic.ValidationError) -> str:
    """The first fault in one line: that of the schema's version, where it is another."""
    fault, *others = error.errors(include_url=False)
    if fault["loc"] == ("schema_version",):
        former = fault["input"] == SCHEMA_VERSION - 1
        how = "; python -m publishing.migrate FILE brings the former one to it" * former
        return f"its schema version is not {SCHEMA_VERSION}, which is the one read here{how}"
    where = ".".join(str(each)[:60] for each in fault["loc"] if "[" not in str(each))  # a type's
    text = one_line(f"{where}: {fault['msg']}" if where else fault["msg"], TEXT)
    return text + f" (and {len(others)} more)" * bool(others)


def archived() -> list[str]:
    """Names of the archived runs."""
    return sorted(path.stem for path in ARCHIVE.glob("*.json"))


def find_run(name_or_file: str | Path) -> Path:
    """The file of an archived run's name, or a file by its path from here or, since chapters run in
    a folder of their own, from the project; InputError if neither."""
    name = str(name_or_file)
    if name in archived():
        return ARCHIVE / f"{name}.json"
    for path in (Path(name), ROOT / name):
        if path.is_file():
            return path
    there = ", ".join(archived()) or "none"
    name = name or "an empty name"
    raise InputError(f"{name}: neither a file nor an archived run; archived: {there}")


def local_path(machine: Machine, budget: str) -> Path:
    """Where the reader's own run is kept: a name for people and a digest of the identity."""
    name = re.sub(r"[^a-z0-9]+", "-", machine.device_name.lower())[:40].strip("-")
    digest = hashlib.sha256(json.dumps(machine.identity()).encode()).hexdigest()[:8]
    return LOCAL / f"{name or machine.device}-{digest}-{budget}.json"


def reusable(run: Run, machine: Machine, budget: str) -> bool:
    """Whether `run` need not be measured again: machine, method and budget are the same."""
    here = machine.identity(), METHOD_VERSION, budget
    return (run.machine.identity(), run.method_version, run.budget) == here
