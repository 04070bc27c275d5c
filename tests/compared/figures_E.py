"""The figures of fewer and of shared bytes, as chapters 10 and 11 draw them, with a run beside."""

from analysis.compared import figures, quality, serving, shown
from analysis.compared.page import Plot


def plots() -> dict[str, Plot]:
    archived, _ = shown.all_archived()
    reference = archived[shown.REFERENCE]
    runs = {"reference": reference}
    runs["here"] = next(run for run in archived.values() if run != reference)
    timed = shown.both(serving.formats, runs)
    scored = shown.both(quality.scores, runs)
    rounds = scored["how"].isin(["int row", "int group"])
    bits = figures.lines(
        scored[rounds], "n", "difference", by="family", xlabel="bits of a weight", log="",
        ylabel="bits per byte, more than before",
    )  # fmt: skip
    axis = bits.figure.axes[0]
    axis.set_yscale("symlog", linthresh=0.001)
    axis.set(ylim=(-0.001, 5), xlim=(8.3, 1.7))
    return {
        "fig-formats": figures.intervals(
            timed.assign(context=[f"at {tokens} tokens" for tokens in timed["tokens"]]), "format",
            "gain", "tokens per second, over float32 (1)", panels="context", predicted="predicted",
        ),
        "fig-pruned-speed": figures.lines(
            shown.both(quality.steps, runs), "n", "gain", by="kind", xlabel="pruned (%)", log="",
            level=1, ylabel="speed, over the whole model (1)", predicted="predicted",
        ),
        "fig-quality-bits": bits,
        "fig-quality-pruned": figures.lines(
            scored[scored["how"].str.contains("structured")], "n", "bits_per_byte", by="family",
            log="", xlabel="pruned (%)", ylabel="bits per byte",
        ),
        "fig-batches": figures.lines(
            shown.both(serving.batches, runs), "batch", "rate", by="context",
            xlabel="sequences in a batch", ylabel="tokens per second", predicted="predicted",
        ),
        "fig-fusing": figures.lines(
            shown.both(serving.attention, runs), "tokens", "gain", by="model", panels="model",
            log="x", height=5.6, level=1, xlabel="sequence length (tokens)",
            ylabel="speed over unfused (1)", predicted="predicted",
        ),
    }  # fmt: skip
