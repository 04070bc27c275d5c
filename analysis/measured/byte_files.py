"""The files that `train-bytes` writes: checkpoints of byte-level decoders, and what their short
trainings gave. In this order: `TRAINED` from random weights; `TUNED`, the decoder some more, whole
and pruned; and the tables of `TABLES`."""

import csv
import platform
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import torch
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
from analysis.measured.byte_training import BATCH, RATE, SEED, STEPS, THREADS, Progress, made, train
from analysis.measured.byte_trials import losses, trials
from analysis.measured.networks import Decoder
from analysis.measured.pruned import smaller, with_zeros

TUNING, TUNING_RATE = 300, 1e-3
TABLES = {  # name -> its rows, and their columns
    "byte_losses": (losses, ("seed", "dtype", "step", "bits_per_byte")),
    "byte_trials": (trials, ("way", "rate", "seed", "step", "bits_per_byte")),
}
NAMES = [*TRAINED, *TUNED, *TABLES]


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


def train_all(
    folder: Path = MODELS, progress: Progress = lambda *_: None, names: Iterable[str] = ()
) -> None:
    """Train what `names` say, all without a name, and write checkpoints and tables into `folder`.
    Raises InputError for a name that is none of `NAMES`."""
    names = list(names) or NAMES
    if unknown := set(names) - set(NAMES):
        raise InputError(f"no model {min(unknown)!r} to train; there are: {', '.join(NAMES)}")
    torch.set_num_threads(THREADS)
    text = training_text()
    for name in names:
        if name in TABLES:
            made_by, columns = TABLES[name]
            _write(folder / f"{name}.csv", columns, made_by(text, progress))
            continue
        (network, masks), steps = start(name, folder), STEPS.get(name, TUNING)
        rate = RATE if name in TRAINED else TUNING_RATE
        each = partial(_told, progress, name, steps)
        train(network, text, steps, rate=rate, masks=masks, each=each)
        dtype = torch.float32 if name in TRAINED else torch.float16
        save(network, folder / f"{name}.safetensors", about(text, steps=steps), dtype)


def _told(progress: Progress, name: str, of: int, step: int, bits: float) -> None:
    progress(name, step, of, bits)


def _write(path: Path, columns: tuple[str, ...], rows: list[tuple]) -> None:
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([columns, *rows])
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
