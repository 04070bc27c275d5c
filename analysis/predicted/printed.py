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
    model, chip = found["model"], found["chip"]
    several = f"{chip['n']} x " if chip["n"] > 1 else ""
    yield f"{model['name']} on {several}{chip['name']} (counted by {model['counted']})"
    yield from (f"{label:28}{text}" for label, text in _rows(found))


def _rows(found: dict) -> Iterator[tuple[str, str]]:
    model, chip, asked, memory = (found[name] for name in ("model", "chip", "setting", "memory"))
    yield "parameters", f"{model['parameters']:,}, of a token {model['active_parameters']:,}"
    limits = f"{amount(chip['bandwidth'], 'B/s')}, {amount(chip['peak'], 'FLOP/s')}"
    ridge = f"ridge point {number(chip['ridge_point'])} FLOP/byte"
    yield "a chip", f"{limits}, memory {amount(chip['memory'], 'B')}, {ridge}"
    bits = ", ".join(f"{name} {asked[name]}" for name in ("weights", "cache", "activations"))
    sizes = f"batch {asked['batch']}, prompt {asked['prompt']}, context {asked['context']} tokens"
    yield "asked", f"{sizes}; bits: {bits}"
    held = f"weights {amount(memory['weights'], 'B')}, cache {amount(memory['cache'], 'B')}"
    if memory["fits"] is not None:
        left = amount(abs(memory["left"]), "B")
        held += f": fits, {left} left" if memory["fits"] else f": {left} too much"
    yield "memory", held
    if memory["largest_batch"] is not None:
        longest = memory["longest_context"]
        longest = "any" if longest is None else f"{longest:,} tokens"
        yield "would fit", f"batch {memory['largest_batch']:,}, or context {longest}"
    for name, label in (("prompt", "whole prompt"), ("step", "one step")):
        if phase := found.get(name):
            work = f"{amount(phase['flops'], 'FLOP')}, {amount(phase['bytes'], 'B')}"
            waits = f"{number(phase['intensity'])} FLOP/byte, waits for {phase['limit']}"
            yield label, f"{work}, {waits}"
            yield "", f"at least {_bound(phase, 'seconds', duration)}"
    if step := found.get("step"):
        yield "tokens/s", f"at most {_bound(step, 'tokens_per_s', number)}"
        if "cost_per_million" in step:
            yield "cost of 1e6 tokens", f"at least {_bound(step, 'cost_per_million', number)}"
        batch = found["batch_past_memory"]
        yield "waits for compute", f"from batch {batch:,} on" if batch else "at no batch"
    for each in found["changes"]:
        gain = f"{each['gain']:.3g} times as many tokens/s at most"
        then = f"at least {duration(each['seconds'])}, waits for {each['limit']}"
        fits = ", does not fit" if each["fits"] is False else ""
        yield f"with {each['change']}", f"{gain}, {then}{fits}"


def _bound(phase: dict, name: str, shown) -> str:
    ends = phase[f"{name}_reached"]
    reach = f"{shown(ends[0])} to {shown(ends[1])}" if ends else "unknown"
    return f"{shown(phase[name])}, others reach {reach}"
