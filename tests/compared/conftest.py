"""The reference run, and every figure as a chapter draws it."""

import importlib.util
import os
from pathlib import Path

import pytest

from analysis.compared import shown
from analysis.measured.run import Run, find_run, load_run

os.environ["RUN"] = "none"  # no test depends on what was measured here


@pytest.fixture(scope="session")
def reference() -> Run:
    return load_run(find_run(shown.REFERENCE))


@pytest.fixture(scope="session")
def plots() -> dict[str, object]:
    """The figures by name, from the functions `plots` of figures_*.py."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("figures_*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found |= module.plots()
    return found
