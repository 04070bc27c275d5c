"""The registry of claims: which function computes our number for each, and what becomes of it.

A function that computes our number stands with what it computes, under `@claim("its_id")`. Of a
claim whose basis is "data" it takes a data folder (None: the project's own), of one whose basis is
"machine" a run. It returns a number, or one with the ends of its interval, where yes is 1 and no 0;
it raises Missing, or returns None, where these say too little.
"""

import math
import pkgutil
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path

import pandas as pd

from analysis.compared.page import Table, between, number
from analysis.errors import InputError
from analysis.measured.run import Missing, Run
from analysis.published.claims import Claim, load_claims
from analysis.published.tables import load_table

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


def ends(ours: Interval | float | None) -> Interval:
    """Our number with the ends of its interval; NaN where there is none."""
    found = ours if isinstance(ours, tuple) else (ours,) * 3
    missing = found[1] is None or math.isnan(found[1]) or math.isnan(found[2])
    return (math.nan,) * 3 if missing else tuple(map(float, found))


def judge(claim: Claim, ours: Interval | float | None) -> str:
    """Compare `ours` with what `claim` accepts; returns a word of VERDICTS.

    Where the whole interval is accepted the claim is "reproduced"; where none of it is, it is
    "corrected" if an error in the paper was found and computed, else it "differs"; across an edge
    of what is accepted it is "undecided". Without a number it is "not measured".
    """
    (_, low, high), (least, most) = ends(ours), claim.acceptance
    if math.isnan(low):
        return "not measured"
    if least <= low and high <= most:
        return "reproduced"
    if high < least or low > most:
        return "corrected" if claim.corrected else "differs"
    return "undecided"


def ours(claim: Claim, source: Path | Run | None) -> Interval | float | None:
    """Our number for a claim from a data folder or a run; None where it says too little. Raises
    InputError for a claim that no function computes."""
    if claim.id not in COMPUTED:
        raise InputError(f"claims.csv: {claim.id} is computed by no function; add one, @claim(...)")
    try:
        return COMPUTED[claim.id](source)
    except Missing:
        return None


def verdicts(runs: dict[str, Run], data: Path | None = None, page: str | None = None):
    """Judge every claim, or those of one page, by each run.

    Returns a frame, a row a claim and run, in the order of claims.csv: number, id, statement,
    claim (in a few words), kind, rule, printed, published (the same as a number), accepted_low,
    accepted_high, unit, basis, run, ours, low, high, verdict, and of claims.csv printed_in,
    source, status, note, page, label and figure. Claims that rest on data have one row, whose run
    is "data".
    """
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):  # each may compute some
        import_module(f"analysis.compared.{module.name}")
    rows = []
    for n, each in enumerate(load_claims(data).values(), 1):
        if page not in (None, each.page):
            continue
        about = {"number": n, "id": each.id, "statement": each.statement, "claim": each.short}
        about |= {"kind": each.kind, "rule": each.rule, "printed": each.printed}
        about |= {"published": each.value, "unit": each.unit, "basis": each.basis}
        about |= dict(zip(("accepted_low", "accepted_high"), each.acceptance, strict=True))
        for run, source in ({"data": data} if each.basis == "data" else runs).items():
            value = ours(each, source)
            found = dict(zip(("ours", "low", "high"), ends(value), strict=True))
            rows.append({**about, "run": run, **found, "verdict": judge(each, value)})
    more = ["printed_in", "source", "status", "note", "page", "label", "figure"]
    return pd.DataFrame(rows).join(load_table("claims", data).set_index("id")[more], on="id")


def verdict_table(judged: pd.DataFrame, name: str, caption: str) -> Table:
    """Show claims, the paper's number and what is accepted, ours with its interval and verdict, and
    that of here where there is one.

    Ours is of data and arithmetic or, where the claim is about a machine, of the reference."""
    here = {row.id: row for row in judged[judged["run"] == "here"].itertuples()}
    rows = []
    for row in judged[judged["run"] != "here"].itertuples():
        shown = {"Claim": row.statement, "Paper": printed(row), "Accepted": accepted(row)}
        shown |= {"Ours": with_interval(row), "Verdict": BADGES[row.verdict]}
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
    return f"at most {most}" if math.isinf(row.accepted_low) else f"{least} to {most}"


def with_interval(row) -> str:
    """Our number in words, with its interval where it has one: a row of `verdicts`. Of digits there
    are as many as it takes to see the interval, or on which side of what is accepted it lies."""
    if row.verdict == "not measured":
        return "–"
    if row.kind == "yes or no":
        return {(0, 0): "no", (1, 1): "yes"}.get((row.low, row.high), "either")
    width = (row.high - row.low) / (abs(row.ours) or 1)
    edges = [row.accepted_low, row.accepted_high]
    nearest = min(abs(end / edge - 1) for end in (row.low, row.high) for edge in edges if edge)
    small = min(each for each in (width, nearest, 1) if each)
    digits = min(6, max(3, 1 - math.floor(math.log10(small))))
    ends = f" ({between((row.low, row.high), digits)})" if width else ""
    return number(row.ours, digits) + ends
