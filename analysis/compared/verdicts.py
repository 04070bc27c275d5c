"""Everything at a glance: every claim, and every machine. To import it is to import each module
that computes our number for a claim."""

from pathlib import Path

import pandas as pd

from analysis.compared import (  # noqa: F401
    contexts,
    counts,
    growth,
    ladder,
    latency,
    memory,
    models,
    quality,
    regimes,
    ridges,
    roofs,
    serving,
    speeds,
    trades,
    trials,
)
from analysis.compared.claims import verdict_table, verdicts
from analysis.compared.page import Table, between, escape, number
from analysis.compared.shown import both
from analysis.measured.run import Run
from analysis.published.tables import load_table


def all_claims(runs: dict[str, Run], data: Path | None = None) -> pd.DataFrame:
    """`claims.verdicts` of every claim, as verdicts.csv holds it: with printed_in, source,
    status, note, page, label and figure of claims.csv."""
    columns = ["printed_in", "source", "status", "note", "page", "label", "figure"]
    return verdicts(runs, data).join(load_table("claims", data).set_index("id")[columns], on="id")


def claims_table(judged: pd.DataFrame, name: str, caption: str) -> Table:
    """Show `all_claims` as `claims.verdict_table` does, less what is accepted: the paper's number
    leads to where it is printed, the last column to where ours is computed and drawn."""
    table = verdict_table(judged, name, caption)
    rows = judged[judged["run"] != "here"].reset_index(drop=True)
    paper = zip(table.frame["Paper"], rows["source"], strict=True)
    frame = table.frame.drop(columns="Accepted").rename(columns={"Ours": "Reference or data"})
    frame["Paper"] = [f"[{escape(text)}](<{source}>)" for text, source in paper]
    where = rows[["label", "figure"]].itertuples(index=False)
    frame["Where"] = [", ".join(f"{{numref}}`{name}`" for name in names if name) for names in where]
    frame.insert(0, "No.", [f"[{n}]{{#claim-{n}}}" for n in rows["number"]])
    return Table(frame, name, caption, (*table.markup, "No.", "Paper", "Where"))


def machines_table(runs: dict[str, Run], name: str, caption: str) -> Table:
    """Show each run by its name, its ceilings with the interval of the ridge point, and what was
    measured, when and by which method."""
    roof = both(_roof, runs).set_index("run").reindex(runs).fillna("–")
    about = {
        key: {
            **roof.loc[key], "Measured": f"{run.started:%Y-%m-%d}",
            "By": f"budget {run.budget}, method {run.method_version}",
            "Points": f"{len(run.points)} of {len(run.points) + len(run.not_measured)}",
        }
        for key, run in runs.items()
    }  # fmt: skip
    frame = pd.DataFrame.from_dict(about, orient="index").reset_index(names="Machine")
    return Table(frame, name, caption)


def _roof(run: Run) -> pd.DataFrame:
    """The ceilings of a run as texts, in one row. Missing without them."""
    found = roofs.ceilings(run)
    row = {"Read (GB/s)": number(found.bandwidth_bytes_per_s / 1e9)}
    row |= {"Float32 peak (GFLOP/s)": number(found.peak_flop_per_s / 1e9)}
    return pd.DataFrame([row | {"Ridge point (FLOP/byte)": between(roofs.ridge(run))}])
