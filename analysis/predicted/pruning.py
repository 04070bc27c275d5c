"""What pruning leaves: smaller matrices, or the same with zeros in them."""

from analysis.predicted.architectures import Architecture
from analysis.predicted.serving import projections

INDEX = 4  # bytes of a column's number, or of where a row starts


def kept(n: int, share: float) -> int:
    """How many of `n` equal parts are left when `share` of them goes; never none."""
    return max(1, round(n * (1 - share)))


def pruned(arch: Architecture, share: float) -> Architecture:
    """`arch` without `share` of its heads and of its FFN's neurons, of every layer alike."""
    return arch.replace(
        n_heads=kept(arch.n_heads, share), head_dim=arch.head_dim, d_ff=kept(arch.d_ff, share)
    )


def layer_weights(arch: Architecture) -> tuple[int, int]:
    """(weights, rows) of all matrices in layers: what is pruned."""
    shapes = projections(arch)[:4]  # without the LM head
    return sum(n * a * b for n, a, b in shapes), sum(n * a for n, a, _ in shapes)


def sparse_bytes(arch: Architecture, share: float, element_bytes: int = 4) -> int:
    """Bytes of the layers' matrices in compressed sparse rows: each weight that is left, its column
    and where each row starts."""
    weights, rows = layer_weights(arch)
    left = weights - round(share * weights)
    return left * (element_bytes + INDEX) + (rows + 4 * arch.n_layers) * INDEX
