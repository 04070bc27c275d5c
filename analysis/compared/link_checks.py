"""The all-reduces of a run against independent measurements of the same messages."""

import pandas as pd

from analysis.compared.links import how_to_add, messages
from analysis.compared.page import Table, between, number, percent, times
from analysis.measured.runs import Run

CHECKED = "bytes processes all_reduce check ratio low high".split()
CHECKS = {
    "benchmark": "torch's benchmark",
    "ring_sum": "copies with sums",
    "ring_copy": "bare copies",
}
WITHIN = 0.1  # what an all-reduce and a check may differ by
LONG = 10**6  # bytes, from which on the rate decides, not the start


def checks(run: Run) -> pd.DataFrame:
    """Return the all-reduces that each of `CHECKS` was timed in turn with, by bytes: their bus
    bandwidth (bytes/s), that over the check's as the median ratio of neighbours, low, high; whether
    it is long."""
    found = []
    for row in messages(run).query("operation == 'all_reduce'").itertuples():
        for check in CHECKS:
            keys = (f"link/{name}/{row.processes}/{row.bytes}" for name in (check, "all_reduce"))
            if ratio := run.ratio(*keys):
                ends = ratio.median, *ratio.interval
                found.append((row.bytes, row.processes, row.bandwidth, check, *ends))
    rows = pd.DataFrame(found, columns=CHECKED)
    return rows.assign(long=rows["bytes"] >= LONG)


def with_checks(run: Run, archived: dict[str, Run]) -> tuple[Run, str]:
    """Return the run if it has checks, or else the first archived one that has, and say which."""
    for name, other in archived.items() if checks(run).empty else ():
        if not checks(other).empty:
            return other, (
                f"This run has no checks, as only {how_to_add('full')} measures them; shown are "
                f"those of the archived {name}. "
            )
    return run, ""


def check_table(run: Run, name: str) -> Table:
    """Show the bus bandwidth of all-reduces, and over that of each check."""
    rows = {}
    for row in checks(run).itertuples():
        label = CHECKS[row.check].removeprefix("torch's ").capitalize()
        cells = rows.setdefault(row.bytes, {"Message (bytes)": f"{row.bytes:,}"})
        cells["All-reduce (MB/s)"] = number(row.all_reduce / 1e6)
        cells[label] = f"{number(row.ratio)} ({between((row.low, row.high))})"
    caption = (
        "Bus bandwidth of all-reduces, and that over what was timed in turn with them: the same "
        "call by torch's benchmark, copies around a ring with its sums, and bare copies. A ratio "
        "is the median of neighbours', with its 95 % interval; above one the all-reduce is faster."
    )
    columns = None if rows else ["Message (bytes)"]
    return Table(pd.DataFrame(list(rows.values()), columns=columns), name, caption)


def check_in_words(run: Run) -> str:
    """Say whether the bus bandwidth agrees with the checks, of long messages and of short ones."""
    rows = checks(run)
    if rows.empty:
        return f"This run has nothing to compare with; {how_to_add('full')} measures it."
    rows["agrees"] = (rows["ratio"] - 1).abs() <= WITHIN
    texts = []
    for check, name in CHECKS.items():
        kinds = (("long", rows["long"]), ("short", ~rows["long"]))
        parts = [(kind, rows[(rows["check"] == check) & part]) for kind, part in kinds]
        said = [
            f"{part['agrees'].sum()} of {len(part)} {kind} messages "
            f"(ratios {between((part['ratio'].min(), part['ratio'].max()))})"
            for kind, part in parts
            if len(part)
        ]
        texts += [f"{name} for {' and '.join(said)}"] if said else []
    return (
        f"Bus bandwidth agrees within {percent(WITHIN)} with {'; with '.join(texts)}. "
        f"Long are those of {LONG // 10**6} MB or more."
    )


def causes(run: Run) -> dict[str, str]:
    """Say what copies take over all-reduces: those of long messages, and bare ones of the
    shortest."""
    rows = checks(run)
    bare, sums = (rows[rows["check"] == check] for check in ("ring_copy", "ring_sum"))
    parts = {"bare_long": bare[bare["long"]], "sums_long": sums[sums["long"]]}
    parts["bare_short"] = bare.head(1)
    return {
        name: times(part["ratio"].median()) if len(part) else "an unknown part"
        for name, part in parts.items()
    }


def one_way_in_words(run: Run) -> str:
    """Say what a send reaches, which goes one way at a time, over an all-reduce and copies."""
    best = messages(run).groupby("operation")["bandwidth"].max()
    both = [name for name in ("all_reduce", "ring_copy") if name in best]
    if "send_recv" not in best or not both:
        return "This run has no sends to compare with."
    names = {"all_reduce": "the best all-reduce", "ring_copy": "the best plain copies"}
    text = " and ".join(f"{times(best['send_recv'] / best[name])} {names[name]}" for name in both)
    return f"The best send has {text}."
