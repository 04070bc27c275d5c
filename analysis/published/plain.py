"""Tables of data/ as they are written, for answers within a moment: neither pandas nor checks,
which `analysis.published.tables` makes."""

import csv
from functools import cache
from pathlib import Path

DATA = Path(__file__).resolve().parents[2] / "data"


@cache
def rows(path: str, data: Path | None = None) -> list[dict[str, str]]:
    """The rows of a CSV file of `data`, the project's own by default, each a dict of text."""
    with open((data or DATA) / path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
