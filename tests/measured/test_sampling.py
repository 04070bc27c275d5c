import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from analysis.errors import InputError
from analysis.measured.networks import Decoder
from analysis.measured.sampling import (
    advance,
    generation_steps,
    integrate_generation,
    loop_and_samples,
)  # fmt: skip
from analysis.measured.timing import Clock
from analysis.predicted.architectures import GPT2

CONTEXTS = (1, 64, 128, 512, 4096)
TINY = GPT2.replace(n_layers=1, d_model=16, n_heads=2, d_ff=32, vocab_size=50, n_positions=8)


@given(
    st.floats(1e-6, 10),
    st.floats(0, 1e-2),
    st.integers(1, 4096),
    st.permutations(CONTEXTS),
    st.floats(0, 0.5),
)
def test_affine_steps_are_summed_exactly(fixed, per_context, length, contexts, spread):
    def step(context):
        return fixed + per_context * context

    intervals = [(step(n) * (1 - spread), step(n) * (1 + spread)) for n in contexts]
    seconds, low, high = integrate_generation(contexts, map_list(step, contexts), intervals, length)
    whole = fixed * length + per_context * length * (length + 1) / 2
    assert seconds == pytest.approx(whole, rel=1e-9)
    assert (low, high) == pytest.approx((whole * (1 - spread), whole * (1 + spread)), rel=1e-9)


def map_list(function, values):
    return [function(value) for value in values]


def test_between_contexts_a_step_is_interpolated():
    flat = [(1, 1), (3, 3)]
    assert integrate_generation([1, 3], [1, 3], flat, 3) == (6, 6, 6)
    assert integrate_generation([1, 3], [1, 3], flat, 2) == (3, 3, 3)
    assert integrate_generation([1], [2], [(1, 4)], 1) == (2, 1, 4)


@pytest.mark.parametrize(
    "contexts, length",
    [((2, 8), 8), ((1, 8), 9), ((1, 8), 0), ((1, 1), 1)],
    ids=["from the start", "to the end", "none", "twice"],
)
def test_nothing_is_extrapolated(contexts, length):
    with pytest.raises(InputError) as error:
        integrate_generation(contexts, [1, 1], [(1, 1), (1, 1)], length)
    assert "\n" not in str(error.value)


def test_the_loop_is_the_steps_in_their_order():
    decoder, token = Decoder(TINY), torch.tensor([[7]])
    expected = token.clone()
    for context in range(1, 6):
        advance(decoder, expected, context)
    steps = generation_steps(decoder, token, 5)
    for step in steps:
        step()
    assert token.equal(expected) and token.shape == (1, 1)


def test_samples_are_taken_between_the_steps_of_the_loop():
    """Steps that take as many seconds as their context on a clock of their own."""

    class Slow(Clock):
        moment = 0.0

        def now(self):
            return self.moment

    clock, taken = Slow("cpu"), []

    def step(context):
        clock.moment += context
        taken.append(context)

    steps = [lambda n=n: step(n) for n in range(1, 65)]
    loops, sampled = loop_and_samples(steps, (1, 64), 2, clock)
    assert loops.times == (sum(range(1, 65)),) * 2
    assert sampled.times == pytest.approx(loops.times)
    assert taken == [1, 64, *range(1, 33), 1, 64, *range(33, 65)] * 2
