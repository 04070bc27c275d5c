"""What we measure with beside what others would, in the same minutes:

    python -m tests.benchmarks [THREADS]

The triad against STREAM's in C (`stream.c`, with OpenMP and -O3), our square product against a
plain `torch.mm`, the encoder against BertModel with SDPA and against OpenVINO, the decoder's
generation against GPT2LMHeadModel.generate with a static cache and against CTranslate2; float32 on
the CPU, random weights of the same sizes (OpenVINO and CTranslate2 run those of transformers), the
same threads. What is not installed is not compared, and said in a line:

    pip install transformers openvino ctranslate2

Repetitions alternate, so that both meet the same machine; the ratio is the median of the ratios of
neighbours, ours over theirs, with its 95 % bootstrap interval.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch

from analysis.errors import InputError
from analysis.measured.ceilings import KERNELS, array_bytes
from analysis.measured.machine import set_threads
from analysis.measured.networks import Decoder, Encoder
from analysis.measured.products import multiply, random
from analysis.measured.profile import call_all, generation_steps
from analysis.measured.timing import BUDGETS, Sample
from analysis.predicted.architectures import BERT_BASE, GPT2, Architecture

SECONDS, LEAST = 30, 7  # of each comparison; repetitions of each side
LENGTHS = (128, 512)
SQUARE, TRIADS = 2048, 20
STREAM = Path(__file__).with_name("stream.c")
GENERATED = 64  # tokens
ROW = "{:34}{:>12}{:>12}{:>8}   {}"

Pair = tuple[Callable[[], object], Callable[[], object]]


def alternate(ours, theirs, seconds: float, least: int, now=time.perf_counter):
    """Samples of ours, of theirs, and of ours / theirs of each pair; each goes first in turn."""
    pairs, start = [], now()
    while len(pairs) < least or now() - start < seconds:
        order = (ours, theirs) if len(pairs) % 2 else (theirs, ours)
        times = {}
        for work in order:
            begun = now()
            work()
            times[work] = now() - begun
        pairs.append((times[ours], times[theirs]))
    return (
        Sample(tuple(a for a, _ in pairs)),
        Sample(tuple(b for _, b in pairs)),
        Sample(tuple(a / b for a, b in pairs)),
    )


@contextmanager
def triads(n: int, threads: int) -> Iterator[Pair]:
    """`TRIADS` of ours and as many of STREAM's in C, over arrays of `n` numbers. They are many, as
    torch's threads spin for some ms after ours; to ask the other process counts as its time.
    InputError without a C compiler that knows OpenMP."""
    x, y = (torch.rand(n, dtype=torch.float64) for _ in range(2))
    out, ours = torch.zeros_like(x), next(k for k in KERNELS if k.name == "triad")
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(folder, "stream"))
        command = [shutil.which("cc"), "-O3", "-fopenmp", "-o", program, str(STREAM)]
        if not command[0] or subprocess.run(command, capture_output=True).returncode:
            raise InputError("STREAM in C needs cc with OpenMP (-fopenmp)")
        env = os.environ | {"OMP_NUM_THREADS": str(threads)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen([program, str(n)], text=True, env=env, bufsize=1, **pipes) as stream:

            def theirs() -> str:
                stream.stdin.write(f"{TRIADS}\n")
                return stream.stdout.readline()

            yield partial(call_all, [partial(ours.run, x, y, out)] * TRIADS), theirs


def products(n: int) -> Pair:
    """One product of squares as the ceilings make it, and a plain one."""
    a, b = (random((n, n), "float32", "cpu") for _ in range(2))
    return partial(multiply, a, b, torch.zeros_like(a)), lambda: torch.mm(a, b)


def bert(arch: Architecture):
    """transformers' encoder of that size."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=arch.vocab_size, hidden_size=arch.d_model, num_hidden_layers=arch.n_layers,
        num_attention_heads=arch.n_heads, intermediate_size=arch.d_ff,
        max_position_embeddings=arch.n_positions, attn_implementation="sdpa",
    )  # fmt: skip
    return BertModel(config).eval()


def encoders(arch: Architecture, length: int) -> Pair:
    """One pass of ours and of BertModel's, over the same random tokens."""
    ours, theirs = Encoder(arch), bert(arch)
    tokens = torch.randint(arch.vocab_size, (1, length))
    return lambda: ours(tokens), torch.inference_mode()(lambda: theirs(tokens))


def compiled_encoders(arch: Architecture, length: int) -> Pair:
    """One pass of ours and of BertModel's in OpenVINO, compiled for this length."""
    import openvino

    ours, tokens = Encoder(arch), torch.randint(arch.vocab_size, (1, length))
    model = openvino.convert_model(bert(arch), example_input=tokens, input=[tokens.shape])
    options = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    theirs, numbers = openvino.compile_model(model, "CPU", options), tokens.numpy()
    return lambda: ours(tokens), lambda: theirs([numbers])


