"""Decoder steps of GPT-2 by the format of its weights, with what they are made of beside them:
"weights", a step; "products", its projections alone, one after another; "attention", its attention
alone; and the read ceiling between them."""

from functools import partial

import torch
import torch.nn.functional as F

from analysis.errors import InputError
from analysis.measured.networks import Decoder
from analysis.measured.quantised import FORMATS, with_projections
from analysis.measured.timing import Budget, Key, Task
from analysis.measured.works import DRAWN, READ_BYTES, Works, in_turn
from analysis.predicted.architectures import GPT2
from analysis.predicted.operations import FUSED, Cost
from analysis.predicted.transformer import decoder_step

CONTEXTS = (128, 512)
ERRORS = 16  # tokens whose logits are compared
BRIEF = ("float32", "int8", "int8-planes", "int4")


def weights_task(device: str, budget: Budget, threads: int) -> Task:
    """Every format; one without a kernel on this device is missing, and says why."""
    contexts, formats = budget.of(CONTEXTS, CONTEXTS[:1]), budget.of(tuple(FORMATS), BRIEF)
    keys = {name: [Key("weights", "gpt2", n, how=name) for n in contexts] for name in formats}
    longest = max(contexts)

    def prepare(works: Works) -> None:
        whole = Decoder(GPT2, max_length=longest, device=device)
        tokens = torch.randint(GPT2.vocab_size, (ERRORS, 1, 1), device=device)
        expected = torch.stack([whole.step(each, longest) for each in tokens])
        made = {}
        for name in formats:  # before any step writes elsewhere into the cache
            try:
                network = with_projections(whole, FORMATS[name])
                ours = torch.stack([network.step(each, longest) for each in tokens])
            except (InputError, RuntimeError, AttributeError) as error:  # no kernel for it here
                works.missing |= dict.fromkeys(keys[name], str(error))
                continue
            made[name] = network, float((ours - expected).norm() / expected.norm())
        for name, (network, off) in made.items():
            size = sum(each.nbytes for each in network.linears())
            for key in keys[name]:
                works.step(key, network, GPT2, parameters=GPT2.n_parameters, weight_bytes=size,
                           error=off)  # fmt: skip
            cost = Cost(2 * GPT2.n_parameters, size)
            works.add(Key("products", "gpt2", how=name), partial(multiply_all, network), cost,
                      weight_bytes=size, error=off)  # fmt: skip
        for context in contexts:
            counted = decoder_step(GPT2, context, FUSED)["act_to_act"]
            works.add(Key("attention", "gpt2", context), partial(attend_all, whole, context),
                      counted)  # fmt: skip
        works.read(Key("read", how="weights"))

    costs = [decoder_step(GPT2, longest, FUSED)["total"]] * (len(contexts) + 1) * len(formats)
    memory = 5 * 4 * GPT2.n_parameters + READ_BYTES
    before = len(formats) * DRAWN * GPT2.n_parameters
    first = keys["float32"][0]
    return in_turn(first, prepare, costs, memory, device, budget, threads, before)


@torch.inference_mode()
def multiply_all(network: Decoder) -> None:
    """Every projection of a step, on one row that is none of the step's."""
    narrow, wide = network.words[:1], network.layers[0].up(network.words[:1])
    for layer in network.layers:
        for linear in (layer.qkv, layer.out, layer.up):
            linear(narrow)
        layer.down(wide)
    network.head(narrow)


@torch.inference_mode()
def attend_all(network: Decoder, context: int) -> None:
    """The attention of a step's layers, each to its own keys and values."""
    for cache in network.layer_caches:
        k, v = cache.narrow(3, 0, context).unbind(0)
        F.scaled_dot_product_attention(k[:, :, :1], k, v)
