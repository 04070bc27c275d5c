"""What all figures share: colours with a fixed meaning, names, and labels that keep apart."""

import matplotlib
import numpy as np
import pandas as pd
from adjustText import adjust_text
from matplotlib import patheffects
from matplotlib.figure import Figure

from analysis.compared.page import Plot, number, styled

# A colour means the same in every figure: compute black, memory green, links blue, as in the paper.
COLOURS = {
    "peak_flops": "#000000",
    "dram_bandwidth": "#007f5f",
    "interconnect": "#0072b2",
    "accelerator_memory": "#007f5f",
    "transformer_parameters": "#b3401b",
    "transformer_training_compute": "#b3401b",
    "cv_parameters": "#6b6b6b",
    "recsys_parameters": "#8c5a9e",
    "other_training_compute": "#6b6b6b",
    "parameters": "#b3401b",
    "optimizer": "#e1a100",
    "activations": "#5b8db8",
    "BERT-Base": "#5b8db8",
    "BERT-Large": "#12436d",
    "GPT-2": "#b3401b",
    "mha_projections": "#12436d",
    "act_to_act": "#e1a100",
    "ffn_projections": "#5b8db8",
    "other": "#8c5a9e",
    "total": "#000000",
}
NAMES = {
    "peak_flops": "peak FLOPS",
    "dram_bandwidth": "DRAM bandwidth",
    "interconnect": "interconnect",
    "transformer_parameters": "Transformer models",
    "cv_parameters": "vision models",
    "recsys_parameters": "recommender",
    "accelerator_memory": "accelerator memory",
    "transformer_training_compute": "Transformers",
    "other_training_compute": "other models",
    "all_training_compute": "all models",
}
HALO = [patheffects.withStroke(linewidth=2.5, foreground="white")]


def axes(height: float | None = None, **kwargs):
    figure = Figure()
    if height:
        figure.set_figheight(height)
    return figure, figure.subplots(**kwargs)


def label_points(ax, rows: pd.DataFrame, y: str, colour: str) -> list:
    """Write each point's name without the product in brackets, which the CSV keeps."""
    return [
        ax.text(date, value, label.split(" (")[0], fontsize=8.5, color=colour, path_effects=HALO)
        for date, value, label in zip(rows["date"], rows[y], rows["label"], strict=True)
        if label
    ]


def spread(ax, texts: list) -> None:
    """Move labels off points, lines and each other; the library's search starts from a seed."""
    np.random.seed(0)  # adjustText draws from the global generator
    points = [scatter.get_offsets().data for scatter in ax.collections]
    x, y = np.concatenate(points + _log_samples(ax)).T
    adjust_text(
        texts,
        x=x,
        y=y,
        ax=ax,
        expand=(1.06, 1.3),
        time_lim=None,
        iter_lim=300,
        force_text=(0.2, 0.35),
        force_static=(0.15, 0.25),
        max_move=8,
        arrowprops={"arrowstyle": "-", "color": "#999999", "lw": 0.5},
    )


def _log_samples(ax, count: int = 50) -> list[np.ndarray]:
    """Points along each straight line of a log axis, in data units, for labels to avoid."""
    samples = []
    for line in ax.lines:
        (x0, y0), (x1, y1) = line.get_xydata()
        samples.append(np.column_stack([np.linspace(x0, x1, count), np.geomspace(y0, y1, count)]))
    return samples


def plain_log_ticks(ax, axis: str = "x") -> None:
    """Label a short log axis with plain numbers, few enough to read on a phone."""
    along = getattr(ax, f"{axis}axis")
    along.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5), numticks=6))
    along.set_major_formatter(lambda value, _: number(value, 2))
    along.set_minor_formatter(matplotlib.ticker.NullFormatter())


def nothing(reason: str) -> Plot:
    """Say in a figure's place why it is empty."""
    with styled():
        figure, ax = axes(1.4)
        ax.set_axis_off()
        ax.text(0.5, 0.5, reason, ha="center", va="center", transform=ax.transAxes)
    return Plot(figure, pd.DataFrame({"not measured": [reason]}))
