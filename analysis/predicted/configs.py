"""Hugging Face `config.json` -> Architecture, for the families that the counts model.

A field is read, or is known to cost nothing, or must be unset: what a config asks for and the
counts do not model is an InputError that names the field, never a silent difference.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields as fields_of
from functools import cache
from pathlib import Path

from analysis import files
from analysis.errors import InputError
from analysis.predicted.architectures import CHOICES, Architecture
from analysis.predicted.variants import MOST, Experts, Latent, Window
from analysis.published.plain import DATA
from analysis.text import printable

CONFIG_BYTES = 10_000_000


@cache
def table() -> dict:
    """data/models/families.toml, which says what its rows mean, each with the keys it is like."""
    found = tomllib.loads((DATA / "models/families.toml").read_text("utf-8"))
    families = found["families"]
    for name, row in families.items():  # in the order of the file, which begins with the general
        families[name] = families.get(row.get("like"), {}) | row
    found["families"] = {name: row for name, row in families.items() if name[0] != "_"}
    return found


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
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MOST:
            raise InputError(
                f"config field {name} is {_shown(value)}; it must be an integer >= {least}"
            )
        return value

    def size_or(self, default: int | None, name: str, least: int = 1) -> int | None:
        """The size, or the default where it is null or missing."""
        return default if self.get(name) is None else self.size(name, least)

    def flag(self, name: str, default: bool = False) -> bool:
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

    Raises InputError naming a field that is missing or no positive integer; as NotModelled, what is
    not modelled: an unknown `model_type` (the message lists all), cross-attention.
    """
    if not isinstance(config, Mapping):
        raise InputError("a config must be a JSON object of fields and values")
    name = name or config.get("_name_or_path")
    kind, classes = config.get("model_type"), config.get("architectures")
    if isinstance(config.get("text_config"), Mapping):
        config = config["text_config"]
        kind = config.get("model_type", kind)
    families = table()["families"]
    if not isinstance(kind, str) or kind not in families:
        raise NotModelled(
            f"config field model_type is {_shown(kind)}; allowed: {', '.join(families)}"
        )
    family, fields = families[kind], _Fields(config)
    values = _values(fields, family, Architecture)
    values["d_ff"] = values["d_ff"] or 4 * values["d_model"]  # a null n_inner
    if "latent" in family:
        values["latent"] = Latent(**_values(fields, family["latent"], Latent))
    if "experts" in family:
        values["experts"] = _experts(fields, family["experts"], values["n_layers"])
    values["window"] = _window(fields, family.get("windows"), values["n_layers"])
    rule = RULES.get(family.get("rule"), lambda *_: {})
    values |= rule(fields, values) | _head(fields, table()["heads"][family["heads"]], classes, task)
    values["rotary_dim"] = _rotated(fields, family.get("rotated", 1), values)
    _refuse_unmodelled(fields, family)
    try:
        return Architecture(name=printable(str(name or kind))[:100], **values)
    except InputError as problem:
        names = {ours: _source(theirs) for ours, theirs in family.items() if _source(theirs)}
        message = re.sub(r"\w+", lambda word: names.get(word[0], word[0]), str(problem))
        raise InputError(f"config: {message}") from None


def read(path: Path) -> Mapping:
    """The mapping of a config.json, which comes from elsewhere and is read to a bound.
    Raises InputError for a file that cannot be read, is too long or no JSON object."""
    content = files.read(path, CONFIG_BYTES)
    try:
        config = json.loads(content)
    except (ValueError, RecursionError) as error:
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


def _source(value: object) -> str | None:
    """The config field that a row names, if it names one."""
    value = value[0] if isinstance(value, list) else value
    return value if isinstance(value, str) else None


def _values(fields: _Fields, row: Mapping, of: type) -> dict:
    """The fields of a dataclass that a row fixes, or finds in a config."""
    found = {}
    for field in fields_of(of):
        value = row.get(field.name)
        name = _source(value)
        if isinstance(value, dict) or value is None:
            continue
        if name is None or value in CHOICES.get(field.name, ()):
            found[field.name] = value
        elif isinstance(value, list) and fields.get(name) is None:
            found[field.name] = value[1] if value[1:] else None
        elif field.name == "activation":
            found[field.name] = _activation(fields.get(name), name)
        elif field.type is bool:
            found[field.name] = fields.flag(name)
        elif field.type is float:
            found[field.name] = fields.get(name)
        else:
            found[field.name] = fields.size(name, 0 if field.default == 0 else 1)
    return found


def _activation(value: object, name: str) -> str:
    known = table()["activations"]
    if not isinstance(value, str) or value not in known:
        raise NotModelled(f"config field {name} is {_shown(value)}; allowed: {', '.join(known)}")
    return known[value]


def _experts(fields: _Fields, row: Mapping, n_layers: int) -> Experts:
    found = _values(fields, row, Experts)
    if "shared_gate" in found:  # then it is a width
        if found["shared"] % found["d_ff"]:
            raise NotModelled(f"config field {row['shared'][0]} is no multiple of {row['d_ff']}")
        found["shared"] //= found["d_ff"]
    every, dense = fields.size_or(None, "decoder_sparse_step"), fields.get("mlp_only_layers", [])
    if every is not None:
        if not isinstance(dense, list):
            raise InputError("config field mlp_only_layers must be a list of layers")
        sparse = [i for i in range(n_layers) if i not in dense and (i + 1) % every == 0]
        found["dense_layers"] = n_layers - len(sparse)
    return Experts(**found)


