"""BERT-Base's passes and GPT-2's steps timed in turn, so that a ratio of them is pair by pair.

A claim sets one model over the other. Timed minutes apart their ratio would hold the drift of both;
timed repetition by repetition, all see the same machine. Attention is fused, the batch is one.
"""

from functools import partial

import torch

from analysis.measured.networks import Decoder, Encoder
from analysis.measured.timing import Budget, Key, Task
from analysis.measured.works import DRAWN, Works, in_turn
from analysis.predicted.architectures import BERT_BASE, GPT2
from analysis.predicted.operations import FUSED
from analysis.predicted.transformer import decoder_step, encoder_pass

# Lengths of passes, and contexts of steps that a generation as long is integrated from.
TURNS = {
    "short": ((128, 256, 512), (1, 64, 128, 256, 512)),
    "long": ((128, 1024, 2048, 4096), (1, 512, 1024, 2048, 3072, 4096)),
}
BRIEF = {"short": ((128,), (1, 64, 128))}


def pair_task(turn: str, passes: tuple[int, ...], contexts: tuple[int, ...], *how) -> Task:
    """One turn: a pass over each of `passes` tokens, and a step at each of `contexts`; `how` are
    device, budget and threads."""
    longest = max(contexts)
    encoded = {Key("pair", "bert-base", n, how=turn): n for n in passes}
    decoded = {Key("pair", "gpt2", n, how=turn): n for n in contexts}
    costs = {key: encoder_pass(BERT_BASE, n, FUSED)["total"] for key, n in encoded.items()}
    costs |= {key: decoder_step(GPT2, n, FUSED)["total"] for key, n in decoded.items()}

    def prepare(works: Works) -> None:
        encoder = Encoder(BERT_BASE, max_length=longest, device=works.device)
        decoder = Decoder(GPT2, max_length=longest, device=works.device)
        for key, n in encoded.items():
            tokens = torch.randint(BERT_BASE.vocab_size, (1, n), device=works.device)
            works.add(key, partial(encoder, tokens), costs[key], warm=1, eager=True)
        for key in decoded:
            works.step(key, decoder, GPT2, cost=costs[key])

    numbers = 2 * BERT_BASE.n_parameters + GPT2.n_parameters + GPT2.cached(longest)
    numbers += max(passes) * (8 * BERT_BASE.d_model + 2 * BERT_BASE.d_ff)
    each = list(costs.values())
    return in_turn(
        next(iter(encoded)), prepare, each, 4 * numbers, *how, before=DRAWN * numbers, share=1
    )


def pair_tasks(device: str, budget: Budget, threads: int) -> list[Task]:
    turns = budget.of(TURNS, BRIEF).items()
    return [pair_task(turn, *of, device, budget, threads) for turn, of in turns]
