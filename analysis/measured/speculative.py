"""Speculative decoding: a small model drafts tokens, the large one checks them all in one step.

Greedy, as in Leviathan et al. (2023), arXiv:2211.17192, at temperature zero: a drafted token is
accepted when it is the large model's own choice, so that the output is the large model's, whatever
the draft says. One sequence at a time.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from analysis.errors import InputError
from analysis.measured.networks import Decoder


@dataclass(frozen=True)
class Generated:
    """Tokens after the prompt, the checks that found them, and of the drafted tokens how many were
    looked at (up to the first that was refused) and how many accepted."""

    tokens: list[int]
    checks: int
    examined: int
    accepted: int


def greedy(decoder: Decoder, prompt: Tensor, length: int) -> list[int]:
    """`length` tokens after the `prompt`, (1, n) int64, one step each."""
    token = decoder.prefill(prompt)[:, -1].argmax(-1, keepdim=True)
    tokens = [int(token)]
    for context in range(prompt.shape[1] + 1, prompt.shape[1] + length):
        token = decoder.step(token, context)[:, -1].argmax(-1, keepdim=True)
        tokens.append(int(token))
    return tokens


def speculate(
    decoder: Decoder, draft: Decoder, prompt: Tensor, length: int, drafted: int
) -> Generated:
    """The same tokens, with up to `drafted` at a time from `draft`."""
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
    return Generated(known[start:end], checks, examined, accepted)


def _next(decoder: Decoder, tokens: list[int], context: int) -> list[int]:
    """The token that follows each of `tokens`, the last of `context`."""
    rows = torch.tensor([tokens], device=decoder.words.device)
    return decoder.step(rows, context)[0].argmax(-1).tolist()
