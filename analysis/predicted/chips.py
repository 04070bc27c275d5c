"""Chips of data/hardware/accelerators.csv, and open models of data/models/, by name."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from analysis.errors import InputError
from analysis.predicted.architectures import ARCHITECTURES, Architecture
from analysis.predicted.variants import Experts, Latent, Window
from analysis.published.plain import rows
from analysis.text import printable

GIB = 2**30  # bytes, which cards and their makers print as GB
BITS = (4, 8, 16, 32)
PEAKS = {  # quantity -> bits of the numbers that are multiplied
    "peak_fp32": 32,
    "peak_16bit_dense": 16,
    "peak_16bit_sums_dense": 16,
    "peak_8bit_dense": 8,
    "peak_int8_dense": 8,
    "peak_4bit_dense": 4,
    "peak_int4_dense": 4,
}


@dataclass(frozen=True)
class Chip:
    """`n` equal chips among which every matrix is split, each with these limits."""

    name: str
    bandwidth: float  # of memory, bytes/s
    peaks: Mapping[int, float]  # bits -> FLOP/s, dense
    memory: float | None = None  # bytes
    link: float | None = None  # bytes/s in each direction
    n: int = 1

    def peak(self, bits: int) -> float:
        """FLOP/s of products of numbers of `bits`, which wider units can do, too."""
        able = [peak for wide, peak in self.peaks.items() if wide >= bits]
        if not able:
            raise InputError(f"{self.name}: no peak is known at {bits} bits or more")
        return max(able)


def chip_named(name: str, data: Path | None = None) -> Chip:
    """The chip of a name, whose facts may be announced; unknown: an InputError with the nearest."""
    table = rows("hardware/accelerators.csv", data)
    name = nearest(name, dict.fromkeys(row["name"] for row in table), "chip")
    facts = {row["quantity"]: float(row["value"]) for row in table if row["name"] == name}
    peaks: dict[int, float] = {}
    for quantity, bits in PEAKS.items():
        if quantity in facts:
            peaks[bits] = max(peaks.get(bits, 0), 1e9 * facts[quantity])
    if "memory_bandwidth" not in facts or not peaks:
        raise InputError(f"{name}: its bandwidth or its peak is not known; type them instead")
    memory, link = facts.get("memory_capacity"), facts.get("link_bandwidth_both_directions")
    return Chip(
        name, 1e9 * facts["memory_bandwidth"], peaks, memory and memory * GIB, link and link * 5e8
    )


def known_chips(data: Path | None = None) -> list[Chip]:
    """The chips of hardware/accelerators.csv whose bandwidth and peak are known."""
    found = []
    for name in dict.fromkeys(row["name"] for row in rows("hardware/accelerators.csv", data)):
        try:
            found.append(chip_named(name, data))
        except InputError:
            continue
    return found


def open_models(data: Path | None = None) -> dict[str, Architecture]:
    """The models of models/architectures.csv whose shape gives their size, and the paper's."""
    table = rows("models/architectures.csv", data)
    found = {row["name"]: architecture(_typed(row)) for row in table if not row["difference"]}
    return ARCHITECTURES | found


def model_named(name: str) -> Architecture:
    """The architecture of a name; unknown: an InputError with the nearest."""
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    known = open_models()
    return known[nearest(name, known, "model")]


def architecture(row: Mapping) -> Architecture:
    """The Architecture of a row of architectures.csv."""
    found = {each.name: row[each.name] for each in fields(Architecture) if each.name in row}
    rotary_dim = found.pop("rotary_dim")  # of latent attention
    if row["latent_rank"]:
        found["latent"] = Latent(row["latent_rank"], row["query_rank"] or None, rotary_dim)
    if row["n_experts"]:
        names = ("n_experts", "active_experts", "expert_d_ff", "shared_experts", "dense_layers")
        found["experts"] = Experts(*(row[name] for name in names))
    if row["window_layers"]:
        found["window"] = Window(row["window_tokens"], row["window_layers"])
    return Architecture(kind="decoder", lm_head=True, **found)


def _typed(row: Mapping[str, str]) -> dict:
    words = {"true": True, "false": False}
    plain = {each.name for each in fields(Architecture) if each.type is str}

    def value(name: str, text: str):
        if name in plain or not text.isdecimal():
            return words.get(text, text)
        return int(text)

    return {name: value(name, text) for name, text in row.items()}


def nearest(name: str, known: Iterable[str], what: str) -> str:
    """The name that is meant, whatever its case and spaces; an InputError with the nearest."""

    def bare(text: str) -> str:
        return re.sub(r"[^a-z0-9.+]", "", text.lower())

    by_bare = {bare(each): each for each in known}
    if bare(name) in by_bare:
        return by_bare[bare(name)]
    within = [each for key, each in by_bare.items() if bare(name) and bare(name) in key]
    alike = difflib.get_close_matches(bare(name), by_bare, 5, 0.4)
    shown = list(dict.fromkeys(within + [by_bare[each] for each in alike]))[:5]
    told = f"the nearest are: {', '.join(shown)}" if shown else "and none is like it"
    raise InputError(f"no {what} {printable(repr(name))[:60]}; {told}")
