"""Train the byte-level decoders of this folder, without a NAME all of them, and write what short
trainings gave:

    python data/models/train.py [NAME]... [--out DIR]

In this order: `TRAINED` from random weights; `TUNED`, the decoder some more, whole and pruned; and
the tables of `TABLES`: first losses by the type of matmuls, and trials of optimizers. It takes an
hour; the same numbers come out for the same text, seed and processor, on one thread, so that no
number depends on how many there are. The text is Python's own library (`measured.byte_model`).
AdaHessian is that of pytorch-optimizer: pip install -e .[train]
"""

import csv
import hashlib
import json
import math
import platform
import sys
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import click
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.optim import Optimizer
from torch.overrides import TorchFunctionMode
from tqdm import tqdm

from analysis import files
from analysis.errors import InputError
from analysis.measured import byte_model
from analysis.measured.byte_model import TRAINED, TUNED, load, tensors
from analysis.measured.networks import Decoder
from analysis.measured.pruned import smaller, with_zeros
from analysis.measured.training import LOGITS, rematerialised
from analysis.predicted.architectures import BYTE_DECODER

FOLDER = Path(__file__).parent
SEED, THREADS, BATCH = 0, 1, 8
STEPS = {"byte-decoder": 1500, "byte-draft": 2000}
RATE, WARM, DECAY, CLIP = 3e-3, 0.05, 0.1, 1.0  # AdamW's; the share of steps that warm up
TUNING, TUNING_RATE = 300, 1e-3
SEEDS, FEW = 3, 4  # of short trainings, and the windows of their steps
LOSS_STEPS, MEAN = 200, 10  # whose means are told
TRIAL_STEPS, EVERY = 500, 50  # between two scores
# Not the library itself: what was installed, its tests, tables, and what newer versions dropped.
LEFT_OUT = set(
    "site-packages dist-packages test tests idle_test idlelib lib2to3 distutils encodings "
    "pydoc_data ensurepip turtledemo __pycache__".split()
)

Progress = Callable[[str, int, int, float], object]  # what, steps done, of how many, loss in bits


@dataclass(frozen=True)
class Text:
    """Sources one after another, as numbers 0 to 255, and their digest."""

    numbers: Tensor  # (bytes,) uint8
    digest: str


@cache
def training_text(library: Path = byte_model.LIBRARY) -> Text:
    """Every module of Python's library but those held out, in the order of their names."""
    paths = sorted(
        (path.relative_to(library).parts, path)
        for path in library.rglob("*.py")
        if not LEFT_OUT & set(path.relative_to(library).parts)
        and path not in {library / f"{name}.py" for name in byte_model.HELD_OUT}
    )
    text = bytes([byte_model.START]).join(
        files.read(path, byte_model.MOST_BYTES) for _, path in paths
    )
    if len(text) <= byte_model.WINDOW:
        raise InputError(f"{library}: Python's library has no sources there to train on")
    numbers = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    return Text(numbers, hashlib.sha256(text).hexdigest())


adamw = partial(torch.optim.AdamW, betas=(0.9, 0.95), weight_decay=DECAY)


def second_order(parameters: list[Tensor], rate: float) -> Optimizer:
    """Adam with the square of the Hessian's diagonal in place of the gradient's (Yao et al. 2020,
    without its averages over blocks of a matrix)."""
    try:
        from pytorch_optimizer import AdaHessian  # seconds to import, and needed here alone
    except ImportError as error:
        raise InputError("trials need pytorch-optimizer: pip install -e .[train]") from error
    return AdaHessian(parameters, rate, betas=(0.9, 0.95))


class Rounded(torch.autograd.Function):
    """A tensor with the numbers of a data type, and a gradient with those of another; unscaled."""

    @staticmethod
    def forward(ctx, x: Tensor, dtype: torch.dtype | None, of_gradient: torch.dtype | None):
        ctx.of_gradient = of_gradient
        return x.to(dtype).to(x.dtype) if dtype else x.clone()

    @staticmethod
    def backward(ctx, gradient: Tensor):
        of = ctx.of_gradient
        return gradient.to(of).to(gradient.dtype) if of else gradient, None, None


