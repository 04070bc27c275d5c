"""Short trainings of the byte-level decoder that differ in one thing: the type of matmuls, what is
computed again, or the optimizer. Those of a seed start from one network and see the same text."""

import torch
from torch import Tensor
from torch.optim import Optimizer

from analysis.measured.byte_model import score
from analysis.measured.byte_text import Text
from analysis.measured.byte_training import STEPS, Progress, Way, made, train
from analysis.predicted.architectures import BYTE_DECODER

SEEDS, BATCH = 3, 4
LOSS_STEPS, MEAN = 200, 10
TYPES = {"float32": Way(), "autocast": Way(autocast=True)}

TRIAL_STEPS, EVERY = 500, 50


def momentum(parameters: list[Tensor], rate: float) -> Optimizer:
    return torch.optim.SGD(parameters, rate, momentum=0.9)


def second_order(parameters: list[Tensor], rate: float) -> Optimizer:
    """Adam with the square of the Hessian's diagonal in place of the gradient's (Yao et al. 2020,
    without its averages over blocks of a matrix)."""
    from pytorch_optimizer import AdaHessian  # seconds to import, and needed here alone

    return AdaHessian(parameters, rate, betas=(0.9, 0.95))


ADAM_RATES, OTHER_RATES = (3e-4, 1e-3, 3e-3), (0.03, 0.1, 0.3)
WAYS: dict[str, tuple[Way, tuple[float, ...]]] = {  # and the rates that are tried
    "momentum": (Way(momentum), OTHER_RATES),
    "adam": (Way(), ADAM_RATES),  # AdamW, the only one whose weights decay
    "rematerialised": (Way(policy="layers"), ADAM_RATES),  # by AdamW, every layer
    "second-order": (Way(second_order, second_order=True), OTHER_RATES),
}


def losses(text: Text, progress: Progress = lambda *_: None) -> list[tuple[int, str, int, float]]:
    """(seed, data type, step, bits per byte) of the decoder's first steps, the mean of `MEAN` at a
    time."""
    rows = []
    for seed in range(SEEDS):
        for dtype, way in TYPES.items():
            seen = []

            def each(step: int, bits: float, what=f"{dtype}, seed {seed}", seen=seen) -> None:
                progress(what, step, LOSS_STEPS, bits)
                seen.append(bits)

            network = made(BYTE_DECODER, seed, BATCH)
            train(network, text, STEPS["byte-decoder"], seed, way=way, stop=LOSS_STEPS, each=each)
            means = torch.tensor(seen).view(-1, MEAN).mean(1).tolist()
            rows += [(seed, dtype, MEAN * (i + 1), round(x, 5)) for i, x in enumerate(means)]
    return rows


def trials(
    text: Text, progress: Progress = lambda *_: None
) -> list[tuple[str, float, int, int, float]]:
    """(way, rate, seed, step, bits per byte of held-out modules) of trainings by each of `WAYS`:
    with the first seed at every rate, with the others at the rate that was best for it."""
    rows = []
    for name, (way, rates) in WAYS.items():
        tried = {rate: _trial(text, name, way, rate, 0, progress) for rate in rates}
        best = min(rates, key=lambda rate: tried[rate][-1][-1])
        rows += [row for each in tried.values() for row in each]
        for seed in range(1, SEEDS):
            rows += _trial(text, name, way, best, seed, progress)
    return rows


def _trial(text: Text, name: str, way: Way, rate: float, seed: int, progress: Progress) -> list:
    network, rows = made(BYTE_DECODER, seed, BATCH), []

    def each(step: int, bits: float) -> None:
        progress(f"{name} at {rate:g}, seed {seed}", step, TRIAL_STEPS, bits)
        if (step + 1) % EVERY == 0:
            rows.append((name, rate, seed, step + 1, round(score(network).mean, 5)))

    train(network, text, TRIAL_STEPS, seed, rate, way, each=each)
    return rows
