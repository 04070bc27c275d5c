import dataclasses

import pytest
import torch
import transformers

from analysis.errors import InputError
from analysis.predicted.architectures import (
    ARCHITECTURES,
    BERT_BASE,
    BERT_LARGE,
    GPT2,
    GPT2_XL,
    Architecture,
    override,
)
from analysis.predicted.configs import from_config
from analysis.predicted.variants import Experts, Latent, Window

LATER = {
    "gated_ffn": True, "activation": "silu", "norm": "rmsnorm", "positions": "rotary",
    "qkv_bias": False, "out_bias": False, "ffn_bias": False, "lm_head": True,
    "tied_embeddings": False,
}  # fmt: skip


def of_family(name, **changes):
    """Its class and a configuration; a class takes seconds to import, so not before it is asked."""
    config = getattr(transformers, f"{name}Config")(**changes)
    return getattr(transformers, f"{name}ForCausalLM"), config


def n_parameters(model_class, config):
    with torch.device("meta"):
        model = model_class(config)
    return sum(parameter.numel() for parameter in model.parameters())  # shared ones come once


@pytest.mark.parametrize(
    "name, published",
    [
        ("bert-base", 109_482_240),
        ("bert-large", 335_141_888),
        ("gpt2", 124_439_808),
        ("gpt2-medium", 354_823_168),
        ("gpt2-large", 774_030_080),
        ("gpt2-xl", 1_557_611_200),
    ],
)
def test_named_models_have_their_published_parameter_counts(name, published):
    assert ARCHITECTURES[name].n_parameters == published


@pytest.mark.parametrize("arch", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_parameter_counts_are_those_of_hugging_face(arch):
    if arch.kind == "encoder":
        config = transformers.BertConfig(
            num_hidden_layers=arch.n_layers,
            hidden_size=arch.d_model,
            num_attention_heads=arch.n_heads,
            intermediate_size=arch.d_ff,
        )
        model_class = transformers.BertModel
    else:
        config = transformers.GPT2Config(
            n_layer=arch.n_layers, n_embd=arch.d_model, n_head=arch.n_heads
        )
        model_class = transformers.GPT2LMHeadModel
    assert arch.n_parameters == n_parameters(model_class, config)
    assert from_config(config.to_dict(), name=arch.name) == arch


@pytest.mark.parametrize(
    "family, changes",
    [
        ("Llama", {"num_key_value_heads": 8, "attention_bias": True, "mlp_bias": True}),
        ("Qwen2", {}),
        (
            "Qwen3",
            {"hidden_size": 2560, "num_key_value_heads": 8, "attention_bias": True,
             "tie_word_embeddings": True},
        ),
        ("Mistral", {"sliding_window": None}),
    ],
)  # fmt: skip
def test_later_families_are_read_with_their_parameter_counts(family, changes):
    model_class, config = of_family(family, num_hidden_layers=2, **changes)
    mapping = config.to_diff_dict()
    assert from_config(mapping).n_parameters == n_parameters(model_class, config)
    assert from_config(config.to_dict() | mapping).kind == "decoder"


def test_grouped_heads_and_a_free_head_width():
    arch = override(GPT2, ["n_kv_heads=4", "head_dim=128"])
    assert (arch.d_attention, arch.d_kv) == (1536, 512)


def test_override_keeps_what_followed_from_the_changed_field():
    arch = override(BERT_BASE, ["n_heads=4"])
    assert (arch.n_heads, arch.n_kv_heads, arch.head_dim) == (4, 4, 192)
    assert override(arch, ["d_model=1024"]).head_dim == 256
    assert override(GPT2, ["n_layers=1", "lm_head=false", "norm_eps=1e-6"]) == dataclasses.replace(
        GPT2, n_layers=1, lm_head=False, norm_eps=1e-6
    )


@pytest.mark.parametrize(
    "setting, told",
    [
        ("n_heads=5", "n_heads=5 does not divide d_model=768"),
        ("n_kv_heads=5", "n_kv_heads=5 does not divide n_heads=12"),
        ("n_layers=0", "n_layers is 0"),
        ("d_ff=-4", "d_ff is -4"),
        ("d_ff=many", "must be an integer >= 1"),
        ("d_ff", "FIELD=VALUE"),
        ("heads=4", "fields: name, kind, n_layers"),
        ("kind=both", "allowed: encoder, decoder"),
        ("pooler=1", "allowed: true, false"),
        ("norm_eps=2", "from 0 to 1"),
    ],
)
def test_bad_settings_are_one_line(setting, told):
    with pytest.raises(InputError, match=told) as caught:
        override(BERT_BASE, [setting])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "12", None])
