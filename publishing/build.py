"""Build the book, one build at a time in a clone: `python -m publishing.build`."""

import subprocess
import sys
from pathlib import Path

from analysis.errors import InputError
from analysis.files import locked
from analysis.terminal import told
from publishing.citation import ROOT

FLAGS = ("-W", "-n", "--keep-going", "-q")
COMMAND = [str(Path(sys.executable).with_name("jupyter-book")), "build", ".", *FLAGS]


def build(root: Path = ROOT) -> None:
    """InputError where another build is at work, or where this one fails and says why itself."""
    with locked(root / "_build" / "book"):
        if subprocess.run(COMMAND, cwd=root).returncode:
            raise InputError("the book was not built; what is wrong is said above")


if __name__ == "__main__":
    sys.exit(told(build))
