"""A stranger's change stays in one place: in a copy of the project, rows of a table are a new chip,
a row and a function a new claim, and two lines another address; its pages show all. Run files that
were made elsewhere show as text, or as the fault that they have."""

import csv
import json
import os
import re
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import yaml
from bs4 import BeautifulSoup

from analysis.compared.growth import facts
from analysis.published.claims import load_claims
from analysis.published.tables import load_table

ROOT = Path(__file__).resolve().parents[2]
CHAPTER, VERDICTS = "notebooks/03_since_the_paper", "book/verdicts"
CHIP = "Stranger X9"
FACTS = {
    "peak_16bit_dense": (2_600_000, "GFLOP/s"),
    "memory_bandwidth": (8_100, "GB/s"),
    "memory_capacity": (277, "GiB"),
}
STATEMENT = "The newest accelerator has 3.5 times the memory of an H100."
FUNCTION = '''

@claim("strangers_claim")
def newest_memory(data: Path | None = None) -> float:
    """Return the memory of the newest accelerator over that of an H100."""
    sizes = facts("accelerators", data, quantity="memory_capacity", **CHIPS)
    return sizes["value"].iloc[-1] / sizes.set_index("name")["value"]["H100 SXM5 80GB"]
'''
NOTEBOOK = """---
kernelspec: {name: python3, display_name: Python 3}
jupytext: {text_representation: {format_name: myst}}
---

# Page

```{code-cell}
%s
```
"""
MARKUP = "<script>alert(1)</script> [x](javascript:0) {{x}} $a$ | *b* {doc}`y`"
SHOWN = """import pandas as pd
from analysis.compared import shown
from analysis.compared.page import Table
runs, faults = shown.all_archived()
facts = [shown.described(runs["planted"]), runs["planted"].machine.os, *faults]
display(Table(pd.DataFrame({"Said": facts}), "tab-said", "Caption."))"""
STUB = "\n:::{{table}} Elsewhere\n:name: {label}\n\n| a |\n|---|\n| b |\n:::\n"


def add(path: Path, **columns) -> None:
    """Add a row to a table; what is not said is empty."""
    with path.open(encoding="utf-8", newline="") as file:
        names = next(csv.reader(file))
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, restval="", lineterminator="\n")
        writer.writerow(columns)


@pytest.fixture(scope="module")
def built(site) -> Path:
    """The built pages of a copy with the change, and with pages of no content for what they refer
    to."""
    made = site(index="# Start\n\n```{bibliography}\n```\n")
    for quantity, (value, unit) in FACTS.items():
        add(made.root / "data/hardware/accelerators.csv", name=CHIP, vendor="Stranger",
            kind="accelerator", date="2026-11-20", stage="shipped", quantity=quantity,
            value=value, unit=unit, status="sourced", source="https://example.org/x9",
            confidence="high")  # fmt: skip
    add(made.root / "data/published/claims.csv", id="strangers_claim", statement=STATEMENT,
        short="a stranger's claim", kind="equal", printed="3.5", digits=2, rule="last digit",
        unit="ratio", status="sourced", basis="data", corrected="false",
        page="03_since_the_paper", label="tab-since",
        printed_in="a letter", source="https://example.org/letter", confidence="high")  # fmt: skip
    with (made.root / "analysis/compared/growth.py").open("a", encoding="utf-8") as module:
        module.write(FUNCTION)

    labels = {"notebooks/07_todays_models": {"tab-elsewhere"}, "book/errata": {"tab-errata"},
              "book/method": {"tab-method"}}  # fmt: skip
    for claim in load_table("claims").fillna("").itertuples():
        labels.setdefault(f"notebooks/{claim.page}", set()).update({claim.label, claim.figure})
    pages = {
        name: "".join(
            [f"# {name}\n", *(STUB.format(label=label) for label in sorted(there - {""}))]
        )
        for name, there in labels.items()
    }
    for name in (CHAPTER, VERDICTS, "book/glossary"):
        pages[name] = (ROOT / f"{name}.md").read_text("utf-8")
    pages["machines"] = NOTEBOOK % SHOWN
    runs = made.root / "data" / "runs"
    run = json.loads(next(runs.glob("*.json")).read_text("utf-8"))
    run["machine"] |= {"device_name": MARKUP, "cpu": MARKUP, "os": MARKUP}
    (runs / "planted.json").write_text(json.dumps(run), "utf-8")
    (runs / "broken.json").write_text("{", "utf-8")
    (made.root / "notebooks").mkdir()
    made.write(**pages)
    toc = {"format": "jb-book", "root": "index", "chapters": [{"file": name} for name in pages]}
    (made.root / "_toc.yml").write_text(yaml.safe_dump(toc), "utf-8")
    with (made.root / "CITATION.cff").open("a") as cff:
        cff.write("repository-code: https://github.com/planted/report\n")
        cff.write("url: https://planted.example/\n")
    day = {"GIT_COMMITTER_DATE": "2020-02-03T12:00:00+0000"}
    who = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
    for arguments in (["init", "-q"], ["add", "index.md"], [*who, "commit", "-qm", "one"]):
        subprocess.run(["git", *arguments], cwd=made.root, check=True, env={**os.environ, **day})
    code, output = made.build()
    assert code == 0, output
    return made.root / "_build" / "html"


