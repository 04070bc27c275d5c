"""Training state divided among the processes of a run: what each holds, and what was predicted."""

import pandas as pd

from analysis.compared.links import NUMBER, how_to_add
from analysis.compared.page import Table, between, number, percent, times
from analysis.compared.training import DEVICES, count_of, zero_factor
from analysis.measured.runs import Run
from analysis.measured.sharded import LENGTH, needed_bytes
from analysis.predicted.architectures import GPT2
from analysis.predicted.footprint import model_state

PARTS = ("parameters", "gradients", "optimizer")
COLUMNS = "stage processes predicted held passing time low high".split()
DIVIDED = ("nothing", "optimizer", "and gradients", "and parameters")  # by stage
STAGE = 2  # of the paper's factor
WITHIN = 0.01  # what is held agrees with what is predicted


def predicted(stage: int, processes: int) -> float:
    """Return the bytes of GPT-2's state on each process, with Adam in float32."""
    return sum(model_state(GPT2, zero=stage, devices=processes).values())


def shards(run: Run) -> pd.DataFrame:
    """Return each stage of ZeRO in a run, by processes: bytes of state on the process that holds
    most, predicted and held; bytes of parameters in passing; and the time of a step over that of
    stage 0 in its turn, low, high."""
    rows = []
    for point in run.points:
        match point.key.split("/"):
            case ["shard", "gpt2", ("0" | "1" | "2" | "3") as stage, n] if NUMBER.fullmatch(n):
                sizes = [count_of(point, f"{part}_bytes") for part in (*PARTS, "passing")]
                taken, n = run.ratio(point.key, f"shard/gpt2/0/{n}"), int(n)
                if n > 1 and taken is not None and all(sizes):
                    ours = int(stage), n, predicted(int(stage), n), sum(sizes[:3]), sizes[3]
                    rows.append((*ours, taken.median, *taken.interval))
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.sort_values(["processes", "stage"], ignore_index=True)


def most_processes(run: Run) -> pd.DataFrame:
    """Return the rows of `shards` with the most processes, by stage."""
    rows = shards(run)
    return rows[rows["processes"] == rows["processes"].max()].set_index("stage")


def shard_table(run: Run, name: str) -> Table:
    """Show the state on each process, predicted and held, and the time of a step, by stage."""
    rows = [
        {
            "Stage": str(row.stage),
            "Divided": DIVIDED[row.stage],
            "Processes": str(row.processes),
            "Predicted (MB)": number(row.predicted / 1e6, 4),
            "Held (MB)": number(row.held / 1e6, 4),
            "Held over predicted": times(row.held / row.predicted),
            "Step": times(row.time) if row.stage else "1",
            "95 % interval": between((row.low, row.high)) if row.stage else "–",
        }
        for row in shards(run).itertuples()
    ]
    caption = (
        "GPT-2's parameters, gradients and Adam's state in float32 on each process, by stage of "
        f"ZeRO, and the time of a step, {LENGTH} tokens a process, over that of stage 0 in its "
        "turn."
    )
    nothing = [{"Stage": "not measured", "Reason": _missing(run)}]
    return Table(pd.DataFrame(rows or nothing), name, caption)


def shards_in_words(run: Run) -> str:
    """Say how far what is held agrees with the formula, and what dividing costs in time."""
    rows = most_processes(run)
    if rows.empty:
        return f"Nothing was divided in this run: {_missing(run)}."
    off = rows["held"] / rows["predicted"] - 1
    near, far = off[off.abs() <= WITHIN], off[off.abs() > WITHIN]
    texts = [f"{_off(each)} at stage {stage}" for stage, each in far.items()]
    if len(near):
        stages, worst = ", ".join(map(str, near.index)), percent(near.abs().max(), 1)
        word = "stage" if len(near) == 1 else "stages"
        texts.insert(0, f"what the formula says, within {worst}, at {word} {stages}")
    text = f"each of {rows['processes'].iloc[0]} processes holds {'; '.join(texts)}."
    slower = [
        f"{times(row.time)} the time ({between((row.low, row.high))}) at stage {row.Index}"
        for row in rows.itertuples()
        if row.Index
    ]
    if slower:
        text += f" Over this link a step takes {', '.join(slower)}."
    if 3 in rows.index:
        whole = model_state(GPT2)["parameters"]
        share = percent(rows.loc[3, "passing"] / whole)
        text += f" In passing, stage 3 has up to {share} of the parameters together."
    return text


def zero_cells(run: Run) -> tuple[str, str, str]:
    """Return the cells of the paper's factor: predicted, measured or why not, and its interval."""
    text, rows = f"{times(zero_factor())} on {DEVICES} devices", most_processes(run)
    if not {0, STAGE} <= set(rows.index):
        return text, "not measured: one process has nobody to divide with", "–"
    n = f"{rows['processes'].iloc[0]} processes"
    foretold, held = (
        f"{times(rows.loc[0, each] / rows.loc[STAGE, each])} on {n}"
        for each in ("predicted", "held")
    )
    return f"{text}; {foretold}", held, "exact: bytes"


def zero_quality(run: Run) -> str:
    """Return what is known of the quality: a measurement refuses stages that end with other
    parameters (`analysis.measured.sharded.verify`)."""
    if not {0, STAGE} <= set(most_processes(run).index):
        return "–"
    return "unchanged: all stages ended with the same parameters"


def zero_in_words(run: Run) -> str:
    """Say what of the paper's factor is measured, and what is the formula's."""
    rows = most_processes(run)
    if not {0, STAGE} <= set(rows.index):
        return "ZeRO's factor is a prediction here."
    off = (rows["held"] / rows["predicted"] - 1)[STAGE]
    return (
        "The paper's factor of ZeRO is for hundreds of devices and 16 bits; measured, in float32, "
        f"are {rows['processes'].iloc[0]} processes, each of which holds {_off(off)} at stage "
        f"{STAGE}. "
        f"For {DEVICES} devices the formula alone speaks, and the verdict is on that."
    )


def _off(share: float) -> str:
    return f"{percent(share, 1)} {'less' if share < 0 else 'more'} than the formula says"


def _missing(run: Run) -> str:
    noted = [each.reason for each in run.not_measured if each.key.startswith("shard/")]
    free = number(2 * needed_bytes(GPT2, 2) / 1e9, 2)
    return next(iter(noted), None) or (
        f"one process has nobody to divide with, and {how_to_add(run.budget)} adds two, where "
        f"{free} GB of memory are free"
    )
