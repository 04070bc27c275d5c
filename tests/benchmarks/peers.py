"""Others that run the same models: a row each, with what pip installs for it and how to make it."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from analysis.predicted.architectures import Architecture
from tests.benchmarks import llama


@dataclass(frozen=True)
class Peer:
    """`make(arch, length)` returns the work: a pass over `length` tokens, or the generation of as
    many from one. A decoder reads `weight_bytes` of each weight of its projections, or more."""

    name: str
    needs: str
    make: Callable[[Architecture, int], Callable[[], object]]
    weight_bytes: float = 4


def bert(arch: Architecture):
    """transformers' encoder of that size."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=arch.vocab_size, hidden_size=arch.d_model, num_hidden_layers=arch.n_layers,
        num_attention_heads=arch.n_heads, intermediate_size=arch.d_ff,
        max_position_embeddings=arch.n_positions, attn_implementation="sdpa",
    )  # fmt: skip
    return BertModel(config).eval()


def gpt(arch: Architecture):
    """transformers' decoder of that size."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=arch.vocab_size, n_embd=arch.d_model, n_layer=arch.n_layers,
        n_head=arch.n_heads, n_positions=arch.n_positions, attn_implementation="sdpa",
        bos_token_id=0, eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    return GPT2LMHeadModel(config).eval()


def encodes(arch: Architecture, length: int) -> Callable[[], object]:
    model, tokens = bert(arch), torch.randint(arch.vocab_size, (1, length))
    return torch.inference_mode()(lambda: model(tokens))


def encodes_compiled(arch: Architecture, length: int) -> Callable[[], object]:
    """By BertModel in OpenVINO, compiled for this length."""
    import openvino

    tokens = torch.randint(arch.vocab_size, (1, length))
    model = openvino.convert_model(bert(arch), example_input=tokens, input=[tokens.shape])
    options = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    return partial(openvino.compile_model(model, "CPU", options), [tokens.numpy()])


def generates(arch: Architecture, length: int) -> Callable[[], object]:
    """By GPT2LMHeadModel's `generate`, with a static cache."""
    from transformers import GenerationConfig

    model, token = gpt(arch), torch.randint(arch.vocab_size, (1, 1))
    settings = GenerationConfig(
        max_new_tokens=length, min_new_tokens=length, do_sample=False, pad_token_id=0,
        cache_implementation="static", disable_compile=True,
    )  # fmt: skip
    options = {"attention_mask": torch.ones_like(token), "generation_config": settings}
    return torch.inference_mode()(lambda: model.generate(token, **options))


def generates_translated(kind: str, arch: Architecture, length: int) -> Callable[[], object]:
    """By GPT2LMHeadModel in CTranslate2, with weights of that type."""
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
        spec.optimize(quantization=kind)
        spec.save(folder)
        model = ctranslate2.Generator(
            folder, "cpu", compute_type=kind, inter_threads=1,
            intra_threads=torch.get_num_threads(),
        )  # fmt: skip
    options = {"beam_size": 1, "include_prompt_in_result": False}
    options |= {"max_length": length, "min_length": length}
    return lambda: model.generate_batch([["1"]], **options)


ENCODERS = (
    Peer("transformers, SDPA", "transformers", encodes),
    Peer("OpenVINO", "transformers openvino", encodes_compiled),
)
DECODERS = {  # by the bits of a weight, scales apart
    32: (
        Peer("transformers, static cache", "transformers", generates),
        Peer("CTranslate2, float32", "transformers ctranslate2",
             partial(generates_translated, "float32")),
        Peer("llama.cpp, F32", llama.NEEDS, partial(llama.generates, "F32")),
    ),
    8: (
        Peer("CTranslate2, int8", "transformers ctranslate2",
             partial(generates_translated, "int8"), 1),
        Peer("llama.cpp, Q8_0", llama.NEEDS, partial(llama.generates, "Q8_0"), 34 / 32),
    ),
    4: (Peer("llama.cpp, Q4_0", llama.NEEDS, partial(llama.generates, "Q4_0"), 18 / 32),),
}  # fmt: skip
