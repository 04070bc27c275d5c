"""The registry of claims: which function computes our number for each, and what becomes of it.

A function that computes our number stands with what it computes, under `@claim("its_id")`. Of a
claim whose basis is "data" it takes a data folder (None: the project's own), of one whose basis is
"machine" a run; it raises Missing, or returns None, where these say too little.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from analysis.compared.page import Table, number, percent
from analysis.errors import InputError
from analysis.measured.run import Missing, Run
from analysis.published.claims import Claim, load_claims

VERDICTS = ("reproduced", "corrected", "differs", "not measured")
BADGES = {
    "reproduced": "{bdg-success}`✓ reproduced`",
    "corrected": "{bdg-primary}`✎ corrected`",
    "differs": "{bdg-warning}`≠ differs`",
    "not measured": "{bdg-secondary}`○ not measured`",
}
COMPUTED: dict[str, Callable[..., float | None]] = {}


def claim(id: str, **fixed) -> Callable:
    """Declare that a function computes our number for the claim `id`, with `fixed` arguments."""

    def declare(function: Callable) -> Callable:
        if id in COMPUTED:
            raise ValueError(f"claim {id} is computed twice")
        COMPUTED[id] = partial(function, **fixed)
        return function

    return declare


@dataclass(frozen=True)
class Verdict:
    """What became of one claim. `deviation` is ours / published - 1; None without a number."""

    ours: float | None
    deviation: float | None
    word: str


def judge(claim: Claim, ours: float | None) -> Verdict:
    """Compare `ours` with what `claim` prints.

    Within the tolerance the claim is "reproduced". Outside it, it is "corrected" when an error in
    the paper was found and computed, else it "differs". Without a number it is "not measured".
    """
    if ours is None or pd.isna(ours):
        return Verdict(None, None, "not measured")
    deviation = ours / claim.value - 1
    if abs(ours - claim.value) <= claim.tolerance * claim.value:
        return Verdict(ours, deviation, "reproduced")
    return Verdict(ours, deviation, "corrected" if claim.corrected else "differs")


def ours(claim: Claim, source: Path | Run | None) -> float | None:
    """Our number for a claim from a data folder or a run; None where it says too little. Raises
    InputError for a claim that no function computes."""
    if claim.id not in COMPUTED:
        raise InputError(f"claims.csv: {claim.id} is computed by no function; add one, @claim(...)")
    try:
        found = COMPUTED[claim.id](source)
    except Missing:
        return None
    return None if found is None else float(found)


def verdicts(runs: dict[str, Run], data: Path | None = None, page: str | None = None):
    """Judge every claim, or those of one page, by each run.

    Returns a frame, a row a claim and run, in the order of claims.csv: number, id, statement,
    basis, published, unit, tolerance, run, ours, deviation, verdict. Claims that rest on data have
    one row, whose run is "data".
    """
    rows = []
    for number_, each in enumerate(load_claims(data).values(), 1):
        if page not in (None, each.page):
            continue
        sources = {"data": data} if each.basis == "data" else runs
        for name, source in sources.items():
            found = judge(each, ours(each, source))
            row = {"number": number_, "id": each.id, "statement": each.statement}
            row |= {"basis": each.basis, "published": each.value, "unit": each.unit}
            row |= {"tolerance": each.tolerance, "run": name}
            rows.append(row | {"ours": found.ours, "deviation": found.deviation,
                               "verdict": found.word})  # fmt: skip
    return pd.DataFrame(rows)


def counted(judged: pd.DataFrame) -> dict[str, int]:
    """How many claims have each verdict, by the data or, for those of machines, the reference."""
    found = judged[judged["run"] != "here"]["verdict"]
    return {word: int((found == word).sum()) for word in VERDICTS}


def verdict_table(judged: pd.DataFrame, name: str, caption: str) -> Table:
    """Show claims, the paper's number, ours with its verdict, and that of here where there is one.

    Ours is of data and arithmetic or, where the claim is about a machine, of the reference."""
    here = judged[judged["run"] == "here"].set_index("id")
    rows = []
    for row in judged[judged["run"] != "here"].itertuples():
        shown = {"Claim": row.statement, "Paper": number(row.published), "Ours": _text(row.ours)}
        shown |= {"Off": _off(row.deviation), "Allowed": f"± {percent(row.tolerance)}"}
        shown |= {"Verdict": BADGES[row.verdict]}
        if len(here):
            there = here.loc[row.id] if row.id in here.index else None
            shown["Here"] = "" if there is None else _text(there["ours"])
            shown["Verdict here"] = "" if there is None else BADGES[there["verdict"]]
        rows.append(shown)
    return Table(pd.DataFrame(rows), name, caption, markup=("Verdict", "Verdict here"))


def _text(value: float) -> str:
    return "–" if pd.isna(value) else number(value)


def _off(value: float) -> str:
    return "–" if pd.isna(value) else percent(value, sign=True)
