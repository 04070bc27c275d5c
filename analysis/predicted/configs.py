"""Hugging Face `config.json` -> Architecture, for the families that the counts model.

A field is read, or is known to cost nothing, or must be unset: what a config asks for and the
counts do not model is an InputError that names the field, never a silent difference.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from analysis.errors import InputError
from analysis.files import read
from analysis.predicted.architectures import Architecture

CONFIG_BYTES = 1_000_000
ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "silu": "silu",
    "swish": "silu",
    "relu": "relu",
}

# Bookkeeping, training, sampling, rotary angles and windows that are switched off: no FLOP, no byte
COSTS_NOTHING = re.compile(
    r".*_token_id|.*drop.*|summary_.*|rope_.*|pooler_.*|initializer.*|output_.*|.*dtype"
    r"|architectures|_name_or_path|transformers_version|_?attn_implementation.*|use_cache"
    r"|model_type|id2label|label2id|problem_type|return_dict|task_specific_params|directionality"
    r"|gradient_checkpointing|n_ctx|max_window_layers|pretraining_tp|chunk_size_feed_forward"
)


@dataclass(frozen=True)
class Family:
    """Where a family keeps an Architecture's fields, and what all its members share."""

    sizes: dict[str, str]  # architecture field -> config field, required
    activation: str
    norm_eps: str
    optional: dict[str, str] = field(default_factory=dict)  # may be missing or null: the default
    flags: dict[str, tuple[str, bool]] = field(default_factory=dict)  # config field and default
    fixed: dict = field(default_factory=dict)
    only: dict = field(default_factory=dict)  # config field -> the one value that is modelled


_SIZES = {
    "n_layers": "num_hidden_layers",
    "d_model": "hidden_size",
    "n_heads": "num_attention_heads",
    "d_ff": "intermediate_size",
    "vocab_size": "vocab_size",
    "n_positions": "max_position_embeddings",
}
_KV = {"n_kv_heads": "num_key_value_heads"}
_HEAD = {"head_dim": "head_dim"}
_UNTIED = {"tied_embeddings": ("tie_word_embeddings", False)}
_ATTENTION_BIAS = dict.fromkeys(("qkv_bias", "out_bias"), ("attention_bias", False))
_GATED = {
    "kind": "decoder",
    "gated_ffn": True,
    "norm": "rmsnorm",
    "positions": "rotary",
    "lm_head": True,
}
_NO_BIAS = {"qkv_bias": False, "out_bias": False, "ffn_bias": False}

FAMILIES = {
    "bert": Family(
        sizes=_SIZES | {"token_types": "type_vocab_size"},
        activation="hidden_act",
        norm_eps="layer_norm_eps",
        flags={"tied_embeddings": ("tie_word_embeddings", True)},
        fixed={"kind": "encoder", "pooler": True},
        only={"position_embedding_type": "absolute"},
    ),
    "gpt2": Family(
        sizes={
            "n_layers": "n_layer",
            "d_model": "n_embd",
            "n_heads": "n_head",
            "vocab_size": "vocab_size",
            "n_positions": "n_positions",
        },
        activation="activation_function",
        norm_eps="layer_norm_epsilon",
        optional={"d_ff": "n_inner"},
        flags={"tied_embeddings": ("tie_word_embeddings", True)},
        fixed={"kind": "decoder", "lm_head": True},
        only={"scale_attn_weights": True},
    ),
    "llama": Family(
        sizes=_SIZES,
        activation="hidden_act",
        norm_eps="rms_norm_eps",
        optional=_KV | _HEAD,
        flags=_UNTIED | _ATTENTION_BIAS | {"ffn_bias": ("mlp_bias", False)},
        fixed=_GATED,
    ),
    "mistral": Family(
        sizes=_SIZES | _KV,
        activation="hidden_act",
        norm_eps="rms_norm_eps",
        optional=_HEAD,
        flags=_UNTIED,
        fixed=_GATED | _NO_BIAS,
    ),
    "qwen2": Family(
        sizes=_SIZES | _KV,
        activation="hidden_act",
        norm_eps="rms_norm_eps",
        flags=_UNTIED,
        fixed=_GATED | _NO_BIAS | {"qkv_bias": True},
        only={"layer_types": "full_attention"},
    ),
    "qwen3": Family(
        sizes=_SIZES | _KV | _HEAD,
        activation="hidden_act",
        norm_eps="rms_norm_eps",
        flags=_UNTIED | _ATTENTION_BIAS,
        fixed=_GATED | {"ffn_bias": False, "qk_norm": True},
        only={"layer_types": "full_attention"},
    ),
}


