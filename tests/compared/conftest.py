"""The reference run, and every figure as the cells of its page draw it."""

import os
from pathlib import Path

import pytest
from drawing import figures, judged_once

from analysis.compared import shown
from analysis.measured.run import Run, find_run, load_run

ROOT = Path(__file__).resolve().parents[2]
os.environ["RUN"] = "intel-xeon-2-cores"  # here: no test depends on what was measured


@pytest.fixture(scope="session")
def reference() -> Run:
    return load_run(find_run(shown.REFERENCE))


@pytest.fixture(scope="session")
def plots() -> dict[str, object]:
    """The figures of all pages by name, with another run beside the reference."""
    pages = [*sorted(ROOT.glob("notebooks/*.md")), *sorted(ROOT.glob("book/*.md"))]
    drawing = [page for page in pages if "name: fig-" in page.read_text("utf-8")]
    with judged_once(*shown.runs().values()):
        return {name: plot for page in drawing for name, plot in figures(page).items()}
