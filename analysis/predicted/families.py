"""Where families of `config.json` keep an Architecture's fields, a row each.

Names and defaults are those of the configuration classes of Hugging Face transformers; what is
`fixed` is what their models compute.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from analysis.predicted.variants import Window

# What a class name ends in -> its task.
CLASSES = {
    "ForCausalLM": "causal-lm",
    "LMHeadModel": "causal-lm",
    "ForConditionalGeneration": "causal-lm",
    "ForMaskedLM": "masked-lm",
    "ForSequenceClassification": "sequence-classification",
    "ForTokenClassification": "token-classification",
    "ForQuestionAnswering": "question-answering",
    "Model": "base",
}
# Task -> fields of an Architecture; `labels` is replaced by how many there are.
_LABELS = {"labels": 1, "head_bias": True}
_MASKED = {"lm_head": True, "head_dense": True, "head_bias": True}
DECODER = {
    "causal-lm": {"lm_head": True},
    "sequence-classification": {"labels": 1},
    "token-classification": _LABELS,
    "question-answering": _LABELS,
    "base": {},
}
UNPOOLED = {
    "base": {},
    "masked-lm": _MASKED,
    "sequence-classification": _LABELS | {"labels_once": True, "pooler": True},
    "token-classification": _LABELS,
    "question-answering": _LABELS,
}
BERT = UNPOOLED | {"base": {"pooler": True}}
DENSE = {  # a projection, an activation and a norm before any head
    "base": {},
    "masked-lm": _MASKED,
    "sequence-classification": _LABELS | {"labels_once": True, "head_dense": True},
    "token-classification": _LABELS | {"head_dense": True},
    "question-answering": _LABELS | {"head_dense": True},
}

SIZES = {
    "n_layers": "num_hidden_layers",
    "d_model": "hidden_size",
    "n_heads": "num_attention_heads",
    "d_ff": "intermediate_size",
    "vocab_size": "vocab_size",
    "n_positions": "max_position_embeddings",
}
KV = {"n_kv_heads": "num_key_value_heads"}
HEAD = {"head_dim": "head_dim"}


@dataclass(frozen=True)
class Windows:
    """Layers attend to `tokens` where a config says no other: all but every `every`-th, or those
    from the config's field `after` on; `on` unless its `use_sliding_window` says otherwise."""

    tokens: int | None = 4096
    every: int | None = None
    after: str | None = None
    on: bool = True


@dataclass(frozen=True)
class Family:
    """A row: how the configs of one `model_type` are read."""

    fixed: dict
    sizes: dict[str, str] = field(default_factory=lambda: SIZES | KV | HEAD)
    defaults: dict = field(default_factory=dict)  # config field -> its size when left out
    flags: dict[str, tuple[str, bool]] = field(default_factory=dict)  # config field and default
    heads: dict = field(default_factory=lambda: DECODER)  # the first is what no class name says
    activation: str = "hidden_act"
    norm_eps: str = "rms_norm_eps"
    only: dict = field(default_factory=dict)  # config field -> the one value that is modelled
    equal: dict[str, str] = field(default_factory=dict)  # config field -> one of the same value
    windows: Windows | None = None
    experts: dict[str, str | int | bool] | None = None  # field of Experts -> config field, or value
    latent: bool = False
    rotated: float = 1  # the share of a head, where a config says no other
    derive: Callable[[Mapping, dict], dict] = lambda config, values: {}  # what takes a rule


