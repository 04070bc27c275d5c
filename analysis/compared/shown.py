"""Which runs a page shows: the reference, archived and complete, and here, the reader's own.

`make book` hands both over in the environment: REFERENCE, the name of an archived run, and RUN, a
name, a file or "none". Without RUN here is the newest run of the folder runs/, if there is one.
"""

import os
from collections.abc import Callable
from functools import cache, partial

import pandas as pd

from analysis.errors import InputError
from analysis.measured.peaks import generation
from analysis.measured.run import LOCAL, Missing, Run, archived, find_run, load_run
from analysis.measured.timing import COMPARED

REFERENCE = "amd-epyc-zen-4-2-cores"


@cache
def found() -> tuple[dict[str, Run], str]:
    """The runs by "reference" and, where there is one, "here"; and in one line why here is not
    shown. Raises InputError where the reference cannot be read."""
    runs = {"reference": reference()}
    if os.environ.get("RUN") == "none":
        return runs, "none was asked for"
    try:
        here = _here(os.environ.get("RUN", ""))
    except InputError as error:
        return runs, str(error)
    if here is None:
        return runs, "nothing was measured here; make measure does"
    here.borrow(runs["reference"])
    return runs | ({} if here == runs["reference"] else {"here": here}), ""


def usual() -> bool:
    """Whether the reference is the one that the prose was written with."""
    return (os.environ.get("REFERENCE") or REFERENCE) == REFERENCE


def reference() -> Run:
    """The archived run that is the reference; InputError for a name of none, and for one without
    a kind of point that the chapters speak of."""
    name = os.environ.get("REFERENCE") or REFERENCE
    if name not in archived():
        raise InputError(f"REFERENCE {name}: not archived; there are {', '.join(archived())}")
    run = load_run(find_run(name))
    whole = run if usual() else load_run(find_run(REFERENCE))
    lacks = {point.what for point in whole.points} - {point.what for point in run.points}
    if lacks:
        kinds = ", ".join(sorted(lacks))
        raise InputError(f"REFERENCE {name}: has no {kinds}; show it as here, with RUN={name}")
    return run


def _here(name: str) -> Run | None:
    """The run that RUN names, or the newest of runs/; InputError where it is none to compare."""
    own = sorted(LOCAL.glob("*.json"), key=lambda path: path.stat().st_mtime)
    if not name and not own:
        return None
    path = find_run(name) if name else own[-1]
    run = load_run(path)
    if run.method_version not in COMPARED:
        raise InputError(
            f"{path}: measured by method {run.method_version}; only runs of method "
            f"{' and '.join(COMPARED)} are compared here: measure again"
        )
    return run


def runs() -> dict[str, Run]:
    """The runs that a page shows, by "reference" and "here"."""
    return found()[0]


def fault() -> str:
    """In one line why there is no here; "" where there is one."""
    return found()[1]


def all_archived() -> tuple[dict[str, Run], list[str]]:
    """Every archived run by name, and in one line each why others cannot be read."""
    there, faults = {}, []
    for name in archived():
        try:
            there[name] = load_run(find_run(name))
        except InputError as error:
            faults.append(str(error))
    return there, faults


def both(of: Callable[..., pd.DataFrame], runs: dict[str, Run], *args, **options) -> pd.DataFrame:
    """What `of(run, ...)` says of each run, with a column `run`. A run that lacks the points, so
    that `of` raises Missing or returns no row, has no rows; Missing where all lack them."""

    def rows(name: str) -> pd.DataFrame:
        return of(runs[name], *args, **options).assign(run=name)

    return gathered(f"what {of.__name__} needs", *(partial(rows, name) for name in runs))


def gathered(what: str, *parts: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """The rows of all `parts` that do not raise Missing; where all do, Missing: no `what`."""
    frames = []
    for part in parts:
        try:
            frames.append(part())
        except Missing:
            continue
    frames = [frame for frame in frames if len(frame)]
    if not frames:
        raise Missing(f"no run has {what}")
    return pd.concat(frames, ignore_index=True)


def of_reference(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of `both` that are the reference's."""
    return rows[rows["run"] == "reference"].drop(columns="run")


def named(runs: dict[str, Run]) -> dict[str, Run]:
    """`runs` by the words of `described`, with the day, and then the file, where machines are
    alike."""
    found: dict[str, Run] = {}
    for name, run in runs.items():
        words = described(run)
        for more in (f"{run.started:%Y-%m-%d}", name):
            words += f", {more}" * (words in found)
        found[words] = run
    return found


def described(run: Run) -> str:
    """A machine in a few words, for captions and prose."""
    cores = f"{run.machine.cores} cores" if run.machine.cores else "an unknown number of cores"
    on = "" if run.machine.device == "cpu" else f", measured on {run.machine.device_name}"
    made = f" ({found})" if (found := generation(run.machine)) else ""
    return f"{run.machine.cpu}{made}, {cores}{on}"
