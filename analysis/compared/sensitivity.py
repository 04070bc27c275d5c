"""What the answer to "did the rates go on?" owes to the choice of later points."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.compared.scaling import HARDWARE, fit, trend_points
from analysis.compared.since import (
    CHIPS,
    Outcome,
    largest_of_each_year,
    later_points,
    left_out,
    outcome,
    usable,
)
from analysis.predicted.trends import Growth
from analysis.published.tables import load_table


@dataclass(frozen=True)
class Variant:
    """One way to choose the points of a trend."""

    trend: str
    points: str
    outcome: Outcome


def variants(data: Path | None = None) -> list[Variant]:
    """Return every trend with other choices of points: precision, vendor, stage, largest."""
    makers = load_table("accelerators", data)["vendor"].unique()
    chips = [
        ("NVIDIA only", {"vendor": ("NVIDIA",)}),
        ("all but NVIDIA", {"vendor": tuple(v for v in makers if v != "NVIDIA")}),
        ("best of each year", {"largest_of_year": True}),
        ("announced ones too", {"unshipped": True}),
    ]
    rates = [(f"at {bits} bits", {"quantity": f"peak_{bits}bit_dense"}) for bits in (16, 8, 4)]
    lanes = {"family": ("PCIe", "NVLink", "Infinity Fabric", "UALink")}
    sizes = [("largest of each year", {}), ("all in the table", {"largest_of_year": False})]
    chosen = {
        "peak_flops": [*rates, *((f"at 16 bits, {name}", changes) for name, changes in chips)],
        "dram_bandwidth": [("all", {}), *chips],
        "interconnect": [("lanes of PCIe and NVLink", {}), ("lanes of other links too", lanes)],
        "accelerator_memory": [("all", {}), *chips],
        "transformer_parameters": sizes,
        "transformer_training_compute": sizes,
    }
    found = [
        Variant(trend, name, outcome(trend, later_points(trend, data, **changes), data))
        for trend, ways in chosen.items()
        for name, changes in ways
    ]
    alike = [
        Variant("peak_flops", "at 32 bits throughout", single_precision(data)),
        Variant("interconnect", "whole links of PCIe, NVLink", whole_links(data)),
    ]
    order = list(chosen)
    return sorted([*alike, *found], key=lambda v: order.index(v.trend))


def with_estimates(trend: str, data: Path | None = None) -> Outcome:
    """What the outcome of a models' trend would be if estimates still to be verified were true.

    Not a result: it bounds what the documented models can say, and no verdict uses it."""
    rows = [later_points(trend, data, largest_of_year=False), left_out(trend, data)]
    return outcome(trend, largest_of_each_year(pd.concat(rows, ignore_index=True)), data)


def single_precision(data: Path | None = None) -> Outcome:
    """Compare FP32 rates throughout: the paper's points and chips, and later ones."""
    drawn, alike = trend_points("peak_flops", data), load_table("like_with_like", data)
    paper = [drawn[drawn["number_format"] == "fp32"], alike[alike["quantity"] == "peak_fp32"]]
    later = later_points("peak_flops", data, quantity="peak_fp32")
    return outcome("peak_flops", later, data, pd.concat(paper))


def whole_links(data: Path | None = None) -> Outcome:
    """Compare bandwidths of whole links, both directions, in place of the rate of a lane."""
    alike = load_table("like_with_like", data)
    paper = alike[alike["quantity"] == "link_bandwidth_both_directions"]
    later = later_points("interconnect", data, quantity="link_bandwidth_both_directions")
    return outcome("interconnect", later, data, paper)


def hardware_variants(data: Path | None = None) -> list[Variant]:
    """Return the variants of what chips, memories and links do."""
    return [v for v in variants(data) if v.trend in (*HARDWARE, "accelerator_memory")]


def stack_growth(data: Path | None = None) -> dict[str, Growth]:
    """Return the growth of one HBM stack over its generations: its bandwidth, and of a pin."""
    return {
        quantity: fit(usable("memory_generations", quantity, data, family=("HBM",)))
        for quantity in ("bandwidth", "rate_per_pin")
    }


def rows_used(data: Path | None = None) -> dict[str, int]:
    """Return how many rows of the hardware tables are usable, and how many are left out."""
    rows = load_table("accelerators", data)
    rows = rows[rows["kind"].isin(CHIPS["kind"])]
    used = (rows["status"] == "sourced") & (rows["stage"] == "shipped")
    return {"used": int(used.sum()), "left_out": int((~used).sum())}
