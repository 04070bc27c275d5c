"""Speculative decoding in a run: what a trained draft gains, and what one would gain elsewhere."""

import re

import numpy as np
import pandas as pd

from analysis.compared.page import Table, number, percent, times
from analysis.compared.serving import detail
from analysis.compared.serving_tables import span
from analysis.measured.runs import Run
from analysis.predicted.serving import draft_speed_up, expected_tokens


def checks(run: Run) -> pd.DataFrame:
    """Return what checking several tokens at once costs over a step: tokens, time, low, high."""
    rows = []
    for point in run.points:
        match = re.fullmatch(r"serve/check/gpt2/([1-9][0-9]{0,2})", point.key)
        slower = match and run.ratio(point.key, "serve/check/gpt2/1")
        if slower:
            rows.append((int(match[1]), slower.median, *slower.interval))
    frame = pd.DataFrame(rows, columns="tokens time low high".split())
    return frame.sort_values("tokens", ignore_index=True)


def foreseen(run: Run, acceptance: float) -> pd.DataFrame:
    """Return the speed-up that a draft would have at GPT-2's size, at an `acceptance` measured
    elsewhere: drafted, tokens (expected of a check), gain (checks as long as steps), gain_here
    (with the times of checks and of the draft measured here)."""
    small, step = run.sample("serve/draft/gpt2/step"), run.sample("serve/check/gpt2/1")
    if small is None or step is None:
        return pd.DataFrame(columns="drafted tokens gain gain_here".split())
    ratio = small.median / step.median
    rows = [
        (n - 1, expected_tokens(acceptance, n - 1), draft_speed_up(acceptance, n - 1, ratio),
         draft_speed_up(acceptance, n - 1, ratio, time))
        for n, time in checks(run)[["tokens", "time"]].itertuples(index=False) if n > 1
    ]  # fmt: skip
    return pd.DataFrame(rows, columns="drafted tokens gain gain_here".split())


def drafts(run: Run) -> pd.DataFrame:
    """Return what the trained draft gains the trained byte-level decoder: drafted, acceptance (of
    the tokens that were looked at), tokens (a check), expected (by the acceptance), gain, low, high
    (measured), predicted (from acceptance and the times of steps and checks), equal (whether the
    output is that without a draft)."""
    base, rows = "serve/speculative/byte-decoder", []
    step, small = (run.sample(f"{base}/{name}") for name in ("step", "draft-step"))
    for point in run.points:
        match = re.fullmatch(rf"{base}/([1-9][0-9]{{0,2}})", point.key)
        check = match and run.sample(f"{base}/check-{match[1]}")
        faster = match and run.ratio(f"{base}/greedy", point.key)
        if not (check and faster and step and small):
            continue
        n, counts = int(match[1]), [detail(point, k) for k in ("accepted", "examined", "checks")]
        share = counts[0] / counts[1] if 0 <= counts[0] <= counts[1] and counts[1] else np.nan
        if np.isnan(share) or not counts[2] > 0:
            continue
        predicted = draft_speed_up(share, n, small.median / step.median, check.median / step.median)
        rows.append(
            (n, share, 1 + counts[0] / counts[2], expected_tokens(share, n), faster.median,
             *faster.interval, predicted, point.details.get("equal") == 1)
        )  # fmt: skip
    columns = "drafted acceptance tokens expected gain low high predicted equal"
    frame = pd.DataFrame(rows, columns=columns.split())
    return frame.sort_values("drafted", ignore_index=True)


def agreement(run: Run) -> tuple[float, float, float] | None:
    """Return at which share of the held-out bytes draft and decoder choose the same, and its
    interval; None where it was not measured."""
    point = run.point("serve/speculative/byte-decoder/greedy")
    found = [detail(point, f"agreement{end}") for end in ("", "_low", "_high")] if point else []
    return tuple(found) if found and all(0 <= each <= 1 for each in found) else None


def draft_table(run: Run, acceptance: float, name: str) -> Table:
    """Show what a draft would gain at GPT-2's size."""
    rows = foreseen(run, acceptance)
    cost = checks(run).set_index("tokens")["time"]
    frame = pd.DataFrame(
        {
            "Drafted": rows["drafted"],
            "Tokens a check": rows["tokens"].map(number),
            "Check over step": [times(cost[n + 1]) for n in rows["drafted"]],
            "Speed-up, checks as steps": rows["gain"].map(times),
            "Speed-up, checks as here": rows["gain_here"].map(times),
        }
    )
    caption = (
        f"What a small draft would gain at GPT-2's size if {percent(acceptance)} of its tokens "
        "were accepted: expected, with times measured here."
    )
    return Table(frame, name, caption)


def byte_draft_table(run: Run, name: str) -> Table:
    """Show what the trained draft gains the trained decoder."""
    rows = drafts(run)
    frame = pd.DataFrame(
        {
            "Drafted": rows["drafted"],
            "Accepted": [percent(each) for each in rows["acceptance"]],
            "Tokens a check": rows["tokens"].map(number),
            "Expected": rows["expected"].map(number),
            "Speed, predicted": rows["predicted"].map(times),
            "Speed, measured": [span(row) for row in rows.itertuples()],
            "Same output": ["yes" if each else "no" for each in rows["equal"]],
        }
    )
    caption = (
        "The byte-level decoder with its draft, greedy, from prompts of held-out modules: drafted "
        "tokens that were accepted of those looked at, tokens a check yields, and speed over "
        "decoding without a draft, predicted from the times of steps and checks and measured."
    )
    return Table(frame, name, caption)


def drafts_in_words(run: Run) -> str:
    """Say what the draft gains, where it is the trained models' and where it is foreseen."""
    rows, share = drafts(run), agreement(run)
    if rows.empty or share is None:
        return "The byte-level models were not timed in this run."
    best = rows.loc[rows["gain"].idxmax()]
    output = "the same" if rows["equal"].all() else "not always the same"
    return (
        f"On held-out modules both models would choose the same byte at {percent(share[0])} of "
        f"places ({percent(share[1])} to {percent(share[2])}). With {best['drafted']} drafted at a "
        f"time decoding is {span(best)} as fast, where {times(best['predicted'])} was predicted, "
        f"and its output is {output}. Of the drafted bytes {percent(best['acceptance'])} were "
        "accepted there: greedy text repeats itself, which a small model can do as well, so that "
        "this is no acceptance of text as people write it. Both models fit into a cache, so that "
        "their steps take the time of their small operators and not of their bytes: the draft is "
        "not as much faster as it is smaller."
    )


def foreseen_in_words(run: Run, acceptance: float) -> str:
    """Say what the same acceptance would gain at GPT-2's size."""
    rows = foreseen(run, acceptance)
    if rows.empty:
        return "The steps of GPT-2's size were not timed in this run."
    best = rows.loc[rows["gain_here"].idxmax()]
    return (
        f"At GPT-2's size, where weights come from memory, an acceptance of {percent(acceptance)} "
        f"would make decoding {times(best['gain_here'])} as fast with {best['drafted']:.0f} "
        f"drafted at a time, and {times(rows['gain'].max())} at best if checking several tokens "
        "took no longer than a step. This is predicted from measured times; no trained model of "
        "that size is here."
    )
