"""Every table of data/ fits its description, and every kind of fault is told in one line."""

import csv
import json
import shutil
from pathlib import Path

import numpy
import pandas
import pytest
from frictionless import Package
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.errors import InputError
from analysis.published.tables import DATA, described, load_table

POINTS = "published/figure_points.csv"
ROWS = {
    "figure_points": 103,  # the vector PDFs of the authors' repository
    "model_sizes": 70,  # the numbers printed in the README's two tables of models
    "training_memory": 72,  # 8 models: 4 parts in the table, 5 in the figure
    "counts_by_length": 72,  # 3 models, 4 quantities, 6 lengths
    "operator_breakdown": 90,  # 2 models, 3 lengths, 5 classes, 3 quantities
    "claims": 60,
    "speeds": 811,
    "speeds_reached": 4,  # 2 phases, 2 sides
    "speed_formats": 10,
    "speed_repeats": 66,  # 11 devices, 2 formats, 3 repetitions
    "like_with_like": 15,
    "processors": 105,  # a set of instructions each
    "other_trends": 8,
    "accelerators": 567,
    "memory_generations": 111,
    "interconnects": 142,
    "models": 356,
    "architectures": 38,
    "byte_losses": 180,  # 3 seeds, 3 data types, 20 means of 10 steps
    "byte_trials": 200,  # 4 ways, 3 rates with one seed and one with 2 more, 10 scores
}


@pytest.fixture
def copy(tmp_path):
    """A copy of the project's tables, to plant faults in."""
    return Path(shutil.copytree(DATA, tmp_path / "data"))


