"""The trained byte-level decoder with and without its draft, on modules that neither has seen.

    serve/speculative/byte-decoder/greedy       without a draft; carries the agreement of the models
    serve/speculative/byte-decoder/N            with N tokens drafted at a time, and how they fared
    serve/speculative/byte-decoder/check-N      a step over N + 1 tokens
    serve/speculative/byte-decoder/step         a step, and
    serve/speculative/byte-decoder/draft-step   one of the draft

All are timed in turn, from the same prompts on.
"""

from functools import partial

import torch
from torch import Tensor

from analysis.measured.byte_model import Score, load
from analysis.measured.byte_text import held_out
from analysis.measured.networks import Decoder
from analysis.measured.serving_steps import KIND, Steps
from analysis.measured.speculative import Generated, greedy, speculate
from analysis.measured.timing import Budget, Measurement, Task
from analysis.predicted.architectures import BYTE_DECODER
from analysis.predicted.operations import FUSED
from analysis.predicted.transformer import decoder_step, generation

PROMPT, PROMPTS = 64, 3  # bytes given, of so many held-out modules
DRAFTED = (1, 2, 3, 5)
KEY, CALLS = "serve/speculative/byte-decoder", 20


def agreement(decoder: Decoder, draft: Decoder, windows: Tensor) -> tuple[float, float, float]:
    """The share of places in `windows`, (modules, windows, bytes), at which both would choose the
    same byte, and its 95 % interval over modules."""
    shares = []
    for module in windows:
        same = [
            torch.eq(*(each.prefill(window[None, :-1]).argmax(-1) for each in (decoder, draft)))
            for window in module
        ]
        shares.append(torch.stack(same).double().mean().item())
    over_modules = Score(tuple(shares))
    return over_modules.mean, *over_modules.interval


def speculate_all(decoder, draft, prompts: Tensor, length: int, drafted: int) -> list[Generated]:
    return [speculate(decoder, draft, each, length, drafted) for each in prompts]


def greedy_all(decoder: Decoder, prompts: Tensor, length: int) -> list[list[int]]:
    return [greedy(decoder, each, length) for each in prompts]


def byte_task(device: str, budget: Budget, threads: int) -> Task:
    """One task for all of them; a checkpoint that is missing or cut is why it is not measured."""
    context = BYTE_DECODER.n_positions
    length = context - PROMPT

    @torch.inference_mode()
    def run(seconds: float) -> Measurement:
        steps = Steps(device, threads)
        decoder, draft = (load(name, device=device) for name in ("byte-decoder", "byte-draft"))
        windows = held_out().to(device)
        middle = windows[:: len(windows) // PROMPTS, windows.shape[1] // 2][:PROMPTS]
        prompts = middle[:, None, :PROMPT]
        share, low, high = agreement(decoder, draft, windows)
        same = {"agreement": share, "agreement_low": low, "agreement_high": high}
        cost = generation(BYTE_DECODER, context, FUSED)["total"] * len(prompts)
        add = partial(steps.add, eager=True, tokens=length * len(prompts))
        add(f"{KEY}/greedy", partial(greedy_all, decoder, prompts, length), cost, **same)
        expected = greedy_all(decoder, prompts, length)
        for n in DRAFTED:
            work = partial(speculate_all, decoder, draft, prompts, length, n)
            found = work()
            equal = [each.tokens for each in found] == expected
            counts = {
                name: sum(getattr(each, name) for each in found)
                for name in ("checks", "examined", "accepted")
            }
            add(f"{KEY}/{n}", work, cost, drafted=n, equal=int(equal), **counts)
        once = decoder_step(BYTE_DECODER, context, FUSED)["total"]
        parts = {"step": (decoder, 1), "draft-step": (draft, 1)}
        parts |= {f"check-{n}": (decoder, n + 1) for n in DRAFTED}
        for name, (network, rows) in parts.items():
            tokens = middle[:1, :rows].clone()
            steps.add(f"{KEY}/{name}", partial(network.step, tokens, context), once, calls=CALLS)
        return steps.measure(seconds / 2, max(budget.least, 3))

    return Task(f"{KEY}/greedy", KIND, 10**8, 12, run)
