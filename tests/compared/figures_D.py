"""The figures of links and of training, as chapters 8 and 9 draw them."""

import pandas as pd

from analysis.compared import figures, links, memory, shown, trials
from analysis.compared.page import Plot

CLAIM = {"run": "paper", "how": "the paper's claim", "activations_percent": 20.0, "time": 1.2}


def plots() -> dict[str, Plot]:
    runs, found = {"reference": shown.reference()}, trials.trials()
    rows = shown.both(memory.curve, runs).query("tokens == @memory.LENGTH")
    rows = rows[rows["how"] != memory.HOWS["autocast"][0]]
    rows = rows.assign(
        activations_percent=100 / rows["factor"],
        predicted_activations_percent=100 / rows["predicted_factor"],
    )
    stars = pd.DataFrame([CLAIM | {"model": model} for model in rows["model"].unique()])
    return {
        "fig-links": figures.lines(
            shown.both(links.drawn, runs), "bytes", "bandwidth", by="operation",
            xlabel="message (bytes)", ylabel="bus bandwidth (GB/s)",
        ),
        "fig-memory-time": figures.lines(
            pd.concat([rows, stars]), "activations_percent", "time", by="how", panels="model",
            predicted="predicted_time", log="", height=7.5, ylabel="time of a step (1)",
            xlabel="activations, over those of keeping all (%)",
        ),
        "fig-losses": figures.lines(
            trials.curves(trials.losses()), "step", "mean", by="way", band=True, markers=False,
            log="", xlabel="training step", ylabel="loss (bits per byte)",
        ),
        "fig-optimizers": figures.lines(
            trials.curves(found[found["way"] != "rematerialised"]), "step", "mean", by="way",
            band=True, log="", xlabel="training step", ylabel="held-out bits per byte",
        ),
    }  # fmt: skip
