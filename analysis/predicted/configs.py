"""Hugging Face `config.json` -> Architecture, for the families that the counts model.

A field is read, or is known to cost nothing, or must be unset: what a config asks for and the
counts do not model is an InputError that names the field, never a silent difference.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from analysis import files
from analysis.errors import InputError
from analysis.predicted.architectures import Architecture
from analysis.predicted.families import CLASSES, FAMILIES, Family
from analysis.predicted.variants import Experts, Latent, Window
from analysis.text import printable

CONFIG_BYTES = 10_000_000
ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "silu": "silu",
    "swish": "silu",
    "relu": "relu",
}

COSTS_NOTHING = re.compile(
    # names, versions and forms of files
    r"architectures|model_type|_name_or_path|name|language|transformers.*|auto_map|.*dtype"
    r"|torchscript|is_llama_config|quantization_config|return_dict|output_.*|use_cache"
    # training
    r"|.*drop.*|init.*|gradient_checkpointing|.*aux_loss.*|router_jitter_noise|seq_aux|.*_loss_.*"
    # texts, tasks and sampling
    r"|.*_token_id|.*_token_index|id2label|label2id|prefix|summary_.*|problem_type|task_specific_params|_?num_labels"
    r"|finetuning_task|(max|min)_length|do_sample|temperature|top_[kp]|typical_p|num_beams.*"
    r"|num_return_sequences|.*_penalty|diversity_.*|early_stopping|no_repeat_.*|.*_words_ids"
    # where operators run and how they are ordered
    r"|_?attn_implementation.*|deterministic_.*|reference_compile|.*_in_fp32|pretraining_tp|ep_size"
    r"|cache_implementation|use_parallel_.*|use_embedding_sharing|use_gated_activation|repad_logits_.*|tie_weights_"
    r"|chunk_size_feed_forward|pooler_.*|directionality|n_ctx|max_window_layers|attn_type_list"
    # numbers that scale or shift others; angles; trained lengths
    r"|.*_multiplier|.*logits?_scal.*|query_pre_attn_scalar|.*_logit_softcapping|swiglu_limit"
    r"|rope_.*|rotary_.*|.*_rope_theta|original_max_position_embeddings|.*model_max_length"
    r"|initial_context_length|layer_norm_.*|norm_eps|classifier_(pooling|activation)"
    # how experts are chosen; heads for further tokens, which an ordinary step leaves out
    r"|n_group|topk_.*|scoring_func|norm_topk_prob|routed_scaling_factor|use_routing_bias"
    r"|num_nextn_predict_layers|.*mtp.*"
)


class NotModelled(InputError):
    """A config that asks for what no formula here counts; others may count it."""


class _Fields(dict):
    """A config that knows which of its fields were asked for."""

    def __init__(self, config: Mapping):
        super().__init__(config)
        self.asked = set()

    def get(self, name, default=None):
        """The value, or the default where it is null or missing."""
        self.asked.add(name)
        value = super().get(name)
        return default if value is None else value

    def size(self, name: str, least: int = 1) -> int:
        value = self.get(name)
        if value is None:
            raise InputError(f"config field {name} is missing, and the counts need it")
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= 10**12:
            raise InputError(
                f"config field {name} is {_shown(value)}; it must be an integer >= {least}"
            )
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self.get(name, default)
        if not isinstance(value, bool):
            raise InputError(f"config field {name} is {_shown(value)}; allowed: true, false")
        return value

    def items_of(self, name: str, n: int, allowed: tuple) -> list | None:
        """A list with one of `allowed` for each layer, if there is one."""
        value = self.get(name)
        if value is not None and (
            not isinstance(value, list) or len(value) != n or not all(v in allowed for v in value)
        ):
            kinds = ", ".join(map(str, allowed))
            raise InputError(f"config field {name} must be a list of {n}, each one of {kinds}")
        return value


def from_config(config: Mapping, name: str | None = None, task: str | None = None) -> Architecture:
    """The architecture that a `config.json`, already a mapping, describes, with the head that its
    `architectures` names, or that `task` does: causal-lm, masked-lm, sequence-classification,
    token-classification, question-answering, base. Without either a decoder has its LM head and a
    BERT its pooler. Of a model that also sees, the part that reads text.

    Raises InputError naming the field: an unknown `model_type` (the message lists the families),
    a missing field, a size that is not a positive integer; and, as NotModelled, anything that is
    not modelled, such as cross-attention or positions that are relative.
    """
    if not isinstance(config, Mapping):
        raise InputError("a config must be a JSON object of fields and values")
    name = name or config.get("_name_or_path")
    kind, classes = config.get("model_type"), config.get("architectures")
    if isinstance(config.get("text_config"), Mapping):
        config = config["text_config"]
        kind = config.get("model_type", kind)
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise NotModelled(
            f"config field model_type is {_shown(kind)}; allowed: {', '.join(FAMILIES)}"
        )
    family, fields = FAMILIES[kind], _Fields(config)
    values = dict(family.fixed)
    for ours, theirs in family.sizes.items():
        if theirs in family.defaults and fields.get(theirs) is None:
            if family.defaults[theirs] is not None:
                values[ours] = family.defaults[theirs]
            continue
        values[ours] = fields.size(theirs)
    values.setdefault("d_ff", 4 * values["d_model"])  # GPT-2's null n_inner
    values |= {ours: fields.flag(*flag) for ours, flag in family.flags.items()}
    values["activation"] = _activation(fields, family)
    if fields.get(family.norm_eps) is not None:
        values["norm_eps"] = fields.get(family.norm_eps)
    if family.latent:
        rank = fields.size("q_lora_rank") if fields.get("q_lora_rank") else None
        values["latent"] = Latent(
            fields.size("kv_lora_rank"), rank, fields.size("qk_rope_head_dim")
        )
    if family.experts:
        values["experts"] = _experts(fields, family.experts, values["n_layers"])
    values["window"] = _window(fields, family, values["n_layers"])
    values |= family.derive(fields, values) | _head(fields, family, classes, task)
    values["rotary_dim"] = _rotated(fields, family, values)
    _refuse_unmodelled(fields, family)
    try:
        return Architecture(name=printable(str(name or kind))[:100], **values)
    except InputError as problem:
        names = family.sizes | {"norm_eps": family.norm_eps}
        message = re.sub(r"\w+", lambda word: names.get(word[0], word[0]), str(problem))
        raise InputError(f"config: {message}") from None


def read(path: Path) -> Mapping:
    """The mapping of a config.json, which comes from elsewhere and is read to a bound.
    Raises InputError for a file that cannot be read, is too long or no JSON object."""
    try:
        config = json.loads(files.read(path, CONFIG_BYTES))
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: expected JSON: {printable(str(error))[:100]}") from None
    if not isinstance(config, Mapping):
        raise InputError(f"{path}: a config must be a JSON object of fields and values")
    return config


def from_file(path: Path, task: str | None = None) -> Architecture:
    """The architecture of a config.json, named as it or its folder is where it has no name itself.
    Raises InputError as `read` and `from_config`."""
    config, named = read(path), path.stem if path.stem != "config" else path.resolve().parent.name
    return from_config(config, config.get("_name_or_path") or named, task)


def _shown(value: object) -> str:
    return printable(repr(value))[:60]


def _activation(fields: _Fields, family: Family) -> str:
    value = fields.get(family.activation, family.defaults.get(family.activation, "gelu"))
    if not isinstance(value, str) or value not in ACTIVATIONS:
        allowed = ", ".join(ACTIVATIONS)
        raise NotModelled(
            f"config field {family.activation} is {_shown(value)}; allowed: {allowed}"
        )
    return ACTIVATIONS[value]


def _experts(fields: _Fields, names: Mapping, n_layers: int) -> Experts:
    least = {"shared": 0, "dense_layers": 0}
    found = {
        ours: fields.size(theirs, least.get(ours, 1)) if isinstance(theirs, str) else theirs
        for ours, theirs in names.items()
        if ours not in least or fields.get(theirs) is not None
    }
    if found.get("shared_gate"):  # then it is a width
        if found["shared"] % found["d_ff"]:
            raise NotModelled(f"config field {names['shared']} is no multiple of {names['d_ff']}")
        found["shared"] //= found["d_ff"]
    every, dense = fields.get("decoder_sparse_step"), fields.get("mlp_only_layers", [])
    if every is not None:
        every = fields.size("decoder_sparse_step")
        if not isinstance(dense, list):
            raise InputError("config field mlp_only_layers must be a list of layers")
        sparse = [i for i in range(n_layers) if i not in dense and (i + 1) % every == 0]
        found["dense_layers"] = n_layers - len(sparse)
    return Experts(**found)


def _window(fields: _Fields, family: Family, n_layers: int) -> Window | None:
    windows, allowed = family.windows, ("full_attention", "sliding_attention")
    kinds = fields.items_of("layer_types", n_layers, allowed if windows else allowed[:1])
    if windows is None:
        return None
    off = "sliding_window" in fields and fields.get("sliding_window") is None
    if off or not fields.flag("use_sliding_window", windows.on):
        return None
    if fields.get("sliding_window", windows.tokens) is None:
        return None
    tokens = fields.size("sliding_window") if "sliding_window" in fields else windows.tokens
    named = [n for n in ("sliding_window_pattern", "_sliding_window_pattern") if fields.get(n)]
    every = fields.size(named[0]) if named else windows.every
    layers = n_layers - n_layers // every if every else n_layers
    if kinds:
        layers = kinds.count("sliding_attention")
    elif windows.after:
        first = fields.size(windows.after, 0) if windows.after in fields else 28
        layers = max(0, n_layers - first)
    return Window(tokens, layers) if layers else None


def _rotated(fields: _Fields, family: Family, values: Mapping) -> int | None:
    if fields.get("rotary_dim"):
        return fields.size("rotary_dim")
    rope = fields.get("rope_parameters", {})
    named = (fields.get(name) for name in ("partial_rotary_factor", "rotary_pct"))
    inner = rope.get("partial_rotary_factor") if isinstance(rope, Mapping) else None
    share = next((each for each in (*named, inner) if each is not None), family.rotated)
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
        raise InputError(f"config field partial_rotary_factor is {_shown(share)}, not from 0 to 1")
    head_dim = values.get("head_dim") or values["d_model"] // values["n_heads"]
    return None if share == 1 else max(1, int(head_dim * share))


def _head(fields: _Fields, family: Family, classes: object, task: str | None) -> dict:
    """The fields of the head that is asked for."""
    if task is None:
        named = classes[0] if isinstance(classes, list) and classes else None
        ends = [end for end in CLASSES if isinstance(named, str) and named.endswith(end)]
        if named and not ends:
            raise NotModelled(
                f"config field architectures names {_shown(named)}; say what it does by a task: "
                f"{', '.join(family.heads)}"
            )
        task = CLASSES[ends[0]] if ends else next(iter(family.heads))
    if task not in family.heads:
        raise InputError(f"no task {_shown(task)} of this model; tasks: {', '.join(family.heads)}")
    head = dict(family.heads[task])
    if "labels" in head:
        names = fields.get("id2label")
        several = isinstance(names, Mapping) and len(names)
        head["labels"] = several or fields.get("num_labels") or fields.get("_num_labels") or 2
    return head


def _refuse_unmodelled(fields: _Fields, family: Family):
    for name, other in family.equal.items():
        if fields.get(name) not in (None, fields.get(other)):
            raise NotModelled(f"config field {name} is not {other}, which the counts take it to be")
    for name, value in fields.items():
        if name in family.only:
            if value is not None and value != family.only[name]:
                raise NotModelled(
                    f"config field {name} is not {family.only[name]!r}, the one value modelled"
                )
        elif (
            value
            and name not in fields.asked | family.equal.keys()
            and not COSTS_NOTHING.fullmatch(str(name))
        ):
            raise NotModelled(
                f"config field {printable(str(name))[:100]} is set, and the counts do not model it"
            )
