"""The memory of a model and its state, in bytes: parameters, gradients, optimizer, and with
`analysis.predicted.activations` that of a step of training.
"""

from collections.abc import Iterator

from analysis.errors import InputError
from analysis.predicted import activations as kinds
from analysis.predicted.activations import BIG_DECODER, BIG_ENCODER, Kept, activations
from analysis.predicted.architectures import BERT_LARGE, GPT2_XL, Architecture
from analysis.predicted.pruning import layer_weights, pruned, sparse_bytes
from analysis.predicted.serving import projection_bytes

GROUP, SCALE_BYTES = 32, 2  # inputs that share a scale where weights are rounded in groups
# The rows of the authors' table: model -> architecture, sequence length, batch. They print 2014
# tokens for GPT-2, an erratum: it has 1024 positions. None: an encoder and a decoder.
BIG = "Transformer Big (WMT)"
ROWS = {BIG: (None, 512, 6), "BERT Large": (BERT_LARGE, 512, 16), "GPT-2": (GPT2_XL, 1024, 1)}
LONGEST = 8192  # a side of a matrix that is longer keeps the diagonal of its factor


def weight_shapes(arch: Architecture) -> Iterator[tuple[int, int, int]]:
    """(how many, rows, columns) of each kind of matrix; biases and norms are one column."""
    d, matrices = arch.d_model, arch.matrices()
    tables = [arch.vocab_size, arch.token_types, arch.n_positions * (arch.positions == "learned")]
    tables += [arch.vocab_size * (arch.lm_head and not arch.tied_embeddings), arch.labels]
    tables += [d * arch.pooler, d * arch.head_dense]
    matrices += [(1, rows, d) for rows in tables if rows]
    yield from matrices
    yield 1, arch.n_parameters - sum(n * a * b for n, a, b in matrices), 1


def _kronecker(rows: int, columns: int) -> int:
    sides = (rows, columns) if columns > 1 else ()
    return sum(side**2 if side <= LONGEST else side for side in sides) or rows


# Optimizer -> numbers that it keeps for a matrix of (rows, columns).
OPTIMIZERS = {
    "sgd": lambda rows, columns: 0,
    "momentum": lambda rows, columns: rows * columns,
    "adam": lambda rows, columns: 2 * rows * columns,
    "adafactor": lambda rows, columns: rows + columns if columns > 1 else rows,
    # A momentum and an average of the Hessian's diagonal; while it steps, a random vector and
    # the Hessian's product with it (Yao et al. 2020, arXiv:2006.00719).
    "diagonal": lambda rows, columns: 4 * rows * columns,
    # One factor for a layer's inputs, one for its outputs (Martens and Grosse 2015).
    "kronecker": _kronecker,
    "full": None,  # the square of all parameters together
}


def optimizer_numbers(arch: Architecture, optimizer: str) -> int:
    """Numbers of state that an optimizer keeps; an unknown one is an InputError that lists all."""
    if optimizer not in OPTIMIZERS:
        raise InputError(f"no optimizer {optimizer!r}; there are: {', '.join(OPTIMIZERS)}")
    if optimizer == "full":
        return arch.n_parameters**2
    return sum(n * OPTIMIZERS[optimizer](a, b) for n, a, b in weight_shapes(arch))


def model_state(
    arch: Architecture,
    optimizer: str = "adam",
    element_bytes: int = 4,
    zero: int = 0,
    devices: int = 1,
) -> dict[str, float]:
    """Bytes on each device: parameters, gradients, optimizer. State is float32, and so is the copy
    of the parameters that goes with narrower ones.

    ZeRO divides among `devices` the optimizer's state (stage 1), the gradients too (2), and the
    parameters too (3): Rajbhandari et al. 2019, arXiv:1910.02054, section 5, where for Adam in
    16 bits the state is K = 12 bytes a parameter.
    """
    if zero not in range(4):
        raise InputError(f"ZeRO stage is {zero!r}; allowed: 0 (none), 1, 2, 3")
    if not isinstance(devices, int) or devices < 1:
        raise InputError(f"devices is {devices!r}; it must be an integer >= 1")
    n = arch.n_parameters
    state = 4 * (optimizer_numbers(arch, optimizer) + n * (element_bytes < 4))
    parts = {"parameters": element_bytes * n, "gradients": element_bytes * n, "optimizer": state}
    shared = {"optimizer": 1, "gradients": 2, "parameters": 3}
    return {name: size / devices if zero >= shared[name] else size for name, size in parts.items()}


def smaller(how: str, n: int, arch: Architecture) -> float:
    """How many times smaller a model is, all else in float32: "int row" and "int group", its
    projections as integers of n bits with scales of two bytes; "structured" and "unstructured",
    pruned by n per cent, the single weights in sparse rows. Raises InputError for others."""
    left = whole = 4 * arch.n_parameters
    if how in ("int row", "int group"):
        stored = projection_bytes(arch, n, GROUP if how == "int group" else None, SCALE_BYTES)
        left += stored - projection_bytes(arch)
    elif how == "structured":
        left = 4 * pruned(arch, n / 100).n_parameters
    elif how == "unstructured":
        left += sparse_bytes(arch, n / 100) - 4 * layer_weights(arch)[0]
    else:
        raise InputError(f"no size of {how!r} is predicted")
    return whole / left


def row_bytes(model: str, kept: Kept, length: int | None = None) -> dict[str, int]:
    """The bytes of the parts of a row of the authors' table, at its own length or another."""
    arch, its_length, batch = ROWS[model]
    length = length or its_length
    if arch:
        stored, n = activations(arch, length, kept, batch=batch).bytes, arch.n_parameters
        state = optimizer_numbers(arch, "adam")
    else:
        stored = sum(kinds.outside_tensors(BIG_DECODER, length, kept, batch).values())
        for each, cross in ((BIG_ENCODER, False), (BIG_DECODER, True)):
            layer = kinds.layer_tensors(each, length, kept, batch, cross)
            stored += each.n_layers * sum(layer.values())
        d = BIG_DECODER.d_model  # attention to the encoder: four projections and a norm a layer
        n = BIG_ENCODER.n_parameters + BIG_DECODER.n_parameters
        n += BIG_DECODER.n_layers * (4 * (d * d + d) + 2 * d)
        state = 2 * n
    return {"parameters": 4 * n, "optimizer": 4 * state, "activations": stored}


def zero_factor(stage: int, devices: int) -> float:
    """How many times less of GPT-2 XL's state each of `devices` holds in 16 bits with Adam."""
    held = [sum(model_state(GPT2_XL, "adam", 2, each, devices).values()) for each in (0, stage)]
    return held[0] / held[1]
