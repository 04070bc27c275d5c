import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.errors import InputError
from analysis.predicted.generation import integrate_generation

CONTEXTS = (1, 64, 128, 512, 4096)


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