_OPTIONAL = {"num_key_value_heads": None, "head_dim": None}
_NO_BIAS = {"qkv_bias": False, "out_bias": False, "ffn_bias": False}
_GATED = {"kind": "decoder", "gated_ffn": True, "norm": "rmsnorm", "positions": "rotary"}
_GATED |= _NO_BIAS
_PLAIN = {"kind": "decoder", "positions": "rotary"}
_UNTIED = {"tied_embeddings": ("tie_word_embeddings", False)}
_TIED = {"tied_embeddings": ("tie_word_embeddings", True)}
_BIAS = dict.fromkeys(("qkv_bias", "out_bias"), ("attention_bias", False))
_EPS = "layer_norm_eps"
_LATER = Windows(after="max_window_layers", on=False)
_MOE = {"active": "num_experts_per_tok", "d_ff": "moe_intermediate_size"}
_LOCAL = {"n": "num_local_experts", "active": "num_experts_per_tok", "d_ff": "intermediate_size"}
_ROUTED = _MOE | {
    "n": "n_routed_experts",
    "shared": "n_shared_experts",
    "dense_layers": "first_k_dense_replace",
}
_BERT = Family(
    {"kind": "encoder"},
    SIZES | {"token_types": "type_vocab_size"},
    flags=_TIED,
    heads={"base": BERT["base"]} | BERT,
    norm_eps=_EPS,
    only={"position_embedding_type": "absolute"},
)
_LLAMA = Family(_GATED, defaults=_OPTIONAL, flags=_UNTIED | _BIAS)
_QWEN3 = replace(
    _LLAMA,
    fixed=_GATED | {"qk_norm": True},
    defaults={"num_key_value_heads": None, "head_dim": 128},
    windows=_LATER,
)
_GEMMA = replace(_LLAMA, defaults={"head_dim": 256}, flags=_TIED | _BIAS)
_GEMMA2 = replace(
    _GEMMA,
    fixed=_GATED | {"layer_norms": 4},
    activation="hidden_activation",
    only={"hidden_act": "gelu_pytorch_tanh"},
    windows=Windows(every=2),
    derive=lambda config, _: {"softcap": config.get("attn_logit_softcapping", 50) is not None},
)
_COHERE = replace(
    _LLAMA,
    fixed=_GATED | {"norm": "layernorm_unbiased", "layer_norms": 1, "qk_norm_whole": True},
    flags=_TIED | _BIAS | {"qk_norm": ("use_qk_norm", False)},
    norm_eps=_EPS,
)
_OLMO2 = replace(_LLAMA, fixed=_GATED | {"qk_norm": True, "qk_norm_whole": True})
_GLM = replace(
    _LLAMA, defaults=_OPTIONAL | {"head_dim": 128}, rotated=0.5,
    flags=_UNTIED | {"qkv_bias": ("attention_bias", False)},
)  # fmt: skip
_DEEPSEEK = Family(
    _GATED, SIZES | {"head_dim": "qk_nope_head_dim"}, flags=_UNTIED, latent=True, experts=_ROUTED,
    only={"attention_bias": False, "moe_layer_freq": 1},
    equal={"v_head_dim": "qk_nope_head_dim", "num_key_value_heads": "num_attention_heads"},
)  # fmt: skip


def _falcon(config, values: dict) -> dict:
    new, parallel = config.get("new_decoder_architecture"), config.get("parallel_attn", True)
    grouped = config.get("num_kv_heads", values["n_heads"])
    n_kv_heads = grouped if new else 1 if config.get("multi_query", True) else values["n_heads"]
    norms = config.get("num_ln_in_parallel_attn", 2) if new else 1 if parallel else 2
    return {"n_kv_heads": n_kv_heads, "layer_norms": norms}


