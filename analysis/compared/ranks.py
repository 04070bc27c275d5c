"""The ceilings of every process of a run, all at the same time, beside those of one alone."""

import pandas as pd

from analysis.compared.page import Table, number, times
from analysis.measured.runs import Run

RATES = {"bandwidth": "Reading memory (GB/s)", "matmul": "Products in float32 (GFLOP/s)"}


def ranks(run: Run) -> dict[str, dict[str, float]]:
    """Return the ceilings of every process, by the point's key without its process: rates, FLOP/s
    or bytes/s, by process, and of "alone", the first while the others waited."""
    found: dict[str, dict[str, float]] = {}
    for point in run.points:
        match point.key.split("/"):
            case ["ranks", rank, kind, *rest] if kind in RATES:
                amount = point.bytes if kind == "bandwidth" else point.flops
                if amount and (rank == "alone" or rank.isdecimal()):
                    rates = found.setdefault("/".join([kind, *rest]), {})
                    rates[rank] = amount / point.sample.median
    return found


def ranks_table(run: Run, name: str) -> Table:
    """Show the ceilings of all processes at once beside those of one alone."""
    rows = []
    for key, rates in ranks(run).items():
        alone, each = rates.get("alone"), [v for rank, v in rates.items() if rank != "alone"]
        if each:
            rows.append(
                {
                    "Ceiling": RATES[key.split("/")[0]],
                    "Processes": len(each),
                    "One alone": number(alone / 1e9) if alone else "–",
                    "Slowest": number(min(each) / 1e9),
                    "Fastest": number(max(each) / 1e9),
                    "Sum": number(sum(each) / 1e9),
                    "Sum over one": times(sum(each) / alone) if alone else "–",
                }
            )
    caption = "What every process does while all do it, measured in one launch, and one alone."
    return Table(pd.DataFrame(rows, columns=None if rows else ["Ceiling"]), name, caption)


def ranks_in_words(run: Run) -> str:
    """Say what all processes do together over one alone."""
    texts = []
    for key, rates in ranks(run).items():
        alone, each = rates.get("alone"), [v for rank, v in rates.items() if rank != "alone"]
        if alone and each:
            verb = "read" if key.startswith("bandwidth") else "multiply"
            texts.append(f"{verb} {times(sum(each) / alone)} as fast")
            n = len(each)
    if not texts:
        return "This run does not have one process alone to compare with."
    return f"Together {n} processes {' and '.join(texts)} as one alone."
