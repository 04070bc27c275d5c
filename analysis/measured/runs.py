"""A run: one machine's measurements as one JSON file.

A run file may come from anyone, so it is read as data: bounded in size, every field checked, and
its text, which is one printable line at most, escaped by whoever shows it. A file is replaced as a
whole or not at all.
"""

import hashlib
import json
import os
import re
import tempfile
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Annotated, Literal

import numpy as np
import pydantic
from pydantic import AfterValidator, AwareDatetime, Field, StrictFloat, StrictInt

from analysis.errors import InputError
from analysis.measured.timing import METHOD_VERSION, MOST, Measurement, Sample

KINDS = ("ceiling", "latency", "step", "breakdown", "check", "serving", "quality")

ROOT = Path(__file__).resolve().parents[2]
ARCHIVE = ROOT / "old-runs"
LOCAL = ROOT / "runs"  # the reader's own; ignored by git
SCHEMA_VERSION = 2
FILE_BYTES = 5_000_000
VISITS = 10
# What a point is measured for, by the first part of its key.
NEEDED = dict.fromkeys(("bandwidth", "cache", "read", "other", "breakdown", "link"), "bytes")
NEEDED["matmul"] = "flops"
MOST_POINTS = 5000
TEXT = 300


def _one_line(text: str) -> str:
    """Printable text only: no line ends, no control or direction-changing characters."""
    if not text.isprintable():
        raise ValueError("expected one line of printable text")
    return text


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


Text = Annotated[str, Field(min_length=1, max_length=TEXT), AfterValidator(_one_line)]
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
Positive = Annotated[int, Field(ge=1, le=2**63 - 1)]
Seconds = Annotated[float, Field(ge=1e-10, le=1e7)]  # finer than any clock; no ratio overflows
Visit = Annotated[list[Seconds], Field(min_length=1, max_length=MOST)]
Moment = Annotated[AwareDatetime, AfterValidator(_utc)]
Detail = Text | Annotated[StrictInt, Field(ge=-(2**63), le=2**63 - 1)] | StrictFloat


class Checked(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, validate_assignment=True
    )


class Machine(Checked):
    """Where a run was measured; None and "unknown" are what could not be found out."""

    device: Literal["cpu", "cuda", "mps"]
    device_name: Text
    cpu: Text
    cores: Positive | None  # physical
    threads: Positive  # that torch used
    caches: Annotated[dict[Text, Positive], Field(max_length=10)]  # bytes, all instances together
    memory_bytes: Positive | None
    gpu_memory_bytes: Positive | None
    os: Text
    python: Text
    torch: Text
    numpy: Text
    blas: Text
    fast_paths: Annotated[list[Text], Field(max_length=50)]  # such as AVX2, amx_bf16, sm_90

    def identity(self) -> list[str | int | None]:
        """What two runs must share for one to stand for the other."""
        return [self.device, self.device_name, self.cpu, self.cores, self.threads, self.torch]


class Point(Checked):
    """One measured point: raw times in seconds of each visit; FLOPs and bytes of a repetition."""

    key: Text
    kind: Literal[KINDS]
    seconds: Annotated[list[Visit], Field(min_length=1, max_length=VISITS)]
    flops: Count | None
    bytes: Count | None
    details: Annotated[dict[Text, Detail], Field(max_length=50)]

    @pydantic.model_validator(mode="after")
    def _has_its_rate(self):
        needed = NEEDED.get(self.key.split("/")[0])
        if needed and not getattr(self, needed):
            raise ValueError(f"{self.key[:60]} has no {needed}")
        return self

    _drift: float = pydantic.PrivateAttr(0.0)  # of its run, once that was read or is finished

    @property
    def sample(self) -> Sample:
        times = tuple(chain.from_iterable(self.seconds))
        return Sample(times, tuple(map(len, self.seconds)), self._drift)


class NotMeasured(Checked):
    key: Text
    reason: Text


