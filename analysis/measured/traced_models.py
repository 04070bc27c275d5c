"""Models that no formula covers, counted as Hugging Face transformers runs them on "meta"."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from analysis.errors import InputError
from analysis.measured.hugging_face import Built, build, one_line
from analysis.measured.networks import memory
from analysis.measured.traced import TracedCounts, traced
from analysis.predicted.counted import counts_json
from analysis.predicted.needs import Attention, Needs
from analysis.predicted.transformer import matmul_flops

SIZES = (64, 128, 192, 256)  # tokens; a line or a parabola is drawn through all but the last
ATTENTION = ("attn", "attention", "mixer", "mamba", "temporal")  # in the names of modules
EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts")  # names in configs


def counts(
    built: Built, phase: str, tokens: int, batch: int = 1, last: bool = False, cache=None
) -> tuple[TracedCounts, object]:
    """What a "step" at context `tokens`, or a pass over them, costs (its head at the `last` token
    only), and the cache after it; a step's `cache` is filled first where there is none. Raises
    InputError where transformers cannot run it so."""
    weights = {
        memory(parameter): "mha_projections"
        if any(part in name.lower() for part in ATTENTION)
        else "ffn_projections"
        for name, parameter in built.model.named_parameters()
    }
    try:
        with torch.no_grad():
            if phase == "step":
                if cache is None and tokens > 1:
                    cache = built.filled(tokens - 1, batch)
                found, out = traced(weights, built.step, cache, tokens, batch)
            else:
                found, out = traced(weights, built.encode, tokens, batch, last)
    except Exception as error:
        raise InputError(f"transformers cannot trace {built.name}: {one_line(error)}") from None
    return found, getattr(out, "past_key_values", None)


def cached(built: Built, cache, batch: int = 1) -> tuple[int, dict[int | None, int]]:
    """Elements that a sequence keeps whatever its length, and keys and values by their window."""
    state, windows = 0, {}
    layers = getattr(cache, "layers", [])
    for first in built.first or range(len(layers)):
        for name, value in vars(layers[first]).items() if first < len(layers) else ():
            if not isinstance(value, torch.Tensor) or value.device.type != "meta":
                continue
            if name in ("keys", "values"):
                window = getattr(layers[first], "sliding_window", None)
                windows[window] = windows.get(window, 0) + value.numel() // batch
            elif value.dim() > 1:
                state += value.numel() // batch
    return state, windows


def traced_json(config: Mapping, task, phase, length: int, batch: int) -> dict:
    """What `python -m analysis count --json` prints of a config that no formula covers."""
    built = build(config, task)
    built.share_layers()
    phase = phase or ("encode" if built.kind == "encoder" else "prefill")
    if (phase == "encode") != (built.kind == "encoder") or phase == "generate":
        raise InputError(f"a traced {built.kind} is not counted in the phase {phase}")
    found, cache = counts(built, phase, length, batch)
    _, _, active = _parameters(built, counts(built, "step" if cache else phase, 1)[0])
    state, windows = cached(built, cache, batch)
    kept = state + sum(windows.values()) if built.kind == "decoder" else None
    return counts_json(
        built.name, "traced", phase, length, batch, found.classes, built.model.num_parameters(),
        active, kept,
    )  # fmt: skip


def traced_needs(config: Mapping, task: str | None = None) -> Needs:
    """The coefficients of a model, from passes of a few sizes and a step after each.

    Raises InputError where other sizes do not follow from these: FLOPs of steps that are no line in
    the context below and above one window, or of passes that are no parabola in the length, or that
    are not proportional to the batch."""
    built = build(config, task)
    built.share_layers()
    seen = [_seen(built, size, 1 + (size == SIZES[-1])) for size in SIZES]
    passes = _fitted(built.name, "pass", SIZES, [each["pass"] for each in seen], 2)
    step_flops, state, groups = 0, 0, (Attention(0, passes[2], 0),)
    if built.kind == "decoder":
        step_flops, state, groups = _steps(built, seen, passes[2])
    (experts, chosen, expert_weights), fixed, active = _parameters(built, seen[0]["last"])
    settings = built.model.config
    return Needs(
        built.name, built.kind, "tracing", built.model.num_parameters(), active, fixed,
        expert_weights, experts, chosen, step_flops, passes[1], passes[0], False, groups,
        settings.num_hidden_layers, settings.hidden_size, state,
    )  # fmt: skip


def _seen(built: Built, size: int, batch: int = 1) -> dict:
    """FLOPs, of one sequence, of a "pass" over `size` tokens and of a "step" after it, elements
    "kept" after the pass, and counts of the "last" of the two, or of a pass over one token."""
    found, cache = counts(built, "pass", size, batch, last=True)
    seen = {"pass": matmul_flops(found.classes) / batch, "kept": cached(built, cache, batch)}
    if built.kind == "encoder":
        return seen | {"last": counts(built, "pass", 1)[0] if size == SIZES[0] else None}
    stepped, _ = counts(built, "step", size + 1, batch, cache=cache)
    return seen | {"step": matmul_flops(stepped.classes) / batch, "last": stepped}


def _steps(
    built: Built, seen: Sequence[dict], pass_key: float
) -> tuple[float, int, tuple[Attention, ...]]:
    """FLOPs of a step but for attention, elements of state, and the groups of layers."""

    def line(sizes: Sequence[int], seen: Sequence[dict]) -> list[int | float]:
        contexts = [size + 1 for size in sizes]
        return _fitted(built.name, "step", contexts, [each["step"] for each in seen], 1)

    state, kept = seen[0]["kept"]
    windows = sorted(window for window in kept if window)
    if not windows:
        step_flops, key = line(SIZES, seen)
        per_token = (seen[1]["kept"][1].get(None, 0) - kept.get(None, 0)) / (SIZES[1] - SIZES[0])
        return step_flops, state, (Attention(key, pass_key, per_token),)
    if len(windows) > 1 or windows[0] < 8:
        raise InputError(f"{built.name}: windows of {windows} tokens are not traced")
    window = windows[0]
    below, above = [window * n // 8 for n in (2, 4, 6)], [window + n for n in SIZES[:3]]
    near, far = ([_seen(built, size) for size in sizes] for sizes in (below, above))
    (step_flops, key), (_, whole), kept = line(below, near), line(above, far), near[0]["kept"][1]
    parts = [(None, whole), (window, key - whole)]
    return (
        step_flops,
        state,
        tuple(
            Attention(flops, pass_key * flops / key, kept[reach] / below[0], reach)
            for reach, flops in parts
            if reach in kept
        ),
    )


def _fitted(
    name: str, phase: str, sizes: Sequence[int], flops: Sequence[float], degree: int
) -> list[int | float]:
    """Coefficients, constant first, of `flops` by `sizes`; the last must lie on the curve."""
    powers = np.vander(np.array(sizes, float), degree + 1, increasing=True)
    found = np.linalg.solve(powers[: degree + 1], np.array(flops[: degree + 1], float))
    found = [int(each) if each == int(each) else float(each) for each in np.round(found, 3)]
    if abs(powers[-1] @ found - flops[-1]) > 1e-6 * flops[-1]:
        raise InputError(
            f"{name}: the FLOPs of a {phase} at {', '.join(map(str, sizes))} tokens, of the last "
            f"with two sequences, are no polynomial of degree {degree}; `count` tells those of one"
        )
    return found


def _parameters(built: Built, visited: TracedCounts) -> tuple[tuple[int, int, int], int, int]:
    """(Experts, those of a token, weights of all), weights that each step reads, and those that a
    token visits, tables included."""
    tensors = {memory(each): each for each in built.model.parameters()}
    picked = {m: n for m, n in visited.chosen.items() if m in tensors}
    first = next((m for m in picked if m in visited.multiplied), None)
    n = len(tensors[first]) if first else 0
    settings = built.model.config
    of_token = getattr(settings, "num_experts_per_tok", None)
    if of_token and not n and max(getattr(settings, name, 0) or 0 for name in EXPERTS) > of_token:
        raise InputError(
            f"{built.name}: transformers multiplies every token by all experts, of which it needs "
            f"{of_token}: such a count would be too high"
        )
    times = {
        memory(each): built.first.count(i)
        for i, layer in enumerate(built.layers)
        for each in layer.parameters()
    }
    chosen_from = [m for m, tensor in tensors.items() if m in picked and len(tensor) == n]
    routed = sum(tensors[m].numel() * times.get(m, 1) for m in chosen_from)
    tables = visited.looked_up - visited.multiplied - picked.keys()
    tables = sum(t.numel() for m, t in tensors.items() if m in tables)
    total, chosen = built.model.num_parameters(), picked.get(first, 0)
    spared = routed * (n - chosen) // n if n else 0
    return (n, chosen, routed), total - tables - routed, total - spared