def from_config(config: Mapping, name: str | None = None) -> Architecture:
    """The architecture that a `config.json`, already a mapping, describes: the model with its
    language-model head (decoders) or its pooler (BERT); other task heads are not read.

    Raises InputError naming the field: an unknown `model_type` (the message lists the families),
    a missing field, a size that is not a positive integer, and anything not modelled, such as a
    sliding window in effect, experts, cross-attention or quantised weights.
    """
    if not isinstance(config, Mapping):
        raise InputError("a config must be a JSON object of fields and values")
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise InputError(f"config field model_type is {kind!r}; allowed: {', '.join(FAMILIES)}")
    family = FAMILIES[kind]
    values = dict(family.fixed)
    for ours, theirs in family.sizes.items():
        if config.get(theirs) is None:
            raise InputError(f"config field {theirs} is missing; a {kind} config needs it")
        values[ours] = _size(config, theirs)
    for ours, theirs in family.optional.items():
        if config.get(theirs) is not None:
            values[ours] = _size(config, theirs)
    values.setdefault("d_ff", 4 * values["d_model"])  # GPT-2's null n_inner
    for ours, (theirs, default) in family.flags.items():
        values[ours] = config.get(theirs, default)
        if not isinstance(values[ours], bool):
            raise InputError(f"config field {theirs} is {values[ours]!r}; allowed: true, false")
    activation = config.get(family.activation)
    if activation not in list(ACTIVATIONS):
        allowed = ", ".join(ACTIVATIONS)
        raise InputError(f"config field {family.activation} is {activation!r}; allowed: {allowed}")
    values["activation"] = ACTIVATIONS[activation]
    if config.get(family.norm_eps) is not None:
        values["norm_eps"] = config[family.norm_eps]
    _refuse_unmodelled(config, family)
    try:
        return Architecture(name=name or config.get("_name_or_path") or kind, **values)
    except InputError as problem:
        names = family.sizes | family.optional | {"norm_eps": family.norm_eps}
        message = re.sub(r"\w+", lambda word: names.get(word[0], word[0]), str(problem))
        raise InputError(f"config: {message}") from None


def from_file(path: Path) -> Architecture:
    """The architecture of a config.json, which comes from elsewhere and is read to a bound.
    Raises InputError for a file that cannot be read, is too long or no JSON, and as `from_config`.
    """
    try:
        config = json.loads(read(path, CONFIG_BYTES))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{path}: expected JSON: {error}") from None
    return from_config(config)


def _refuse_unmodelled(config: Mapping, family: Family):
    read = {family.activation, family.norm_eps, *family.sizes.values(), *family.optional.values()}
    read |= {theirs for theirs, _ in family.flags.values()}
    for name, value in config.items():
        if name in read or not value and name not in family.only or value is None:
            continue
        if name in family.only:
            modelled = family.only[name]
            if all(each == modelled for each in (value if isinstance(value, list) else [value])):
                continue
            raise InputError(f"config field {name} is not {modelled!r}, the one value modelled")
        if name == "sliding_window" and not _in_effect(config):
            continue
        if not COSTS_NOTHING.fullmatch(str(name)):
            raise InputError(f"config field {name} is set, and the counts do not model it")
    if config["model_type"] == "mistral" and "sliding_window" not in config:
        # Left out, the family's default is a window of 4096.
        raise InputError("config field sliding_window is missing; a mistral config needs it")


def _in_effect(config: Mapping) -> bool:
    """Whether the window is switched on and narrower than the longest sequence."""
    window = _size(config, "sliding_window")
    return config.get("use_sliding_window", True) and window < config["max_position_embeddings"]


def _size(config: Mapping, name: str) -> int:
    value = config[name]
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"config field {name} is {value!r}; it must be an integer >= 1")
    return value
