"""The ladder: one machine, one memory, and of its instructions ever more that may be used.

A processor's later instructions do more arithmetic in one; what they read from memory they read no
faster. So to forbid them replays what twenty years changed, with everything else held still. Each
rung is a process of its own, as libraries are told once, when they are loaded, what they may use;
all are visited in turn, so that they see the same machine.

Here is what a rung is and what its process does; `analysis.measured.ladder` visits them.

On a CPU every projection and the encoder's act-to-act matmuls go through oneDNN, which can be told
(`ONEDNN_MAX_CPU_ISA`), and torch's own operators can be told too (`ATEN_CPU_CAPABILITY`). MKL, by
which the decoder multiplies elsewhere, cannot: it would be constant by construction. A step's
attention is torch's: for one row it reads keys and values and computes next to nothing.
"""

import ctypes
import os
import re
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor

from analysis.errors import InputError
from analysis.measured import networks
from analysis.measured.libraries import ONEDNN
from analysis.measured.linear import Linear
from analysis.measured.parts import replayed
from analysis.measured.timing import Key
from analysis.measured.works import Works
from analysis.predicted.architectures import BERT_BASE, GPT2
from analysis.predicted.operations import FUSED, Cost
from analysis.predicted.transformer import encoder_pass

BERT, GPT = "bert-base", "gpt2"
SQUARES = (2048, 1024)  # of the product that shows a rung's peak, and the brief one
PASSES, STEPS = (128, 512), (64, 512)  # tokens, and contexts; of a brief ladder the first
CALLS = 5  # of a step in a row, which is short beside a pass
DRAWN = 2**20  # random numbers of which weights are made


@dataclass(frozen=True)
class Rung:
    """What may be used, since which year processors have it, and how that is said: `needs` is one
    of the machine's fast paths, `isa` what oneDNN then says that it uses."""

    name: str
    year: int
    device: str
    needs: str
    isa: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    precision: str = "highest"  # of float32 products: `torch.set_float32_matmul_precision`


def _cpu(name: str, year: int, needs: str, isa: str, onednn: str, torchs: str, **options) -> Rung:
    limits = {"ONEDNN_MAX_CPU_ISA": onednn, "ATEN_CPU_CAPABILITY": torchs}
    return Rung(name, year, "cpu", needs, isa, limits, **options)


# Years: the first processors sold with them (Penryn, Sandy Bridge, Haswell, Skylake-SP, Cooper
# Lake, Sapphire Rapids; Volta had no such products of float32, Ampere has).
RUNGS = (
    _cpu("SSE4.1", 2008, "sse4_1", "Intel SSE4.1", "SSE41", "default"),
    _cpu("AVX", 2011, "avx", "Intel AVX", "AVX", "default"),
    _cpu("AVX2", 2013, "avx2", "Intel AVX2", "AVX2", "avx2"),
    _cpu("AVX-512", 2017, "avx512f", "Intel AVX-512", "AVX512_CORE", "avx512"),
    _cpu("AVX-512, bfloat16", 2020, "avx512_bf16", "Intel AVX-512", "AVX512_CORE_BF16", "avx512",
         precision="medium"),
    _cpu("AMX, bfloat16", 2023, "amx_bf16", "Intel AVX-512", "AVX512_CORE_AMX", "avx512",
         precision="medium"),
    Rung("float32", 2006, "cuda", ""),
    Rung("TF32", 2020, "cuda", "sm_80", precision="high"),
)  # fmt: skip


def rungs(device: str, fast_paths: list[str], brief: bool = False) -> list[Rung]:
    """The rungs that this machine has; in brief those that round no product of float32. InputError
    where it has fewer than two."""
    found = [
        rung
        for rung in RUNGS
        if rung.device == device and _has(fast_paths, rung.needs)
        if rung.precision == "highest" or not brief
    ]
    if device == "cpu" and not torch.backends.mkldnn.is_available():
        raise InputError("torch has no oneDNN here, whose instructions can be limited")
    if len(found) < 2:
        raise InputError(f"{device}: no instructions that could be forbidden one by one")
    return found


