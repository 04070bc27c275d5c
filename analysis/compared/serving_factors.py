"""Every remedy for serving in one table: the paper's factor, the predicted and the measured one."""

import pandas as pd

from analysis.compared import drafts, serving
from analysis.compared.page import Table, between, times
from analysis.measured.runs import Run
from analysis.published.claims import load_claims

WEIGHTS = {"int8-planes": "Weights in INT8 (two planes)", "int4": "Weights in INT4"}


def factors(run: Run) -> pd.DataFrame:
    """Return how many times as fast each remedy makes decoding: remedy, paper, predicted, gain,
    low, high; what was not measured has no row."""
    rows = []

    def add(remedy: str, row, paper: float | None = None) -> None:
        rows.append((remedy, paper, row["predicted"], row["gain"], row["low"], row["high"]))

    timed = serving.formats(run).set_index("format")
    printed = {"int4": load_claims()["int4_decoding_speed"].value}
    for name, remedy in WEIGHTS.items():
        if name in timed.index:
            add(remedy, timed.loc[name], printed.get(name))
    for row in serving.crossings(run).itertuples():
        key = f"serve/batch/gpt2/{row.context}"
        faster = run.ratio(f"{key}/1", f"{key}/{row.most}")
        low, high = (row.most * end for end in faster.interval)
        remedy = f"{row.most} sequences at {row.context} tokens"
        rows.append((remedy, None, row.predicted_gain, row.most * faster.median, low, high))
    fewer = serving.heads(run)
    if len(fewer) > 1:
        least, all_heads = fewer.iloc[-1], fewer["kv_heads"].iloc[0]
        add(f"{least['kv_heads']:.0f} head of keys and values instead of {all_heads}", least)
    fused = serving.attention(run)
    if len(fused):
        longest = fused.loc[fused["sequence_length"].idxmax()]
        add(f"Fused attention, {longest['model']}, {longest['sequence_length']} tokens", longest)
    with_draft = drafts.drafts(run)
    if len(with_draft):
        best = with_draft.loc[with_draft["gain"].idxmax()]
        add(f"{best['drafted']} bytes drafted at a time, byte-level models", best)
    return pd.DataFrame(rows, columns="remedy paper predicted gain low high".split())


def factor_table(run: Run, name: str) -> Table:
    """Show `factors`."""
    rows = factors(run)
    frame = pd.DataFrame(
        {
            "Remedy": rows["remedy"],
            "Paper": ["–" if pd.isna(each) else times(each, 1) for each in rows["paper"]],
            "Predicted": rows["predicted"].map(times),
            "Measured": rows["gain"].map(times),
            "95 % interval": [between((row.low, row.high)) for row in rows.itertuples()],
        }
    )
    caption = (
        "How many times as many tokens per second, or passes for fused attention, each remedy "
        "yields. A dash: the paper prints none."
    )
    return Table(frame, name, caption)
