"""Speculative decoding: a small model drafts tokens, the large one checks them all in one step.

Greedy, as in Leviathan et al. (2023), arXiv:2211.17192, at temperature zero: a drafted token is
accepted when it is the large model's own choice, so that the output is the large model's, whatever
the draft says. One sequence at a time.

Timed with the trained byte-level decoder and its draft, from prompts that neither has seen: without
a draft ("greedy", which carries the agreement of the two), with `n` tokens "drafted" at a time, and
how they fared, a "check" of `n`, a "step" and a "draft step".
"""

from collections import namedtuple
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from analysis.errors import InputError
from analysis.measured.byte_model import held_out, load, with_interval
from analysis.measured.networks import Decoder
from analysis.measured.schema import AGREEMENT, FARED
from analysis.measured.timing import Budget, Key, Task
from analysis.measured.works import Works, in_turn
from analysis.predicted.architectures import BYTE_DECODER
from analysis.predicted.operations import FUSED
from analysis.predicted.transformer import decoder_step, generation

PROMPT, PROMPTS = 64, 3  # bytes given, of so many held-out modules
DRAFTED, CALLS = (1, 2, 3, 5), 20  # tokens at a time; steps timed together
# Checks, and of the drafted tokens how many were looked at (up to the first that was refused) and
# how many accepted.
Fared = namedtuple("Fared", FARED[:3])


def greedy(decoder: Decoder, prompt: Tensor, length: int) -> list[int]:
    """`length` tokens after the `prompt`, (1, n) int64, one step each."""
    tokens = [int(decoder.prefill(prompt)[:, -1].argmax())]
    for context in range(prompt.shape[1] + 1, prompt.shape[1] + length):
        tokens += _next(decoder, tokens[-1:], context)
    return tokens


def speculate(
    drafted: int, decoder: Decoder, draft: Decoder, prompt: Tensor, length: int
) -> tuple[list[int], Fared]:
    """The same tokens, with up to `drafted` at a time from `draft`, and how these fared."""
    if drafted < 1:
        raise InputError(f"{drafted} drafted tokens; a draft needs one or more")
    known = prompt[0].tolist() + [int(decoder.prefill(prompt)[:, -1].argmax())]
    draft.prefill(prompt)
    seen, start, end = prompt.shape[1], prompt.shape[1], prompt.shape[1] + length
    checks = examined = accepted = 0
    while len(known) < end:
        guesses: list[int] = []
        for _ in range(min(drafted, end - len(known))):
            ahead = known + guesses  # of which the draft has not seen the last one or two
            guesses.append(_next(draft, ahead[seen:], len(ahead))[-1])
            seen = len(ahead)
        chosen = _next(decoder, [known[-1], *guesses], len(known) + len(guesses))
        n = next((i for i, each in enumerate(guesses) if each != chosen[i]), len(guesses))
        known += chosen[: n + 1]
        # What follows the accepted tokens in the draft's cache is of tokens that were refused.
        seen = min(seen, len(known) - 1)
        checks, accepted = checks + 1, accepted + n
        examined += min(n + 1, len(guesses))
    return known[start:end], Fared(checks, examined, accepted)


def _next(decoder: Decoder, tokens: list[int], context: int) -> list[int]:
    """The token that follows each of `tokens`, the last of `context`."""
    rows = torch.tensor([tokens], device=decoder.words.device)
    return decoder.step(rows, context)[0].argmax(-1).tolist()


def agreement(decoder: Decoder, draft: Decoder, windows: Tensor) -> np.ndarray:
    """The share of places in `windows`, (modules, windows, bytes), at which both would choose the
    same byte: (modules,)."""

    def chosen(network: Decoder) -> Tensor:
        each = [network.prefill(window[None, :-1]).argmax(-1) for window in windows.flatten(0, 1)]
        return torch.stack(each).view(len(windows), -1)

    return (chosen(decoder) == chosen(draft)).cpu().double().mean(1).numpy()


def byte_task(device: str, budget: Budget, threads: int) -> Task:
    """All of it; a checkpoint that is missing or cut is why it is not measured."""
    context = BYTE_DECODER.n_positions
    whole = generation(BYTE_DECODER, context, FUSED)["total"] * PROMPTS
    once = decoder_step(BYTE_DECODER, context, FUSED)["total"]

    def key(how: str, n: int = 0) -> Key:
        return Key("speculative", "byte-decoder", how=how, n=n)

    def prepare(works: Works) -> None:
        decoder, draft = (load(name, device=device) for name in ("byte-decoder", "byte-draft"))
        windows = held_out().to(device)
        middle = windows[:: len(windows) // PROMPTS, windows.shape[1] // 2][:PROMPTS]

        def generate(by: Callable, *of) -> list:
            return [by(*of, each[None, :PROMPT], context - PROMPT) for each in middle]

        same = with_interval(agreement(decoder, draft, windows))
        agreed = dict(zip(AGREEMENT, same, strict=True))
        add = partial(works.add, eager=True, warm=1)
        add(key("greedy"), partial(generate, greedy, decoder), whole, **agreed)
        expected = generate(greedy, decoder)
        for n in DRAFTED:
            drafted = partial(generate, partial(speculate, n), decoder, draft)
            tokens, fared = zip(*drafted(), strict=True)
            counts = dict(zip(FARED, map(sum, zip(*fared, strict=True)), strict=False))
            equal = int(list(tokens) == expected)
            add(key("drafted", n), drafted, whole, equal=equal, **counts)
        parts = {key("step"): (decoder, 1), key("draft step"): (draft, 1)}
        parts |= {key("check", n): (decoder, n + 1) for n in DRAFTED}
        for each, (network, rows) in parts.items():
            tokens = middle[:1, :rows].clone()
            works.add(each, partial(network.step, tokens, context), once, calls=CALLS)

    before = 3 + 2 * len(DRAFTED)  # small operators, which no rate tells the time of
    return in_turn(key("greedy"), prepare, [], 10**8, device, budget, threads, before,
                   share=1.5 + len(DRAFTED))  # fmt: skip