def _window(fields: _Fields, windows: Mapping | None, n_layers: int) -> Window | None:
    allowed = ["full_attention"] + ["sliding_attention"] * (windows is not None)
    kinds = fields.items_of("layer_types", n_layers, allowed)
    if windows is None:
        return None
    tokens = fields.size_or(None if "sliding_window" in fields else windows.get("tokens"),
                            "sliding_window")  # fmt: skip
    if not fields.flag("use_sliding_window", windows.get("on", True)) or tokens is None:
        return None
    every = windows.get("every")
    for name in ("_sliding_window_pattern", "sliding_window_pattern"):
        every = fields.size_or(every, name)
    layers = n_layers - n_layers // every if every else n_layers
    if kinds:
        layers = kinds.count("sliding_attention")
    elif after := windows.get("after"):
        layers = max(0, n_layers - fields.size_or(28, after, 0))
    return Window(tokens, layers) if layers else None


def _rotated(fields: _Fields, default: float, values: Mapping) -> int | None:
    if (rotated := fields.size_or(None, "rotary_dim")) is not None:
        return rotated
    rope = fields.get("rope_parameters", {})
    share = rope.get("partial_rotary_factor", default) if isinstance(rope, Mapping) else default
    for name in ("rotary_pct", "partial_rotary_factor"):
        share = fields.get(name, share)
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
        raise InputError(f"config field partial_rotary_factor is {_shown(share)}, not from 0 to 1")
    head_dim = values.get("head_dim") or values["d_model"] // values["n_heads"]
    return None if share == 1 else max(1, int(head_dim * share))


def _head(fields: _Fields, heads: Mapping, classes: object, task: str | None) -> dict:
    """The fields of the head that is asked for."""
    if task is None:
        named = classes[0] if isinstance(classes, list) and classes else None
        task = task_of(named) if named else next(iter(heads))
        if task is None:
            raise NotModelled(
                f"config field architectures names {_shown(named)}; say what it does by a task: "
                f"{', '.join(heads)}"
            )
    if task not in heads:
        raise InputError(f"no task {_shown(task)} of this model; tasks: {', '.join(heads)}")
    head = dict(heads[task])
    if "labels" in head:
        names = fields.get("id2label")
        several = isinstance(names, Mapping) and len(names)
        head["labels"] = several or fields.get("num_labels") or fields.get("_num_labels") or 2
    return head


def task_of(name: object) -> str | None:
    """The task of a class of transformers, by what its name ends in."""
    return next((task for end, task in table()["classes"].items() if str(name).endswith(end)), None)


def _refuse_unmodelled(fields: _Fields, family: Mapping):
    only, equal = family.get("only", {}), family.get("equal", {})
    costs_nothing = re.compile("|".join(table()["costs_nothing"]))
    for name, other in equal.items():
        if fields.get(name) not in (None, fields.get(other)):
            raise NotModelled(f"config field {name} is not {other}, which the counts take it to be")
    for name, value in fields.items():
        known = name in fields.asked | equal.keys() or costs_nothing.fullmatch(str(name))
        if name in only and value is not None and value != only[name]:
            raise NotModelled(f"config field {name} is not {only[name]!r}, the one value modelled")
        if value and name not in only and not known:
            raise NotModelled(
                f"config field {printable(str(name))[:100]} is set, and the counts do not model it"
            )


def _falcon(fields: _Fields, values: Mapping) -> dict:
    new, parallel = fields.get("new_decoder_architecture"), fields.get("parallel_attn", True)
    grouped = fields.get("num_kv_heads", values["n_heads"])
    n_kv_heads = grouped if new else 1 if fields.get("multi_query", True) else values["n_heads"]
    norms = fields.get("num_ln_in_parallel_attn", 2) if new else 1 if parallel else 2
    return {"n_kv_heads": n_kv_heads, "layer_norms": norms}


def _unrotated(fields: _Fields, values: Mapping) -> dict:
    n, every = values["n_layers"], fields.size_or(4, "no_rope_layer_interval")
    layers = fields.items_of("no_rope_layers", n, (0, 1))  # 1 where a layer has it
    return {"rotary_layers": sum(layers) if layers else n - n // every}


def _local(fields: _Fields, values: Mapping) -> dict:
    n, every = values["n_layers"], fields.size_or(3, "global_attn_every_n_layers")
    windowed, reach = n - -(-n // every), fields.size_or(128, "local_attention") // 2  # either side
    return {"window": Window(2 * reach + 1, windowed) if windowed else None}


RULES = {  # a family's `rule`: fields, and what is known -> what it changes
    "falcon": _falcon,
    "local": _local,
    "offset": lambda _, values: {"n_positions": values["n_positions"] + 2},  # of OPT's table
    "unrotated": _unrotated,
    "windowed": lambda _, values: {"rotary_layers": values["window"] and values["window"].layers},
}
