"""Models of Hugging Face transformers on the device "meta", where nothing is computed and no weight
is kept: built from a `config.json`, and run to be counted. Code of a config's own is never run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from inspect import signature

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import _get_current_dispatch_mode
from torch.utils._pytree import tree_leaves

from analysis.errors import InputError
from analysis.predicted.configs import task_of
from analysis.text import printable

AUTO = {  # task -> the class of transformers that builds a model with its head
    "causal-lm": "AutoModelForCausalLM",
    "masked-lm": "AutoModelForMaskedLM",
    "sequence-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "question-answering": "AutoModelForQuestionAnswering",
    "base": "AutoModel",
}
SAME = {"kimi_k2": "deepseek_v3"}  # model types that transformers does not know by this name
MOST_LAYERS = 1000


@dataclass(frozen=True)
class Built:
    """A model on "meta", without fused attention, and whether it is a "decoder" or "encoder";
    of `share_layers` its layers and, for each, the number of the first like it."""

    name: str
    kind: str
    model: nn.Module
    layers: list[nn.Module] = field(default_factory=list)
    first: list[int] = field(default_factory=list)

    def share_layers(self) -> None:
        """From now on a layer like one before it costs and returns what that one did: what depends
        on shapes alone is counted once for each kind of layer, exactly."""
        n = self.model.config.num_hidden_layers
        kinds = getattr(self.model.config, "layer_types", None) or [None] * n
        lists = (each for each in self.model.modules() if isinstance(each, nn.ModuleList))
        self.layers.extend(next((each for each in lists if len(each) == n), ()))
        firsts = {}
        for i, layer in enumerate(self.layers):
            at, last = firsts.setdefault((kinds[i], _likeness(layer)), (i, {}))
            self.first.append(at)
            layer.forward = _once(layer.forward, last)

    def encode(self, tokens: int, batch: int = 1, last: bool = False):
        """One pass over `batch` sequences, with a decoder's head at the `last` token only if that
        is asked for and possible; a decoder's output has the cache that it filled."""
        kwargs = {"use_cache": True} if self.kind == "decoder" else {}
        if last and "logits_to_keep" in signature(self.model.forward).parameters:
            kwargs["logits_to_keep"] = 1
        return self.model(_ids(batch, tokens), **kwargs)

    def filled(self, tokens: int, batch: int = 1):
        """The cache of `batch` sequences of `tokens`."""
        body = self.model.base_model
        return body(_ids(batch, tokens), use_cache=True).past_key_values

    def step(self, cache, context: int, batch: int = 1):
        """One new token each, the `context`-th; `cache` has those before it."""
        at = torch.full((batch, 1), context - 1, device="meta")
        return self.model(_ids(batch, 1), past_key_values=cache, use_cache=True, position_ids=at)


def build(config: Mapping, task: str | None = None) -> Built:
    """The model that `architectures` names, or that does `task`; of one that also sees, the part
    that reads text. Raises InputError without transformers, and for what it cannot build."""
    try:
        import transformers
    except ImportError:
        raise InputError(
            "no formula for this config, and transformers, which could build it, is not installed: "
            "pip install 'memory-wall-report[models]'"
        ) from None
    transformers.logging.set_verbosity_error()
    inner = config["text_config"] if isinstance(config.get("text_config"), Mapping) else config
    kind = str(inner.get("model_type"))
    kind = SAME.get(kind, kind)
    left_out = ("model_type", "quantization_config", "auto_map")
    fields = {name: value for name, value in inner.items() if name not in left_out}
    try:
        settings = transformers.AutoConfig.for_model(kind, **fields)
    except Exception as error:
        raise InputError(f"transformers {transformers.__version__}: {one_line(error)}") from None
    if settings.is_encoder_decoder:
        raise InputError("a model of an encoder and a decoder is not counted; count one of them")
    layers = getattr(settings, "num_hidden_layers", 1)
    if not isinstance(layers, int) or not 1 <= layers <= MOST_LAYERS:
        raise InputError(f"config field num_hidden_layers must be from 1 to {MOST_LAYERS}")
    causal = type(settings) in transformers.MODEL_FOR_CAUSAL_LM_MAPPING
    encodes = type(settings) in transformers.MODEL_FOR_MASKED_LM_MAPPING
    decoder = causal and (not encodes or getattr(settings, "is_decoder", False))
    named = config.get("architectures")
    named = task_of(named[0]) if isinstance(named, list) and named else None
    task = task or named or ("causal-lm" if decoder else "base")
    settings._attn_implementation, settings._experts_implementation = "eager", "batched_mm"
    try:
        with torch.device("meta"):
            model = getattr(transformers, AUTO[task]).from_config(settings).eval()
        model.set_attn_implementation("eager")
    except Exception as error:
        raise InputError(f"transformers cannot build this {kind}: {one_line(error)}") from None
    name = printable(str(config.get("_name_or_path") or kind))[:100]
    return Built(name, "decoder" if decoder else "encoder", model)


def _likeness(layer: nn.Module) -> str:
    """The same text for layers that differ in their weights and place alone."""
    plain = bool | int | float | str | None
    parts = []
    for name, module in layer.named_modules():
        shapes = [(key, each.shape) for key, each in module.named_parameters(recurse=False)]
        settings = {key: value for key, value in vars(module).items() if isinstance(value, plain)}
        settings = {key: value for key, value in settings.items() if not key.startswith("layer_id")}
        parts.append((name, type(module), shapes, settings))
    return repr(parts)


def _once(forward, last: dict):
    """A layer's `forward`, run where `last` has no call with the same shapes of a layer like it."""

    def run(*args, **kwargs):
        mode = _get_current_dispatch_mode()  # what counts, if anything does
        shapes = [each.shape for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        mine = last.get("layer") is forward
        if last.get("call") == (shapes, mode) and not mine:
            for name, cost in last["costs"].items():
                mode.classes[name] += cost
            return last["result"]
        before = dict(mode.classes) if mode else {}
        last["result"] = forward(*args, **kwargs)
        after = {name: mode.classes[name] + cost * -1 for name, cost in before.items()}
        last.update(layer=forward, call=(shapes, mode), costs=after)
        return last["result"]

    return run


def _ids(batch: int, tokens: int):
    return torch.zeros(batch, tokens, dtype=torch.long, device="meta")


def one_line(error: Exception) -> str:
    """The first line of what another library says."""
    return printable((str(error).strip().splitlines() or [type(error).__name__])[0])[:200]
