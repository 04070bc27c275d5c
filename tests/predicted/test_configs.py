"""Configs of others: counted as Hugging Face transformers counts them, or refused by a field."""

import csv
import importlib.util
import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.errors import InputError
from analysis.predicted.configs import CONFIG_BYTES, from_config, from_file, read
from analysis.predicted.operations import UNFUSED
from analysis.predicted.transformer import decoder_step, encoder_pass, matmul_flops, prefill

_spec = importlib.util.spec_from_file_location(
    "hugging_face", Path(__file__).parent / "hugging_face.py"
)
hugging_face = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(hugging_face)
CONFIGS = hugging_face.configs()
COUNTED = {row["config"]: row for row in csv.DictReader(hugging_face.COUNTS.open())}
# As transformers computes: a step makes the keys and values of all latent vectors whole.
WHOLE = replace(UNFUSED, latent_folded=False)
BATCH, CONTEXT = hugging_face.BATCH, hugging_face.CONTEXT

BERT = CONFIGS["bert-base-uncased"]
LLAMA, MISTRAL = CONFIGS["llama-3.1-8b"], CONFIGS["mistral-7b-v0.1"]
QWEN2, QWEN3_MOE = CONFIGS["qwen2.5-7b"], CONFIGS["qwen3-30b-a3b"]


def test_many_families_and_forms_are_counted():
    assert COUNTED.keys() == CONFIGS.keys() and len(CONFIGS) >= 45


@pytest.mark.parametrize("name", CONFIGS)
def test_parameters_and_matmul_flops_are_those_of_transformers(name):
    arch, row = from_config(CONFIGS[name]), COUNTED[name]
    assert arch.n_parameters == int(row["parameters"])
    if arch.kind == "encoder":
        flops = matmul_flops(encoder_pass(arch, hugging_face.ENCODED, WHOLE, BATCH))
        assert flops == int(row["pass_flops"])
        return
    assert matmul_flops(prefill(arch, hugging_face.PROMPT, WHOLE, BATCH)) == int(row["pass_flops"])
    assert matmul_flops(decoder_step(arch, CONTEXT, WHOLE, BATCH)) == int(row["step_flops"])
    # transformers drops the oldest token of a window once a step has used it, and Falcon of the
    # new form caches each key and value once for each head that shares it.
    dropped = arch.window.layers * arch.cache_width if arch.window else 0
    copies = arch.n_heads // arch.n_kv_heads if name == "falcon-40b" else 1
    assert (arch.cached(CONTEXT) - dropped) * copies == int(row["cached"])


# What the publishers say of their models' sizes, to the digits that they print.
@pytest.mark.parametrize(
    "name, published",
    [
        ("mistral-7b-v0.1", 7_241_732_096),
        ("llama-3.1-8b", 8_030_261_248),
        ("gemma-2-2b", 2_614_341_888),
        ("qwen3-0.6b", 596_049_920),
        ("gpt-oss-20b", 20_914_757_184),
        ("roberta-base", 124_697_433),
        ("pythia-6.9b", 6_857_302_016),
    ],
)
def test_sizes_of_published_checkpoints(name, published):
    assert from_config(CONFIGS[name]).n_parameters == published


def test_a_window_as_long_as_the_trained_length_is_in_effect():
    config = {
        "model_type": "mistral", "hidden_size": 64, "intermediate_size": 96, "vocab_size": 101,
        "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 2,
        "max_position_embeddings": 16, "sliding_window": 16, "hidden_act": "silu",
    }  # fmt: skip
    windowed, whole = from_config(config), from_config(config | {"sliding_window": None})
    assert matmul_flops(decoder_step(windowed, 64, UNFUSED)) == 144_000
    assert matmul_flops(decoder_step(whole, 64, UNFUSED)) == 168_576
    assert whole.cached(64) == 8_192
    # Between steps a window keeps a token less, 1,920 elements; the step itself has all 16.
    assert windowed.cached(64) == 2_048 == 1_920 + 2 * windowed.cache_width


def test_caches_of_latents_and_windows_have_their_exact_bytes():
    assert 2 * from_config(CONFIGS["deepseek-v3"]).cached(1) == 70_272
    assert 2 * from_config(CONFIGS["gpt-oss-120b"]).cached(131_072) == 4_836_556_800


@pytest.mark.parametrize(
    "config, task, parameters",
    [  # of BERT-Base 109,482,240 with its pooler, 590,592 of it
        (BERT | {"architectures": None}, None, 109_482_240),
        (BERT, "base", 109_482_240),
        (BERT, "sequence-classification", 109_482_240 + 2 * 769),
        (BERT | {"id2label": {"0": "A", "1": "B", "2": "C"}}, "token-classification",
         109_482_240 - 590_592 + 3 * 769),
        (LLAMA, "base", 8_030_261_248 - 128_256 * 4096),
    ],
)  # fmt: skip
def test_the_head_is_the_one_that_is_named(config, task, parameters):
    assert from_config(config, task=task).n_parameters == parameters