class Run(Checked):
    """What was measured on one machine, when and how, and what was not, and why."""

    schema_version: Literal[2]
    method_version: Text
    budget: Text
    machine: Machine
    started: Moment
    finished: Moment | None  # None: interrupted, to be resumed
    wall_seconds: Annotated[float, Field(ge=0, le=1e9)]  # spent on it, pauses left out
    points: Annotated[list[Point], Field(max_length=MOST_POINTS)]
    not_measured: Annotated[list[NotMeasured], Field(max_length=MOST_POINTS)]

    @pydantic.model_validator(mode="after")
    def _consistent(self):
        keys = [each.key for each in (*self.points, *self.not_measured)]
        if len(keys) != len(set(keys)):
            raise ValueError("a point is there twice")
        if self.finished and self.finished < self.started:
            raise ValueError("it finished before it started")
        drift = self.drift
        for point in self.points:
            point._drift = drift
        return self

    @classmethod
    def new(cls, machine: Machine, budget: str) -> "Run":
        return cls(
            schema_version=SCHEMA_VERSION, method_version=METHOD_VERSION, budget=budget,
            machine=machine, started=now(), finished=None, wall_seconds=0.0, points=[],
            not_measured=[],
        )  # fmt: skip

    @property
    def drift(self) -> float:
        """How far this machine differs from itself from visit to visit: the standard deviation of
        the logarithms of visits' medians, pooled over the points with several; else 0."""
        medians = [np.log([median(each) for each in point.seconds]) for point in self.points]
        squares = sum(((each - each.mean()) ** 2).sum() for each in medians)
        return float(np.sqrt(squares / max(1, sum(len(each) - 1 for each in medians))))

    def point(self, key: str) -> Point | None:
        """The point of that key; None if it was not measured."""
        return next((point for point in self.points if point.key == key), None)

    def sample(self, key: str) -> Sample | None:
        point = self.point(key)
        return point and point.sample

    def ratio(self, key: str, other: str) -> Sample | None:
        """Times of `key` over those of `other`, repetition by repetition, as they were timed in
        turn; None without both."""
        one, base = self.sample(key), self.sample(other)
        if one is None or base is None or one.n != base.n:
            return None
        return Sample(tuple(np.divide(one.times, base.times)), one.sizes)

    def reason(self, key: str) -> str | None:
        """Why that point was not measured, if it was to be."""
        return next((each.reason for each in self.not_measured if each.key == key), None)

    def visits(self, key: str) -> int:
        """How often that point was visited; 0 if it was not measured."""
        point = self.point(key)
        return len(point.seconds) if point else 0

    def add(self, key: str, kind: str, measurement: Measurement) -> None:
        """Add a point, or a visit to it, and what was measured beside it; times are kept to 6
        digits, which is finer than any clock here."""
        seconds = [float(f"{time:.6g}") for time in measurement.sample.times]
        if point := self.point(key):
            point.seconds = [*point.seconds, seconds]
        else:
            point = Point(
                key=key, kind=kind, seconds=[seconds], flops=measurement.flops,
                bytes=measurement.bytes, details=dict(measurement.details),
            )  # fmt: skip
            self.points.append(point)
        for other, (other_kind, each) in measurement.beside.items():
            self.add(other, other_kind, each)

    def skip(self, key: str, reason: str) -> None:
        """Note that a point was not measured; of the reason, its first printable line is kept."""
        text = "".join(c if c.isprintable() else " " for c in reason)
        self.not_measured.append(NotMeasured(key=key, reason=text[:TEXT].strip() or "unknown"))


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def save_run(run: Run, path: Path) -> None:
    """Write `run` to `path`, one line a point; whoever reads sees the old file or the new one.

    Raises InputError if the folder cannot be made or written.
    """
    fields = run.model_dump(mode="json")
    lines = []
    for name, value in fields.items():
        text = json.dumps(value, ensure_ascii=False)
        if isinstance(value, list) and value:
            rows = ",\n".join(f"  {json.dumps(each, ensure_ascii=False)}" for each in value)
            text = f"[\n{rows}\n ]"
        lines.append(f' "{name}": {text}')
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            temporary = file.name
            file.write("{\n" + ",\n".join(lines) + "\n}\n")
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # a temporary file is its owner's alone; a run is to be shared
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)


def load_run(path: Path) -> Run:
    """Read a run file. Raises InputError, in one line, for one that is not a run of this schema."""
    try:
        with path.open("rb") as file:
            text = file.read(FILE_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if len(text) > FILE_BYTES:
        raise InputError(f"{path}: expected a run file of at most {FILE_BYTES} bytes")
    try:
        return Run.model_validate_json(text)
    except pydantic.ValidationError as error:
        raise InputError(f"{path}: not a run of this report: {_first(error)}") from None


def _first(error: pydantic.ValidationError) -> str:
    """The first fault in one line; one of the schema's version tells more than any other."""
    faults = error.errors(include_url=False)
    for fault in faults:
        if fault["loc"] == ("schema_version",) and fault["type"] == "literal_error":
            return f"its schema version is not {SCHEMA_VERSION}, which is the one read here"
    fault = faults[0]
    where = ".".join(str(each)[:60] for each in fault["loc"])
    text = f"{where}: {fault['msg']}" if where else fault["msg"]
    text = "".join(c if c.isprintable() else " " for c in text)
    return text[:TEXT] + (f" (and {len(faults) - 1} more)" if len(faults) > 1 else "")


def archived() -> list[str]:
    """Names of the archived runs."""
    return sorted(path.stem for path in ARCHIVE.glob("*.json"))


def find_run(name_or_file: str | Path) -> Path:
    """The file of an archived run's name, or a file's path as it is; InputError if neither."""
    name = str(name_or_file)
    if name in archived():
        return ARCHIVE / f"{name}.json"
    if Path(name).is_file():
        return Path(name)
    there = ", ".join(archived()) or "none"
    raise InputError(f"{name}: neither a file nor an archived run; archived: {there}")


def local_path(machine: Machine, budget: str) -> Path:
    """Where the reader's own run is kept: a name for people and a digest of the identity."""
    name = re.sub(r"[^a-z0-9]+", "-", machine.device_name.lower())[:40].strip("-")
    digest = hashlib.sha256(json.dumps(machine.identity()).encode()).hexdigest()[:8]
    return LOCAL / f"{name or machine.device}-{digest}-{budget}.json"


def reusable(run: Run, machine: Machine, budget: str) -> bool:
    """Whether `run` need not be measured again: machine, method and budget are the same."""
    return (
        run.machine.identity() == machine.identity()
        and run.method_version == METHOD_VERSION
        and run.budget == budget
    )
