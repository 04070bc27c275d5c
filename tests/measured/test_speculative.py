"""A draft changes how tokens are found, never which."""

import sys

import pytest
import torch

from analysis.errors import InputError
from analysis.measured.byte_model import held_out, load
from analysis.measured.networks import Decoder
from analysis.measured.speculative import PROMPT, PROMPTS, greedy, speculate
from analysis.predicted.architectures import GPT2

ARCH = GPT2.replace(n_layers=2, d_model=48, n_heads=4, d_ff=96, vocab_size=17, n_positions=64)


def decoder(seed=0, noise=0.0):
    """Weights large enough that greedy tokens vary; `noise` makes another model near it."""
    made = Decoder(ARCH, max_length=64, dtype=torch.float64, seed=seed)
    others = torch.Generator().manual_seed(9)
    for linear in made.linears():
        linear.weight.mul_(8)
        linear.weight.add_(
            torch.empty_like(linear.weight).normal_(0, 1, generator=others), alpha=noise
        )
    return made


def prompt(seed, n=5):
    return torch.randint(17, (1, n), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("drafted", [1, 2, 3, 7])
@pytest.mark.parametrize("draft", [dict(), dict(noise=0.02), dict(seed=3)])
def test_output_is_that_of_greedy_decoding_whatever_the_draft(draft, drafted):
    ours, other = decoder(), decoder(**draft)
    for seed in range(3):
        expected = greedy(decoder(), prompt(seed), 40)
        tokens, found = speculate(drafted, ours, other, prompt(seed), 40)
        assert tokens == expected
        assert found.accepted <= found.examined <= drafted * found.checks
        # The first token comes with the prompt; each check adds those accepted and one more.
        assert 40 <= 1 + found.accepted + found.checks <= 40 + 1 + drafted
    assert len(set(expected)) > 3


def test_a_draft_that_is_the_model_itself_is_always_right():
    _, found = speculate(4, decoder(), decoder(), prompt(0), 41)
    assert found.accepted == found.examined == 32 and found.checks == 8


def test_a_better_draft_is_accepted_more_often():
    shares = []
    for draft in (dict(seed=3), dict(noise=0.02), dict()):
        _, found = speculate(3, decoder(), decoder(**draft), prompt(1), 40)
        shares.append(found.accepted / found.examined)
    assert shares[0] < shares[1] < shares[2] == 1


def test_a_draft_of_nothing_is_refused():
    with pytest.raises(InputError, match="0 drafted"):
        speculate(0, decoder(), decoder(), prompt(0), 4)


@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="the prompts are of Python 3.11's library"
)
def test_greedy_text_repeats_itself_as_the_chapter_says():
    """One text of notebooks/11_shared_bytes a word of four bytes, the others a single one."""
    windows, network = held_out(), load()
    middle = windows[:: len(windows) // PROMPTS, windows.shape[1] // 2][:PROMPTS, :PROMPT]
    texts = [greedy(network, each[None], 192) for each in middle]
    loops = [next(n for n in range(1, 192) if text[n:] == text[:-n]) for text in texts]
    assert loops == [4, 1, 1]
