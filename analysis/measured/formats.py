"""Decoder steps of GPT-2 by the format of its weights, with what they are made of beside them.

serve/weights/gpt2/CONTEXT/FORMAT   a step with weights in FORMAT, one of `FORMATS`
serve/products/gpt2/FORMAT          its projections alone, one after another
serve/attention/gpt2/CONTEXT        its attention alone, without projections
serve/weights/gpt2/read             the read ceiling between them
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F

from analysis.errors import InputError
from analysis.measured.linear import Linear
from analysis.measured.networks import Decoder
from analysis.measured.profile import READ_BYTES
from analysis.measured.quantised import Packed, bfloat16, quantised, with_projections
from analysis.measured.serving_steps import Steps, task
from analysis.measured.timing import Budget, Task
from analysis.predicted.architectures import GPT2
from analysis.predicted.operations import FUSED, Cost
from analysis.predicted.transformer import decoder_step

CONTEXTS = (128, 512)
GROUP = 64  # inputs that share a scale in int4
ERRORS = 16  # tokens whose logits are compared
FORMATS: dict[str, Callable[[Decoder], Decoder]] = {
    "float32": lambda network: network,
    "bfloat16": lambda network: with_projections(network, bfloat16),
    "int8": lambda network: quantised(network, 8),
    "int8-planes": lambda network: quantised(network, 8, how="planes"),
    "int8-dynamic": lambda network: quantised(network, 8, how="dynamic"),
    "int4": lambda network: quantised(network, 4, GROUP),
}


def weights_task(device: str, budget: Budget, threads: int) -> Task:
    cost = decoder_step(GPT2, max(CONTEXTS), FUSED)["total"]

    def prepare(steps: Steps) -> None:
        whole = Decoder(GPT2, max_length=max(CONTEXTS), device=device)
        tokens = torch.randint(GPT2.vocab_size, (ERRORS,), device=device).view(-1, 1, 1)
        expected = torch.stack([whole.step(each, max(CONTEXTS)) for each in tokens])
        made, missing = {}, {}
        for name, change in FORMATS.items():  # before any step writes elsewhere into the cache
            try:
                network = change(whole)
                ours = torch.stack([network.step(each, max(CONTEXTS)) for each in tokens])
            except (InputError, RuntimeError, AttributeError) as error:  # no kernel for it here
                missing[f"no {name}"] = str(error)[:200]
                continue
            made[name] = network, float((ours - expected).norm() / expected.norm())
        for name, (network, off) in made.items():
            size = sum(weight_bytes(each) for each in network.linears())
            details = {"format": name, "weight_bytes": size, "error": off}
            details |= missing if name == "float32" else {}
            for context in CONTEXTS:
                steps.step(f"serve/weights/gpt2/{context}/{name}", network, context, **details)
            work, moved = partial(multiply_all, network), Cost(2 * GPT2.n_parameters, size)
            steps.add(f"serve/products/gpt2/{name}", work, moved, **details)
        for context in CONTEXTS:
            counted = decoder_step(GPT2, context, FUSED)["act_to_act"]
            work = partial(attend_all, whole, context)
            steps.add(f"serve/attention/gpt2/{context}", work, counted, context=context)
        steps.read("serve/weights/gpt2/read")

    memory, works = 5 * 4 * GPT2.n_parameters + READ_BYTES, 3 * len(FORMATS)
    return task(f"serve/weights/gpt2/{CONTEXTS[0]}/float32", [cost] * works, memory,
                3 * GPT2.n_parameters, prepare, device, budget, threads)  # fmt: skip


def weight_bytes(linear: Linear) -> int:
    """Bytes of a projection's weight as it is stored, scales included."""
    return linear.nbytes if isinstance(linear, Packed) else linear.weight.nbytes


def multiply_all(network: Decoder) -> None:
    """Every projection of a step, on one row that is none of the step's."""
    narrow, wide = network.words[:1], network.layers[0].up(network.words[:1])
    for layer in network.layers:
        for linear in (layer.qkv, layer.out, layer.up):
            linear(narrow)
        layer.down(wide)
    network.head(narrow)


def attend_all(network: Decoder, context: int) -> None:
    """The attention of a step's layers, each to its own keys and values."""
    for cache in network.layer_caches:
        k, v = cache.narrow(3, 0, context).unbind(0)
        F.scaled_dot_product_attention(k[:, :, :1], k, v)
