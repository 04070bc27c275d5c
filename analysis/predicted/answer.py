"""A model on a chip: whether it fits, what it waits for, how fast it is at best and was elsewhere.

Times are bounds from below, of matmul FLOPs at the peak, of what must be read at the bandwidth, of
all-reduces over the links, whichever takes longest; what moves and computes at once hides the rest.
A range is the bound over the tenth to nine tenths of the shares of it that others reached with one
sequence on one chip (data/published/speeds_reached.csv).
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

from analysis.errors import InputError
from analysis.predicted.architectures import Architecture
from analysis.predicted.chips import BITS, Chip, known_chips, open_models
from analysis.predicted.links import BUS
from analysis.predicted.needs import Needs, Work, needs_of, prompt, step
from analysis.predicted.serving import MOST, greatest
from analysis.published.plain import rows

FAST = 1500e9  # bytes/s; cards with stacked memory (HBM) lie above, all others below
SHARES = {"memory": "generate", "compute": "prompt"}  # by what limits, whose share is taken
MODEL = ("name", "kind", "counted", "parameters", "active_parameters")
CHIP = ("name", "n", "bandwidth", "memory", "link")
KV_HEADS = 8  # of grouped heads, as in Llama 3, Mistral and Qwen


@dataclass(frozen=True)
class Setting:
    """What is asked of a model: sizes, bits of stored numbers, price of a chip's hour."""

    context: int  # tokens that a step attends to
    prompt: int  # tokens before the first that is generated, or encoded
    batch: int = 1
    weights: int = 16
    cache: int = 16
    activations: int = 16  # and of the products
    price: float | None = None


def moved(work: Work, setting: Setting) -> float:
    """Bytes of a step or pass."""
    return (work.weights * setting.weights + work.cache * setting.cache) / 8


def bounds(needs: Needs, chip: Chip, setting: Setting, work: Work, tokens: int) -> dict:
    """Seconds at least of a step or pass over `tokens`, by what it waits for."""
    found = {
        "memory": moved(work, setting) / (chip.n * chip.bandwidth),
        "compute": work.flops / (chip.n * chip.peak(setting.activations)),
    }
    if chip.n > 1:
        if not chip.link:
            raise InputError(f"{chip.name}: its links are not known; type their GB/s (--link)")
        message = tokens * needs.d_model * setting.activations / 8
        reduced = 2 * needs.n_layers * message * BUS["all_reduce"](chip.n)
        found["links"] = reduced / chip.link
    return found


def reached(chip: Chip, limit: str) -> tuple[float, float] | None:
    """The shares of the bound that others reached, of single chips with such memory."""
    if chip.n > 1:
        return None
    side = "above" if chip.bandwidth >= FAST else f"below {FAST / 1e12:g} TB/s"
    for row in rows("published/speeds_reached.csv"):
        if row["phase"] == SHARES.get(limit) and row["memory"] == side:
            return float(row["low"]), float(row["high"])
    return None


def phase(needs: Needs, chip: Chip, setting: Setting, name: str) -> dict:
    """A "step" or the pass over a "prompt": work, limit, seconds at least and as others reach."""
    count, size = (step, setting.context) if name == "step" else (prompt, setting.prompt)
    work = count(needs, size, setting.batch)
    tokens = setting.batch * (1 if name == "step" else size)
    waits = bounds(needs, chip, setting, work, tokens)
    limit = max(waits, key=waits.get)
    seconds, bytes_ = waits[limit], moved(work, setting)
    shares = reached(chip, limit)
    return {
        "flops": work.flops,
        "bytes": bytes_,
        "intensity": work.flops / bytes_,
        "limit": limit,
        "seconds": seconds,
        "seconds_reached": shares and [seconds / shares[1], seconds / shares[0]],
    }


def held(needs: Needs, setting: Setting) -> tuple[float, float]:
    """Bytes of weights, and of the cache of one sequence."""
    cache = needs.cached(setting.context) if needs.kind == "decoder" else 0
    return needs.parameters * setting.weights / 8, cache * setting.cache / 8