BOOKKEEPING = {
    "_num_labels": 2, "finetuning_task": "sst-2", "is_llama_config": True, "max_length": 20,
    "do_sample": True, "temperature": 0.6, "top_p": 0.9, "num_beams": 4, "torchscript": True,
    "transformers.js_config": {"dtype": "q4"}, "auto_map": {"AutoModel": "a.B"},
    "rope_scaling": {"type": "yarn", "factor": 4.0},
}  # fmt: skip


@pytest.mark.parametrize("config", [BERT, LLAMA, QWEN2, CONFIGS["gpt2"]])
def test_what_costs_nothing_is_accepted(config):
    assert from_config(config | BOOKKEEPING) == from_config(config)


def test_switched_on_windows_are_read():
    found = from_config(QWEN2 | {"use_sliding_window": True, "max_window_layers": 20}).window
    assert (found.tokens, found.layers) == (131_072, 8)
    assert from_config({k: v for k, v in MISTRAL.items() if k != "sliding_window"}).window == (
        from_config(MISTRAL).window
    )  # which is the family's default


@pytest.mark.parametrize(
    "config, told",
    [
        ([], "JSON object"),
        ({}, "model_type is None; allowed: bert, roberta"),
        ({"model_type": "t5"}, "model_type is 't5'"),
        ({"model_type": ["bert"]}, "model_type"),
        (BERT | {"num_hidden_layers": None}, "num_hidden_layers is missing"),
        (BERT | {"hidden_size": 768.0}, "hidden_size is 768.0"),
        (BERT | {"hidden_size": 10**30}, "hidden_size is 1000"),
        (BERT | {"num_attention_heads": 5}, "num_attention_heads=5 does not divide hidden_size"),
        (BERT | {"layer_norm_eps": "small"}, "layer_norm_eps"),
        (BERT | {"is_decoder": True}, "is_decoder"),
        (BERT | {"add_cross_attention": True}, "add_cross_attention"),
        (BERT | {"position_embedding_type": "relative_key"}, "position_embedding_type"),
        (BERT | {"hidden_act": "mish"}, "hidden_act"),
        (BERT | {"tie_word_embeddings": 1}, "tie_word_embeddings"),
        (BERT | {"architectures": ["BertForGuessing"]}, "architectures names 'BertForGuessing'"),
        (CONFIGS["gpt2"] | {"sliding_window": 8}, "sliding_window"),
        (QWEN2 | {"layer_types": ["full_attention", "sliding_attention"]}, "list of 28"),
        (QWEN2 | {"layer_types": ["linear_attention"] * 28}, "each one of full_attention"),
        (QWEN2 | {"num_experts": 8}, "num_experts"),
        (QWEN3_MOE | {"num_experts_per_tok": 0}, "num_experts_per_tok is 0"),
        (QWEN3_MOE | {"num_experts_per_tok": 129}, "experts.active is 129; there are only 128"),
        (QWEN3_MOE | {"decoder_sparse_step": "a"}, "decoder_sparse_step is 'a'"),
        (CONFIGS["phi-2"] | {"partial_rotary_factor": 2}, "partial_rotary_factor is 2"),
        (CONFIGS["deepseek-v3"] | {"v_head_dim": 64}, "v_head_dim is not qk_nope_head_dim"),
        (MISTRAL | {"sliding_window": "wide"}, "sliding_window is 'wide'"),
        (BERT | {"evil\x1b[31m\nfield": 1}, r"evil \[31m field is set"),
        (BERT | {"hidden_act": "\x1b[31m" + "a" * 10**6}, "hidden_act is"),
    ],
)
def test_what_a_config_asks_for_and_is_not_modelled_is_named(config, told):
    with pytest.raises(InputError, match=told) as caught:
        from_config(config)
    said = str(caught.value)
    assert said.isprintable() and len(said) < 800


JUNK = [0, -1, 2.5, True, "\x1b[2J", [], [1], {"a": 1}, 10**30, float("nan")]


@pytest.mark.parametrize("name", CONFIGS)
def test_any_value_of_any_field_is_read_or_refused_in_one_line(name):
    config = CONFIGS[name]
    for field, junk in itertools.product(config, JUNK):
        try:
            from_config(config | {field: junk})
        except InputError as problem:
            assert str(problem).isprintable()


def test_names_from_files_are_printable():
    named = from_config(BERT | {"_name_or_path": "a\x1b[2J\nb" + "c" * 1000}).name
    assert named.isprintable() and named.startswith("a [2J b") and len(named) == 100


@pytest.mark.parametrize(
    "text, told",
    [
        (b"{", "expected JSON"),
        (b"\xff\xfe", "expected JSON"),
        (b"[" * 100_000, "expected JSON"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "expected JSON"),
        (b"[1]", "a JSON object"),
    ],
)
def test_files_that_are_no_config_are_one_line(tmp_path, text, told):
    path = tmp_path / "config.json"
    path.write_bytes(text)
    with pytest.raises(InputError, match=told) as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_a_file_is_read_up_to_its_bound(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(BERT | {"task_specific_params": "a" * 3_100_000}))
    assert from_file(path) == from_config(BERT, path.parent.name)
    with path.open("wb") as file:
        file.truncate(3 * 10**9)  # sparse
    with pytest.raises(InputError, match=f"at most {CONFIG_BYTES} bytes"):
        read(path)
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "none.json")
