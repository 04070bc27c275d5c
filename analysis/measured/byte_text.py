"""The text that byte-level decoders are trained and scored on: the sources of Python's own library.

Every reader has it without a download, but not the same: it differs by Python's version, so a
checkpoint says which text it was trained on, and a score is of the reader's held-out modules.
"""

import hashlib
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from analysis.errors import InputError

LIBRARY = Path(sysconfig.get_path("stdlib"))
# Never trained on: modules that Python 3.11 to 3.13 have, each longer than what is scored of it.
HELD_OUT = tuple(
    "calendar cmd csv difflib fractions gzip heapq ipaddress numbers queue shlex statistics "
    "textwrap timeit uuid".split()
)
# Not the library itself: what was installed, its tests, tables, and what newer versions dropped.
LEFT_OUT = set(
    "site-packages dist-packages test tests idle_test idlelib lib2to3 distutils encodings "
    "pydoc_data ensurepip turtledemo __pycache__".split()
)
START = 0  # the byte between modules; no source has it
WINDOW, WINDOWS = 256, 8  # bytes, and how many of them are scored of each held-out module


@dataclass(frozen=True)
class Text:
    """Sources one after another, as numbers 0 to 255, and their digest."""

    numbers: Tensor  # (bytes,) uint8
    digest: str


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


@cache
def training_text(library: Path = LIBRARY) -> Text:
    """Every module of Python's library but those held out, in the order of their names."""
    paths = sorted(
        (path.relative_to(library).parts, path)
        for path in library.rglob("*.py")
        if not LEFT_OUT & set(path.relative_to(library).parts)
        and path.relative_to(library).parts not in {(f"{name}.py",) for name in HELD_OUT}
    )
    text = bytes([START]).join(_read(path) for _, path in paths)
    if len(text) <= WINDOW:
        raise InputError(f"{library}: Python's library has no sources there to train on")
    numbers = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    return Text(numbers, hashlib.sha256(text).hexdigest())


@cache
def held_out(library: Path = LIBRARY) -> Tensor:
    """Windows of the held-out modules, evenly spaced: (modules, `WINDOWS`, `WINDOW` + 1) int64. The
    first number of a window is only given, the others are predicted."""
    modules = []
    for name in HELD_OUT:
        text = bytes([START]) + _read(path := library / f"{name}.py")
        if (room := len(text) - WINDOW - 1) < 0:
            raise InputError(f"{path}: shorter than a window of {WINDOW} bytes")
        starts = [room * i // (WINDOWS - 1) for i in range(WINDOWS)]
        modules.append([list(text[at : at + WINDOW + 1]) for at in starts])
    return torch.tensor(modules)
