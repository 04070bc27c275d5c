"""What a run file may hold: machines, and points of the kinds of `WHATS`, column by column.

A run file may come from anyone, so it is read as data: every column and detail is checked, and its
text is one printable line at most, escaped by whoever shows it.
"""

from dataclasses import dataclass, field, fields
from datetime import UTC
from functools import lru_cache
from itertools import chain
from typing import Annotated, Literal

import pydantic
from pydantic import AfterValidator, AwareDatetime, Field, StrictFloat, StrictInt

from analysis.measured.timing import MOST, Key, Sample

VISITS, TEXT = 10, 300
KEY = [each.name for each in fields(Key)]


@dataclass(frozen=True)
class What:
    """What points of one kind are, what `how` and `n` say of them, and what each of them has, or
    those of one `how` have besides: "flops", "bytes", or the name of a detail."""

    meaning: str
    how: str = ""
    n: str = ""
    has: tuple[str, ...] = ()
    besides: dict[str, tuple[str, ...]] = field(default_factory=dict)


SCORES = tuple("bits_per_byte bits_low bits_high difference difference_low difference_high".split())
AGREEMENT = ("agreement", "agreement_low", "agreement_high")
FARED = ("checks", "examined", "accepted", "equal")  # drafted tokens
STATE = ("parameters_bytes", "gradients_bytes", "optimizer_bytes", "passing_bytes")
WHATS = {
    "launch": What("one operator on one number"),
    "bandwidth": What("a kernel over arrays in memory", how="kernel", has=("bytes",)),
    "cache": What("a sum over half of the last-level cache", has=("bytes",)),
    "matmul": What("a product of matrices", how="MxKxN, of heads HxMxKxN", has=("flops",)),
    "alone": What("products of a pass or step alone", how="as of matmul", has=("flops",)),
    "other": What("what is no product in a pass or step", has=("bytes",)),
    "encode": What("an encoder pass", how="attention"),
    "step": What("a decoder step", how="attention"),
    "pair": What("a fused pass or step timed in turn with others", how="turn"),
    "read": What("the read ceiling between others", how="of what", has=("bytes",)),
    "rung": What("a pass, step, sum or square product with limited instructions",
                 how="the last of these", n="side of the square", has=("bytes",)),
    "rest": What("what is no product in a pass on a rung", how="rung"),
    "breakdown": What("the part of one operator class", how="class", has=("bytes",)),
    "generation": What("tokens from nothing, one by one", how="loop, or by sampled steps"),
    "train": What("a training step", how="what is kept", has=("saved_bytes", "again_bytes"),
                  besides=dict.fromkeys(("none", "second-order"), ("state_bytes",))),
    "weights": What("a step by its weights", how="format", has=("weight_bytes", "error")),
    "products": What("a step's projections alone", how="format", has=("bytes",)),
    "attention": What("a step's attention alone"),
    "batch": What("a step that sequences share"),
    "heads": What("a step with shared keys and values", n="heads of these"),
    "size": What("a step of another model", how="cold or warm", has=("bytes", "parameters")),
    "check": What("a step over several tokens", n="tokens"),
    "draft": What("a step of a draft with GPT-2's vocabulary"),
    "speculative": What("the byte-level models", how="what", n="tokens drafted",
                        besides={"greedy": AGREEMENT, "drafted": FARED}),
    "quality": What("the score of a decoder", how="remedy", n="bits, or per cent",
                    has=(*SCORES, "weight_bytes"), besides={"unstructured": ("sparse_bytes",)}),
    "prune": What("a step of a pruned model", how="how it is stored", n="per cent pruned",
                  has=("bytes",)),
    "link": What("a message", how="operation", n="bytes", has=("bytes", "processes")),
    "tensor": What("layers split over processes", n="processes"),
    "shard": What("a training step with divided state", n="stage of ZeRO",
                  has=(*STATE, "processes")),
}  # fmt: skip
COLUMNS = {*KEY, "turn", "sample", "seconds", "low", "high", "flops", "bytes", "run"}
# Details that are computed with; others are only shown.
NUMBERS = {*SCORES, *AGREEMENT, "error"}
COUNTS = {
    *STATE, *FARED, "weight_bytes", "sparse_bytes", "saved_bytes", "again_bytes", "state_bytes",
    "parameters", "processes", "year",
}  # fmt: skip


