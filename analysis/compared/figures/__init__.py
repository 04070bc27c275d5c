"""The figures of the book: a few general drawings in one style. They draw and compute nothing."""

from analysis.compared.figures.bars import intervals, stacked
from analysis.compared.figures.general import lines, scatter
from analysis.compared.figures.growth import foretold, growth
from analysis.compared.figures.whole import claims, rooflines

__all__ = [
    "claims", "foretold", "growth", "intervals", "lines", "rooflines", "scatter", "stacked",
]  # fmt: skip