def fit(needs: Needs, chip: Chip, setting: Setting) -> dict:
    """Bytes of weights and caches, what is left of the memory, and what would fit."""
    weights, cache = held(needs, setting)
    found = {"weights": weights, "cache": cache * setting.batch, "left": None, "fits": None}
    found |= {"largest_batch": None, "longest_context": None}
    if chip.memory is None:
        return found
    memory = chip.n * chip.memory
    left = memory - weights - setting.batch * cache
    found |= {"left": left, "fits": left >= 0}
    if needs.kind == "encoder":
        return found

    def fits(context: int) -> bool:
        longer = replace(setting, context=context)
        return weights + setting.batch * held(needs, longer)[1] <= memory

    largest = int((memory - weights) // cache) if memory > weights and cache else 0
    return found | {"largest_batch": largest, "longest_context": greatest(fits)}


def batch_past_memory(needs: Needs, chip: Chip, setting: Setting) -> int | None:
    """The least batch whose steps wait for FLOPs and not for memory; None: no batch's."""

    def waits(batch: int) -> bool:
        work = step(needs, setting.context, batch)
        found = bounds(needs, replace(chip, n=1), setting, work, batch)
        return found["memory"] > found["compute"]

    most = greatest(waits)
    return None if most is None else most + 1


def grouped(arch: Architecture) -> Architecture | None:
    """The same with `KV_HEADS` key and value heads, if it has more and they divide its heads."""
    if arch.latent or arch.n_kv_heads <= KV_HEADS or arch.n_heads % KV_HEADS:
        return None
    return arch.replace(n_kv_heads=KV_HEADS)


def changes(
    needs: Needs, chip: Chip, setting: Setting, fewer: Needs | None = None
) -> Iterator[tuple[str, Needs, Chip, Setting]]:
    """What else could be had; `fewer` are the needs with grouped heads."""
    for bits in (8, 4):
        if setting.weights > bits:
            yield f"weights of {bits} bits", needs, chip, replace(setting, weights=bits)
    if fewer:
        yield "grouped heads", fewer, chip, setting
    if setting.batch < 8:
        yield "a batch of 8", needs, chip, replace(setting, batch=8)
    yield "twice the bandwidth", needs, replace(chip, bandwidth=2 * chip.bandwidth), setting


def speeds(needs: Needs, chip: Chip, setting: Setting) -> dict:
    """The pass and, of a decoder, the step with its tokens/s at most and its costs at least."""
    found = {"prompt": phase(needs, chip, setting, "prompt")}
    if needs.kind == "encoder":
        return found
    found["step"] = one = phase(needs, chip, setting, "step")
    ends = one["seconds_reached"]
    one["tokens_per_s"] = setting.batch / one["seconds"]
    one["tokens_per_s_reached"] = ends and [setting.batch / end for end in ends[::-1]]
    if setting.price is not None:
        hourly = chip.n * setting.price / 3600 * 1e6
        one["cost_per_million"] = hourly / one["tokens_per_s"]
        one["cost_per_million_reached"] = ends and [hourly * end / setting.batch for end in ends]
    return found


def answer(needs: Needs, chip: Chip, setting: Setting, arch: Architecture | None = None) -> dict:
    """All that is said of a model on a chip, as `python -m analysis predict --json` prints it:
    seconds, bytes, FLOPs; None is unknown or never. `arch` is what grouped heads are made from."""
    fewer = grouped(arch) if arch and needs.kind == "decoder" else None
    now = speeds(needs, chip, setting)
    unit = "step" if "step" in now else "prompt"
    others = []
    for name, *other in changes(needs, chip, setting, fewer and needs_of(fewer)):
        then = speeds(*other)
        gain = other[2].batch / setting.batch * now[unit]["seconds"] / then[unit]["seconds"]
        one = {"change": name, "gain": gain, "seconds": then[unit]["seconds"]}
        others.append(one | {"limit": then[unit]["limit"], "fits": fit(*other)["fits"]})
    peak = chip.peak(setting.activations)
    return {
        "model": {name: getattr(needs, name) for name in MODEL},
        "chip": {name: getattr(chip, name) for name in CHIP}
        | {"peak": peak, "ridge_point": peak / chip.bandwidth},
        "setting": asdict(setting),
        "memory": fit(needs, chip, setting),
        **now,
        "batch_past_memory": batch_past_memory(needs, chip, setting) if unit == "step" else None,
        "changes": others,
    }


def _coefficients(arch: Architecture) -> dict:
    fewer = grouped(arch) if arch.kind == "decoder" else None
    return asdict(needs_of(arch)) | {"grouped": fewer and asdict(needs_of(fewer))}


def choices() -> dict:
    """All that an `answer` is made of, for the page "Your model on your chip": coefficients of
    every model, limits of every chip, the shares that others reached, and the constants."""
    return {
        "models": [_coefficients(arch) for arch in open_models().values()],
        "chips": [asdict(chip) for chip in known_chips()],
        "reached": [
            {"phase": row["phase"], "above": row["memory"] == "above",
             "shares": [float(row["low"]), float(row["high"])]}
            for row in rows("published/speeds_reached.csv")
        ],
        "fast": FAST,
        "most": MOST,
        "shares": SHARES,
        "bits": BITS,
    }  # fmt: skip
