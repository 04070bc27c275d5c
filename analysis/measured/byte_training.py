"""Training of the byte-level decoders: the same numbers for the same text, seed and processor, on
one thread, so that no number depends on how many there are."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.optim import Optimizer

from analysis.measured.byte_model import tensors
from analysis.measured.byte_text import Text
from analysis.measured.networks import Decoder
from analysis.measured.training import LOGITS, rematerialised
from analysis.predicted.architectures import Architecture

SEED, THREADS, BATCH = 0, 1, 8
STEPS = {"byte-decoder": 1500, "byte-draft": 2000}
RATE, WARM, DECAY, CLIP = 3e-3, 0.05, 0.1, 1.0  # AdamW's; the share of steps that warm up

Progress = Callable[[str, int, int, float], object]  # what, steps done, of how many, loss in bits


def adamw(parameters: list[Tensor], rate: float) -> Optimizer:
    return torch.optim.AdamW(parameters, rate, betas=(0.9, 0.95), weight_decay=DECAY)


@dataclass(frozen=True)
class Way:
    """How a decoder is trained: by an optimizer that is made of parameters and a rate, and that is
    of second order if it asks gradients for theirs; with matmuls in bfloat16 under `autocast`, and
    activations computed again by a `policy`."""

    optimizer: Callable[[list[Tensor], float], Optimizer] = adamw
    second_order: bool = False
    autocast: bool = False
    policy: str = "none"


def train(
    network: Decoder,
    text: Text,
    steps: int,
    seed: int = SEED,
    rate: float = RATE,
    way: Way = Way(),
    stop: int | None = None,
    masks: dict[str, Tensor] | None = None,
    each: Callable[[int, float], object] = lambda step, bits: None,
) -> None:
    """Train `network` on windows drawn from `text`, of all `steps` the first `stop`; each step and
    its loss, in bits per byte, are told to `each`. Weights with a mask keep its zeros."""
    named, layers, masks = tensors(network), network.layers, masks or {}
    network.layers = rematerialised(layers, way.policy)
    network.layer_caches = (None,) * len(network.layers)
    parameters = [tensor.requires_grad_() for tensor in named.values()]
    optimizer = way.optimizer(parameters, rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=steps, pct_start=WARM, cycle_momentum=False
    )
    torch.manual_seed(seed)  # of an optimizer's own draws
    draw = torch.Generator().manual_seed(seed)
    batch, offsets = network.cache.shape[2], torch.arange(network.max_length + 1)
    # Fused attention's backward pass has no gradient of its own.
    attention = partial(sdpa_kernel, SDPBackend.MATH) if way.second_order else nullcontext
    for step in range(stop or steps):
        starts = torch.randint(len(text.numbers) - len(offsets), (batch, 1), generator=draw)
        windows = text.numbers[starts + offsets].long()
        with attention(), torch.autocast("cpu", torch.bfloat16, enabled=way.autocast):
            logits = LOGITS(network, windows[:, :-1])
        loss = F.cross_entropy(logits.float().flatten(0, 1), windows[:, 1:].flatten())
        gradients = torch.autograd.grad(loss, parameters, create_graph=way.second_order)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()  # of second order, they hold all of the step
        with torch.no_grad():
            for name, mask in masks.items():
                named[name] *= mask
        each(step, loss.item() / math.log(2))
    for tensor in parameters:
        tensor.requires_grad_(False)
    network.layers, network.layer_caches = layers, network.cache.unbind(0)


def made(arch: Architecture, seed: int = SEED, batch: int = BATCH) -> Decoder:
    """A decoder with random weights, to be trained."""
    return Decoder(arch, batch=batch, seed=seed)
