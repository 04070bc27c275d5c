"""The whole report at a glance: every claim and every measured machine, each in one table."""

import pandas as pd

from analysis.compared.counts import LENGTHS
from analysis.compared.page import Table, between, escape, number, percent, times
from analysis.compared.profiling import gpt2_over_bert
from analysis.compared.roofs import ceilings, ridge, roofline_points
from analysis.compared.serving_tables import eight_and_four, span
from analysis.compared.verdicts import BADGES, MEASURED, Verdict, all_verdicts, judge
from analysis.measured.runs import Run
from analysis.published.claims import load_claims
from analysis.published.tables import load_table

NO_POINTS = ["run", "model", "sequence_length", "intensity", "rate", "high", "low"]
# Chapter of a claim -> its page, and there the table whose cell computes the verdict.
COMPUTED_IN = {
    "scaling_disparity": ("01_scaling_disparity", "tab-scaling"),
    "models_against_memory": ("02_models_against_memory", "tab-models"),
    "training_memory": ("03_training_memory", "tab-training-memory-verdict"),
    "arithmetic_intensity": ("04_arithmetic_intensity", "tab-intensity"),
    "profiling": ("06_profiling", "tab-profiling"),
    "roofline": ("07_roofline", "tab-roofline"),
    "since_the_paper": ("08_since_the_paper", "tab-since"),
    "training_inside_the_wall": ("11_training_inside_the_wall", "tab-training-wall"),
    "serving_inside_the_wall": ("12_serving_inside_the_wall", "tab-serving-wall"),
}


def archived_verdicts(runs: dict[str, Run]) -> dict[str, dict[str, Verdict]]:
    """Return by claim about a machine, by run, what became of it on that run."""
    claims = load_claims()
    return {
        id: {name: judge(claims[id], ask(run)) for name, run in runs.items()}
        for id, ask in MEASURED.items()
    }


def claims_frame(run: Run, archived: dict[str, Run]) -> pd.DataFrame:
    """Return a row a claim, in the order of claims.csv, as verdicts.csv holds it.

    `basis` says whether `ours` comes from "data and arithmetic", the same on every machine, or from
    "this machine"; two columns for each archived run follow, empty where the basis is the former.
    """
    printed = load_table("claims").set_index("id")
    elsewhere = archived_verdicts(archived)
    rows = []
    for i, v in enumerate(all_verdicts(run=run), 1):
        row = {"number": i, "id": v.id, "claim": v.claim}
        row |= printed.loc[v.id, ["printed_in", "source"]].to_dict()
        row |= {"published": v.published, "unit": printed.loc[v.id, "unit"], "ours": v.ours}
        row["basis"] = "this machine" if v.id in MEASURED else "data and arithmetic"
        row |= {"deviation": v.deviation, "tolerance": v.tolerance}
        row["tolerance_reason"] = printed.loc[v.id, "tolerance_reason"]
        row |= {"verdict": v.verdict, "chapter": v.chapter}
        for name, there in elsewhere.get(v.id, {}).items():
            row |= {f"ours on {name}": there.ours, f"verdict on {name}": there.verdict}
        rows.append(row)
    return pd.DataFrame(rows)


def claims_table(run: Run, archived: dict[str, Run], name: str, caption: str) -> Table:
    """Show `claims_frame`, with a link from each claim to where it is printed and computed."""
    elsewhere = archived_verdicts(archived)
    rows = []
    for claim in claims_frame(run, archived).itertuples():
        here = claim.basis == "this machine"
        ours = "–" if pd.isna(claim.ours) else number(claim.ours)
        page, label = COMPUTED_IN[claim.chapter]
        machines = [
            f"{machine}: {v.verdict}" if v.ours is None else f"{machine}: {number(v.ours)}"
            for machine, v in elsewhere.get(claim.id, {}).items()
        ]
        rows.append(
            {
                "No.": claim.number,
                "Claim": claim.claim,
                "Verdict": BADGES[claim.verdict],
                "Printed in": f"[{escape(claim.printed_in)}](<{claim.source}>)",
                "Paper": number(claim.published),
                "Data and arithmetic": "" if here else ours,
                "This machine": ours if here else "",
                "Archived machines": "; ".join(machines),
                "Deviation": "–"
                if pd.isna(claim.deviation)
                else percent(claim.deviation, sign=True),
                "Tolerance": f"± {percent(claim.tolerance)}",
                "Computed in": f"{{doc}}`/notebooks/{page}`, {{numref}}`{label}`",
            }
        )
    markup = ("Printed in", "Verdict", "Computed in")
    return Table(pd.DataFrame(rows), name, caption, markup)


def machines_table(runs: dict[str, Run], name: str, caption: str) -> Table:
    """Show where each run was measured, and its two ceilings."""
    rows = []
    for key, run in runs.items():
        roof, bounds = ceilings(run), ridge(run)
        rows.append(
            {
                "Run": key,
                "Machine": run.machine.device_name,
                "Threads": run.machine.threads,
                "Read (GB/s)": number(roof.bandwidth_bytes_per_s / 1e9) if roof else "–",
                "Float32 peak (GFLOP/s)": number(roof.peak_flop_per_s / 1e9) if roof else "–",
                "Ridge point (FLOP/byte)": between(bounds) if bounds else "–",
                "Measured": f"{run.started:%Y-%m-%d}",
                "Budget": run.budget,
                "Method": run.method_version,
                "Points": f"{len(run.points)} measured, {len(run.not_measured)} not",
            }
        )
    return Table(pd.DataFrame(rows), name, caption)


def rooflines(runs: dict[str, Run]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the roofs (run, bandwidth, peak) and the models' points (run and the columns of
    `roofs.roofline_points`) of every run that has both ceilings, in bytes/s and FLOP/s."""
    roofs = {name: roof for name, run in runs.items() if (roof := ceilings(run))}
    points = [roofline_points(runs[name]).assign(run=name) for name in roofs]
    rows = [(name, r.bandwidth_bytes_per_s, r.peak_flop_per_s) for name, r in roofs.items()]
    return (
        pd.DataFrame(rows, columns=["run", "bandwidth", "peak"]),
        pd.concat(points or [pd.DataFrame(columns=NO_POINTS)], ignore_index=True),
    )


def distances_in_words(run: Run, archived: dict[str, Run]) -> str:
    """Say how far GPT-2 lies from BERT-Base on archived machines other than that of `run`, and
    where their ridge points lie."""
    texts = []
    for name, other in archived.items():
        ratios = [each for n in LENGTHS if (each := gpt2_over_bert(other, n))]
        if other != run and ratios and (roof := ceilings(other)):
            texts.append(
                f"on the archived {name} it lies at {number(roof.ridge_point, 2)} FLOP/byte, and "
                f"GPT-2 takes {times(min(ratios))} to {times(max(ratios))} as long as BERT-Base"
            )
    return _sentence(texts)


def formats_in_words(run: Run, archived: dict[str, Run]) -> str:
    """Say what int8 and int4 gain on archived machines other than that of `run`."""
    texts = []
    for name, other in archived.items():
        if other != run and (both := eight_and_four(other)):
            texts.append(
                f"on the archived {name} weights of 8 bits are {span(both[0])} as fast as float32, "
                f"and those of 4 bits {span(both[1])}"
            )
    return _sentence(texts)


def _sentence(texts: list[str]) -> str:
    text = "; ".join(texts) or "no other machine is archived"
    return f"{text[0].upper()}{text[1:]}."