def test_sizes_are_positive_integers(value):
    with pytest.raises(InputError, match="n_layers"):
        dataclasses.replace(BERT_LARGE, n_layers=value)


def test_a_decoder_of_any_numbers_can_be_made():
    arch = Architecture("small", "decoder", 1, 6, 3, 7, 11, 5, n_kv_heads=1, gated_ffn=True)
    assert arch.n_parameters == (11 + 5) * 6 + 12 + (
        6 * 6 + 2 * 6 * 2 + 6 * 6 + 6 + 4 + 6 + 3 * 6 * 7 + 14 + 6 + 24
    )
    assert GPT2_XL.head_dim == 64


# Parameters in all and for one token, as the models' reports and configurations give them.
@pytest.mark.parametrize(
    "arch, total, active",
    [
        (  # arXiv:2412.19437, table 2 and config.json; the multi-token head is left out
            Architecture(
                "DeepSeek-V3", "decoder", 61, 7168, 128, 18432, 129280, 163840, head_dim=128,
                latent=Latent(512, 1536, 64), experts=Experts(256, 8, 2048, 1, 3), **LATER,
            ),
            671.03e9, 37.55e9,
        ),
        (  # arXiv:2401.04088
            Architecture(
                "Mixtral", "decoder", 32, 4096, 32, 14336, 32000, 32768, n_kv_heads=8,
                experts=Experts(8, 2, 14336), **LATER,
            ),
            46.70e9, 12.88e9,
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)  # fmt: skip
def test_experts_and_latent_attention_give_the_published_parameter_counts(arch, total, active):
    assert arch.n_parameters == pytest.approx(total, rel=2e-4)
    assert arch.n_active_parameters == pytest.approx(active, rel=2e-4)


@pytest.mark.parametrize(
    "family, changes, parts",
    [
        (
            "DeepseekV3",
            {"num_hidden_layers": 4, "first_k_dense_replace": 1},
            {"latent": Latent(512, 1536, 64), "experts": Experts(256, 8, 2048, 1, 1)},
        ),
        (
            "Mixtral",
            {"num_hidden_layers": 2},
            {"n_kv_heads": 8, "experts": Experts(8, 2, 14336)},
        ),
    ],
)
def test_experts_and_latent_attention_have_the_parameters_of_hugging_face(family, changes, parts):
    model_class, config = of_family(family, **changes)
    arch = Architecture(
        "small", "decoder", config.num_hidden_layers, config.hidden_size,
        config.num_attention_heads, config.intermediate_size, config.vocab_size,
        config.max_position_embeddings, head_dim=128, **LATER, **parts,
    )  # fmt: skip
    assert arch.n_parameters == n_parameters(model_class, config)


def test_the_cache_of_latent_and_windowed_layers():
    latent = Architecture("a", "decoder", 61, 7168, 128, 1, 1, 1, latent=Latent(512, 1536, 64))
    assert latent.cached(1) * 2 == 70_272  # bytes a token at 16 bits, arXiv:2412.19437
    windowed = override(GPT2, []).replace(window=Window(100, 5))
    assert GPT2.cached(1000) == 12 * 2 * 768 * 1000
    assert windowed.cached(1000) == 2 * 768 * (7 * 1000 + 5 * 100)
    assert windowed.cached(64) == GPT2.cached(64)


@pytest.mark.parametrize(
    "change, told",
    [
        (lambda: Experts(8, 0, 64), "experts.active is 0"),
        (lambda: Latent(512, 1.5, 64), "latent.query_rank is 1.5"),
        (lambda: GPT2.replace(window=Window(128, 13)), "window.layers is 13; there are only 12"),
        (lambda: GPT2.replace(experts=Experts(4, 5, 64)), "experts.active is 5"),
        (lambda: override(GPT2, ["experts=4"]), "no field 'experts'"),
    ],
)
def test_parts_that_cannot_be_are_one_line(change, told):
    with pytest.raises(InputError, match=told):
        change()
