"""Byte-level decoders that were trained (`data/models/train.py`): their checkpoints, the text that
they are scored on, and their quality, in bits per byte of modules that they have not seen.

A checkpoint is one safetensors file of `data/models`; it may come from elsewhere, so its size, the
names, shapes and types of its tensors and their numbers are checked before it is used.

The text is the sources of Python's own library, which every reader has without a download, but not
the same: it differs by Python's version, so a checkpoint says which text it was trained on, and a
score is of the reader's held-out modules.

Points ("quality") say what quality a remedy leaves, timed as they are scored. Details:
`bits_per_byte` with the ends of its interval; the `difference` from the decoder that it was made
of, `compared_with`, with those of its own, paired by module; and `weight_bytes` as they would be
stored.
"""

import hashlib
import json
import platform
import sysconfig
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor

from analysis import files
from analysis.errors import InputError
from analysis.measured.networks import Decoder, tensors
from analysis.measured.pruned import Sparse, smaller, with_zeros
from analysis.measured.quantised import FORMATS, dequantised, with_projections
from analysis.measured.run import ROOT
from analysis.measured.schema import SCORES
from analysis.measured.timing import Budget, Key, Task, bootstrap
from analysis.measured.works import Works, guess, in_turn
from analysis.predicted.architectures import BYTE_DECODER, BYTE_DRAFT
from analysis.predicted.operations import Cost
from analysis.predicted.pruning import pruned

MODELS = ROOT / "data" / "models"
TRAINED = {"byte-decoder": BYTE_DECODER, "byte-draft": BYTE_DRAFT}  # checkpoint -> architecture
STRUCTURED, UNSTRUCTURED = 30, 80  # per cent that the paper says can be pruned
TUNED = {  # the decoder trained some more, once pruned or, to compare with, whole
    "byte-tuned": BYTE_DECODER,
    f"byte-tuned-structured-{STRUCTURED}": pruned(BYTE_DECODER, STRUCTURED / 100),
    f"byte-tuned-unstructured-{UNSTRUCTURED}": BYTE_DECODER,
}
MOST_BYTES = 10**7
TYPES = (torch.float32, torch.float16)
BATCH = 24  # windows scored at once: three modules
LIBRARY = Path(sysconfig.get_path("stdlib"))
# Never trained on: modules that Python 3.11 to 3.13 have, each longer than what is scored of it.
HELD_OUT = tuple(
    "calendar cmd csv difflib fractions gzip heapq ipaddress numbers queue shlex statistics "
    "textwrap timeit uuid".split()
)
START = 0  # the byte between modules; no source has it
WINDOW, WINDOWS = 256, 8  # bytes, and how many of them are scored of each held-out module
SCORED = len(HELD_OUT) * WINDOWS * WINDOW  # bytes of a score
MODEL, DRAFT, TUNED_WHOLE = "byte-decoder", "byte-draft", "byte-tuned"
BITS, GROUP = (8, 6, 5, 4, 3, 2), 32
SHARES = tuple(range(0, 100, 10))  # per cent pruned
BRIEF = (("none", 0), ("int row", 8), ("int group", 4))
ROOM = 5 * 10**8  # bytes of memory that scoring takes at most


def load(name: str = "byte-decoder", batch: int = 1, folder: Path = MODELS, **options) -> Decoder:
    """The decoder of a checkpoint, for `batch` sequences at once; `options` as of `Decoder`.

    Raises InputError, in one line, for a checkpoint that is missing, cut or of another shape.
    """
    path, arch = folder / f"{name}.safetensors", (TRAINED | TUNED)[name]
    network = Decoder(arch, batch=batch, **options)
    _, stored = read(path)
    wanted = tensors(network)
    if odd := sorted(wanted.keys() ^ stored.keys()):
        raise InputError(f"{path}: not a checkpoint of the {arch.name}: {odd[0][:60]} is not both")
    for key, tensor in wanted.items():
        each, shape = stored[key], tuple(tensor.shape)
        if each.shape != shape or each.dtype not in TYPES or not each.isfinite().all():
            raise InputError(f"{path}: {key}, {tuple(each.shape)}, is not {shape} of finite floats")
        tensor.copy_(each)
    return network


