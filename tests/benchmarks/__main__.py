"""What we measure with beside what others would, in the same minutes:

    python -m tests.benchmarks [THREADS]

The triad against STREAM's in C, as the compiler makes it and for this processor, the faster one;
square products, as the ceilings have them, against each library alone; the encoder against
BertModel with SDPA and in OpenVINO; the decoder's generation, by the bits of its weights, against
GPT2LMHeadModel with a static cache, CTranslate2 and llama.cpp; and the rate at which each decoder
reads its weights against our best read kernel. Random weights of the same sizes, the CPU, the same
threads. What is not installed is not compared, and said in a line:

    pip install transformers openvino ctranslate2 llama-cpp-python gguf

All of a table are timed in turn, so that they meet the same machine; models of others each in a
process of its own, which is stopped meanwhile, as threads of some wait by spinning. A ratio is of
times, ours over theirs: the median of those of neighbours, with its 95 % bootstrap interval.
"""

import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial

import torch

from analysis.errors import InputError
from analysis.measured.ceilings import KERNELS, array_bytes
from analysis.measured.machine import keep_memory, set_threads
from analysis.measured.networks import Decoder, Encoder
from analysis.measured.products import square_tasks
from analysis.measured.profile import call_all, generation_steps
from analysis.measured.quantised import FORMATS, with_projections
from analysis.measured.timing import BUDGETS, Clock, Sample, measure, measure_in_turn
from analysis.predicted.architectures import BERT_BASE, GPT2, Architecture
from tests.benchmarks.apart import Times, apart, timed
from tests.benchmarks.libraries import BUILDS, PRODUCTS, TRIADS, stream
from tests.benchmarks.peers import DECODERS, ENCODERS, Peer

BUDGET = BUDGETS["quick"]
SECONDS, LEAST = 60, 9  # of each table, and rounds
SMALL, SQUARE = 256, 2048
LENGTHS = (128, 512)
GENERATED = 64  # tokens
OURS = {32: ("float32",), 8: ("int8", "int8-planes", "int8-dynamic"), 4: ("int4",)}
ROW = "{:26}{:28}{:>14}{:>10}{:>8}   {}"

Samples = dict[str, Sample]


def made(makers: Iterable[tuple[str, Callable[[], Times], str]]) -> dict[str, Times]:
    """Of each name, way to make it and needs: what is made; a line says why another is not."""
    there = {}
    for name, make, needs in makers:
        try:
            there[name] = make()
        except (ImportError, InputError, RuntimeError) as error:
            why = f"pip install {needs}" if isinstance(error, ImportError) else error
            print(f"{name}: not compared: {why}", flush=True)
    return there


def in_turn(works: dict[str, Times]) -> Samples:
    """All of `works` in the same minutes."""
    rounds = measure_in_turn(list(works.values()), Clock(), SECONDS, LEAST)
    return dict(zip(works, map(Sample, rounds), strict=True))


def pick(samples: Samples, names: Iterable[str]) -> Samples:
    return {name: samples[name] for name in names}


def fastest(samples: Samples) -> Samples:
    """The one with the shortest median, if there is any."""
    return dict(sorted(samples.items(), key=lambda each: each[1].median)[:1])


def per(samples: Samples, units: dict[str, float]) -> Samples:
    """Times of one of the units, of which a work has so many."""
    return {
        name: Sample(tuple(time / units[name] for time in sample.times))
        for name, sample in samples.items()
    }


def table(title: str, unit: str, ours: Samples, theirs: Samples, amount: float = 0) -> None:
    """Prints each of ours beside each of theirs: ms, or thousand millions of `amount` a second."""
    print(ROW.format(title, "", f"ours, {unit}", "theirs", "ratio", "95 % interval"))
    for name, a in ours.items():
        for other, b in theirs.items():
            ratio = Sample(tuple(x / y for x, y in zip(a.times, b.times, strict=True)))
            shown = (amount / x.median / 1e9 if amount else x.median * 1e3 for x in (a, b))
            low, high = ratio.interval
            numbers = (*(f"{each:.2f}" for each in shown), f"{ratio.median:.3f}")
            print(ROW.format(name, other, *numbers, f"{low:.3f} to {high:.3f}"), flush=True)
    print()


def compare_triads(n: int) -> None:
    """The triad of the ceilings beside STREAM's, over arrays of `n` numbers."""
    x, y = (torch.rand(n, dtype=torch.float64) for _ in range(2))
    out, kernel = torch.zeros_like(x), next(each for each in KERNELS if each.name == "triad")
    ours = partial(call_all, [partial(kernel.run, x, y, out)] * TRIADS)
    with ExitStack() as running:
        theirs = made(
            (name, lambda flags=flags: timed(running.enter_context(stream(n, flags)), TRIADS), "")
            for name, flags in BUILDS.items()
        )
        samples = in_turn({"triad": timed(ours, TRIADS)} | theirs)
    both = pick(samples, ["triad"]), fastest(pick(samples, theirs))
    table("STREAM's triad", "GB/s", *both, amount=3 * 8 * n)


