"""The paper's claims as data/published/claims.csv states them."""

from dataclasses import dataclass, fields
from pathlib import Path

from analysis.published.tables import load_table


@dataclass(frozen=True)
class Claim:
    """One number that the paper prints, and what counts as reproducing it."""

    id: str
    statement: str  # one sentence, in our words
    value: float  # in `unit`; the centre where a range is printed
    unit: str  # "x per 20 years", "x per 2 years" or "ratio"
    tolerance: float  # relative deviation from `value` that still reproduces the claim
    basis: str  # "data": tables and arithmetic, the same everywhere; "machine": a run
    corrected: bool  # whether an erratum explains a deviation
    page: str  # the chapter that judges it, and there
    label: str  # the table whose cell does
    printed_in: str  # the figure or text of the paper
    source: str  # where a reader can open it


def load_claims(data: Path | None = None) -> dict[str, Claim]:
    """The claims by id, in the order of the file; faults raise InputError as in load_table."""
    table = load_table("claims", data)[[field.name for field in fields(Claim)]]
    return {row["id"]: Claim(**row) for row in table.to_dict("records")}
