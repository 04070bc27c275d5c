"""Models that no formula covers, counted as Hugging Face transformers runs them on "meta"."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from analysis.errors import InputError
from analysis.measured.hugging_face import Built, build, n_parameters, one_line
from analysis.measured.networks import memory
from analysis.measured.traced import TracedCounts, traced
from analysis.predicted.counted import counts_json
from analysis.predicted.needs import Attention, Needs
from analysis.predicted.transformer import matmul_flops

SIZES = (64, 128, 192, 256)  # tokens; a line or a parabola is drawn through all but the last
ATTENTION = ("attn", "attention", "mixer", "mamba", "temporal")  # in the names of modules


def counts(built: Built, phase: str, tokens: int, batch: int = 1, last: bool = False):
    """What a "step" at context `tokens`, or a pass over them, costs (its head at the `last` token
    only), and the cache after it. Raises InputError where transformers cannot run it so."""
    weights = {
        memory(parameter): "mha_projections"
        if any(part in name.lower() for part in ATTENTION)
        else "ffn_projections"
        for name, parameter in built.model.named_parameters()
    }
    try:
        with torch.no_grad():
            if phase == "step":
                cache = built.filled(tokens - 1, batch) if tokens > 1 else None
                found, out = traced(weights, built.step, cache, tokens, batch)
            else:
                found, out = traced(weights, built.encode, tokens, batch, last)
    except Exception as error:
        raise InputError(f"transformers cannot trace {built.name}: {one_line(error)}") from None
    return found, getattr(out, "past_key_values", None)


def cached(cache, batch: int = 1) -> tuple[int, dict[int | None, int]]:
    """Elements that a sequence keeps whatever its length, and keys and values by their window."""
    state, windows = 0, {}
    for layer in getattr(cache, "layers", []):
        for name, value in vars(layer).items():
            if not isinstance(value, torch.Tensor) or value.device.type != "meta":
                continue
            if name in ("keys", "values"):
                window = getattr(layer, "sliding_window", None)
                windows[window] = windows.get(window, 0) + value.numel() // batch
            elif value.dim() > 1:
                state += value.numel() // batch
    return state, windows


def traced_json(config: Mapping, task, phase, length: int, batch: int) -> dict:
    """What `python -m analysis count --json` prints of a config that no formula covers."""
    built = build(config, task)
    phase = phase or ("encode" if built.kind == "encoder" else "prefill")
    if (phase == "encode") != (built.kind == "encoder") or phase == "generate":
        raise InputError(f"a traced {built.kind} is not counted in the phase {phase}")
    found, cache = counts(built, phase, length, batch)
    _, _, active = _parameters(built, counts(built, "step" if cache else phase, 1)[0])
    state, windows = cached(cache, batch)
    kept = state + sum(windows.values()) if built.kind == "decoder" else None
    return counts_json(
        built.name, "traced", phase, length, batch, found.classes, n_parameters(built.model),
        active, kept,
    )  # fmt: skip


def traced_needs(config: Mapping, task: str | None = None) -> Needs:
    """The coefficients of a model, from steps and passes of a few sizes.

    Raises InputError where other sizes do not follow from these: FLOPs of steps that are no line in
    the context below and above one window, or of passes that are no parabola in the length, or that
    are not proportional to the batch."""
    built = build(config, task)
    whole = _fitted(built, "pass", SIZES, 2)
    groups, step_flops, state, visited = (), 0, 0, counts(built, "encode", 1)[0]
    if built.kind == "encoder":
        groups = (Attention(0, whole[2], 0),)
    else:
        visited = counts(built, "step", 2)[0]
        step_flops, state, groups = _steps(built, whole[2])
    (experts, chosen, expert_weights), fixed, active = _parameters(built, visited)
    settings = built.model.config
    return Needs(
        built.name, built.kind, "tracing", n_parameters(built.model), active, fixed,
        expert_weights, experts, chosen, step_flops, whole[1], whole[0], False, groups,
        settings.num_hidden_layers, settings.hidden_size, state,
    )  # fmt: skip


def _steps(built: Built, pass_key: float) -> tuple[float, int, tuple[Attention, ...]]:
    """FLOPs of a step but for attention, elements of state, and the groups of layers."""
    (few, more), state = SIZES[:2], 0
    sizes = [cached(counts(built, "step", n)[1]) for n in (few, more)]
    state, windows = sizes[1][0], sorted(w for w in sizes[0][1] if w)
    if len(windows) > 1:
        raise InputError(f"{built.name}: layers of several windows, {windows}, are not traced")
    if not windows:
        step_flops, key = _fitted(built, "step", SIZES, 1)
        per_token = (sizes[1][1].get(None, 0) - sizes[0][1].get(None, 0)) / (more - few)
        return step_flops, state, (Attention(key, pass_key, per_token),)
    window = windows[0]
    below = [max(2, window * part // 8) for part in (2, 3, 4, 6)]
    step_flops, key = _fitted(built, "step", below, 1)
    _, far = _fitted(built, "step", [window + n for n in SIZES], 1)
    kept = cached(counts(built, "step", below[0])[1])[1]
    groups = []
    for reach, flops in ((None, far), (window, key - far)):
        if reach in kept:
            share = flops / key if key else 0
            groups.append(Attention(flops, pass_key * share, kept[reach] / below[0], reach))
    return step_flops, state, tuple(groups)


def _fitted(built: Built, phase: str, sizes: Sequence[int], degree: int) -> list[int | float]:
    """Coefficients, constant first, of the matmul FLOPs of one sequence by `sizes`."""

    def flops(size: int, batch: int = 1) -> int:
        return matmul_flops(counts(built, phase, size, batch, last=True)[0].classes)

    seen = [flops(size) for size in sizes]
    powers = np.vander(np.array(sizes, float), degree + 1, increasing=True)
    found = np.linalg.solve(powers[: degree + 1], np.array(seen[: degree + 1], float))
    found = [int(each) if each == int(each) else float(each) for each in np.round(found, 3)]
    drawn = powers[-1] @ found
    if abs(drawn - seen[-1]) > 1e-6 * seen[-1] or flops(sizes[0], 2) != 2 * seen[0]:
        raise InputError(
            f"{built.name}: the FLOPs of a {phase} at {', '.join(map(str, sizes))} tokens are no "
            f"polynomial of degree {degree} that follows the batch; only `count` at one size tells"
        )
    return found


def _parameters(built: Built, visited: TracedCounts) -> tuple[tuple[int, int, int], int, int]:
    """(Experts, those of a token, weights of all), weights that each step reads, and those that a
    token visits, tables included."""
    tensors = {memory(each): each for each in built.model.parameters()}
    picked = {m: n for m, n in visited.chosen.items() if m in tensors}
    first = next((m for m in picked if m in visited.multiplied), None)
    n = len(tensors[first]) if first else 0
    routed = sum(t.numel() for m, t in tensors.items() if m in picked and len(t) == n)
    tables = visited.looked_up - visited.multiplied - picked.keys()
    tables = sum(t.numel() for m, t in tensors.items() if m in tables)
    total, chosen = n_parameters(built.model), picked.get(first, 0)
    spared = routed * (n - chosen) // n if n else 0
    return (n, chosen, routed), total - tables - routed, total - spared