def test_the_change_is_not_in_the_project():
    assert CHIP not in set(facts("accelerators")["name"])
    assert "strangers_claim" not in load_claims()


def test_a_row_a_fact_is_a_chip_on_the_page(built):
    text = (built / f"{CHAPTER}.html").read_text("utf-8")
    assert "until November 2026" in BeautifulSoup(text, "html.parser").get_text()  # its date
    drawn = pd.read_csv(built / "_downloads/figures/fig-ridges.csv").set_index("name")
    peak, bandwidth = (FACTS[name][0] for name in ("peak_16bit_dense", "memory_bandwidth"))
    assert drawn.loc[CHIP, "ridge_point"] == pytest.approx(peak / bandwidth)
    drawn = pd.read_csv(built / "_downloads/figures/fig-foretold.csv").query("name == @CHIP")
    assert set(drawn["value"]) == {value for value, _ in FACTS.values()}
    assert set(drawn["points"]) == {"later points"}


@pytest.mark.parametrize("page", [CHAPTER, VERDICTS])
def test_a_row_and_a_function_are_a_claim_on_both_pages(built, page):
    parsed = BeautifulSoup((built / f"{page}.html").read_bytes(), "html.parser")
    (row,) = (row for row in parsed.select("tbody tr") if STATEMENT in row.get_text())
    text = row.get_text(" ", strip=True)
    assert all(part in text for part in ("3.5", "3.46", "reproduced"))  # 277 GB over 80 GB


def test_the_claim_is_drawn_and_counted_among_all(built):
    drawn = pd.read_csv(built / "_downloads/figures/fig-verdicts.csv").set_index("id")
    assert drawn.loc["strangers_claim", "ours"] == pytest.approx(277 / 80)
    answer = BeautifulSoup((built / f"{VERDICTS}.html").read_bytes(), "html.parser")
    assert f"Of {len(load_claims()) + 1} claims" in answer.get_text()


def test_text_of_run_files_shows_as_text(built):
    text = (built / "machines.html").read_text("utf-8")
    assert "broken.json: not a run of this report" in text  # and the others are shown
    assert "<script>alert(1)" not in text and 'href="javascript' not in text
    assert text.count("alert(1)&lt;/script&gt; [x](javascript:0) {{x}} $a$ | *b* {doc}") >= 2


def test_address_and_day_come_from_one_place_each(built):
    html = (built / "index.html").read_text("utf-8")
    assert 'href="https://github.com/planted/report/edit/main/index.md"' in html
    assert 'href="https://github.com/planted/report"' in html
    assert "Last updated on 2020-02-03" in html


def test_launch_buttons_open_the_generated_notebook_of_the_published_repository(built):
    html = (built / f"{CHAPTER}.html").read_text("utf-8")
    assert re.findall(r'href="(https://(?:mybinder|colab)[^"]*)"', html) == [
        "https://mybinder.org/v2/gh/planted/report/launch"
        "?labpath=notebooks%2F03_since_the_paper.ipynb",
        f"https://colab.research.google.com/github/planted/report/blob/launch/{CHAPTER}.ipynb",
    ]