def read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """What a checkpoint says of itself, and its tensors."""
    files.read(path, MOST_BYTES)  # or says why it cannot be read
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get("about", "{}"))
            return about, {key: file.get_tensor(key) for key in file.keys()}
    except (SafetensorError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a whole checkpoint: {error}") from None


def with_interval(modules: np.ndarray) -> tuple[float, float, float]:
    """The mean of numbers of modules, which chance is in, and its 95 % interval."""
    return float(modules.mean()), *bootstrap(tuple(modules), np.mean)


@torch.inference_mode()
def score(network: Decoder, windows: Tensor | None = None) -> np.ndarray:
    """Bits per byte (modules,) of `windows` (modules, windows, bytes), by default the held-out
    ones. The network's batch must be `BATCH`, or divide the windows."""
    windows = held_out() if windows is None else windows
    flat, batch = windows.flatten(0, 1).to(network.words.device), network.cache.shape[2]
    bits = []
    for part in flat.split(batch):
        logits = network.prefill(part[:, :-1]).float()
        nats = F.cross_entropy(logits.flatten(0, 1), part[:, 1:].flatten(), reduction="none")
        bits.append(nats.view(len(part), -1).mean(1) / np.log(2))
    return torch.cat(bits).view(windows.shape[:2]).mean(1, dtype=torch.float64).cpu().numpy()


@cache
def held_out(library: Path = LIBRARY) -> Tensor:
    """Windows of the held-out modules, evenly spaced: (modules, `WINDOWS`, `WINDOW` + 1) int64. The
    first number of a window is only given, the others are predicted."""
    modules = []
    for name in HELD_OUT:
        text = bytes([START]) + files.read(path := library / f"{name}.py", MOST_BYTES)
        if (room := len(text) - WINDOW - 1) < 0:
            raise InputError(f"{path}: shorter than a window of {WINDOW} bytes")
        starts = [room * i // (WINDOWS - 1) for i in range(WINDOWS)]
        modules.append([list(text[at : at + WINDOW + 1]) for at in starts])
    return torch.tensor(modules)


def stored(network: Decoder) -> int:
    """Bytes of its numbers as they would be stored; the table of embeddings is the head's."""
    named = tensors(network).items()
    beside = [each for name, each in named if name != "words" and not name.endswith(".weight")]
    return int(sum(each.nbytes for each in (*beside, *network.linears())))


def remedies(device: str) -> dict[Key, Callable[[], Decoder]]:
    """How to make each; the decoder itself comes first."""

    def plain(name: str = MODEL, change=lambda whole: whole, **options) -> Callable[[], Decoder]:
        return lambda: change(load(name, BATCH, device=device, **options))

    found = {("none", 0): plain()}
    for dtype in ("bfloat16", "float16"):
        found[dtype, 0] = plain(dtype=getattr(torch, dtype))
    for how, group in (("int row", None), ("int group", GROUP)):
        for n in BITS:
            rounded = partial(dequantised, bits=n, group=group)
            found[how, n] = plain(change=partial(with_projections, change=rounded))
    # Weights of 8 bits, a scale for each row, and activations of 8, one for each product.
    activations = partial(with_projections, change=FORMATS["int8-dynamic"])
    found["int activations", 8] = plain(change=activations)
    for share in SHARES:
        found["structured", share] = plain(change=partial(smaller, share=share / 100))
        found["unstructured", share] = plain(change=partial(with_zeros, share=share / 100))
    for name in TUNED:
        *words, share = name.removeprefix("byte-").split("-") + ["0"] * (name == TUNED_WHOLE)
        found[" ".join(words), int(share)] = plain(name)
    made = {Key("quality", MODEL, how=how, n=n): make for (how, n), make in found.items()}
    return made | {Key("quality", DRAFT, how="none"): plain(DRAFT)}


def quality_tasks(device: str, budget: Budget, threads: int) -> list[Task]:
    """One task a remedy, and the draft's."""
    known = {}  # scores of the decoders that others are compared with
    once = guess(Cost(2 * BYTE_DECODER.n_parameters * SCORED), device, threads) + 0.3

    def prepare(key: Key, make: Callable[[], Decoder], works: Works) -> None:
        network, base = make(), TUNED_WHOLE if key.how.startswith("tuned") else MODEL
        details = {"weight_bytes": stored(network), "compared_with": base}
        if key.how == "unstructured":  # the same zeros, in rows that leave them out
            sparse = with_zeros(network, key.n / 100, Sparse)
            details["sparse_bytes"] = stored(sparse)
        if base not in known:
            known[base] = score(load(base, BATCH, device=device))
        scores = []
        seconds = works.clock.time(lambda: scores.append(score(network)))
        numbers = with_interval(scores[0]) + with_interval(scores[0] - known[base])
        details |= dict(zip(SCORES, numbers, strict=True))
        digest = hashlib.sha256(held_out().numpy().tobytes()).hexdigest()
        details |= {"python": platform.python_version(), "text_sha256": digest}
        works.together({key: (Cost(), details)}, lambda: [seconds])

    return [
        in_turn(key, partial(prepare, key, make), [], ROOM, device, budget, threads, once,
                share=0, least=1)
        for key, make in remedies(device).items()
        if not budget.brief or (key.how, key.n) in BRIEF
    ]  # fmt: skip