def gpt(arch: Architecture):
    """transformers' decoder of that size."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=arch.vocab_size, n_embd=arch.d_model, n_layer=arch.n_layers,
        n_head=arch.n_heads, n_positions=arch.n_positions, attn_implementation="sdpa",
        bos_token_id=0, eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    return GPT2LMHeadModel(config).eval()


def ours_generates(arch: Architecture, token: torch.Tensor, length: int) -> Callable[[], object]:
    return partial(call_all, generation_steps(Decoder(arch), token.clone(), length))


def generations(arch: Architecture, length: int) -> Pair:
    """`length` greedy tokens from one, by ours and by GPT2LMHeadModel's `generate`."""
    from transformers import GenerationConfig

    theirs, token = gpt(arch), torch.randint(arch.vocab_size, (1, 1))
    settings = GenerationConfig(
        max_new_tokens=length, min_new_tokens=length, do_sample=False, pad_token_id=0,
        cache_implementation="static", disable_compile=True,
    )  # fmt: skip
    mask = torch.ones_like(token)
    return ours_generates(arch, token, length), torch.inference_mode()(
        lambda: theirs.generate(token, attention_mask=mask, generation_config=settings)
    )


def compiled_generations(arch: Architecture, length: int) -> Pair:
    """`length` greedy tokens from one, by ours and by GPT2LMHeadModel in CTranslate2."""
    import ctranslate2
    from ctranslate2.specs import transformer_spec as specs

    spec = specs.TransformerDecoderModelSpec.from_config(
        arch.n_layers, arch.n_heads, pre_norm=True,
        activation=ctranslate2.specs.Activation.GELUTanh,
    )  # fmt: skip
    ctranslate2.converters.transformers.GPT2Loader().set_decoder(
        spec.decoder, gpt(arch).transformer
    )
    spec.decoder.projection.weight = spec.decoder.embeddings.weight
    words = [str(n) for n in range(arch.vocab_size)]
    spec.register_vocabulary(words)
    spec.config.bos_token = spec.config.eos_token = spec.config.unk_token = words[0]
    with tempfile.TemporaryDirectory() as folder:
        spec.validate()
        spec.optimize(quantization="float32")
        spec.save(folder)
        threads = torch.get_num_threads()
        theirs = ctranslate2.Generator(
            folder, "cpu", compute_type="float32", inter_threads=1, intra_threads=threads
        )
    token = torch.randint(1, arch.vocab_size, (1, 1))
    first = [[words[int(token)]]]
    return ours_generates(arch, token, length), lambda: theirs.generate_batch(
        first, max_length=length, min_length=length, beam_size=1, include_prompt_in_result=False
    )


def main(threads: str | None = None) -> None:
    if threads is not None and not threads.isdecimal():
        raise InputError(f"threads is {threads!r}; it must be a positive integer")
    set_threads(threads and int(threads))
    print(f"torch {torch.__version__}, float32, {torch.get_num_threads()} threads; medians in ms")
    print(ROW.format("", "ours", "theirs", "ratio", "95 % interval"))
    try:
        n = array_bytes("cpu", 3, BUDGETS["quick"])[0] // 8
        with triads(n, torch.get_num_threads()) as pair:
            compare("Triad, STREAM in C", pair, per=TRIADS)
    except InputError as error:  # the rest can do without
        print(f"not compared: {error}")
    compare(f"Product of {SQUARE}-squares", products(SQUARE))
    for length in LENGTHS:
        for with_, pair in (("transformers", encoders), ("OpenVINO", compiled_encoders)):
            compare_with(pair, f"BERT-Base, {length}, {with_}", BERT_BASE, length)
    for with_, pair in (("transformers", generations), ("CTranslate2", compiled_generations)):
        compare_with(pair, f"GPT-2, a token, {with_}", GPT2, GENERATED, per=GENERATED)


def compare_with(pair: Callable[..., Pair], name: str, arch, length: int, per: int = 1) -> None:
    """Compare with what may not be installed."""
    try:
        both = pair(arch, length)
    except ImportError as error:
        package = (error.name or "a package").split(".")[0]
        print(f"{name}: not compared: {package} is not installed", flush=True)
        return
    compare(name, both, per)


def compare(name: str, pair: Pair, per: int = 1) -> None:
    for work in pair:  # warms up
        work()
    mine, other, ratio = alternate(*pair, SECONDS, LEAST)
    low, high = ratio.interval
    times = (f"{sample.median / per * 1e3:.2f}" for sample in (mine, other))
    print(ROW.format(name, *times, f"{ratio.median:.3f}", f"{low:.3f} to {high:.3f}"), flush=True)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:2])
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
