"""A verdict for every claim of the paper: its number against ours."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from analysis.compared.counts import LENGTHS, PAPER_MODELS, VALUES, count
from analysis.compared.page import Table, number, percent
from analysis.compared.profiling import gpt2_over_bert, lengths_in_order
from analysis.compared.quality import PRUNED, more_bits, smaller, tuned
from analysis.compared.ridges import since_the_paper
from analysis.compared.roofs import holds
from analysis.compared.scaling import TRENDS, fit, trend_points
from analysis.compared.serving import gain, in_proportion
from analysis.compared.since import FEWEST, SERIES, later_points, refit
from analysis.compared.training import every_layer, second_order, zero_factor
from analysis.compared.training_memory import activations_over_parameters
from analysis.measured.runs import Run
from analysis.published.claims import Claim, load_claims

VERDICTS = ("reproduced", "corrected", "differs", "not measured")


@dataclass(frozen=True)
class Verdict:
    """What became of one claim.

    `deviation` is ours / published - 1, and `tolerance` the largest that still reproduces the
    claim (data/published/claims.csv gives the reason for each). Both numbers have the claim's unit.
    """

    id: str
    claim: str
    published: float
    ours: float | None
    deviation: float | None
    tolerance: float
    verdict: str
    chapter: str


def judge(claim: Claim, ours: float | None, corrected: bool = False) -> Verdict:
    """Compare `ours` with what `claim` prints.

    Within the tolerance the claim is "reproduced". Outside it, it is "corrected" when `corrected`
    says that an error in the paper was found and computed, else it "differs". Without a number of
    ours it is "not measured".
    """
    deviation = None if ours is None else ours / claim.value - 1
    if ours is None:
        verdict = "not measured"
    elif abs(ours - claim.value) <= claim.tolerance * claim.value:
        verdict = "reproduced"
    else:
        verdict = "corrected" if corrected else "differs"
    return Verdict(
        claim.id,
        claim.statement,
        claim.value,
        ours,
        deviation,
        claim.tolerance,
        verdict,
        claim.chapter,
    )


def _growth(trend: str, years: float) -> Callable[[Path | None], float]:
    return lambda data: fit(trend_points(trend, data)).over(years)


def _refit(trend: str) -> Callable[[Path | None], float | None]:
    def growth(data: Path | None) -> float | None:
        later = later_points(trend, data)
        return None if len(later) < FEWEST else refit(trend, later, data).over(2)

    return growth


def _count(model: str, length: int, quantity: str) -> Callable[[Path | None], float]:
    return lambda _: float(VALUES[quantity](count(PAPER_MODELS[model], length)["total"]))


def _again(run: Run, quantity: str) -> float | None:
    """A quantity of `run` with every layer computed again."""
    row = every_layer(run)
    return None if row is None else float(row[quantity])


def _more_bits(run: Run, remedy: str) -> float | None:
    """Bits per byte after a remedy over those before it."""
    found = more_bits(run, remedy)
    return found and found[0]


# Claim -> our number for it, from the tables in a data folder; None where they say too little.
OURS: dict[str, Callable[[Path | None], float | None]] = {
    **{f"{trend}_two_years": _growth(trend, 2) for trend in TRENDS},
    **{f"{trend}_twenty_years": _growth(trend, 20) for trend in TRENDS},
    "training_memory_over_parameters": activations_over_parameters,
    "gpt2_arithmetic_intensity": _count("GPT-2", 512, "arithmetic_intensity"),
    "bert_base_least_arithmetic_intensity": lambda _: min(
        _count("BERT-Base", length, "arithmetic_intensity")(None) for length in LENGTHS
    ),
    "bert_base_flops_512": _count("BERT-Base", 512, "flops"),
    "gpt2_flops_512": _count("GPT-2", 512, "flops"),
    "bert_large_flops_512": _count("BERT-Large", 512, "flops"),
    **{f"{trend}_to_2026": _refit(trend) for trend in SERIES},
    "compute_outgrows_memory_to_2026": lambda data: since_the_paper(data).over(2),
    "zero_model_size": lambda _: zero_factor(),
    "int4_size": lambda _: smaller("int4-group"),
}
# Claim -> what a run says of it; None where the run lacks what it needs.
MEASURED: dict[str, Callable[[Run], float | None]] = {
    "models_in_order_of_latency": lengths_in_order,
    **{
        f"gpt2_over_bert_base_latency_{length}": lambda run, n=length: gpt2_over_bert(run, n)
        for length in LENGTHS
    },
    "decoding_is_memory_bound": lambda run: holds(run, "GPT-2", "memory-bound"),
    "encoding_is_not_memory_bound": lambda run: holds(run, "BERT-Base", "compute-bound"),
    "rematerialisation_memory": lambda run: _again(run, "factor"),
    "rematerialisation_compute": lambda run: _again(run, "time"),
    "second_order_memory": second_order,
    "int4_decoding_speed": lambda run: gain(run, "int4"),
    "smaller_models_decode_faster": in_proportion,
    "int8_quality": lambda run: _more_bits(run, "int8-row"),
    **{
        f"{family}_pruning": lambda run, family=family: _more_bits(run, tuned(family))
        for family in PRUNED
    },
}
# Claims that an erratum corrects (see compared/errata.py), when our number is not the printed one.
CORRECTED = {"bert_large_flops_512"}


def all_verdicts(data: Path | None = None, run: Run | None = None) -> list[Verdict]:
    """Return the verdict of every claim in claims.csv, in its order.

    Claims about a machine are judged with `run`; without one they are "not measured".
    """
    judged = []
    for claim in load_claims(data).values():
        if claim.id in MEASURED:
            ours = MEASURED[claim.id](run) if run else None
        else:
            ours = OURS[claim.id](data)
        judged.append(judge(claim, ours, claim.id in CORRECTED))
    return judged


BADGES = {
    "reproduced": "{bdg-success}`✓ reproduced`",
    "corrected": "{bdg-primary}`✎ corrected`",
    "differs": "{bdg-warning}`≠ differs`",
    "not measured": "{bdg-secondary}`○ not measured`",
}


def verdict_table(
    name: str, caption: str, chapter: str | None = None, run: Run | None = None
) -> Table:
    """Return the verdicts of one chapter, or of the whole report, as a table of the book."""
    rows = [v for v in all_verdicts(run=run) if chapter in (None, v.chapter)]
    frame = pd.DataFrame(
        [
            {
                "Claim": v.claim,
                "Paper": number(v.published),
                "Ours": number(v.ours) if v.ours is not None else "–",
                "Deviation": "–" if v.deviation is None else percent(v.deviation, sign=True),
                "Tolerance": f"± {percent(v.tolerance)}",
                "Verdict": BADGES[v.verdict],
            }
            for v in rows
        ]
    )
    return Table(frame, name, caption, markup=("Verdict",))


def verdicts_json(verdicts: list[Verdict]) -> list[dict]:
    """Return what `python -m analysis verdicts --json` prints."""
    return [asdict(verdict) for verdict in verdicts]
