"""The counts of one workload by operator class, as the command line and the chapters show them."""

from collections.abc import Callable, Mapping

from analysis.predicted.architectures import Architecture
from analysis.predicted.operations import PUBLISHED, Convention, Cost, projection
from analysis.predicted.transformer import CLASSES, decoder_step, encoder_pass, generation, prefill

PHASES: dict[str, Callable[..., dict[str, Cost]]] = {
    "encode": encoder_pass,
    "prefill": prefill,
    "step": decoder_step,
    "generate": generation,
}
OPERATOR_CLASSES = {
    "mha_projections": "MHA (projections)",
    "act_to_act": "MHA (act-to-act matmuls)",
    "ffn_projections": "FFN (projections)",
    "other": "Other",
    "total": "Total",
}


def default_phase(architecture: Architecture) -> str:
    """What the paper does with a model: an encoder encodes, a decoder generates."""
    return "encode" if architecture.kind == "encoder" else "generate"


def count(
    architecture: Architecture, length, convention: Convention = PUBLISHED
) -> dict[str, Cost]:
    """Count the paper's workload at `length` tokens (int or array): class -> Cost."""
    return PHASES[default_phase(architecture)](architecture, length, convention)


def count_json(
    architecture: Architecture, phase: str, length: int, convention: Convention, batch: int = 1
) -> dict:
    """Return what `python -m analysis count --json` prints; integers are exact."""
    counted = PHASES[phase](architecture, length, convention, batch)
    decoder = architecture.kind == "decoder"
    return counts_json(
        architecture.name, convention.name, phase, length, batch, counted,
        architecture.n_parameters, architecture.n_active_parameters,
        architecture.cached(length) if decoder else None,
    )  # fmt: skip


def counts_json(
    name: str, convention: str, phase: str, length: int, batch: int, counted: Mapping[str, Cost],
    parameters: int, active_parameters: int, cached: int | None,
) -> dict:  # fmt: skip
    """The same of counts, however they were made; `cached` are elements of one sequence."""
    shown = {
        name: {"flops": cost.flops, "bytes": cost.bytes, "intensity": float(cost.intensity)}
        for name, cost in counted.items()
    }
    return {
        "architecture": name,
        "convention": convention,
        "phase": phase,
        "sequence_length": length,
        "batch": batch,
        "parameters": parameters,
        "active_parameters": active_parameters,
        "cached": cached,
        "operators": {name: shown[name] for name in CLASSES},
        "total": shown["total"],
    }


def one_projection(architecture: Architecture, length: int) -> Cost:
    """FLOPs and weight bytes of one of the four d x d attention projections of every layer."""
    d = architecture.d_model
    cost, none = (projection(rows, d, d, True, PUBLISHED) for rows in (length, 0))
    return Cost(cost.flops, none.bytes_read) * architecture.n_layers
