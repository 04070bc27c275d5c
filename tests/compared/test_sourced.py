"""Rows that were not seen in a source, or that tell of what has not shipped, enter no fit."""

import csv
import shutil
from pathlib import Path

import numpy as np

from analysis.compared import growth, ridges
from analysis.published.tables import DATA, load_table

# Tables whose rows have a status -> what pages fit to them, besides trends.
TABLES = {
    "hardware/accelerators": [growth.CHIPS | {"quantity": peaks[0]}
                              for peaks in ridges.PEAKS.values()],
    "hardware/interconnects": [{"quantity": "link_bandwidth_both_directions"}],
    "hardware/memory_generations": [{"family": "HBM", "quantity": quantity}
                                    for quantity in ("bandwidth", "rate_per_pin")],
    "models/models": [growth.LANGUAGE | {"quantity": "training_compute"}],
}  # fmt: skip


def spoil(folder: Path) -> int:
    """Multiply what no fit may use by a thousand; returns how many rows that are."""
    spoiled = 0
    for table in TABLES:
        with open(folder / f"{table}.csv", encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        for row in rows:
            if row["status"] != "sourced" or row.get("stage", "shipped") != "shipped":
                row["value"] = str(float(row["value"]) * 1000)
                spoiled += 1
        with open(folder / f"{table}.csv", "w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    return spoiled


def fits(data: Path) -> dict[str, list[float]]:
    """The numbers of every fit of the pages, by name, but of those that ask for announced ones."""
    rows = growth.outcomes(data).itertuples()
    numbers = {r.trend: [r.value, r.pooled, r.later, r.ratio] for r in rows}
    numbers |= {k: [growth.fit(rows).slope] for k, rows in ridges.choices(data).items()}
    numbers |= {"half": ridges.half_precision(data), "processor": [ridges.over_processors(data)]}
    for table, where in ((table, each) for table, fitted in TABLES.items() for each in fitted):
        rows = growth.facts(table.split("/")[1], data, **where).query("used")
        numbers[f"{table} {where['quantity']}"] = [growth.fit(rows).slope]
    return numbers


def test_only_rows_that_are_sourced_and_shipped_enter_a_fit(tmp_path):
    folder = Path(shutil.copytree(DATA, tmp_path / "data"))
    assert spoil(folder) > 200
    before, after = fits(DATA), fits(folder)
    assert len(before) > 15
    for name, numbers in before.items():
        np.testing.assert_array_equal(after[name], numbers, err_msg=name)


def test_what_is_hardly_sure_is_no_sourced_row_of_a_fit():
    for table in TABLES:
        rows = load_table(table.split("/")[1])
        unsure = rows[(rows["confidence"] == "low") & (rows["status"] == "sourced")]
        assert unsure.empty, unsure["name"].tolist()
