"""The figures of the chapters on counts, on the machine and on profiling."""

import importlib.util
from pathlib import Path

CHAPTERS = ("04_arithmetic_intensity", "05_this_machine", "06_profiling")

spec = importlib.util.spec_from_file_location(
    "by_chapter", Path(__file__).with_name("figures_B.py")
)
by_chapter = importlib.util.module_from_spec(spec)
spec.loader.exec_module(by_chapter)


def plots() -> dict[str, object]:
    return {name: plot for each in CHAPTERS for name, plot in by_chapter.figures(each).items()}
