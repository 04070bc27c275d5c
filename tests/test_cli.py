"""The command line: documented JSON, one line and exit code 2 for a user's mistake."""

import json
import shutil
import subprocess
import sys

import pytest

from analysis.__main__ import main
from analysis.published.tables import DATA


def run(*arguments, capsys):
    code = main(list(arguments))
    streams = capsys.readouterr()
    return code, streams.out, streams.err


def test_trends_json(capsys):
    code, out, _ = run("trends", "--json", capsys=capsys)
    assert code == 0
    assert json.loads(out)["peak_flops"]["n"] == 37


def test_verdicts_json(capsys):
    code, out, _ = run("verdicts", "--json", capsys=capsys)
    assert code == 0
    assert json.loads(out)[0]["id"] == "peak_flops_twenty_years"


@pytest.mark.parametrize("command", ["trends", "verdicts"])
def test_text_has_a_line_for_each(command, capsys):
    code, out, _ = run(command, capsys=capsys)
    assert code == 0 and len(out.splitlines()) >= 7


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("trends", "--nonsense"),
        ("trends", "--data"),
        ("trends", "extra"),
        ("trends", "--data", "no/such/folder"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(arguments, capsys):
    code, out, err = run(*arguments, capsys=capsys)
    assert code == 2 and out == ""
    assert err.startswith("error: ") and err.count("\n") == 1


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("GFLOP/s", "GFLOPS", ["unit", "line 2", "GFLOPS"]),
        (",0.339,", ",-0.339,", ["value", "line 2", "-0.339"]),
        (",0.339,", ",fast,", ["value", "line 2", "fast"]),
        ("1997-01-29", "1997-02-30", ["date", "line 2", "1997-02-30"]),
        ("figure,series,", "series,", ["column", "line 1"]),
    ],
)
def test_a_fault_in_a_table_names_file_line_and_column(tmp_path, capsys, old, new, says):
    folder = tmp_path / "data"
    shutil.copytree(DATA, folder)
    table = folder / "published" / "figure_points.csv"
    text = table.read_text("utf-8")
    assert old in text
    table.write_text(text.replace(old, new, 1), "utf-8")
    code, out, err = run("trends", "--data", str(folder), capsys=capsys)
    assert code == 2 and out == "" and err.count("\n") == 1
    for words in ["figure_points.csv", *says]:
        assert words in err


def test_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "analysis", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "trends" in done.stdout


@pytest.mark.parametrize("name", ["no-such-run", "pyproject.toml"])
def test_a_run_that_is_none_is_one_line_and_exit_2(name, capsys):
    code, out, err = run("verdicts", "--run", name, capsys=capsys)
    assert code == 2 and out == "" and err.count("\n") == 1 and name in err
