"""Speculative decoding in a run: what a trained draft gains, and what one would gain elsewhere."""

import pandas as pd

from analysis.compared.ratios import faster
from analysis.measured.run import Missing, Run, ratio
from analysis.predicted.serving import draft_speed_up, expected_tokens

MODEL = "byte-decoder"
COUNTS = ["accepted", "examined", "checks", "equal"]


def drafts(run: Run) -> pd.DataFrame:
    """What the trained draft gains the trained byte-level decoder, by n, the tokens drafted at a
    time. Columns besides those of `Run.rows`: draft and check (their times over a step's),
    acceptance (of the tokens that were looked at), found (tokens that a check yields), expected (by
    the acceptance), gain with its ends, and predicted (from acceptance and these times)."""
    times = run.rows("speculative", model=MODEL).set_index(["how", "n"])["seconds"]
    rows = run.rows("speculative", model=MODEL, how="drafted")
    rows = rows.reindex(columns=rows.columns.union(COUNTS, sort=False))  # a run may be another's
    rows = rows.query("0 <= accepted <= examined and examined > 0 and checks > 0")
    rows = faster(rows, run.rows("speculative", model=MODEL, how="greedy"))
    if ("step", 0) not in times or ("draft step", 0) not in times:
        raise Missing("the run has no steps of the byte-level models")
    step, share = times["step", 0], rows["accepted"] / rows["examined"]
    rows = rows.assign(
        acceptance=share, found=1 + rows["accepted"] / rows["checks"],
        draft=times["draft step", 0] / step, check=rows["n"].map(times["check"]) / step,
    )  # fmt: skip
    four = list(zip(share, rows["n"], rows["draft"], rows["check"], strict=True))
    return rows.assign(
        expected=[expected_tokens(accepted, n) for accepted, n, *_ in four],
        predicted=[draft_speed_up(*each) for each in four],
    )


def agreement(run: Run) -> tuple[float, float, float]:
    """At which share of the held-out bytes draft and decoder choose the same, and its interval."""
    row = run.row("speculative", model=MODEL, how="greedy")
    return row["agreement"], row["agreement_low"], row["agreement_high"]


def foreseen(run: Run, acceptance: float) -> pd.DataFrame:
    """The speed-up that a draft would have at GPT-2's size, at an `acceptance` measured elsewhere,
    by drafted: tokens (expected of a check), time (of a check over a step's), gain (checks as long
    as steps), gain_measured (with the times of checks and of the draft in this run)."""
    checks = run.rows("check", model="gpt2")
    (step,) = run.rows("check", model="gpt2", n=1).itertuples()
    draft = run.row("draft", model="gpt2")["seconds"] / step.seconds
    rows = []
    for check in checks[checks["n"] > 1].itertuples():
        n, time = check.n - 1, ratio(check, step)[0]
        gains = draft_speed_up(acceptance, n, draft), draft_speed_up(acceptance, n, draft, time)
        rows.append((n, expected_tokens(acceptance, n), time, *gains))
    return pd.DataFrame(rows, columns="drafted tokens time gain gain_measured".split())