def demanded(what: str, how: str) -> tuple[str, ...]:
    """What a point of that kind has: names of its columns and details."""
    return WHATS[what].has + WHATS[what].besides.get(how, ())


_sample = lru_cache(2**14)(Sample)  # one that is asked for again has its interval already


def _one_line(text: str) -> str:
    """Printable text only: no line ends, no control or direction-changing characters."""
    if not text.isprintable():
        raise ValueError("expected one line of printable text")
    return text


Text = Annotated[str, Field(min_length=1, max_length=TEXT), AfterValidator(_one_line)]
Empty = Annotated[str, Field(max_length=TEXT), AfterValidator(_one_line)]
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
Positive = Annotated[int, Field(ge=1, le=2**63 - 1)]
Seconds = Annotated[float, Field(ge=1e-10, le=1e7)]  # finer than any clock; no ratio overflows
Visit = Annotated[list[Seconds], Field(min_length=1, max_length=MOST)]
Moment = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]
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
    # Of the processor; former runs do not have what follows.
    vendor: Empty = ""
    family: Count | None = None
    model: Count | None = None
    stepping: Count | None = None
    clock_hz: Annotated[float, Field(ge=1e6, le=1e12)] | None = None  # measured, all cores busy
    threads_per_core: Positive | None = None
    # What the process might use of it.
    usable_cores: Positive | None = None
    quota: Annotated[float, Field(gt=0, le=1e6)] | None = None  # in processors; None: no limit
    usable_memory_bytes: Positive | None = None

    def identity(self) -> list[str | int | None]:
        """What two runs must share for one to stand for the other. Names alone do not tell
        generations of a processor apart."""
        named = [self.device, self.device_name, self.cpu, self.vendor, self.family, self.model]
        return [*named, self.cores, self.threads, self.torch]


class Named(Checked):
    """The columns that name a point (`timing.Key`)."""

    what: Literal[tuple(WHATS)]
    model: Empty = ""
    tokens: Annotated[int, Field(ge=0, le=10**7)] = 0
    batch: Annotated[int, Field(ge=1, le=10**7)] = 1
    how: Empty = ""
    dtype: Text = "float32"
    n: Count = 0

    @property
    def key(self) -> Key:
        return Key(*(getattr(self, name) for name in KEY))


class Point(Named):
    """One measured point: raw times in seconds of each visit; FLOPs and bytes of a repetition.
    Points with the same `turn` were timed repetition by repetition beside each other."""

    turn: Empty = ""
    seconds: Annotated[list[Visit], Field(min_length=1, max_length=VISITS)]
    flops: Count | None = None
    bytes: Count | None = None
    details: Annotated[dict[Text, Detail], Field(max_length=50)] = {}

    @pydantic.model_validator(mode="after")
    def _has_what_it_needs(self):
        for name in demanded(self.what, self.how):
            if not getattr(self, name, None) and name not in self.details:
                raise ValueError(f"{self.key} has no {name}")
        for name, value in self.details.items():
            if name in COLUMNS:
                raise ValueError(f"{self.key}: {name} is a column, not a detail")
            if name in COUNTS and not (isinstance(value, int) and value >= 0):
                raise ValueError(f"{self.key}: {name} is no count")
            if name in NUMBERS and isinstance(value, str):
                raise ValueError(f"{self.key}: {name} is no number")
        return self

    _drift: float = pydantic.PrivateAttr(0.0)  # of its run, once that was read or is finished

    @property
    def sample(self) -> Sample:
        times = tuple(chain.from_iterable(self.seconds))
        return _sample(times, tuple(map(len, self.seconds)), self._drift)


class NotMeasured(Named):
    reason: Text
