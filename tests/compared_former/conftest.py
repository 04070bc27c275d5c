"""Every figure of the book as a chapter draws it, from the data and an archived run."""

import numpy as np
import pandas as pd
import pytest

from analysis.compared import (
    counts,
    figures,
    links,
    low_precision,
    models,
    overview,
    profiling,
    quality,
    ridges,
    roofs,
    scaling,
    sensitivity,
    serving,
    since,
    trades,
    training,
    trials,
)
from analysis.compared.training_memory import breakdown
from analysis.measured.runs import find_run, load_run
from analysis.predicted.operations import FUSED, PUBLISHED
from analysis.published.claims import load_claims
from analysis.published.tables import load_table

RUN = "amd-epyc-2-cores"


@pytest.fixture(scope="session")
def plots() -> dict[str, list]:
    """Return the plots of each function of `figures`, by its name."""
    run = load_run(find_run(RUN))
    whole, served = _whole({RUN: run}), _served(run)
    return {**_growth(), **_after(), **_counts(), **_machine(run), **served, **whole}


def _growth():
    points, growths, claims = load_table("figure_points"), scaling.fit_trends(), load_claims()
    hardware = {series: growths[series] for series in scaling.HARDWARE}
    of = {name: points[points["figure"] == name] for name in points["figure"].unique()}
    fits = {
        "model_size": ("transformer_parameters", "accelerator_memory"),
        "training_compute": ("transformer_training_compute", "all_training_compute"),
    }
    fits = {figure: {s: growths[s] for s in series} for figure, series in fits.items()}
    printed = {series: claims[f"{series}_twenty_years"].value for series in hardware}
    sizes = of["model_size"], fits["model_size"], "plotted_value", "parameters (billions)"
    spent = of["training_compute"], fits["training_compute"], "value", "training compute (FLOP)"
    return {
        "scaling_disparity": [figures.scaling_disparity(of["hw_scaling"], hardware)],
        "growth_sensitivity": [figures.growth_sensitivity(hardware, printed)],
        "growth_choices": [figures.growth_choices(scaling.choices())],
        "gap": [figures.gap(hardware)],
        "labelled_growth": [
            figures.labelled_growth(*sizes),
            figures.labelled_growth(*spent, reference=("Moore's law", 2)),
        ],
        "training_memory": [figures.training_memory(breakdown("figure"))],
    }


def _after():
    found, walls = since.outcomes(), ridges.ridges(unshipped=True)
    papers = {trend: scaling.trend_points(trend) for trend in found}
    left_out = {trend: since.left_out(trend) for trend in found}
    batches, recent = models.by_batch([1, 64, 4096], 4096), walls.query("bits == 16")
    sizes = load_table("architectures")[["name", "date", "parameters"]]
    line = {"16": (ridges.since_the_paper(), "#000000")}
    return {
        "foretold": [figures.foretold(found, papers, left_out)],
        "rates_then_and_now": [figures.rates_then_and_now(found)],
        "refits": [figures.refits(sensitivity.hardware_variants())],
        "ridge_points": [figures.ridge_points(walls, line)],
        "by_context": [figures.by_context(models.by_context([128, 4096, 131072]))],
        "by_batch": [figures.by_batch(batches, recent)],
        "largest_served": [figures.largest_served(models.holders(), sizes)],
    }


def _counts():
    cells = counts.cells().query("table == 'counts_by_length'")
    fine = np.union1d(np.geomspace(128, 4096, 9).astype(int), counts.LENGTHS)
    by_class = counts.class_curves(counts.BERT_BASE, fine, PUBLISHED)
    ways = [
        counts.curves(counts.PAPER_MODELS, fine, way).assign(counted=way.name)
        for way in (PUBLISHED, FUSED)
    ]
    ways = pd.concat(ways).query("quantity == 'arithmetic_intensity' and model != 'BERT-Large'")
    ours = counts.curves(counts.PAPER_MODELS, fine, PUBLISHED)
    return {
        "counts_by_length": [figures.counts_by_length(ours, cells)],
        "intensity_by_class": [figures.intensity_by_class(by_class, counts.LENGTHS)],
        "intensity_by": [figures.intensity_by(ways, counts.LENGTHS)],
    }


def _machine(run):
    roof, relative = roofs.ceilings(run), profiling.relative_latency(run)
    ceilings = roof.bandwidth_bytes_per_s, roof.peak_flop_per_s
    parts = {model: profiling.breakdown(run, model) for model in ("BERT-Base", "GPT-2")}
    slower = {column: 2 * relative[column] for column in ("value", "low", "high")}
    runs = {RUN: relative, "this run": relative.assign(**slower)}
    machines = ridges.shipped_machines(), roofs.measured_machines({RUN: run})
    curve = training.curve(run).query(f"sequence_length == {training.LENGTH}")
    return {
        "relative_latency": [figures.relative_latency(profiling.printed_latency(), runs)],
        "latency_breakdown": [figures.latency_breakdown(parts)],
        "roofline": [figures.roofline(roofs.roofline_points(run), *ceilings)],
        "machine_among": [figures.machine_among(*machines)],
        "predicted_against_measured": [figures.predicted_against_measured(roofs.predictions(run))],
        "bus_bandwidths": [figures.bus_bandwidths(links.messages(run), ceilings[0])],
        "memory_against_time": [figures.memory_against_time(curve, (5, 1.2))],
    }


def _served(run):
    batches = {context: serving.batches(run, context) for context in serving.BATCH_CONTEXTS}
    scores, tuned = quality.scores(run), quality.tuned_scores(run)
    return {
        "speed_by_format": [figures.speed_by_format(serving.formats(run))],
        "tokens_by_batch": [figures.tokens_by_batch(batches)],
        "gain_of_fusing": [figures.gain_of_fusing(serving.attention(run))],
        "quality_by_bits": [figures.quality_by_bits(scores)],
        "quality_by_sparsity": [figures.quality_by_sparsity(scores, tuned)],
        "speed_by_sparsity": [figures.speed_by_sparsity(quality.steps(run))],
        "loss_curves": [figures.loss_curves(low_precision.loss_curves())],
        "quality_by_steps": [figures.quality_by_steps(trials.curves())],
    }


def _whole(runs):
    return {
        "claims": [figures.claims(overview.claims_frame(runs[RUN], runs))],
        "rooflines": [figures.rooflines(*overview.rooflines(runs))],
        "traded": [figures.traded(trades.trades())],
    }