def compare_products(dtype: str, n: int, reached: dict[str, float]) -> None:
    """The peak of `dtype` at squares of `n` beside those of libraries; each by its best time of a
    visit. `reached` is FLOP/s by data type so far."""
    small, square = square_tasks(dtype, (SMALL, n), "cpu", BUDGET, reached)
    spent = BUDGET.seconds_per_point, BUDGET.warm_seconds

    def best(library: Callable) -> Times:
        work = library(n, dtype)
        work()  # which fails where there is no such product
        return lambda: measure(work, "cpu", *spent).best

    try:
        small.run(BUDGET.seconds_per_point)
        if reached[dtype] < reached["float32"] / 2:
            raise InputError("no fast path: less than half of float32's rate")
    except InputError as error:
        print(f"Products, {dtype}: not compared: {error}\n", flush=True)
        return
    theirs = made((name, partial(best, each), "") for name, each in PRODUCTS.items())
    samples = in_turn({"peak": lambda: square.run(spent[0]).sample.best} | theirs)
    both = pick(samples, ["peak"]), pick(samples, theirs)
    table(f"Products of {n}, {dtype}", "GFLOP/s", *both, amount=2 * n**3)


def beside(running: ExitStack, peers: Iterable[Peer], arch: Architecture, length: int) -> dict:
    """Times of each peer's pass, or of a token that it generates, each in its own process."""
    units = length if arch.kind == "decoder" else 1
    start = partial(apart, running, torch.get_num_threads(), units)
    return made((peer.name, partial(start, peer.make, arch, length), peer.needs) for peer in peers)


def compare_encoders(arch: Architecture, length: int) -> None:
    """A pass of ours beside those of others."""
    network, tokens = Encoder(arch), torch.randint(arch.vocab_size, (1, length))
    with ExitStack() as running:
        theirs = beside(running, ENCODERS, arch, length)
        samples = in_turn({"ours": timed(lambda: network(tokens))} | theirs)
    both = pick(samples, ["ours"]), pick(samples, theirs)
    table(f"{arch.name}, {length} tokens", "ms", *both)


def compare_decoders(arch: Architecture, bits: int, length: int, size: int) -> None:
    """A token of ours, in every format of so many bits, beside those of others; and the rates at
    which all of them read their weights beside our best kernel's over `size` bytes."""
    whole, token = Decoder(arch), torch.randint(arch.vocab_size, (1, 1))
    moved, x = {}, torch.rand(size // 8, dtype=torch.float64)

    def generates(name: str) -> Times:
        network = with_projections(whole, FORMATS[name])
        moved[name] = sum(each.nbytes for each in network.linears())
        steps = generation_steps(network, token.clone(), length)
        return timed(partial(call_all, steps), length)

    reads = {
        kernel.name: timed(partial(kernel.run, x, None, None))
        for kernel in KERNELS
        if kernel.expected is None
    }
    ours = made((name, partial(generates, name), "") for name in OURS[bits])
    with ExitStack() as running:
        theirs = beside(running, DECODERS[bits], arch, length)
        samples = in_turn(ours | theirs | reads)
    table(f"{arch.name}, a token, {bits} bits", "ms", pick(samples, ours), pick(samples, theirs))
    weights = sum(each.weight.numel() for each in whole.linears())
    moved |= {peer.name: peer.weight_bytes * weights for peer in DECODERS[bits]}
    ceiling = per(fastest(pick(samples, reads)), dict.fromkeys(reads, size))
    table("Reads, of weights theirs", "GB/s", ceiling, per(pick(samples, ours | theirs), moved), 1)


def main(threads: str | None = None) -> None:
    if threads is not None and not threads.isdecimal():
        raise InputError(f"threads is {threads!r}; it must be a positive integer")
    set_threads(threads and int(threads))
    keep_memory()  # as for a run
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads\n", flush=True)
    size = array_bytes("cpu", 3, BUDGET)[0]
    compare_triads(size // 8)
    reached = {}
    for dtype in ("float32", "bfloat16", "int8"):
        compare_products(dtype, SQUARE, reached)
    for length in LENGTHS:
        compare_encoders(BERT_BASE, length)
    for bits in DECODERS:
        compare_decoders(GPT2, bits, GENERATED, size)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:2])
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
