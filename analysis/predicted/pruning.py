"""What pruning leaves: smaller matrices, or the same with zeros in them."""

from analysis.predicted.architectures import Architecture

INDEX = 4  # bytes of a column's number, or of where a row starts


def kept(n: int, share: float, block: int = 1) -> int:
    """How many of `n` equal parts are left when `share` of them goes, in blocks; never none."""
    return min(n, max(1, round(n * (1 - share) / block)) * block)


def pruned(arch: Architecture, share: float, block: int = 1) -> Architecture:
    """`arch` without `share` of its heads and of its FFN's neurons, of every layer alike; neurons
    are left in blocks."""
    heads, neurons = kept(arch.n_heads, share), kept(arch.d_ff, share, block)
    return arch.replace(n_heads=heads, head_dim=arch.head_dim, d_ff=neurons)


def layer_weights(arch: Architecture) -> tuple[int, int]:
    """(weights, rows) of all matrices in layers: what is pruned."""
    shapes = arch.matrices()
    return sum(n * a * b for n, a, b in shapes), sum(n * a for n, a, _ in shapes)


def sparse_bytes(arch: Architecture, share: float) -> int:
    """Bytes of the layers' matrices in compressed sparse rows: each float32 weight that is left,
    its column and where each row starts."""
    weights, rows = layer_weights(arch)
    left = weights - round(share * weights)
    return left * (4 + INDEX) + (rows + 4 * arch.n_layers) * INDEX
