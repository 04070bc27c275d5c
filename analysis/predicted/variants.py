"""What sets later decoders apart: latent attention, experts, windows; parts of an Architecture."""

from dataclasses import dataclass, fields

from analysis.errors import InputError

MOST = 10**12  # of any size; beyond it floats overflow, and long before it sense


def at_most(counts, most: int | None):
    """The lesser of each count and `most`, if any; Python's own integers stay exact."""
    if most is None or isinstance(counts, int):
        return counts if most is None else min(counts, most)
    return counts.clip(max=most)


def check_sizes(part) -> None:
    """Refuse a part whose sizes are no integers from 1, or from 0 where that is the default, to
    `MOST`, or whose flags are no flags: an InputError with the field."""
    parts = "" if hasattr(part, "kind") else f"{type(part).__name__.lower()}."
    for field in fields(part):
        value, least = getattr(part, field.name), 0 if field.default == 0 else 1
        name, flag = f"{parts}{field.name} is {value!r:.60}", isinstance(value, bool)
        if field.type is bool and not flag:
            raise InputError(f"{name}; allowed: true, false")
        if field.type is int or (field.type == int | None and value is not None):
            if not isinstance(value, int) or flag or not least <= value <= MOST:
                raise InputError(f"{name}; it must be an integer >= {least}, at most {MOST}")


class _Sizes:
    def __post_init__(self):
        check_sizes(self)


@dataclass(frozen=True)
class Latent(_Sizes):
    """Latent attention (DeepSeek-V2, arXiv:2405.04434): a layer caches one vector a token, `rank`
    elements from which the keys and values of all heads follow, and one rotary key."""

    rank: int
    query_rank: int | None  # queries are compressed as well; None: they are not
    rotary_dim: int  # width of the rotary part, which each query head has beside `head_dim`


@dataclass(frozen=True)
class Experts(_Sizes):
    """A feed-forward network of `n` experts of width `d_ff`, `active` of them for each token, and
    `shared` more for every token; the first `dense_layers` keep the ordinary one."""

    n: int
    active: int
    d_ff: int
    shared: int = 0
    dense_layers: int = 0
    router_bias: bool = False  # of the projection that scores the experts
    shared_gate: bool = False  # a d x 1 projection weighs the shared ones, as Qwen2-MoE


@dataclass(frozen=True)
class Window(_Sizes):
    """`layers` layers that attend to, and keep, the last `tokens` tokens only."""

    tokens: int
    layers: int
