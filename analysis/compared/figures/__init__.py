"""Every figure of the book, one function each, one style. A function draws; it computes nothing."""

from analysis.compared.figures.counts import counts_by_length, intensity_by, intensity_by_class
from analysis.compared.figures.machine import (
    latency_breakdown,
    machine_among,
    predicted_against_measured,
    relative_latency,
    roofline,
)
from analysis.compared.figures.training import memory_against_time
from analysis.compared.figures.trends import (
    gap,
    growth_choices,
    growth_sensitivity,
    labelled_growth,
    scaling_disparity,
    training_memory,
)

__all__ = [
    "counts_by_length",
    "gap",
    "growth_choices",
    "growth_sensitivity",
    "intensity_by",
    "intensity_by_class",
    "labelled_growth",
    "latency_breakdown",
    "machine_among",
    "memory_against_time",
    "predicted_against_measured",
    "relative_latency",
    "roofline",
    "scaling_disparity",
    "training_memory",
]
