"""Speeds of language models that others measured, beside what bytes and FLOPs allow.

Of each device a data sheet gives the bandwidth and the fastest dense 16-bit peak. A generated token
must read every weight but the table of embeddings, of which a row is read, and the cache of what
was generated before it; a prompt must be multiplied by every weight but the LM head's, which is
asked for one token, and by the tokens before.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import gmean, t

from analysis.compared.claims import Interval, claim, interval
from analysis.compared.ratios import mean_ratio
from analysis.errors import InputError
from analysis.predicted.answer import FAST as STACKED
from analysis.predicted.architectures import Architecture
from analysis.predicted.chips import GIB, known_chips, open_models
from analysis.predicted.operations import FUSED
from analysis.predicted.roofline import compulsory_bytes
from analysis.predicted.transformer import generation, matmul_flops
from analysis.published.tables import load_table

CAUSES = ("bandwidth", "peak")
CACHE_BYTES = 2  # of a cached number, which both programs keep in 16 bits
FAST = STACKED / 1e9  # GB/s
BELOW = f"below {FAST / 1000:g} TB/s"
SHORT, HALF, LONG = 512, 4096, 8192  # tokens
ONE = {"devices": 1, "model": "Llama 3 8B", "tokens": SHORT}  # that every device was asked for
ROUNDING = 0.005  # tokens/s; speeds are printed to two decimals
KEYS = ["maker", "memory", "device", "devices", "model", "format", "bandwidth", "peak"]
GROUPS = {  # maker and side of FAST
    "all": "",
    f"cards {BELOW}": f"maker != 'Apple' and memory == '{BELOW}'",
    "cards above": "maker != 'Apple' and memory == 'above'",
    "Apple": "maker == 'Apple'",
}


def _models(data: Path | None) -> dict[str, Architecture]:
    load_table("architectures", data)  # tells a fault, which `open_models` does not look for
    return open_models(data)


def weight_bits(data: Path | None = None) -> dict[tuple[str, str], float]:
    """Bits a weight of each (model, format): as the format says, or as the size of its file."""
    rows, known = load_table("speed_formats", data), _models(data)
    whole = rows["model"].map({name: arch.n_parameters for name, arch in known.items()})
    bits = rows["bits"].where(rows["bits"] > 0, 8 * GIB * rows["file_gib"] / whole)
    return dict(zip(zip(rows["model"], rows["format"], strict=True), bits, strict=True))


def speeds(data: Path | None = None) -> pd.DataFrame:
    """Every published speed with its bound: the columns of speeds.csv, and bits (a weight), bytes
    and flops (of a token), bandwidth (GB/s) and peak (TFLOP/s, dense, 16 bits) of a device, memory
    (how fast a token's bytes are read) and compute (how fast its FLOPs are done, both tokens/s),
    bound (the lesser), limit (which), share (of the bound), maker.

    Layers that are split over devices are read one device after another, but a prompt's pieces
    follow each other through them; tensors that are split are read by all devices at once.
    """
    known, bits = _models(data), weight_bits(data)
    makers = load_table("accelerators", data).drop_duplicates("name").set_index("name")["vendor"]
    chips = {chip.name: chip for chip in known_chips(data)}
    rows, found = load_table("speeds", data), []
    for line, row in enumerate(rows.itertuples(), 2):
        asked = ("device", row.device, chips), ("format", (row.model, row.format), bits)
        for column, value, there in asked:
            if value not in there:
                raise InputError(f"published/speeds.csv, line {line}, column {column}: no {value}")
        chip, arch = chips[row.device], known[row.model]
        bandwidth, peak = chip.bandwidth, chip.peak(16)  # both programs may sum in 16 bits
        turns = row.split == "layers" and row.phase == "generate"
        at_once = 1 if turns else row.devices
        prompt, stored = row.phase == "prompt", bits[row.model, row.format]
        arch = arch.replace(lm_head=not prompt)
        moved = compulsory_bytes(arch, element_bytes=stored / 8)
        if prompt:
            moved /= row.tokens
        else:
            moved += CACHE_BYTES * arch.cached((row.tokens - 1) / 2)  # in the mean of all
        flops = _flops(arch, row.tokens)
        memory, compute = at_once * bandwidth / moved, at_once * peak / flops
        found.append((stored, moved, flops, bandwidth / 1e9, peak / 1e12, memory, compute))
    columns = ["bits", "bytes", "flops", "bandwidth", "peak", "memory", "compute"]
    rows = rows.join(pd.DataFrame(found, columns=columns))
    limits = rows[["memory", "compute"]]
    rows = rows.assign(bound=limits.min(axis=1), limit=limits.idxmin(axis=1))
    return rows.assign(share=rows["tokens_per_s"] / rows["bound"], maker=rows["device"].map(makers))


@cache  # the same few are asked for by every row
def _flops(arch: Architecture, tokens: int) -> float:
    """FLOPs of a token, the mean of the first `tokens`."""
    return matmul_flops(generation(arch, tokens, FUSED)) / tokens


def alone(rows: pd.DataFrame, phase: str, format: str) -> pd.DataFrame:
    """The speeds of a single device each that all devices have (`ONE`), fastest memory last."""
    asked = ONE | {"phase": phase, "format": format}
    kept = rows[list(asked)] == pd.Series(asked)
    return rows[kept.all(axis=1)].sort_values("bandwidth", kind="stable", ignore_index=True)


def elasticity(rows: pd.DataFrame) -> pd.DataFrame:
    """By how many per cent the speed rises with one per cent of `bandwidth`, the `peak` held, and
    the other way round: least squares on logarithms. A row each: on, value, value_low and
    value_high (95 %, Student's t), n, and least and most with any one device left out. Raises
    InputError with too few."""
    if len(rows) < 5:
        raise InputError(f"an elasticity on two causes needs 5 devices; there are {len(rows)}")
    causes = np.log(rows[list(CAUSES)].to_numpy(float))
    x = np.column_stack([np.ones(len(rows)), causes])
    y = np.log(rows["tokens_per_s"].to_numpy(float))

    def slopes(kept: np.ndarray) -> np.ndarray:
        return np.linalg.lstsq(x[kept], y[kept], rcond=None)[0]

    best, freedom = slopes(np.ones(len(rows), bool)), len(rows) - 3
    scatter = ((y - x @ best) ** 2).sum() / freedom
    reach = t.ppf(0.975, freedom) * np.sqrt(scatter * np.diag(np.linalg.inv(x.T @ x)))
    without = np.array([slopes(kept) for kept in ~np.eye(len(rows), dtype=bool)])
    columns = {"value": best, "value_low": best - reach, "value_high": best + reach}
    columns |= {"least": without.min(axis=0), "most": without.max(axis=0)}
    found = pd.DataFrame({name: each[1:] for name, each in columns.items()})
    return found.assign(on=list(CAUSES), n=len(rows))


def elasticities(rows: pd.DataFrame) -> pd.DataFrame:
    """`elasticity` over which devices (`over`): all, those without stacked memory, and those of
    each maker that has enough."""
    over = {"all": rows, BELOW: rows[rows["bandwidth"] < FAST]}
    over |= dict(list(rows.groupby("maker")))
    found = [elasticity(some).assign(over=name) for name, some in over.items() if len(some) >= 5]
    return pd.concat(found, ignore_index=True)


def gains(data: Path | None = None) -> pd.DataFrame:
    """What Q4_K_M gains over F16 by device and phase: device, bandwidth, phase, value (measured),
    predicted (by the bytes of a token; of a prompt 1) and over (one over the other)."""
    rows = speeds(data)
    some = pd.concat([alone(rows, phase, format) for phase in ("generate", "prompt")
                      for format in ("F16", "Q4_K_M")])  # fmt: skip
    keys = ["device", "bandwidth", "phase"]
    wide = some.pivot(index=keys, columns="format", values=["tokens_per_s", "bytes"]).dropna()
    bytes_ = wide["bytes"]["F16"] / wide["bytes"]["Q4_K_M"]
    found = pd.DataFrame({"value": wide["tokens_per_s"]["Q4_K_M"] / wide["tokens_per_s"]["F16"]})
    prompt = found.index.get_level_values("phase") == "prompt"
    found["predicted"] = bytes_.where(~prompt, 1.0)
    return found.assign(over=found["value"] / found["predicted"]).reset_index()


def several(data: Path | None = None) -> pd.DataFrame:
    """Speed on several devices among which layers are split, over one device's: device, devices,
    model, format, phase, tokens, value."""
    rows = speeds(data).query("split != 'tensors' and program == 'llama.cpp'")
    keys = ["device", "model", "format", "phase", "tokens"]
    single = rows[rows["devices"] == 1].set_index(keys)["tokens_per_s"].rename("one")
    many = rows[rows["devices"] > 1].join(single, on=keys).dropna(subset="one")
    return many.assign(value=many["tokens_per_s"] / many["one"])[[*keys, "devices", "value"]]


@claim("generating_follows_bandwidth", phase="generate", on="bandwidth")
@claim("prompts_follow_peak", phase="prompt", on="peak")
def follows(data: Path | None, phase: str, on: str) -> Interval:
    """The elasticity of single devices' speed in Q4_K_M, which all have."""
    found = elasticity(alone(speeds(data), phase, "Q4_K_M")).set_index("on")
    return interval(found.loc[on])


@claim("four_bits_on_others_machines")
def four_bits(data: Path | None = None) -> Interval:
    """Of Q4_K_M over F16, the gain in generating over what the bytes promise: the mean of its
    logarithms over devices, with its interval by Student's t."""
    return mean_ratio(gains(data).query("phase == 'generate'")["over"])


@claim("more_devices_bring_no_faster_token")
def more_devices(data: Path | None = None) -> Interval:
    """Speed of generating on several devices among which layers are split, over one's: the mean
    over devices."""
    rows = several(data).query("phase == 'generate'")
    return mean_ratio(rows.groupby("device")["value"].agg(gmean))


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
    that `LONG` takes more, all for the cache, since weights are read at any length; by these, cache
    (the rate at which it is read, GB/s), queries (that if each head of queries reads it for itself)
    and flops (of attention, TFLOP/s). weights: the rate at which all is read at `SHORT`, GB/s.
    length: time for a cached token in the latter `HALF` over that in the first.
    """
    known, off = _models(data), spread(data)
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