def _unrotated(config, values: dict) -> dict:
    n, named = values["n_layers"], "no_rope_layer_interval"
    layers = config.items_of("no_rope_layers", n, (0, 1))  # 1 where a layer has it
    every = config.size(named) if config.get(named) else 4
    return {"rotary_layers": sum(layers) if layers else n - n // every}


def _local(config, values: dict) -> dict:
    n, named = values["n_layers"], ("global_attn_every_n_layers", "local_attention")
    every, tokens = (config.size(one) if config.get(one) else None for one in named)
    windowed, reach = n - -(-n // (every or 3)), (tokens or 128) // 2  # to either side
    return {"window": Window(2 * reach + 1, windowed) if windowed else None}


def _sliding_rotated(config, values: dict) -> dict:
    return {"rotary_layers": values["window"].layers if values["window"] else None}


FAMILIES = {
    "bert": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
    "camembert": _BERT,
    "distilbert": Family(
        {"kind": "encoder"},
        SIZES | {"n_layers": "n_layers", "d_model": "dim", "n_heads": "n_heads",
                 "d_ff": "hidden_dim"},
        flags=_TIED, heads=UNPOOLED, activation="activation", norm_eps="",
    ),
    "modernbert": Family(
        {"kind": "encoder", "gated_ffn": True, "norm": "layernorm_unbiased", "positions": "rotary"},
        SIZES, {"max_position_embeddings": 8192, "vocab_size": 50368}, heads=DENSE,
        flags=_TIED | _BIAS | {"ffn_bias": ("mlp_bias", False)}, norm_eps="norm_eps",
        activation="hidden_activation",
        only={"norm_bias": False, "classifier_bias": False, "decoder_bias": True,
              "position_embedding_type": "absolute"},
        derive=_local,
    ),
    "gpt2": Family(
        {"kind": "decoder"},
        {"n_layers": "n_layer", "d_model": "n_embd", "n_heads": "n_head", "d_ff": "n_inner",
         "vocab_size": "vocab_size", "n_positions": "n_positions"},
        {"n_inner": None}, _TIED, activation="activation_function", norm_eps="layer_norm_epsilon",
        only={"scale_attn_weights": True},
    ),
    "opt": Family(
        {"kind": "decoder"}, SIZES | {"d_ff": "ffn_dim"}, flags=_TIED, norm_eps="",
        activation="activation_function",
        only={"do_layer_norm_before": True, "enable_bias": True, "_remove_final_layer_norm": False,
              "layer_norm_elementwise_affine": True},
        equal={"word_embed_proj_dim": "hidden_size"},
        derive=lambda _, values: {"n_positions": values["n_positions"] + 2},  # its table's offset
    ),
    "gpt_neox": Family(
        _PLAIN, SIZES, rotated=0.25, norm_eps=_EPS,
        flags=_UNTIED | dict.fromkeys(("qkv_bias", "out_bias"), ("attention_bias", True)),
    ),
    "falcon": Family(
        _PLAIN, SIZES | {"d_ff": "ffn_hidden_size"}, norm_eps="layer_norm_epsilon",
        activation="activation", derive=_falcon, only={"alibi": False},
        defaults={"ffn_hidden_size": None, "max_position_embeddings": 2048},
        flags=_TIED | dict.fromkeys(("qkv_bias", "out_bias", "ffn_bias"), ("bias", False)),
    ),
    "phi": Family(
        _PLAIN | {"layer_norms": 1, "head_bias": True}, SIZES | KV, {"num_key_value_heads": None},
        _UNTIED, norm_eps=_EPS, rotated=0.5, only={"qk_layernorm": False},
    ),
    "starcoder2": Family(
        _PLAIN, SIZES | KV, norm_eps="norm_epsilon", windows=Windows(None),
        flags=_TIED | dict.fromkeys(("qkv_bias", "out_bias", "ffn_bias"), ("use_bias", True)),
        only={"norm_type": "layer_norm", "mlp_type": "default", "activation_function": "gelu",
              "scale_attn_weights": True},
    ),
    "stablelm": Family(
        _GATED | {"norm": "layernorm"}, SIZES | KV, norm_eps=_EPS, rotated=0.25,
        flags=_UNTIED | {"qkv_bias": ("use_qkv_bias", False)},
        only={"qk_layernorm": False, "use_parallel_residual": False},
    ),
    "llama": replace(_LLAMA, flags=_LLAMA.flags | {"ffn_bias": ("mlp_bias", False)}),
    "granite": replace(_LLAMA, flags=_LLAMA.flags | {"ffn_bias": ("mlp_bias", False)}),
    "smollm3": replace(
        _LLAMA, flags=_TIED | _BIAS | {"ffn_bias": ("mlp_bias", False)}, derive=_unrotated,
        windows=replace(_LATER, tokens=None),
    ),
    "mistral": replace(_LLAMA, flags=_UNTIED, windows=Windows()),
    "mixtral": replace(_LLAMA, flags=_UNTIED, windows=Windows(None), experts=_LOCAL),
    "phi3": replace(_LLAMA, flags=_UNTIED, windows=Windows(None)),
    "qwen2": replace(
        _LLAMA, fixed=_GATED | {"qkv_bias": True}, flags=_UNTIED, sizes=SIZES | KV, windows=_LATER
    ),
    "qwen2_moe": replace(
        _LLAMA, fixed=_GATED, flags=_UNTIED | {"qkv_bias": ("qkv_bias", True)}, windows=_LATER,
        sizes=SIZES | KV,
        experts=_MOE | {"n": "num_experts", "shared": "shared_expert_intermediate_size",
                        "shared_gate": True},
    ),
    "qwen3": _QWEN3,
    "qwen3_moe": replace(_QWEN3, experts=_MOE | {"n": "num_experts"}),
    "minimax_m2": replace(
        _QWEN3, fixed=_GATED | {"qk_norm_whole": True}, windows=None, experts=_LOCAL,
        flags=_UNTIED | {"qk_norm": ("use_qk_norm", True)},
        only={"shared_intermediate_size": 0, "qk_norm_type": "per_layer"},
    ),
    "gemma": _GEMMA,
    "gemma2": _GEMMA2,
    "gemma3_text": replace(
        _GEMMA2, fixed=_GATED | {"layer_norms": 4, "qk_norm": True}, windows=Windows(every=6),
        defaults={"head_dim": 256, "vocab_size": 262208, "max_position_embeddings": 131072,
                  "num_attention_heads": 8, "num_key_value_heads": 4,
                  "hidden_activation": "gelu_pytorch_tanh"},
        only={"attn_logit_softcapping": None, "final_logit_softcapping": None},
        derive=lambda config, _: {},
    ),
    "cohere": _COHERE,
    "cohere2": replace(
        _COHERE, flags=_TIED | _BIAS, windows=Windows(every=4),
        only={"position_embedding_type": "rope_gptj",
              "order_of_interleaved_layers": "local_attn_first"},
        equal={"layer_switch": "sliding_window_pattern"},
        derive=_sliding_rotated,
    ),
    "olmo": replace(_LLAMA, fixed=_GATED | {"norm": "layernorm_bare"}, norm_eps=""),
    "olmo2": _OLMO2,
    "olmo3": replace(_OLMO2, windows=Windows(every=4)),
    "olmoe": replace(_OLMO2, experts=_LOCAL | {"n": "num_experts"}),
    "glm": _GLM,
    "glm4": replace(_GLM, fixed=_GATED | {"layer_norms": 4}),
    "glm4_moe": replace(
        _GLM, flags=_GLM.flags | {"qk_norm": ("use_qk_norm", False)}, experts=_ROUTED
    ),
    "deepseek_v2": _DEEPSEEK,
    "deepseek_v3": _DEEPSEEK,
    "kimi_k2": _DEEPSEEK,
    "gpt_oss": replace(
        _LLAMA, fixed=_GATED | {"sinks": True, "ffn_bias": True}, windows=Windows(128, 2),
        defaults=_OPTIONAL | {"head_dim": 64}, experts=_LOCAL | {"router_bias": True},
        equal={"experts_per_token": "num_experts_per_tok"},
        flags=_UNTIED | dict.fromkeys(("qkv_bias", "out_bias"), ("attention_bias", True)),
    ),
}  # fmt: skip
