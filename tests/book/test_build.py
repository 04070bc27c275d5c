"""The build stops at every fault, forgets nothing, executes what changed, and needs no network."""

import functools
import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.measured.allowed import Allowed
from analysis.text import NARROW

ROOT = Path(__file__).resolve().parents[2]
INDEX = "# Start\n\nNothing to see.\n"
HEAD = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  name: python3
  display_name: Python 3
---

# Chapter
"""
CHAPTER = (
    HEAD
    + """
```{code-cell}
from pathlib import Path

import analysis

class Plot:
    def _repr_mimebundle_(self, **_):
        svg = "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'></svg>"
        return {"image/svg+xml": svg, NARROW: svg, "text/csv": "a,b"}

with open(Path(analysis.__file__).parents[1] / "executed", "a") as log:
    log.write("x")
```

```{code-cell}
---
mystnb:
  image:
    alt: Nothing
  figure:
    name: fig-nothing
    caption: Nothing.
---
Plot()
```
""".replace("NARROW", repr(NARROW))
)
RAISES = HEAD + "\n```{code-cell}\nraise OSError('planted')\n```\n"
FAULTS = {  # page -> its text, and what the output must say of it
    "reference": ("# R\n\nSee {py:func}`nowhere`.\n", "nowhere"),
    "forgotten": ("# Forgotten\n", "toctree"),
    "alt": (CHAPTER.replace("alt: Nothing", "width: 9px"), "without alternative text"),
    "caption": (CHAPTER.replace("    caption: Nothing.\n", ""), "no caption"),
    "download": (CHAPTER.replace(', "text/csv": "a,b"', ""), "no SVG and CSV to download"),
    "table": ("# T\n\n| a | b |\n|---|---|\n| c | d |\n", "table without a name: no CSV"),
    "citation": ("# C\n\n{cite}`nobody2024`\n", "nobody2024"),
    "entry": ("# C\n\n```{bibtex} nobody\n```\n", "nobody: no entry"),
}
# In a new network namespace even the loopback that kernels talk over is down.
WITH_LOOPBACK = """import fcntl, os, socket, struct, sys
up = struct.pack("16sh14x", b"lo", 1)
fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0x8914, up)
os.execv(sys.argv[1], sys.argv[1:])"""


@pytest.fixture(scope="module")
def book(site):
    """Return a site that was built once without fault, and without a network where it can be."""
    made = site(index=INDEX, chapter=CHAPTER, kept=CHAPTER.replace("nothing", "kept"), gone="# G\n")
    code, output = made.build(*(cut_network() or ()))
    assert code == 0, output
    return made


def executions(book) -> int:
    return len((book.root / "executed").read_text())


def test_a_whole_page_lacks_nothing(book):
    html = (book.root / "_build/html/chapter.html").read_text("utf-8")
    for part in ("fig-nothing.csv", "Cite this figure", "_sources/chapter.ipynb"):
        assert part in html
    # No address is known and no commit: none is invented.
    assert "suggest edit" not in html.lower() and "Last updated" not in html


def test_execution_needs_no_network(book):
    if cut_network() is None:  # the book was built under it
        stop = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        stop("this machine does not let unshare make a network namespace")
    assert executions(book)


@pytest.fixture(scope="module")
def edited(book):
    """Return the site after a build with the prose of a page changed, one page as it was and one
    gone, and how often chapters were executed before."""
    before = executions(book)
    html, toc = book.root / "_build" / "html", book.root / "_toc.yml"
    assert (html / "gone.html").exists() and (html / "_sources" / "gone.md").exists()
    shutil.rmtree(html / "_downloads")
    book.write(chapter=CHAPTER + "\nMore.\n")
    (book.root / "gone.md").unlink()
    toc.write_text(toc.read_text("utf-8").replace("- file: gone\n", ""), "utf-8")
    code, output = book.build()
    assert code == 0, output
    return book, before


def test_changed_prose_executes_nothing_and_keeps_the_downloads(edited):
    book, before = edited
    html = book.root / "_build" / "html"
    assert executions(book) == before and "More." in (html / "chapter.html").read_text("utf-8")
    for name in ("fig-nothing", "fig-kept"):
        assert (html / f"_downloads/figures/{name}.csv").read_text() == "a,b"


def test_a_page_that_was_removed_is_removed_from_the_book(edited):
    html = edited[0].root / "_build" / "html"
    assert not list(html.rglob("gone.*")) and (html / "chapter.html").exists()


def test_a_change_that_chapters_can_reach_executes_them_again(edited, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "book" / "_ext")
    monkeypatch.setenv("RUN", os.environ.get("RUN", "none"))  # as builds have it
    digest = importlib.import_module("report").reached_digest
    book, before = edited
    digests = {digest(book.root)}
    for i, file in enumerate(("analysis/errors.py", "requirements.lock", "data/more.csv"), 2):
        with open(book.root / file, "a") as changed:
            changed.write("# changed\n")
        digests.add(digest(book.root))
        assert len(digests) == i, file
    killed = book.root / "_build" / ".executed" / digest(book.root)
    killed.mkdir()
    (killed / "global.db").touch()  # a cache that was never whole holds nothing
    code, output = book.build()
    assert (code, executions(book)) == (0, before + 2), output


def test_what_a_killed_build_left_half_done_is_executed_again(edited):
    book, _ = edited
    before, caches = executions(book), book.root / "_build" / ".executed"
    cache = max(caches.iterdir(), key=lambda each: each.stat().st_mtime)
    one, other = cache.glob("executed/*/base.ipynb")
    one.write_text(one.read_text("utf-8")[:99], "utf-8")
    other.unlink()
    book.write(chapter=CHAPTER + "\nAnew.\n", kept=CHAPTER.replace("nothing", "kept") + "\nAnew.\n")
    code, output = book.build()
    assert (code, executions(book)) == (0, before + 2), output


@pytest.mark.parametrize(
    "cores, free, kernels", [(8, 64e9, 8), (8, 3e9, 6), (8, 0.9e9, 1), (1, 64e9, 1), (4, 0, 1)]
)
def test_no_more_chapters_run_at_a_time_than_cores_and_memory_allow(
    cores, free, kernels, monkeypatch
):
    monkeypatch.syspath_prepend(ROOT / "book" / "_ext")
    at_once = importlib.import_module("ahead").at_once
    assert at_once(Allowed(cores, None, 2**40, int(free))) == kernels


def test_a_cell_that_raises_fails_the_build(site):
    code, output = site(index=RAISES).build()
    assert code != 0, output
    assert all(said in output for said in ("index.md", "OSError", "planted")), output


@pytest.fixture(scope="module")
def outputs(site):
    """Return what two builds in a row say of pages that each have a fault."""
    pages = {name: text.replace("fig-nothing", f"fig-{name}") for name, (text, _) in FAULTS.items()}
    forgotten = pages.pop("forgotten")
    made = site(index=INDEX, **pages)
    made.write(forgotten=forgotten)
    builds = [made.build() for _ in range(2)]
    assert all(code != 0 for code, _ in builds), builds
    return [output for _, output in builds]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_said_with_its_place_until_it_is_mended(outputs, fault):
    """As a warning or an error, any of which fails the build."""
    said = rf"/{fault}\.md:.*\b(WARNING|ERROR): .*{re.escape(FAULTS[fault][1])}"
    assert all(re.search(said, output) for output in outputs), outputs


@functools.cache
def cut_network() -> list[str] | None:
    """Return a command that runs another without a network, or None where there is none."""
    for options in ("-rn", "-n"):
        command = ["unshare", options, sys.executable, "-c", WITH_LOOPBACK]
        if (
            shutil.which("unshare")
            and not subprocess.run([*command, "/bin/true"], capture_output=True).returncode
        ):
            return command
    return None


def test_no_page_waits_for_a_script_or_loads_the_index_of_words(pages):
    """But for the few lines that others name, and the page that searches."""
    for file, page in pages.items():
        waited = [tag["src"] for tag in page.select("script[src]:not([defer])")]
        assert [each for each in waited if "documentation_options" not in each] == [], file
        assert bool(page.select("script[src*=searchindex]")) == (file.name == "search.html"), file
