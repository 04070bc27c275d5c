"""The memory of a model's state, in bytes: parameters, gradients, optimizer.

Activations are in `analysis.predicted.activations`.
"""

from collections.abc import Iterator

from analysis.errors import InputError
from analysis.predicted.architectures import Architecture

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
