"""The tables of data/, each checked against data/datapackage.json while it is read.

The description (columns, units, limits, keys) is data; frictionless finds the faults, and this
module tells the first of them in one line.
"""

import csv
import io
import json
import re
from functools import cache, lru_cache
from pathlib import Path

import pandas
from frictionless import Resource, Schema

from analysis.errors import InputError
from analysis.files import read
from analysis.published.plain import DATA

TABLE_BYTES = 5_000_000
DTYPES = {"string": "str", "number": "float64", "integer": "int64", "boolean": "bool"}
DTYPES["date"] = "datetime64[s]"
EXPECTED = {
    "required": "a value",
    "type": "a value of type {}",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "maxLength": "at most {} characters",
    "enum": "one of {}",
    "pattern": "text like {}",
}


@cache
def described() -> dict[str, dict]:
    """The resources of the project's data package: table name -> Frictionless descriptor."""
    package = json.loads((DATA / "datapackage.json").read_text(encoding="utf-8"))
    return {resource["name"]: resource for resource in package["resources"]}


def load_table(name: str, data: Path | None = None) -> pandas.DataFrame:
    """Read and check one table of data/: a fact a row, columns as data/datapackage.json says.

    `name` is the stem of the file, `data` a folder laid out like the project's own (the default);
    of that folder only the table is read. Dates come as datetime64, empty text as "". A fault
    raises InputError: the file, the line of its first fault, the column, what was expected there.
    """
    if name not in described():
        raise InputError(f"no table is named {name!r}; the tables are {', '.join(described())}")
    cells = _read(DATA if data is None else Path(data), described()[name]["path"])
    return _checked(name, cells).copy()


@lru_cache(64)  # more than there are tables
def _checked(name: str, cells: tuple[tuple[str, ...], ...]) -> pandas.DataFrame:
    """Read the cells of a table: once, since checking takes a hundred times as long as reading."""
    path = described()[name]["path"]
    schema = Schema.from_descriptor(described()[name]["schema"])
    with Resource(name=name, data=[*map(list, cells)], schema=schema) as resource:
        faults = resource.header.errors
        if not faults:
            rows = list(resource.row_stream)
            faults = [fault for row in rows for fault in row.errors]
    if faults:
        raise InputError(f"{path}, {_in_one_line(faults, schema)}")
    frame = pandas.DataFrame([row.to_dict() for row in rows], columns=schema.field_names)
    text = [field.name for field in schema.fields if field.type == "string"]
    frame[text] = frame[text].fillna("")
    return frame.astype({field.name: DTYPES[field.type] for field in schema.fields})


def _read(folder: Path, path: str) -> tuple[tuple[str, ...], ...]:
    """The cells of a CSV file, header first.

    Not left to frictionless, which guesses the dialect of every file: that takes minutes on a
    hostile cell full of quotes.
    """
    try:
        text = read(folder / path, TABLE_BYTES).decode("utf-8")
        cells = tuple(map(tuple, csv.reader(io.StringIO(text, newline=""), strict=True)))
    except UnicodeDecodeError:
        raise InputError(f"{path}: expected UTF-8 text, found other bytes") from None
    except csv.Error as problem:
        raise InputError(f"{path}: expected comma-separated values: {problem}") from None
    if len(cells) < 2:
        raise InputError(f"{path}: expected a header and rows, found {len(cells)} lines")
    return cells


def _in_one_line(faults: list, schema: Schema) -> str:
    """The first of some frictionless errors by line and column, and how many more there are."""
    first = min(faults, key=lambda f: (getattr(f, "row_number", 1), getattr(f, "field_number", 99)))
    line = f"line {getattr(first, 'row_number', 1)}, column"
    column = getattr(first, "field_name", "") or getattr(first, "field_number", 1)
    if first.type == "primary-key":
        same = first.note.replace("the row at position", "line")
        what = f"{line}s {', '.join(schema.primary_key)}: expected a row of its own, found {same}"
    elif hasattr(first, "label"):
        named = f"a column named {first.field_name}" if first.field_name else "no such column"
        what = f"{line} {column}: expected {named}, found {first.label[:60]!r}"
    else:
        kind, limit = re.fullmatch(r'.*?(\w*)"? is "(.*?)(?:/default)?"|.*', first.note).groups()
        expected = EXPECTED.get(kind, "a cell for each column").format(limit)
        what = f"{line} {column}: expected {expected}, found {getattr(first, 'cell', '')[:60]!r}"
    return what + (f" (and {len(faults) - 1} more)" if len(faults) > 1 else "")
