"""The links of a run: bus bandwidth by message, and layers split over processes."""

import pandas as pd

from analysis.compared.ratios import matched, over_time, ratios
from analysis.measured.run import Missing, Run
from analysis.predicted.architectures import ARCHITECTURES
from analysis.predicted.links import bus_bandwidth, communication_time, most_useful, parallel_time

OPERATIONS = {"all_reduce": "all-reduce", "send_recv": "send"}
PROJECTIONS = 6  # of a layer, as `measured.parallel` splits it


def messages(run: Run) -> pd.DataFrame:
    """Each timed message: operation, processes, bytes, seconds, low, high (of its time), and its
    bus bandwidth in GB/s with its interval, as nccl-tests defines it."""
    rows = run.rows("link")
    rows = rows[rows["how"].isin(OPERATIONS)].sort_values(["how", "bytes"], ignore_index=True)

    def bandwidth(times: pd.Series) -> list[float]:
        each = zip(rows["how"], rows["bytes"], times, rows["processes"], strict=True)
        return [bus_bandwidth(*message) / 1e9 for message in each]

    columns = ["operation", "processes", "bytes", "seconds", "low", "high"]
    found = rows.assign(operation=rows["how"].map(OPERATIONS))[columns]
    return found.assign(**over_time(bandwidth, rows, "bandwidth"))


def all_reduces(run: Run) -> pd.DataFrame:
    """The rows of `messages` that are all-reduces, by their bytes; Missing where none was timed."""
    rows = messages(run).query("operation == 'all-reduce'").set_index("bytes")
    if rows.empty:
        raise Missing("the run has no all-reduces")
    return rows


def link_of(run: Run) -> tuple[float, float]:
    """What an all-reduce costs to start (s), half that of the smallest message between two, and
    the best bus bandwidth (bytes/s)."""
    rows = all_reduces(run)
    rounds = 2 * (rows["processes"].iloc[0] - 1)
    return float(rows["seconds"].iloc[0] / rounds), float(1e9 * rows["bandwidth"].max())


def splits(run: Run) -> pd.DataFrame:
    """Every model that the run has on one process and on several.

    Columns: model, tokens, processes, alone, seconds and predicted_seconds (split), speedup with
    its interval, predicted, communication (what its messages take alone, over the measured time),
    most_useful (processes, beyond which it would take longer again) and bookkeeping (seconds for
    each projection beyond the prediction)."""
    rows, reduced, found = run.rows("tensor"), all_reduces(run)["seconds"].to_dict(), []
    rows = rows[rows["model"].isin(ARCHITECTURES)]
    rows, alone = matched(rows[rows["n"] > 1], rows[rows["n"] == 1], ["model", "tokens"])
    for row, one in zip(rows.itertuples(), alone["seconds"], strict=True):
        arch = ARCHITECTURES[row.model]
        width = 1 if arch.kind == "decoder" else row.tokens  # rows of a step or a pass
        seconds = parallel_time(arch, width, one, row.n, reduced)
        each = {"model": arch.name, "tokens": row.tokens, "processes": row.n, "alone": one}
        each |= {"seconds": row.seconds, "predicted_seconds": seconds, "predicted": one / seconds}
        each["communication"] = communication_time(arch, width, reduced) / row.seconds
        each["most_useful"] = most_useful(arch, width, one, *link_of(run))
        each["bookkeeping"] = (row.seconds - seconds) / (PROJECTIONS * arch.n_layers)
        found.append(each)
    return pd.DataFrame(found).assign(**ratios(alone, rows, "speedup"))
