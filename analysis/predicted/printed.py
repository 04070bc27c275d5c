"""An answer of `analysis.predicted.answer` as lines of text."""

from collections.abc import Iterator

PREFIXES = ("", "k", "M", "G", "T", "P", "E")


def number(value: float) -> str:
    """Three digits, or all of a larger whole part."""
    return f"{value:.3g}" if value < 99.95 else f"{value:,.0f}"


def amount(value: float | None, unit: str) -> str:
    """A quantity with a decimal prefix: 3.35 TB/s."""
    if value is None:
        return "unknown"
    place = 0
    while value >= 1000 and place < len(PREFIXES) - 1:
        value, place = value / 1000, place + 1
    return f"{number(value)} {PREFIXES[place]}{unit}"


def duration(seconds: float) -> str:
    """Seconds in the unit that suits them."""
    units = (("s", 1), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9))
    unit, size = next((each for each in units if seconds >= each[1]), units[-1])
    return f"{number(seconds / size)} {unit}"


def lines(found: dict) -> Iterator[str]:
    """The lines that `python -m analysis predict` prints."""
    model, chip, asked = found["model"], found["chip"], found["setting"]
    several = f"{chip['n']} x " if chip["n"] > 1 else ""
    yield f"{model['name']} on {several}{chip['name']} (counted by {model['counted']})"
    yield _row(
        "parameters",
        f"{model['parameters']:,}, of a token {model['active_parameters']:,}",
    )
    limits = [amount(chip["bandwidth"], "B/s"), amount(chip["peak"], "FLOP/s")]
    yield _row("a chip", f"{', '.join(limits)}, memory {amount(chip['memory'], 'B')}, "
                         f"ridge point {chip['ridge_point']:.4g} FLOP/byte")  # fmt: skip
    bits = ", ".join(f"{name} {asked[name]}" for name in ("weights", "cache", "activations"))
    sizes = f"batch {asked['batch']}, prompt {asked['prompt']}, context {asked['context']} tokens"
    yield _row("asked", f"{sizes}; bits: {bits}")
    yield from _memory(found["memory"])
    for name, label in (("prompt", "whole prompt"), ("step", "one step")):
        if name in found:
            yield from _phase(label, found[name])
    if "step" in found:
        yield from _speed(found)
    for each in found["changes"]:
        fits = {True: "", False: ", does not fit", None: ""}[each["fits"]]
        yield _row(
            f"with {each['change']}",
            f"{each['gain']:.3g} times as many tokens/s at most, "
            f"at least {duration(each['seconds'])}, waits for {each['limit']}{fits}",
        )


def _memory(memory: dict) -> Iterator[str]:
    held = f"weights {amount(memory['weights'], 'B')}, cache {amount(memory['cache'], 'B')}"
    if memory["fits"] is None:
        yield _row("memory", held)
        return
    left = amount(abs(memory["left"]), "B")
    yield _row(
        "memory", f"{held}: {f'fits, {left} left' if memory['fits'] else f'{left} too much'}"
    )
    if memory["largest_batch"] is not None:
        longest = memory["longest_context"]
        longest = "any" if longest is None else f"{longest:,} tokens"
        yield _row("would fit", f"batch {memory['largest_batch']:,}, or context {longest}")


def _phase(label: str, phase: dict) -> Iterator[str]:
    yield _row(
        label,
        f"{amount(phase['flops'], 'FLOP')}, {amount(phase['bytes'], 'B')}, "
        f"{phase['intensity']:.4g} FLOP/byte, waits for {phase['limit']}",
    )
    yield _row("", f"at least {duration(phase['seconds'])}, others reach "
                   f"{_range(phase['seconds_reached'], duration)}")  # fmt: skip


def _speed(found: dict) -> Iterator[str]:
    step = found["step"]
    reach = _range(step["tokens_per_s_reached"], number)
    yield _row("tokens/s", f"at most {number(step['tokens_per_s'])}, others reach {reach}")
    if "cost_per_million" in step:
        reach = _range(step["cost_per_million_reached"], number)
        cost = f"at least {number(step['cost_per_million'])}, others reach {reach}"
        yield _row("cost of 1e6 tokens", cost)
    batch = found["batch_past_memory"]
    yield _row("waits for compute", f"from batch {batch:,} on" if batch else "at no batch")


def _range(ends: list | None, shown) -> str:
    return f"{shown(ends[0])} to {shown(ends[1])}" if ends else "unknown"


def _row(label: str, text: str) -> str:
    return f"{label:28}{text}"