class EightBits(TorchFunctionMode):
    """Projections as units for 8 bits would compute them: of weights and inputs in E4M3, with
    gradients of their outputs in E5M2, as such units have, and sums in float32."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is not F.linear:
            return func(*args, **(kwargs or {}))
        x, weight, bias = args
        x, weight = (Rounded.apply(each, torch.float8_e4m3fn, None) for each in (x, weight))
        return Rounded.apply(F.linear(x, weight, bias), None, torch.float8_e5m2)


@dataclass(frozen=True)
class Way:
    """How a decoder is trained: by an optimizer that is made of parameters and a rate, and that is
    of second order if it asks gradients for theirs; with matmuls in bfloat16 under `autocast`, or
    whatever else is `within` a context, and activations computed again by a `policy`."""

    optimizer: Callable[[list[Tensor], float], Optimizer] = adamw
    second_order: bool = False
    within: Callable = nullcontext
    policy: str = "none"


autocast = partial(torch.autocast, "cpu", torch.bfloat16)
TYPES = {"float32": Way(), "autocast": Way(within=autocast), "float8": Way(within=EightBits)}
ADAM_RATES, OTHER_RATES = (3e-4, 1e-3, 3e-3), (0.03, 0.1, 0.3)
WAYS: dict[str, tuple[Way, tuple[float, ...]]] = {  # and the rates that are tried
    "momentum": (Way(partial(torch.optim.SGD, momentum=0.9)), OTHER_RATES),
    "adam": (Way(), ADAM_RATES),  # AdamW, the only one whose weights decay
    "rematerialised": (Way(policy="layers"), ADAM_RATES),  # by AdamW, every layer
    "second-order": (Way(second_order, second_order=True), OTHER_RATES),
}


def train(
    network: Decoder,
    text: Text,
    steps: int,
    seed: int = SEED,
    rate: float = RATE,
    way: Way = TYPES["float32"],
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
        with attention(), way.within():
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


def losses(text: Text, progress: Progress = lambda *_: None) -> list[tuple]:
    """(seed, data type, step, bits per byte) of the decoder's first steps, the mean of `MEAN` at a
    time. Those of a seed start from one network and see the same text, here and in `trials`."""
    rows = []
    for seed in range(SEEDS):
        for dtype, way in TYPES.items():
            seen = []

            def each(step: int, bits: float, what=f"{dtype}, seed {seed}", seen=seen) -> None:
                progress(what, step, LOSS_STEPS, bits)
                seen.append(bits)

            network = Decoder(BYTE_DECODER, batch=FEW, seed=seed)
            train(network, text, STEPS["byte-decoder"], seed, way=way, stop=LOSS_STEPS, each=each)
            means = torch.tensor(seen).view(-1, MEAN).mean(1).tolist()
            rows += [(seed, dtype, MEAN * (i + 1), round(x, 5)) for i, x in enumerate(means)]
    return rows


def trials(text: Text, progress: Progress = lambda *_: None) -> list[tuple]:
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
    network, rows = Decoder(BYTE_DECODER, batch=FEW, seed=seed), []

    def each(step: int, bits: float) -> None:
        progress(f"{name} at {rate:g}, seed {seed}", step, TRIAL_STEPS, bits)
        if (step + 1) % EVERY == 0:
            rows.append((name, rate, seed, step + 1, round(byte_model.score(network).mean(), 5)))

    train(network, text, TRIAL_STEPS, seed, rate, way, each=each)
    return rows


TABLES = {  # name -> its rows, and their columns
    "byte_losses": (losses, ("seed", "dtype", "step", "bits_per_byte")),
    "byte_trials": (trials, ("way", "rate", "seed", "step", "bits_per_byte")),
}
NAMES = [*TRAINED, *TUNED, *TABLES]


def start(name: str, folder: Path) -> tuple[Decoder, dict[str, Tensor]]:
    """What training `name` starts from, and its masks."""
    if name in TRAINED:
        return Decoder(TRAINED[name], batch=BATCH, seed=SEED), {}
    network = load("byte-decoder", BATCH, folder)
    if "-structured" in name:
        return smaller(network, byte_model.STRUCTURED / 100), {}
    if "-unstructured" not in name:
        return network, {}
    network = with_zeros(network, byte_model.UNSTRUCTURED / 100)
    weights = [linear.weight for linear in network.linears() if linear is not network.head]
    pruned = {each.data_ptr() for each in weights}
    named = tensors(network).items()
    return network, {k: (t != 0).float() for k, t in named if t.data_ptr() in pruned}


def train_all(
    folder: Path = FOLDER, progress: Progress = lambda *_: None, names: Iterable[str] = ()
) -> None:
    """Train what `names` say, all without a name, and write checkpoints and tables into `folder`.
    InputError for a name that is none of `NAMES`."""
    names = list(names) or NAMES
    if unknown := set(names) - set(NAMES):
        raise InputError(f"no model {min(unknown)!r} to train; there are: {', '.join(NAMES)}")
    torch.set_num_threads(THREADS)
    text = training_text()
    for name in names:
        if name in TABLES:
            made_by, columns = TABLES[name]
            write(folder / f"{name}.csv", columns, made_by(text, progress))
            continue
        (network, masks), steps = start(name, folder), STEPS.get(name, TUNING)

        def each(step: int, bits: float, name=name, steps=steps) -> None:
            progress(name, step, steps, bits)

        rate = RATE if name in TRAINED else TUNING_RATE
        train(network, text, steps, rate=rate, masks=masks, each=each)
        dtype = torch.float32 if name in TRAINED else torch.float16
        save(network, folder / f"{name}.safetensors", about(text, steps=steps), dtype)


def about(text: Text, **more) -> dict[str, str]:
    """What a checkpoint says of its training."""
    said = {
        "python": platform.python_version(), "text_sha256": text.digest,
        "text_bytes": len(text.numbers), "torch": torch.__version__, "seed": SEED,
        "threads": torch.get_num_threads(), "batch": BATCH,
    }  # fmt: skip
    return {name: str(value) for name, value in (said | more).items()}


def save(network: Decoder, path: Path, about: dict[str, str], dtype=torch.float32) -> None:
    """Write a checkpoint, with texts `about` how it was trained."""
    stored = {name: each.detach().to(dtype) for name, each in tensors(network).items()}
    # One text: of several the file would keep no order, and differ from itself.
    save_file(stored, path, {"about": json.dumps(about, sort_keys=True)})
    path.chmod(0o644)  # it is made for its owner alone


def write(path: Path, columns: tuple[str, ...], rows: list[tuple]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *rows])


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=FOLDER,
    metavar="DIR",
    help="Write into DIR instead of this folder.",
)
def main(names: tuple[str, ...], out: Path) -> None:
    """Train the byte-level decoders, without a NAME all of them, on Python's own library."""
    with tqdm(leave=False, delay=1) as bar:  # a mistake stays one line

        def progress(name: str, step: int, of: int, bits: float) -> None:
            if step == 0:
                bar.reset(of)
            bar.set_description_str(f"{name}: {bits:.2f} bits per byte", refresh=False)
            bar.update()

        try:
            train_all(out, progress, names)
        except (InputError, OSError, SafetensorError) as error:
            bar.close()
            click.echo(f"error: {' '.join(str(error).split())}", err=True)
            sys.exit(2)


if __name__ == "__main__":
    main()
