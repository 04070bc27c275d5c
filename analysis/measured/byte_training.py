"""Training of the byte-level decoders, the same numbers for the same text, seed and processor.

One thread, so that no number depends on how many there are. What is trained, in this order:
`TRAINED` from random weights; `TUNED`, the decoder some more, whole and pruned; and the first steps
of the decoder again, in float32 and under autocast, for their losses.
"""

import csv
import math
import platform
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from analysis.errors import InputError
from analysis.measured.byte_model import (
    MODELS,
    STRUCTURED,
    TRAINED,
    TUNED,
    UNSTRUCTURED,
    load,
    save,
    tensors,
)
from analysis.measured.byte_text import Text, training_text
from analysis.measured.networks import Decoder
from analysis.measured.pruned import smaller, with_zeros
from analysis.measured.training import LOGITS
from analysis.predicted.architectures import BYTE_DECODER, Architecture

SEED, THREADS = 0, 1
BATCH, STEPS = 8, {"byte-decoder": 1500, "byte-draft": 2000}
RATE, WARM, DECAY, CLIP = 3e-3, 0.05, 0.1, 1.0  # AdamW's; the share of steps that warm up
TUNING, TUNING_RATE = 300, 1e-3
LOSSES, SEEDS, LOSS_STEPS, LOSS_BATCH, MEAN = "byte_losses", 3, 200, 4, 10
NAMES = [*TRAINED, *TUNED, LOSSES]

Progress = Callable[[str, int, int, float], object]  # what, steps done, of how many, loss in bits


def train(
    network: Decoder,
    text: Text,
    steps: int,
    seed: int = SEED,
    rate: float = RATE,
    stop: int | None = None,
    autocast: bool = False,
    masks: dict[str, Tensor] | None = None,
    each: Callable[[int, float], object] = lambda step, bits: None,
) -> None:
    """Train `network` on windows drawn from `text`, of all `steps` the first `stop`; each step and
    its loss, in bits per byte, are told to `each`. With `autocast` matmuls are in bfloat16; weights
    with a mask keep its zeros."""
    network.layer_caches = (None,) * len(network.layers)
    named, masks = tensors(network), masks or {}
    parameters = [tensor.requires_grad_() for tensor in named.values()]
    optimizer = torch.optim.AdamW(parameters, rate, betas=(0.9, 0.95), weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=steps, pct_start=WARM, cycle_momentum=False
    )
    draw = torch.Generator().manual_seed(seed)
    batch, offsets = network.cache.shape[2], torch.arange(network.max_length + 1)
    for step in range(stop or steps):
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
        each(step, loss.item() / math.log(2))
    for tensor in parameters:
        tensor.requires_grad_(False)
    network.layer_caches = network.cache.unbind(0)


def made(arch: Architecture, seed: int = SEED, batch: int = BATCH) -> Decoder:
    """A decoder with random weights, to be trained."""
    return Decoder(arch, batch=batch, seed=seed)


def about(text: Text, **more) -> dict[str, str]:
    """What a checkpoint says of its training."""
    said = {
        "python": platform.python_version(), "text_sha256": text.digest,
        "text_bytes": len(text.numbers), "torch": torch.__version__, "seed": SEED,
        "threads": torch.get_num_threads(), "batch": BATCH,
    }  # fmt: skip
    return {name: str(value) for name, value in (said | more).items()}


def start(name: str, folder: Path) -> tuple[Decoder, dict[str, Tensor]]:
    """What training `name` starts from, and its masks."""
    if name in TRAINED:
        return made(TRAINED[name]), {}
    network = load("byte-decoder", BATCH, folder)
    if "-structured" in name:
        return smaller(network, STRUCTURED / 100), {}
    if "-unstructured" not in name:
        return network, {}
    network = with_zeros(network, UNSTRUCTURED / 100)
    weights = [linear.weight for linear in network.linears() if linear is not network.head]
    pruned = {each.data_ptr() for each in weights}
    named = tensors(network).items()
    return network, {k: (t != 0).float() for k, t in named if t.data_ptr() in pruned}


def losses(text: Text, progress: Progress = lambda *_: None) -> list[tuple[int, str, int, float]]:
    """(seed, data type, step, bits per byte) of the decoder's first steps, the mean of `MEAN` at a
    time; both types see the same weights and windows."""
    rows = []
    for seed in range(SEEDS):
        for dtype in ("float32", "autocast"):
            network, seen = made(BYTE_DECODER, seed, LOSS_BATCH), []
            told = partial(_told, progress, f"{dtype}, seed {seed}", LOSS_STEPS)

            def each(step: int, bits: float, seen=seen, told=told) -> None:
                seen.append(bits)
                told(step, bits)

            train(network, text, STEPS["byte-decoder"], seed, stop=LOSS_STEPS,
                  autocast=dtype == "autocast", each=each)  # fmt: skip
            means = torch.tensor(seen).view(-1, MEAN).mean(1).tolist()
            rows += [(seed, dtype, MEAN * (i + 1), round(x, 5)) for i, x in enumerate(means)]
    return rows


def train_all(
    folder: Path = MODELS, progress: Progress = lambda *_: None, names: Iterable[str] = ()
) -> None:
    """Train what `names` say, all without a name, and write checkpoints, and the losses as a table,
    into `folder`. Raises InputError for a name that is none of `NAMES`."""
    names = list(names) or NAMES
    if unknown := set(names) - set(NAMES):
        raise InputError(f"no model {min(unknown)!r} to train; there are: {', '.join(NAMES)}")
    torch.set_num_threads(THREADS)
    text = training_text()
    for name in names:
        if name == LOSSES:
            _write(folder / f"{LOSSES}.csv", losses(text, progress))
            continue
        (network, masks), steps = start(name, folder), STEPS.get(name, TUNING)
        rate = RATE if name in TRAINED else TUNING_RATE
        each = partial(_told, progress, name, steps)
        train(network, text, steps, rate=rate, masks=masks, each=each)
        dtype = torch.float32 if name in TRAINED else torch.float16
        save(network, folder / f"{name}.safetensors", about(text, steps=steps), dtype)


def _told(progress: Progress, name: str, of: int, step: int, bits: float) -> None:
    progress(name, step, of, bits)


def _write(path: Path, rows: list[tuple]) -> None:
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([("seed", "dtype", "step", "bits_per_byte"), *rows])
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
