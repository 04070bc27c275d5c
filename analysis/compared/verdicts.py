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
    status, note, page and label of claims.csv."""
    columns = ["printed_in", "source", "status", "note", "page", "label"]
    return verdicts(runs, data).join(load_table("claims", data).set_index("id")[columns], on="id")


def claims_table(judged: pd.DataFrame, name: str, caption: str) -> Table:
    """Show `all_claims` as `claims.verdict_table` does, and where each claim is printed, by what it
    is judged, and where it is computed."""
    table = verdict_table(judged, name, caption)
    rows = judged[judged["run"] != "here"].reset_index(drop=True)
    printed = [f"[{escape(row.printed_in)}](<{row.source}>)" for row in rows.itertuples()]
    pages = [f"{{doc}}`/notebooks/{r.page}`, {{numref}}`{r.label}`" for r in rows.itertuples()]
    frame = table.frame.assign(**{"Printed in": printed, "By": rows["run"], "Computed in": pages})
    frame.insert(0, "No.", rows["number"])
    order = ["No.", "Claim", "Printed in", "Paper", "Ours", "By"]
    frame = frame[order + [column for column in frame if column not in order]]
    return Table(frame, name, caption, (*table.markup, "Printed in", "Computed in"))


def machines_table(runs: dict[str, Run], name: str, caption: str) -> Table:
    """Show where each run was measured, its ceilings with the interval of the ridge point, and how
    much was measured."""
    roof = both(_roof, runs).set_index("run").reindex(runs).fillna("–")
    about = {
        key: {
            "Machine": run.machine.device_name, "Threads": run.machine.threads, **roof.loc[key],
            "Measured": f"{run.started:%Y-%m-%d}", "Budget": run.budget,
            "Method": run.method_version,
            "Points": f"{len(run.points)} measured, {len(run.not_measured)} not",
        }
        for key, run in runs.items()
    }  # fmt: skip
    frame = pd.DataFrame.from_dict(about, orient="index").reset_index(names="Run")
    return Table(frame, name, caption)


def _roof(run: Run) -> pd.DataFrame:
    """The ceilings of a run as texts, in one row. Missing without them."""
    found = roofs.ceilings(run)
    row = {"Read (GB/s)": number(found.bandwidth_bytes_per_s / 1e9)}
    row |= {"Float32 peak (GFLOP/s)": number(found.peak_flop_per_s / 1e9)}
    return pd.DataFrame([row | {"Ridge point (FLOP/byte)": between(roofs.ridge(run))}])
