"""The built book, the sources of its pages, and throw-away copies of the machinery that builds it.

The functions stand behind fixtures because test modules cannot import a conftest.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import jupytext
import pytest
import yaml
from bs4 import BeautifulSoup

from publishing.build import COMMAND

ROOT = Path(__file__).resolve().parents[2]
COPIED = (
    "_config.yml",
    "CITATION.cff",
    "requirements.lock",
    "torch.lock",
    "pyproject.toml",
    "analysis",
    "data",
    "book",
)


@dataclass(frozen=True)
class Site:
    """A copy of the project with its own few pages in place of the chapters."""

    root: Path

    def write(self, **pages: str):
        """Write each page as NAME.md."""
        for name, text in pages.items():
            (self.root / f"{name}.md").write_text(text, "utf-8")

    def build(self, *wrapper: str) -> tuple[int, str]:
        """Build as `make book` does, under the command `wrapper` if given."""
        done = subprocess.run(
            [*wrapper, *COMMAND],
            cwd=self.root,
            timeout=300,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={
                "RUN": "none",
                **os.environ,
                "PYTHONPATH": str(self.root),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
        )
        return done.returncode, done.stdout


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Return a function that makes a `Site`, whose first page is its root."""

    def make(**pages: str) -> Site:
        made = Site(tmp_path_factory.mktemp("site"))
        for name in COPIED:
            if (ROOT / name).is_file():
                shutil.copy(ROOT / name, made.root)
            else:
                shutil.copytree(
                    ROOT / name,
                    made.root / name,
                    ignore=shutil.ignore_patterns("__pycache__", "*.md"),
                )
        first, *others = pages
        toc = {"format": "jb-book", "root": first}
        if others:
            toc["chapters"] = [{"file": name} for name in others]
        (made.root / "_toc.yml").write_text(yaml.safe_dump(toc), "utf-8")
        made.write(**pages)
        return made

    return make


@pytest.fixture(scope="session")
def html() -> Path:
    """Return the folder of the built book."""
    folder = ROOT / "_build" / "html"
    if not (folder / "index.html").exists():
        pytest.fail("_build/html holds no book: run make book", pytrace=False)
    return folder


@pytest.fixture(scope="session")
def pages(html) -> dict[Path, BeautifulSoup]:
    """Return every page of the built book, parsed."""
    files = [f for f in html.rglob("*.html") if "_static" not in f.relative_to(html).parts]
    return {file: BeautifulSoup(file.read_bytes(), "html.parser") for file in files}


@pytest.fixture(scope="session")
def documents() -> list[str]:
    """Return the documents of the table of contents, as in notebooks/01_scaling_disparity."""
    toc = (ROOT / "_toc.yml").read_text("utf-8")
    return re.findall(r"^[ -]*(?:root|file): *(\S+)$", toc, re.MULTILINE)


@pytest.fixture(scope="session")
def cells(documents) -> dict[str, list]:
    """Return the cells of each document, executed or not, as jupytext reads them."""
    return {doc: jupytext.read(ROOT / f"{doc}.md", fmt="md:myst").cells for doc in documents}
