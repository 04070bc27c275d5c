"""Training of the byte-level decoders, the same numbers for the same text, seed and threads."""

import platform
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from analysis.measured.byte_model import MODELS, TRAINED, save, tensors
from analysis.measured.byte_text import Text, training_text
from analysis.measured.networks import Decoder
from analysis.measured.training import LOGITS
from analysis.predicted.architectures import Architecture

SEED, THREADS = 0, 2
BATCH, STEPS = 8, {"byte-decoder": 2000, "byte-draft": 2000}
RATE, WARM, DECAY, CLIP = 3e-3, 0.05, 0.1, 1.0  # AdamW's; the share of steps that warm up

Progress = Callable[[str, int, int, float], object]  # what, steps done, of how many, loss in bits


def train(
    network: Decoder,
    text: Text,
    steps: int,
    seed: int = SEED,
    rate: float = RATE,
    autocast: bool = False,
    masks: dict[str, Tensor] | None = None,
    each: Callable[[int, float], object] = lambda step, bits: None,
) -> None:
    """Train `network` on windows drawn from `text`; the step and its loss, in bits per byte, are
    told to `each`. With `autocast` matmuls are in bfloat16; weights with a mask keep its zeros."""
    network.layer_caches = (None,) * len(network.layers)
    named, masks = tensors(network), masks or {}
    parameters = [tensor.requires_grad_() for tensor in named.values()]
    optimizer = torch.optim.AdamW(parameters, rate, betas=(0.9, 0.95), weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=steps, pct_start=WARM, cycle_momentum=False
    )
    draw = torch.Generator().manual_seed(seed)
    batch, offsets = network.cache.shape[2], torch.arange(network.max_length + 1)
    for step in range(steps):
        starts = torch.randint(len(text.numbers) - len(offsets), (batch, 1), generator=draw)
        windows = text.numbers[starts + offsets].long()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            logits = LOGITS(network, windows[:, :-1])
        loss = F.cross_entropy(logits.float().flatten(0, 1), windows[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            for name, mask in masks.items():
                named[name] *= mask
        each(step, loss.item() / 0.6931471805599453)
    for tensor in parameters:
        tensor.requires_grad_(False)
    network.layer_caches = network.cache.unbind(0)


def made(arch: Architecture, seed: int = SEED) -> Decoder:
    """A decoder with random weights, to be trained."""
    return Decoder(arch, batch=BATCH, seed=seed)


def about(text: Text, **more) -> dict[str, str]:
    """What a checkpoint says of its training."""
    said = {
        "python": platform.python_version(), "text_sha256": text.digest,
        "text_bytes": len(text.numbers), "torch": torch.__version__, "seed": SEED,
        "threads": torch.get_num_threads(), "batch": BATCH,
    }  # fmt: skip
    return {name: str(value) for name, value in (said | more).items()}


def train_all(folder: Path = MODELS, progress: Progress = lambda *_: None) -> None:
    """Train every decoder of `TRAINED` and write its checkpoint into `folder`."""
    torch.set_num_threads(THREADS)
    text = training_text()
    for name, arch in TRAINED.items():
        network, steps = made(arch), STEPS[name]
        train(network, text, steps, each=lambda i, bits, name=name: progress(name, i, steps, bits))
        save(network, folder / f"{name}.safetensors", about(text, steps=steps))
