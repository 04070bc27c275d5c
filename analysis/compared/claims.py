"""The registry of claims: which function computes our number for each, and what becomes of it.

A function that computes our number stands with what it computes, under `@claim("its_id")`. Of a
claim whose basis is "data" it takes a data folder (None: the project's own), of one whose basis is
"machine" a run. It returns a number, or one with the ends of its interval, where yes is 1 and no 0;
it raises Missing, or returns None, where these say too little.
"""

import html
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from analysis.compared.page import Table, between, number
from analysis.compared.shown import all_archived, described
from analysis.errors import InputError
from analysis.measured.run import Missing, Run
from analysis.published.claims import Claim, load_claims
from analysis.text import plain

BADGES = {
    "reproduced": "{bdg-success}`✓ reproduced`",
    "corrected": "{bdg-primary}`✎ corrected`",
    "differs": "{bdg-warning}`≠ differs`",
    "undecided": "{bdg-info}`? undecided`",
    "not measured": "{bdg-secondary}`○ not measured`",
}
VERDICTS = tuple(BADGES)
Interval = tuple[float, float, float]  # our number, and the ends of its 95 % interval
EITHER: Interval = (0.5, 0.0, 1.0)  # of yes (1) or no (0)
COMPUTED: dict[str, Callable[..., Interval | float | None]] = {}


def claim(id: str, **fixed) -> Callable:
    """Declare that a function computes our number for the claim `id`, with `fixed` arguments."""

    def declare(function: Callable) -> Callable:
        if id in COMPUTED:
            raise ValueError(f"claim {id} is computed twice")
        COMPUTED[id] = partial(function, **fixed)
        return function

    return declare


def interval(row: pd.Series, name: str = "value") -> Interval:
    """The number `name` of a row of a table with its ends, which are NAME_low and NAME_high."""
    return tuple(float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))


@dataclass(frozen=True)
class Verdict:
    """What became of one claim: our number, the ends of its interval, and a word of VERDICTS."""

    ours: float
    low: float
    high: float
    word: str


def judge(claim: Claim, ours: Interval | float | None) -> Verdict:
    """Compare `ours` with what `claim` accepts.

    Where the whole interval is accepted the claim is "reproduced"; where none of it is, it is
    "corrected" if an error in the paper was found and computed, else it "differs"; across an edge
    of what is accepted it is "undecided". Without a number it is "not measured".
    """
    value, low, high = ours if isinstance(ours, tuple) else (ours,) * 3
    if low is None or math.isnan(low) or math.isnan(high):
        return Verdict(*[math.nan] * 3, "not measured")
    least, most = claim.acceptance
    if least <= low and high <= most:
        word = "reproduced"
    elif high < least or low > most:
        word = "corrected" if claim.corrected else "differs"
    else:
        word = "undecided"
    return Verdict(float(value), float(low), float(high), word)


def ours(claim: Claim, source: Path | Run | None) -> Interval | float | None:
    """Our number for a claim from a data folder or a run; None where it says too little. Raises
    InputError for a claim that no function computes."""
    if claim.id not in COMPUTED:
        raise InputError(f"claims.csv: {claim.id} is computed by no function; add one, @claim(...)")
    try:
        return COMPUTED[claim.id](source)
    except Missing:
        return None


def standing_in(claim: Claim) -> tuple[Interval | float | None, str]:
    """Our number from the first archived run that has the points, where the reference lacks them,
    and its machine in words; None and "" where all lack them."""
    numbers = ((ours(claim, run), described(run)) for run in all_archived()[0].values())
    return next((each for each in numbers if each[0] is not None), (None, ""))


def verdicts(runs: dict[str, Run], data: Path | None = None, page: str | None = None):
    """Judge every claim, or those of one page, by each run.

    Returns a frame, a row a claim and run, in the order of claims.csv: number, id, statement,
    claim (in a few words), kind, rule, printed, published (the same as a number), accepted_low,
    accepted_high, unit, basis, run, stand_in, ours, low, high, verdict. Claims that rest on data
    have one row, whose run is "data". Where the run "reference" lacks the points, another archived
    one stands in for it, and stand_in is its machine.
    """
    rows = []
    for number_, each in enumerate(load_claims(data).values(), 1):
        if page not in (None, each.page):
            continue
        least, most = each.acceptance
        row = {"number": number_, "id": each.id, "statement": each.statement, "claim": each.short}
        row |= {"kind": each.kind, "rule": each.rule, "printed": each.printed}
        row |= {"published": each.value}
        row |= {"accepted_low": least, "accepted_high": most, "unit": each.unit}
        for name, source in ({"data": data} if each.basis == "data" else runs).items():
            value, other = ours(each, source), ""
            if name == "reference" and value is None:
                value, other = standing_in(each)
            found = judge(each, value)
            row |= {"basis": each.basis, "run": name, "stand_in": other}
            row |= {"ours": found.ours, "low": found.low}
            rows.append(row | {"high": found.high, "verdict": found.word})
    return pd.DataFrame(rows)


