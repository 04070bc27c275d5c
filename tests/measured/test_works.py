"""Works in turn, with a clock that is not real."""

import pytest
import torch

from analysis.measured.networks import Decoder
from analysis.measured.timing import BUDGETS, Key, Measurement, Sample
from analysis.measured.works import Works, advance, guess, in_turn
from analysis.predicted.architectures import GPT2
from analysis.predicted.operations import FUSED, Cost
from analysis.predicted.transformer import decoder_step

pytestmark = pytest.mark.usefixtures("one_thread")
A, B, C, D = (Key("matmul", how=name) for name in "abcd")


@pytest.fixture
def works(clock):
    found = Works("cpu")
    found.clock = clock
    return found


def test_all_are_called_in_turn_and_each_has_its_times(works):
    order, tick = [], works.clock.work(1.0)
    works.add(A, lambda: (order.append("a"), tick()), Cost(2, 3, 4), warm=1, state="cold")
    works.add(B, lambda: (order.append("b"), tick()), Cost(5), calls=3, warm=0)
    works.together({C: (Cost(), {}), D: (Cost(), {"x": 1})}, lambda: [0.25, 0.5])
    found = works.measure(0.0, 2)
    assert "".join(order) == "a" + 2 * "abbb"
    assert (found.flops, found.bytes, found.details) == (2, 7, {"state": "cold"})
    assert list(found.beside) == [B, C, D] and found.sample == Sample((1.0, 1.0))
    assert (found.beside[B].flops, found.beside[B].bytes) == (5, None)
    assert found.beside[B].sample.times == (1.0, 1.0)  # of a call, not of three
    assert found.beside[C].sample.times == (0.25, 0.25) and found.beside[D].details == {"x": 1}


def test_a_task_shares_seconds_and_says_what_it_lacks(clock):
    budget, measured = BUDGETS["quick"], Measurement(Sample((9.0,)), in_turn=False)

    def prepare(works):
        works.clock = clock
        for key in (A, B):
            works.add(key, clock.work(1.0), Cost(1))
        works.missing[C] = "no kernel"
        return {D: measured}

    def repetitions(**options):
        found = in_turn(A, prepare, [], 7, "cpu", budget, 1, **options).run(3.0)
        assert found.beside[D] is measured and found.missing == {C: "no kernel"}
        assert found.sample.n == found.beside[B].sample.n
        return found.sample.n

    assert repetitions() == 3  # 3 s for each of the two, which take 2 s together
    assert repetitions(share=4) == 6 and repetitions(share=0, least=1) == 1


def test_a_task_is_planned_by_its_costs():
    budget = BUDGETS["quick"]

    def estimate(costs, **options):
        return in_turn(A, print, costs, 7, "cpu", budget, 2, **options).estimate_seconds

    few, many = [Cost(8e10)], [Cost(8e10)] * 4  # a second each, with two threads
    assert guess(few[0], "cpu", 2) == 1 and guess(Cost(0, 1.5e10), "cpu", 2) == 1
    assert estimate(few) == pytest.approx(2 + 3 + 0.1)
    assert estimate(many, least=1, before=5) == pytest.approx(5 + 8 + 4 + 0.1)
    assert estimate([], share=10) == pytest.approx(10 * budget.seconds_per_point + 0.1)


def test_a_step_costs_what_is_predicted_and_chooses_the_next_token(works):
    small = {"n_layers": 1, "d_model": 16, "n_heads": 2, "d_ff": 32, "vocab_size": 50}
    arch = GPT2.replace(n_positions=8, **small)
    decoder, key = Decoder(arch, batch=3), Key("batch", "gpt2", 5, batch=3)
    works.model(key, decoder, arch)
    cost, details = works.about[key]
    assert cost == decoder_step(arch, 5, FUSED, 3)["total"] and details == {}
    token = torch.tensor([[1], [2], [3]])
    expected = decoder.step(token, 5)[:, -1].argmax(-1)
    advance(decoder, token, 5)
    assert token.flatten().equal(expected)
