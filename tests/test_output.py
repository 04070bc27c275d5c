"""What a terminal and a spreadsheet get: no escape, no formula; and output that fails."""

import csv
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.compared.page import Download, Plot, as_csv
from analysis.text import cell, printable

ROOT = Path(__file__).resolve().parents[1]
COUNT = ("count", "gpt2", "-l", "4")


def said(*arguments, stdout=subprocess.PIPE, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "analysis", *arguments], stdout=stdout, stderr=subprocess.PIPE,
        env=os.environ | environment, cwd=ROOT,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_one_line():
    with open("/dev/full", "w") as full:
        assert said(*COUNT, stdout=full)[::2] == (2, b"error: output: No space left on device\n")
        both = [sys.executable, "-m", "analysis", *COUNT]
        assert subprocess.run(both, stdout=full, stderr=full, cwd=ROOT).returncode == 2


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_a_terminal_that_lacks_a_character_gets_its_code(encoding):
    code, out, _ = said(*COUNT, "--set", "name=é–\x1b[2J", PYTHONIOENCODING=encoding)
    shown = {"latin-1": "é\\u2013", "utf-8": "é–"}[encoding]
    assert code == 0 and out.decode(encoding).startswith(f"{shown} [2J, generate")


def test_nobody_reading_is_no_traceback():
    reading, writing = os.pipe()
    os.close(reading)
    code, _, err = said(*COUNT, stdout=writing)
    os.close(writing)
    assert code == 1 and err == b""


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_stream_that_was_closed_is_no_traceback(closed):
    command = f"{sys.executable} -m analysis count gpt2 -l"
    for last, code in (("4", 0), ("0", 2)):
        done = subprocess.run(
            ["sh", "-c", f"{command} {last} {closed}"], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == code and "Traceback" not in done.stderr


def test_no_run_is_asked_for_by_no_name():
    code, _, err = said("verdicts", "--run", "")
    assert code == 2 and err.startswith(b"error: an empty name: neither a file nor an archived run")


@given(st.text())
def test_what_is_printed_is_printable(text):
    assert printable(text).isprintable() and len(printable(text)) == len(text)
    assert not text.isprintable() or printable(text) == text


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", "-", "+1 %=2"]
)
def test_a_formula_is_text(text):
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize(
    "text", ["", "a", "a=1", "-1.5", "+3.8 %", "1e-9", "-0.66 (-2.1 to 0.83)", "–", "−1", "12×"]
)
def test_numbers_and_words_stay(text):
    assert cell(text) == text


def test_files_of_figures_and_tables_hold_no_formula():
    frame = pd.DataFrame({"=name": ["=1+1", "a", None], "value": [-1.5, 2.0, 3.0]})
    expected = "'=name,value\n'=1+1,-1.5\na,2.0\n,3.0\n"
    assert as_csv(frame) == expected
    assert Download(frame, "x.csv")._repr_mimebundle_()["text/csv"] == expected
    assert frame.to_csv(index=False) == expected.replace("'", "")
    rows = list(csv.reader(io.StringIO(as_csv(frame))))
    assert rows[1] == ["'=1+1", "-1.5"] and "as_csv" in Plot._repr_mimebundle_.__code__.co_names


def test_one_place_prints():
    """So that whatever a file says is cleaned, and a stream that fails is one line."""
    printing = re.compile(r"click\.echo\(|(?<!\.)\bprint\(|sys\.std\w+\.write")
    found = {
        path.relative_to(ROOT).as_posix()
        for folder in ("analysis", "publishing")
        for path in (ROOT / folder).rglob("*.py")
        if printing.search(path.read_text("utf-8"))
    }
    # The clock's own process tells one number to the one that started it.
    assert found == {"analysis/terminal.py", "analysis/measured/clock.py"}