def rewrite(file, change):
    """Apply `change` to the list of rows (header first) of a CSV file."""
    with open(file, encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    rows = change(rows) or rows
    with open(file, "w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)


def fault(folder, name="figure_points"):
    """The one-line message that loading the table raises."""
    with pytest.raises(InputError) as caught:
        load_table(name, folder)
    message = str(caught.value)
    assert message.isprintable() and len(message) < 400
    return message


@pytest.mark.parametrize("name", ROWS)
def test_table_fits_its_description(name):
    table = load_table(name)
    fields = described()[name]["schema"]["fields"]
    assert list(table.columns) == [field["name"] for field in fields]
    assert len(table) == ROWS[name]
    optional = [field["name"] for field in fields if not field["constraints"].get("required")]
    assert not table.drop(columns=optional).isna().any().any()
    assert all(field["description"] for field in fields)


def test_package_is_valid_and_describes_every_file():
    package = json.loads((DATA / "datapackage.json").read_text(encoding="utf-8"))
    assert list(Package.metadata_validate(package)) == []
    assert all(each["sources"] for each in package["resources"])  # the page of citations has them
    assert set(ROWS) == set(described())
    paths = {table["path"] for table in described().values()}
    assert paths == {str(file.relative_to(DATA)) for file in DATA.rglob("*.csv")}
    assert all(table["name"] == Path(table["path"]).stem for table in described().values())


def test_types():
    table = load_table("figure_points")
    assert pandas.api.types.is_datetime64_dtype(table.date)
    assert table.value.dtype == "float64" and table.fitted.dtype == "bool"
    assert (table.label == "").sum() == (table.label_basis == "unlabelled").sum() > 0
    assert load_table("training_memory").batch_size.dtype == "int64"


# Ordinary least squares on the published points gives the growth that the figures print.
@pytest.mark.parametrize(
    "selection, count, growth",
    [
        ("series == 'peak_flops'", 37, 3.0257),
        ("series == 'dram_bandwidth'", 12, 1.5915),
        ("series == 'interconnect'", 10, 1.4151),
        ("series == 'transformer_parameters'", 10, 413.1),
        ("series == 'accelerator_memory'", 7, 1.863),
        ("series == 'transformer_training_compute'", 10, 755.0),
        ("figure == 'training_compute'", 21, 14.79),
    ],
)
def test_points_reproduce_the_printed_trends(selection, count, growth):
    points = load_table("figure_points").query(selection)
    years = (points.date - points.date.min()).dt.days / 365.25
    slope = numpy.polyfit(years, numpy.log10(points.value), 1)[0]
    assert len(points) == count
    assert 100**slope == pytest.approx(growth, rel=2e-4)


def test_plotted_values_follow_from_values():
    points = load_table("figure_points")
    scale = {"1e9 parameters": 1e9, "GB/6": 6, "PFLOP": 1e15}
    first = points.sort_values("date").groupby("series").value.transform("first")
    divisor = points.plotted_unit.map(scale).fillna(first)
    assert numpy.allclose(points.plotted_value, points.value / divisor, rtol=3e-4)


@pytest.mark.parametrize(
    "name, selection, column, value",
    [
        ("figure_points", "series == 'peak_flops' and label == 'H100'", "value", 989500),
        ("figure_points", "series == 'peak_flops' and label == 'P100'", "number_format", "fp16"),
        ("figure_points", "label == 'AlexNet'", "value", 4.62e17),
        # README of the authors' repository
        ("model_sizes", "model == 'GPT-3' and quantity == 'parameters'", "value", 175e9),
        ("model_sizes", "model == 'BERT Large' and unit == 'PFLOP'", "value", 250000),
        (
            "training_memory",
            "model == 'GPT-2' and part == 'optimizer' and basis == 'figure'",
            "memory_gb",
            11.72,
        ),
        # arXiv:2302.14017, Fig. 9 and Table 3
        (
            "counts_by_length",
            "model == 'GPT-2' and quantity == 'relative_latency' and sequence_length == 4096",
            "value",
            2344,
        ),
        (
            "operator_breakdown",
            "model == 'BERT-Base' and sequence_length == 128 and quantity == 'mops'"
            " and operator_class == 'act_to_act'",
            "decimals",
            3,
        ),
        # NVIDIA's H100 data sheet
        ("like_with_like", "label == 'H100' and quantity == 'memory_bandwidth'", "value", 3350),
    ],
)
def test_values(name, selection, column, value):
    assert load_table(name).query(selection)[column].item() == value


def test_each_quantity_of_chips_has_one_unit():
    """Capacities are in GiB and integers are no FLOPs: no code need look at the unit."""
    units = load_table("accelerators").groupby("quantity")["unit"].agg(set)
    assert set.union(*units) == {"GFLOP/s", "GOP/s", "GB/s", "GiB"}
    assert all(len(unit) == 1 for unit in units)
    assert units["memory_capacity"] == {"GiB"} and units["peak_int8_dense"] == {"GOP/s"}


def test_like_with_like_changes_only_the_quantity():
    points = load_table("figure_points")[["label", "date"]].drop_duplicates()
    assert len(load_table("like_with_like").merge(points)) == ROWS["like_with_like"]


@pytest.mark.parametrize(
    "column, cell, expected",
    [
        ("value", "many", "type number"),
        ("value", "-3", "at least"),
        ("value", "0", "at least"),
        ("value", "nan", "at least"),
        ("value", "inf", "at most"),
        ("value", "9" * 100_000, "at most"),
        ("value", "", "a value"),
        ("date", "2020-02-30", "type date"),
        ("date", "30.01.2020", "type date"),
        ("date", "9999-12-31", "at most"),
        ("unit", "TFLOP/s", "GT/s per lane"),
        ("fitted", "maybe", "type boolean"),
        ("source", "a colleague", "https"),
        ("note", "x" * 1_000_000, "at most 300 characters"),
        ("note", "\",'" * 100_000, "at most 300 characters"),
        ("label", "two\nlines", "text like"),
    ],
)
def test_fault_in_a_cell(copy, column, cell, expected):
    def plant(rows):
        rows[6][rows[0].index(column)] = cell

    rewrite(copy / POINTS, plant)
    message = fault(copy)
    assert message.startswith(f"{POINTS}, line 7, column {column}: expected ")
    assert expected in message


@pytest.mark.parametrize("column", ["figure", "date", "value", "unit", "source", "note"])
def test_missing_column(copy, column):
    def plant(rows):
        at = rows[0].index(column)
        return [row[:at] + row[at + 1 :] for row in rows]

    rewrite(copy / POINTS, plant)
    assert f"{POINTS}, line 1, column {column}: expected a column named {column}" in fault(copy)


@pytest.mark.parametrize("at", [0, 5, 14])
def test_extra_column(copy, at):
    rewrite(copy / POINTS, lambda rows: [row[:at] + ["extra"] + row[at:] for row in rows])
    message = fault(copy)
    assert message.startswith(f"{POINTS}, line 1, column ") and "found 'extra'" in message


@pytest.mark.parametrize("name", ROWS)
def test_repeated_row(copy, name):
    path = described()[name]["path"]
    rewrite(copy / path, lambda rows: rows + [rows[2]])
    message = fault(copy, name)
    key = ", ".join(described()[name]["schema"]["primaryKey"])
    assert message.startswith(f"{path}, line {ROWS[name] + 2}, columns {key}: ")
    assert message.endswith("the same as in line 3")


@pytest.mark.parametrize("row", [[], ["hw_scaling"], ["x"] * 15])
def test_row_of_another_length(copy, row):
    rewrite(copy / POINTS, lambda rows: rows[:9] + [row] + rows[9:])
    assert fault(copy).startswith(f"{POINTS}, line 10, column ")


def test_first_fault_is_told_and_the_rest_counted(copy):
    def plant(rows):
        rows[8][5] = rows[4][5] = rows[4][7] = "x"

    rewrite(copy / POINTS, plant)
    message = fault(copy)
    assert message.startswith(f"{POINTS}, line 5, column value") and "(and 2 more)" in message


@pytest.mark.parametrize(
    "content, expected",
    [
        (None, "cannot be read"),
        (b"", "a header and rows"),
        (b"\n", "a header and rows"),
        (b"figure,series\n\xe9,x\n", "UTF-8"),
        ("figure,series\n".encode("utf-16"), "UTF-8"),
        (b'figure,series\n"x,y\n', "comma-separated"),
        (b"figure;series\nx;y\n", "a column named figure"),
    ],
)
def test_fault_of_the_file(copy, content, expected):
    (copy / POINTS).unlink()
    if content is not None:
        (copy / POINTS).write_bytes(content)
    message = fault(copy)
    assert POINTS in message and expected in message


@pytest.mark.parametrize("name", ["", "points", "../figure_points", "published/figure_points"])
def test_unknown_table(name):
    with pytest.raises(InputError, match="figure_points, model_sizes, .*"):
        load_table(name)


def test_description_beside_foreign_tables_is_ignored(copy):
    expected = load_table("claims")
    (copy / "datapackage.json").write_text('{"resources": [{"name": "claims", "path": "x.csv"}]}')
    pandas.testing.assert_frame_equal(load_table("claims", copy), expected)
    (copy / "datapackage.json").unlink()
    pandas.testing.assert_frame_equal(load_table("claims", copy), expected)


@settings(max_examples=60)
@given(data=st.data())
def test_any_cell_is_read_or_refused_in_one_line(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("any")
    (folder / "published").mkdir()
    file = shutil.copy(DATA / "published/claims.csv", folder / "published")
    line, column = data.draw(st.integers(0, 11)), data.draw(st.integers(0, 15))
    cell = data.draw(st.text(st.characters(exclude_categories=["Cs"])))

    def plant(rows):
        rows[line][column] = cell

    rewrite(file, plant)
    try:
        assert len(load_table("claims", folder)) == ROWS["claims"]
    except InputError as problem:
        assert str(problem).isprintable() and "claims.csv" in str(problem)
