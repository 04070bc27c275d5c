"""Every figure of the book, one function each, one style. A function draws; it computes nothing."""

from analysis.compared.figures.after import (
    by_batch,
    by_context,
    foretold,
    largest_served,
    rates_then_and_now,
    refits,
    ridge_points,
)
from analysis.compared.figures.counts import counts_by_length, intensity_by, intensity_by_class
from analysis.compared.figures.links import bus_bandwidths
from analysis.compared.figures.machine import (
    latency_breakdown,
    machine_among,
    predicted_against_measured,
    relative_latency,
    roofline,
)
from analysis.compared.figures.overview import claims, rooflines
from analysis.compared.figures.quality import (
    loss_curves,
    quality_by_bits,
    quality_by_sparsity,
    quality_by_steps,
    speed_by_sparsity,
)
from analysis.compared.figures.serving import gain_of_fusing, speed_by_format, tokens_by_batch
from analysis.compared.figures.trades import traded
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
    "bus_bandwidths",
    "by_batch",
    "by_context",
    "claims",
    "counts_by_length",
    "foretold",
    "gain_of_fusing",
    "gap",
    "growth_choices",
    "growth_sensitivity",
    "intensity_by",
    "intensity_by_class",
    "labelled_growth",
    "largest_served",
    "latency_breakdown",
    "machine_among",
    "loss_curves",
    "memory_against_time",
    "predicted_against_measured",
    "quality_by_bits",
    "quality_by_sparsity",
    "quality_by_steps",
    "rates_then_and_now",
    "refits",
    "relative_latency",
    "ridge_points",
    "roofline",
    "rooflines",
    "scaling_disparity",
    "speed_by_format",
    "speed_by_sparsity",
    "tokens_by_batch",
    "traded",
    "training_memory",
]
