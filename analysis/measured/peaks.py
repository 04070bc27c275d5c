"""What a processor could compute at most: operations a cycle, times cores, times the clock."""

import pandas as pd

from analysis.measured.schema import Machine
from analysis.published.tables import load_table


def _rows(machine: Machine) -> pd.DataFrame:
    rows = load_table("processors")
    rows = rows[(rows["vendor"] == machine.vendor) & (rows["family"] == machine.family)]
    model = -1 if machine.model is None else machine.model
    return rows[(rows["first_model"] <= model) & (model <= rows["last_model"])]


def generation(machine: Machine) -> str:
    """The processor's generation, such as Zen 3; "" where the table `processors` has it not."""
    return next(iter(_rows(machine)["name"]), "")


def peak_flops(machine: Machine) -> float | None:
    """FLOP/s in float32 that the processor could do at most with the threads that were used, by
    those of its instructions that do the most in a cycle; None where it or its clock is not known,
    and on an accelerator."""
    rows = _rows(machine)
    cycle = rows[rows["instructions"].isin(machine.fast_paths)]["flops_per_cycle"]
    if machine.device != "cpu" or cycle.empty or machine.clock_hz is None:
        return None
    cores = min(n for n in (machine.threads, machine.usable_cores, machine.quota) if n)
    return float(cycle.max() * cores * machine.clock_hz)