def _has(fast_paths: list[str], needed: str) -> bool:
    """Of a GPU `needed` is the least compute capability."""
    if not needed.startswith("sm_"):
        return not needed or needed in fast_paths
    return any(int(path[3:]) >= int(needed[3:]) for path in fast_paths if path.startswith("sm_"))


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W^T + b by oneDNN, of a weight that is packed or not."""
    return ONEDNN.product(x, weight, None, bias)


class Limited(Linear):
    """A projection through oneDNN alone: of many rows by the weight that it packed, and only that
    is kept; of one row by the weight as it is, which is read as fast, and on all rungs alike."""

    def __init__(self, like: Linear, rows: int):
        self.bias, self.operator_class, self.nbytes = like.bias, like.operator_class, like.nbytes
        self.weight = ONEDNN.pack(like.weight, rows) if rows > 1 else like.weight

    def __call__(self, x: Tensor) -> Tensor:
        return product(x, self.weight, self.bias)


def by_heads(q: Tensor, k: Tensor, v: Tensor, mask=None, is_causal=False, enable_gqa=False):
    """(1, heads, rows, width) each: attention whose products oneDNN does, head by head."""
    if q.shape[2] == 1:
        return _torchs_attention(q, k, v, mask, is_causal=is_causal)
    scale, heads = q.shape[3] ** -0.5, []
    for queries, keys, values in zip(q[0], k[0], v[0], strict=True):
        scores = product((queries * scale).contiguous(), keys.contiguous())
        weights = torch.softmax(scores, -1)
        heads.append(product(weights, values.t().contiguous()))
    return torch.stack(heads).unsqueeze(0)


_torchs_attention = F.scaled_dot_product_attention


def limited(network: networks.Network, rows: int) -> networks.Network:
    """The network itself, its projections made `Limited` one by one."""
    for part in (*network.layers, network):
        for name, each in list(vars(part).items()):
            if isinstance(each, Linear):
                setattr(part, name, Limited(each, rows))
    return network


def without_products(work: Callable[[], object]) -> Callable[[], object]:
    """`work` with its products returned at once, as they came out here: what is none of them."""
    replay = replayed(work, (sys.modules[__name__], "product"))

    def rest() -> None:
        with replay():
            work()

    return rest


def tiled(self, *shape: int, mean: float = 0, std: float = 0.02) -> Tensor:
    """In place of `networks.Weights.normal`: a few random numbers, repeated."""
    n = torch.Size(shape).numel()
    drawn = torch.randn(min(n, DRAWN), generator=self.generator, **self.factory)
    return drawn.mul_(std).add_(mean).repeat(-(-n // len(drawn)))[:n].view(shape)


def keys(rung: str, brief: bool) -> dict[str, list[Key]]:
    """Of one rung: the square product, the read ceiling, passes and steps."""
    most = 1 if brief else None
    return {
        "peak": [Key("rung", how=rung, n=SQUARES[brief])],
        "read": [Key("rung", how=rung)],
        "rest": [Key("rest", BERT, PASSES[0], how=rung)],
        "pass": [Key("rung", BERT, n, how=rung) for n in PASSES[:most]],
        "step": [Key("rung", GPT, n, how=rung) for n in STEPS[:most]],
    }


def prepare(works: Works, rung: Rung, brief: bool) -> None:
    """All that one rung measures, on whatever the process may use."""
    named, device = keys(rung.name, brief), works.device
    kept = limited if device == "cpu" else lambda network, rows: network
    details = {"precision": rung.precision}
    (peak,) = named["peak"]
    x, weight = torch.randn(2, peak.n, peak.n, device=device)
    product = partial(F.linear, x, weight)
    if device == "cpu":
        product = partial(ONEDNN.product, x, ONEDNN.pack(weight, peak.n), None, None)
    works.add(
        peak, product, Cost(2 * peak.n**3, 12 * peak.n**2), eager=True, year=rung.year, **details
    )
    expected = x[:4].double() @ weight.double().t()
    error = (product()[:4].double() - expected).norm() / expected.norm()
    rounds, exact = rung.precision != "highest", error < 1e-5
    if not (exact or rounds and error < 1e-2):
        raise RuntimeError("wrong result")
    if rounds and exact:
        raise RuntimeError("no such products of float32 here: they are not rounded to fewer bits")
    works.read(*named["read"])
    with mock.patch.object(networks.Weights, "normal", tiled):
        encoder = kept(networks.Encoder(BERT_BASE, device=device), max(PASSES))
        decoder = kept(networks.Decoder(GPT2, max_length=max(STEPS), device=device), 1)
    for key in named["pass"]:
        works.model(key, encoder, BERT_BASE, **details)
        if device == "cpu" and key.tokens == PASSES[0]:
            tokens = torch.randint(BERT_BASE.vocab_size, (1, key.tokens))
            other = encoder_pass(BERT_BASE, key.tokens, FUSED)["other"]
            rest = without_products(partial(encoder, tokens))
            works.add(*named["rest"], rest, other, eager=True, **details)
    for key in named["step"]:
        works.model(key, decoder, GPT2, calls=CALLS, **details)


def visited(rung: Rung, device: str, threads: int, brief: bool, pipe: Connection) -> None:
    """In a process of its own: says what it measures, or why not, and times it when asked to."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it ends it
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(rung.precision)
    if device == "cpu":
        F.scaled_dot_product_attention = by_heads
    try:
        check_limit(rung)
        works = Works(device)
        prepare(works, rung, brief)
    except (RuntimeError, MemoryError, InputError) as error:
        pipe.send(str(error) or type(error).__name__)
        return
    pipe.send(works.about)
    while pipe.recv():
        works.timed[0]()  # awake again
        pipe.send([seconds for times in works.timed for seconds in times()])


def check_limit(rung: Rung) -> None:
    """RuntimeError unless oneDNN says that it uses the rung's instructions."""
    if not rung.isa:
        return
    with tempfile.TemporaryFile() as file:
        before = os.dup(1)
        os.dup2(file.fileno(), 1)
        try:
            with torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON_CREATION):
                ONEDNN.product(torch.ones(32, 32), torch.ones(32, 32), None, None)
            ctypes.CDLL(None).fflush(None)
        finally:
            os.dup2(before, 1)
            os.close(before)
        said = os.pread(file.fileno(), 10**6, 0).decode("utf-8", "replace")
    used = re.search(r"info,cpu,isa:(.+)", said)
    used = used[1] if used else "it does not say what"
    if used != rung.isa and not (rung.isa.endswith("AVX-512") and used.startswith(rung.isa)):
        raise RuntimeError(f"the limit is ignored: oneDNN uses {used}")
