"""One chapter alone: `make chapter NAME=01_scaling_disparity` executes it with the kept run."""

import sys
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from analysis.errors import InputError
from analysis.terminal import echo, told
from publishing.citation import ROOT
from publishing.launch import numbered

# Bounds that a cost is said in, seconds.
COSTS = ((60, "a minute"), (600, "ten minutes"), (3600, "an hour"))


def find_chapter(name: str, root: Path = ROOT) -> Path:
    """Return the text of the chapter `name`; InputError names those there are."""
    chapters = {path.stem: path for path in sorted((root / "notebooks").glob("*.md"))}
    if name not in chapters:
        raise InputError(f"{name or 'NAME'}: no chapter; there are {', '.join(chapters)}")
    return chapters[name]


def execute(chapter: Path, target: Path) -> None:
    """Execute the chapter and write it with its outputs; InputError if a cell fails."""
    notebook = jupytext.read(chapter, fmt="md:myst")
    try:
        NotebookClient(notebook, timeout=1800, kernel_name="python3").execute(cwd=chapter.parent)
    except CellExecutionError as error:
        raise InputError(f"{chapter.name}: {error.ename}: {error.evalue}") from None
    except (CellTimeoutError, DeadKernelError) as error:
        raise InputError(f"{chapter.name}: {str(error).splitlines()[0]}") from None
    finally:  # with the outputs so far, to see where it failed
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(numbered(notebook), target)


def main(name: str = "") -> None:
    start, chapter = time.perf_counter(), find_chapter(name)
    target = ROOT / "_build" / "chapters" / f"{name}.ipynb"
    execute(chapter, target)
    echo(f"{target}: took {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    sys.exit(told(lambda: main(*sys.argv[1:2])))
