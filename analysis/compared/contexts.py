"""What a longer text costs in generating, by speeds that others measured, and what that goes with.

Between two lengths the weights that a token reads are the same: what a token takes more is the
cache's. Its bytes over that time are the rate at which the cache is read.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import gmean, t

from analysis.compared.claims import Interval, claim, interval
from analysis.compared.models import architectures
from analysis.compared.ratios import mean_ratio
from analysis.compared.speeds import BELOW, FAST, ONE, SHORT, speeds
from analysis.published.tables import load_table

HALF, LONG = 4096, 8192  # tokens, besides SHORT
ROUNDING = 0.005  # tokens/s; speeds are printed to two decimals
KEYS = ["maker", "memory", "device", "devices", "model", "format", "bandwidth", "peak"]
GROUPS = {  # maker and side of FAST
    "all": "",
    f"cards {BELOW}": f"maker != 'Apple' and memory == '{BELOW}'",
    "cards above": "maker != 'Apple' and memory == 'above'",
    "Apple": "maker == 'Apple'",
}


def spread(data: Path | None = None) -> float:
    """By how much the logarithm of a ratio of two speeds may be off, 95 %: Student's t of the
    repetitions that the source printed for other models, pooled over devices and formats."""
    rows = load_table("speed_repeats", data)
    logs = np.log(rows["tokens_per_s"]).groupby([rows["device"], rows["format"]])
    freedom = len(rows) - logs.ngroups
    variance = (logs.var() * (logs.size() - 1)).sum() / freedom
    return float(t.ppf(0.975, freedom) * np.sqrt(2 * variance))


def contexts(data: Path | None = None) -> pd.DataFrame:
    """What a longer text costs, by device, devices, model and format (and maker, memory: the side
    of `FAST`, bandwidth in GB/s, peak in TFLOP/s).

    value: speed of generating `LONG` tokens over that of `SHORT`, value_low and value_high by
    rounding and `spread`, predicted by the bytes, and whether that is within. Of a token: seconds
    that `LONG` takes more; by these, cache (the rate at which the cache is read, GB/s), queries
    (that if each head of queries reads it for itself) and flops (of attention, TFLOP/s). weights:
    the rate at which all is read at `SHORT`, GB/s. length: time for a cached token in the latter
    `HALF` over that in the first.
    """
    known, off = architectures(data), spread(data)
    rows = speeds(data).query("phase == 'generate' and program == 'llama.cpp'")
    side = np.where(rows["bandwidth"] < FAST, BELOW, "above")
    rows = rows.assign(seconds=1 / rows["tokens_per_s"], memory=side)
    columns = ["tokens_per_s", "seconds", "bytes", "flops"]
    wide = rows.pivot(index=KEYS, columns="tokens", values=columns).dropna()
    at = {tokens: wide.xs(tokens, axis=1, level="tokens") for tokens in (SHORT, HALF, LONG)}
    more, first, latter = at[LONG] - at[SHORT], at[HALF] - at[SHORT], at[LONG] - at[HALF]
    long, short = at[LONG]["tokens_per_s"], at[SHORT]["tokens_per_s"]
    low, high = ((long + side) / (short - side) for side in (-ROUNDING, ROUNDING))
    found = pd.DataFrame({
        "value": long / short, "value_low": low * np.exp(-off), "value_high": high * np.exp(off),
        "predicted": at[SHORT]["bytes"] / at[LONG]["bytes"],
        "seconds": more["seconds"], "cache": more["bytes"] / more["seconds"] / 1e9,
        "flops": more["flops"] / more["seconds"] / 1e12,
        "weights": at[SHORT]["bytes"] / at[SHORT]["seconds"] / 1e9,
        "length": latter["seconds"] / latter["bytes"] / (first["seconds"] / first["bytes"]),
    }).reset_index()  # fmt: skip
    heads = found["model"].map(lambda name: known[name].n_heads / known[name].n_kv_heads)
    within = found["predicted"].between(found["value_low"], found["value_high"])
    return found.assign(queries=heads * found["cache"], within=within)


def general(found: pd.DataFrame) -> pd.DataFrame:
    """The rows of one device each with the model that nearly all have at every length."""
    return found[(found["devices"] == 1) & (found["model"] == ONE["model"])]


def over(found: pd.DataFrame, column: str, above: str, below: str) -> pd.DataFrame:
    """The rows of `contexts` with the seconds of `above` in `column` over those of `below`, all
    else the same, as `over`."""
    same = [key for key in KEYS if key != column]
    wide = found.pivot(index=same, columns=column, values="seconds")
    return (wide[above] / wide[below]).dropna().rename("over").reset_index()


def causes(data: Path | None = None) -> pd.DataFrame:
    """What the time for a longer text goes with: `what`, `over` which devices (`GROUPS`), n, and
    value with value_low and value_high, the mean of logarithms over devices by Student's t.

    format: seconds in F16 over those in Q4_K_M; model: in 70B over those in 8B; and of
    `general`, length, and the ratios cache_weights (of rates), cache_bandwidth, queries_bandwidth
    and flops_peak.
    """
    found = contexts(data)
    one = general(found)
    asked = {
        "format": over(found, "format", "F16", "Q4_K_M"),
        "model": over(found, "model", "Llama 3 70B", "Llama 3 8B"),
        "length": one.assign(over=one["length"]),
    }
    for above, below in (("cache", "weights"), ("cache", "bandwidth"), ("queries", "bandwidth"),
                         ("flops", "peak")):  # fmt: skip
        asked[f"{above}_{below}"] = one.assign(over=one[above] / one[below])
    rows = []
    for what, each in asked.items():
        for name, query in GROUPS.items():
            some = each.query(query) if query else each
            by_device = some.groupby("device")["over"].agg(gmean)
            rows.append((what, name, len(by_device), *mean_ratio(by_device)))
    return pd.DataFrame(rows, columns=["what", "over", "n", "value", "value_low", "value_high"])


@claim("longer_texts_cost_their_cache")
def cache_as_weights(data: Path | None = None) -> Interval:
    """The rate at which the cache is read over that at which the weights are, mean of devices."""
    found = causes(data).set_index(["what", "over"])
    return interval(found.loc[("cache_weights", "all")])
