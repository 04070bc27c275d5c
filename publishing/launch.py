"""The chapters as .ipynb, for the branch that Binder and Colab open.

`python -m publishing.launch` writes them beside their texts in the checkout that is published.
"""

import sys
from pathlib import Path

import jupytext
import nbformat

from analysis.terminal import echo, told
from publishing.citation import ROOT, repository

BRANCH = "launch"
FETCH = """\
# Where the report is not installed, as on Colab, fetch it; a few minutes.
import importlib.util, subprocess, sys
if importlib.util.find_spec("analysis") is None:
    for command in (
        ["git", "clone", "-q", "--branch", "{branch}", "{address}", "report"],
        [sys.executable, "-m", "pip", "install", "-q", "-e", "report"],
    ):
        subprocess.run(command, check=True)
    sys.path.insert(0, "report")"""


def generated(chapter: Path, address: str | None) -> nbformat.NotebookNode:
    """Return a chapter as a notebook that first fetches the report where it is missing."""
    notebook = jupytext.read(chapter, fmt="md:myst")
    if address:
        fetch = FETCH.format(branch=BRANCH, address=address)
        notebook.cells.insert(0, nbformat.v4.new_code_cell(fetch))
    return numbered(notebook)


def numbered(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Give cells ids that are the same each time, in place of random ones."""
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for i, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{i}"
    return notebook


def main() -> None:
    for chapter in sorted((ROOT / "notebooks").glob("*.md")):
        path = chapter.with_suffix(".ipynb")
        nbformat.write(generated(chapter, repository()), path)
        echo(str(path.relative_to(ROOT)))


if __name__ == "__main__":
    sys.exit(told(main))
