import pytest
import torch

from analysis.measured.networks import Decoder
from analysis.measured.sampling import advance, generation_steps, loop_and_samples
from analysis.measured.timing import Clock
from analysis.predicted.architectures import GPT2

TINY = GPT2.replace(n_layers=1, d_model=16, n_heads=2, d_ff=32, vocab_size=50, n_positions=8)


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
