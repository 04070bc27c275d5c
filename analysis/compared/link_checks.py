"""The all-reduces of a run against an independent measurement: plain copies of the same bytes."""

import pandas as pd

from analysis.compared.links import messages
from analysis.compared.page import Table, between, number, percent, times
from analysis.measured.runs import Run
from analysis.measured.timing import Sample
from analysis.predicted.links import bus_bandwidth

CHECKED = "bytes processes seconds all_reduce ring_copy ratio low high".split()
WITHIN = 0.1  # what an all-reduce and plain copies may differ by
LONG = 4  # times the shortest message's time: the rate decides, not the start


def checks(run: Run) -> pd.DataFrame:
    """Return the all-reduces that plain copies of the same bytes were timed in turn with, by bytes:
    the bus bandwidth of either (bytes/s), the median ratio of neighbours, low, high."""
    found = []
    for row in messages(run).query("operation == 'all_reduce'").itertuples():
        copied = run.sample(f"link/ring_copy/{row.processes}/{row.bytes}")
        if copied:
            reduced = run.sample(f"link/all_reduce/{row.processes}/{row.bytes}")
            pairs = zip(reduced.times, copied.times, strict=False)
            sizes = reduced.sizes if reduced.sizes == copied.sizes else ()
            ratio = Sample(tuple(copy / reduce for reduce, copy in pairs), sizes)
            copying = bus_bandwidth("ring_copy", row.bytes, copied.median, row.processes)
            found.append(
                (row.bytes, row.processes, row.seconds, row.bandwidth, copying)
                + (ratio.median, *ratio.interval)
            )
    return pd.DataFrame(found, columns=CHECKED)


def check_table(run: Run, name: str) -> Table:
    """Show the bus bandwidth of all-reduces beside that of plain copies."""
    rows = [
        {
            "Message (bytes)": f"{row.bytes:,}",
            "All-reduce (MB/s)": number(row.all_reduce / 1e6),
            "Plain copies (MB/s)": number(row.ring_copy / 1e6),
            "Ratio": number(row.ratio),
            "95 % interval": between((row.low, row.high)),
        }
        for row in checks(run).itertuples()
    ]
    caption = (
        "Bus bandwidth of all-reduces and of plain copies of the same bytes around a ring, timed "
        "in turn, by different clocks. The ratio is the median of neighbours'."
    )
    return Table(pd.DataFrame(rows, columns=None if rows else ["Message (bytes)"]), name, caption)


def check_in_words(run: Run) -> str:
    """Say how far all-reduces agree with plain copies, long ones and short ones."""
    rows = checks(run)
    if rows.empty:
        return "This run has no plain copies to compare with; `make measure-links` adds them."
    is_long = rows["seconds"] >= LONG * rows["seconds"].iloc[0]
    texts = []
    for kind, part in (("long messages", rows[is_long]), ("short ones", rows[~is_long])):
        if len(part):
            agree = int(((part["ratio"] - 1).abs() <= WITHIN).sum())
            ratios = between((part["ratio"].min(), part["ratio"].max()))
            texts.append(f"{agree} of {len(part)} {kind} (ratios {ratios})")
    return (
        f"Within {percent(WITHIN)} of the copies lie {' and '.join(texts)}; long is what takes "
        f"{LONG} times as long as the shortest message."
    )


def one_way_in_words(run: Run) -> str:
    """Say what a send reaches, which goes one way at a time, over an all-reduce and copies."""
    best = messages(run).groupby("operation")["bandwidth"].max()
    both = [name for name in ("all_reduce", "ring_copy") if name in best]
    if "send_recv" not in best or not both:
        return "This run has no sends to compare with."
    names = {"all_reduce": "the best all-reduce", "ring_copy": "the best plain copies"}
    text = " and ".join(f"{times(best['send_recv'] / best[name])} {names[name]}" for name in both)
    return f"The best send has {text}."
