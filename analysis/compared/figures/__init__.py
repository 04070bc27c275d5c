"""The figures of the book: a few general drawings in one style. They draw and compute nothing."""

from analysis.compared.figures.bars import intervals, stacked
from analysis.compared.figures.general import lines, scatter

__all__ = ["intervals", "lines", "scatter", "stacked"]
