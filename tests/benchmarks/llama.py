"""GPT-2 in llama.cpp, from a GGUF file that is written here."""

import ctypes
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from analysis.measured.networks import Decoder, tensors
from analysis.predicted.architectures import Architecture

NEEDS = "llama-cpp-python gguf"
NAMES = {  # in GGUF, of the parts of our names
    "words": "token_embd.weight",
    "positions": "position_embd.weight",
    "layers": "blk",
    "qkv": "attn_qkv",
    "out": "attn_output",
    "up": "ffn_up",
    "down": "ffn_down",
    "norm1": "attn_norm",
    "norm2": "ffn_norm",
    "norm": "output_norm",
    "gain": "weight",
}
QUIET = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *_: None)


def write_gguf(path: Path, arch: Architecture, network: Decoder, kind: str = "F32") -> None:
    """The weights of `network`, a decoder of `arch`: of projections, and so of the tied table of
    words, in a type of GGUF ("F32", "Q8_0", "Q4_0"), the others in float32. Tokens are numbers."""
    import gguf

    types = gguf.GGMLQuantizationType
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_vocab_size(arch.vocab_size)
    writer.add_context_length(arch.n_positions)
    writer.add_embedding_length(arch.d_model)
    writer.add_feed_forward_length(arch.d_ff)
    writer.add_block_count(arch.n_layers)
    writer.add_head_count(arch.n_heads)
    writer.add_layer_norm_eps(arch.norm_eps)
    writer.add_tokenizer_model("no_vocab")
    for ours, tensor in tensors(network).items():
        name = ".".join(NAMES.get(part, part) for part in ours.split("."))
        of_projection = tensor.ndim == 2 and ours != "positions"
        raw = types[kind if of_projection else "F32"]
        writer.add_tensor(name, gguf.quants.quantize(tensor.numpy(), raw), raw_dtype=raw)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class Llama:
    """A decoder in llama.cpp, with torch's threads; keys and values in float32, as in ours."""

    def __init__(self, arch: Architecture, network: Decoder, kind: str, length: int):
        import llama_cpp

        self.library, self.vocab_size = llama_cpp, arch.vocab_size
        llama_cpp.llama_log_set(QUIET, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.gguf")
            write_gguf(path, arch, network, kind)
            options = llama_cpp.llama_model_default_params()
            options.n_gpu_layers, options.use_mmap = 0, False
            self.model = llama_cpp.llama_model_load_from_file(str(path).encode(), options)
        if not self.model:
            raise RuntimeError(f"llama.cpp does not load a file of GPT-2 in {kind}")
        options = llama_cpp.llama_context_default_params()
        options.n_ctx = length
        options.n_threads = options.n_threads_batch = torch.get_num_threads()
        options.type_k = options.type_v = llama_cpp.GGML_TYPE_F32
        self.context = llama_cpp.llama_init_from_model(self.model, options)
        if not self.context:
            raise RuntimeError("llama.cpp has no memory for a context")
        self.memory = llama_cpp.llama_get_memory(self.context)

    def __del__(self):
        if getattr(self, "context", None):
            self.library.llama_free(self.context)
        if getattr(self, "model", None):
            self.library.llama_model_free(self.model)

    def clear(self) -> None:
        """Forget all tokens."""
        self.library.llama_memory_clear(self.memory, False)

    def step(self, token: int) -> np.ndarray:
        """Logits (vocab_size,) after one more token: a view that the next step overwrites."""
        tokens = (self.library.llama_token * 1)(token)
        if self.library.llama_decode(self.context, self.library.llama_batch_get_one(tokens, 1)):
            raise RuntimeError("llama.cpp failed in a step")
        logits = self.library.llama_get_logits_ith(self.context, -1)
        return np.ctypeslib.as_array(logits, (self.vocab_size,))

    def generate(self, token: int, length: int) -> list[int]:
        """`length` greedy tokens after `token`."""
        self.clear()
        found = [token]
        for _ in range(length):
            found.append(int(self.step(found[-1]).argmax()))
        return found[1:]


def generates(kind: str, arch: Architecture, length: int) -> Callable[[], object]:
    """The generation of `length` tokens from one, with weights of that type."""
    return partial(Llama(arch, Decoder(arch), kind, length).generate, 1, length)
