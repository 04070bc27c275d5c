"""A generation from decoder steps that are known at a few contexts only."""

from collections.abc import Sequence

import numpy as np

from analysis.errors import InputError


def integrate_generation(
    contexts: Sequence[int],
    medians: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    length: int,
) -> tuple[float, float, float]:
    """Seconds to generate `length` tokens from nothing, and their interval: (seconds, low, high).

    `medians` and `intervals`, (n,) and (n, 2), are of one step at each of the `contexts`, (n,).
    Between them a step's time is interpolated linearly, as its FLOPs and bytes are affine in its
    context, and summed over every context from 1 to `length`. All low ends together give the low
    end, all high ends the high one: steps timed minutes apart on one machine err together (other
    load, clock rate), so that their errors must not be taken to cancel.

    Raises InputError where `contexts` are not distinct or do not span 1 to `length`: nothing is
    extrapolated.
    """
    given, times = len(contexts), np.column_stack([medians, intervals])
    contexts, order = np.unique(contexts, return_index=True)
    if not given == len(contexts) == len(times):
        raise InputError(f"{len(times)} timed steps at {len(contexts)} distinct contexts")
    if length < 1 or contexts[0] > 1 or contexts[-1] < length:
        raise InputError(
            f"a generation of {length} tokens needs steps timed from context 1 to {length}; "
            f"they were timed from {contexts[0]} to {contexts[-1]}"
        )
    every = np.arange(1, length + 1)
    seconds, low, high = (
        float(np.interp(every, contexts, column).sum()) for column in times[order].T
    )
    return seconds, low, high