def counted(judged: pd.DataFrame) -> dict[str, int]:
    """How many claims have each verdict, by the data or, for those of machines, the reference."""
    found = judged[judged["run"] != "here"]["verdict"]
    return {word: int((found == word).sum()) for word in VERDICTS}


def squares(judged: pd.DataFrame, page: str) -> str:
    """Show how many claims have each verdict as HTML: the word, and a square a claim that leads to
    its row of `page`."""
    rows, lines = judged[judged["run"] != "here"], []
    link = '<a tabindex="-1" href="{}#claim-{}" title="{}"></a>'
    for word, badge in BADGES.items():
        links = [
            link.format(page, row.number, html.escape(row.claim))
            for row in rows[rows["verdict"] == word].itertuples()
        ]
        name = f"<span>{plain(badge)}: {len(links)}</span>"
        squared = f'<span class="squares" aria-hidden="true">{"".join(links)}</span>'
        lines.append(f'<li class="{word.replace(" ", "-")}">{name} {squared}</li>')
    return f'<ul class="verdicts">{"".join(lines)}</ul>'


def verdict_table(judged: pd.DataFrame, name: str, caption: str) -> Table:
    """Show claims, the paper's number and what is accepted, ours with its interval and verdict, and
    that of here where there is one.

    Ours is of data and arithmetic or, where the claim is about a machine, of the reference."""
    here = {row.id: row for row in judged[judged["run"] == "here"].itertuples()}
    rows = []
    for row in judged[judged["run"] != "here"].itertuples():
        shown = {"Claim": row.statement, "Paper": printed(row), "Accepted": accepted(row)}
        other = f", on {row.stand_in}" if row.stand_in else ""
        shown |= {"Ours": with_interval(row) + other, "Verdict": BADGES[row.verdict]}
        if here:
            there = here.get(row.id)
            shown["Here"] = with_interval(there) if there else ""
            shown["Verdict here"] = BADGES[there.verdict] if there else ""
        rows.append(shown)
    return Table(pd.DataFrame(rows), name, caption, markup=("Verdict", "Verdict here"))


def printed(row) -> str:
    """What the paper prints, in words: a row of `verdicts`."""
    up_to, text = "up to " if row.rule == "up to" else "", row.printed
    if row.kind == "yes or no" or "-" in text:
        return text.replace("-", " to ")
    return up_to + (number(row.published) if "/" in text or len(text) > 4 else text)


def accepted(row) -> str:
    """What our number may be, in words: a row of `verdicts`."""
    if row.kind == "yes or no":
        return row.printed
    ends = [number(each, 4) for each in (row.accepted_low, row.accepted_high)]
    least, most = (each.rstrip("0").rstrip(".") if "." in each else each for each in ends)
    if most == "inf":
        return f"at least {least}"
    return f"at most {most}" if least == "-inf" else f"{least} to {most}"


def with_interval(row) -> str:
    """Our number in words, with its interval where it has one: a row of `verdicts`. Of digits there
    are as many as it takes to see the interval, or on which side of what is accepted it lies."""
    if row.verdict == "not measured":
        return "–"
    if row.kind == "yes or no":
        return {(0, 0): "no", (1, 1): "yes"}.get((row.low, row.high), "either")
    width = (row.high - row.low) / abs(row.ours)
    edges = [row.accepted_low, row.accepted_high]
    nearest = min(abs(end / edge - 1) for end in (row.low, row.high) for edge in edges if edge)
    small = min(each for each in (width, nearest, 1) if each)
    digits = min(6, max(3, 1 - math.floor(math.log10(small))))
    ends = f" ({between((row.low, row.high), digits)})" if width else ""
    return number(row.ours, digits) + ends
