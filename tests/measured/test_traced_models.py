"""Any model that transformers builds is counted: where a formula is known, as it counts."""

import importlib.util
import json
from pathlib import Path

import pytest

from analysis.errors import InputError
from analysis.predicted.configs import from_config, table
from analysis.predicted.needs import needs_of, prompt, step
from analysis.predicted.operations import UNFUSED
from analysis.predicted.transformer import decoder_step, encoder_pass, matmul_flops, prefill

pytest.importorskip("transformers", reason="builds what is traced: pip install .[models]")

from analysis.measured.hugging_face import build  # noqa: E402
from analysis.measured.traced_models import counts, traced_json, traced_needs  # noqa: E402

FOLDER = Path(__file__).parents[1] / "predicted"
_spec = importlib.util.spec_from_file_location("hugging_face", FOLDER / "hugging_face.py")
hugging_face = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(hugging_face)
LAYERS = 6  # enough for each kind of layer


def cut(config: dict) -> dict:
    """The same with few layers."""
    inner = config.get("text_config", config)
    short = {name: LAYERS for name in ("num_hidden_layers", "n_layer", "n_layers") if name in inner}
    for name in ("layer_types", "no_rope_layers"):
        if name in inner:
            short[name] = inner[name][:LAYERS]
    inner = inner | short
    return config | {"text_config": inner} if "text_config" in config else inner


def of_each_family() -> dict[str, dict]:
    """The first config of each family, cut."""
    found = {}
    for config in hugging_face.configs().values():
        kind = config.get("text_config", config)["model_type"]
        found.setdefault(kind, cut(config))
    return found


FAMILY = of_each_family()


@pytest.mark.parametrize("kind", FAMILY)
def test_families_are_what_transformers_builds(kind):
    from dataclasses import replace

    arch, found = from_config(FAMILY[kind]), hugging_face.counted(FAMILY[kind])
    whole, batch = replace(UNFUSED, latent_folded=False), hugging_face.BATCH
    assert arch.n_parameters == found["parameters"]
    if arch.kind == "encoder":
        passed = encoder_pass(arch, hugging_face.ENCODED, whole, batch)
    else:
        passed = prefill(arch, hugging_face.PROMPT, whole, batch)
        stepped = decoder_step(arch, hugging_face.CONTEXT, whole, batch)
        assert matmul_flops(stepped) == found["step_flops"]
    assert matmul_flops(passed) == found["pass_flops"]


def test_families_have_a_config():
    assert table()["families"].keys() == FAMILY.keys()


@pytest.mark.parametrize("kind", ["llama", "gpt_oss", "gemma3_text", "qwen2_moe", "opt"])
def test_traced_coefficients_are_those_of_the_formulas(kind):
    drawn, known = traced_needs(FAMILY[kind]), needs_of(from_config(FAMILY[kind]))
    assert vars(drawn) | {"counted": "formulas"} == vars(known)


def test_a_traced_encoder_has_the_flops_of_its_formulas():
    drawn, known = traced_needs(FAMILY["bert"]), needs_of(from_config(FAMILY["bert"]))
    assert prompt(drawn, 300, 2).flops == prompt(known, 300, 2).flops
    assert drawn.fixed_weights == known.fixed_weights


OTHERS = {
    "gptj": {"n_layer": 2, "n_embd": 64, "n_head": 4, "vocab_size": 100, "rotary_dim": 8},
    "bloom": {"n_layer": 2, "hidden_size": 64, "n_head": 4, "vocab_size": 100},
    "gpt_bigcode": {"n_layer": 2, "n_embd": 64, "n_head": 4, "vocab_size": 100},
    "nemotron": {"num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4,
                 "num_key_value_heads": 2, "intermediate_size": 128, "vocab_size": 100},
    "electra": {"num_hidden_layers": 2, "embedding_size": 16, "hidden_size": 64,
                "num_attention_heads": 4, "intermediate_size": 128, "vocab_size": 100},
}  # fmt: skip


@pytest.mark.parametrize("kind", OTHERS)
def test_others_are_counted_at_any_size_as_at_that_size(kind):
    config = {"model_type": kind, **OTHERS[kind]}
    needs, built = traced_needs(config), build(config)
    assert needs.parameters == built.model.num_parameters()
    if built.kind == "decoder":
        exact = matmul_flops(counts(built, "step", 777, 3)[0].classes)
        assert step(needs, 777, 3).flops == exact
    assert needs.counted == "tracing" and prompt(needs, 100).flops > 0


def test_a_traced_count_has_classes_parameters_and_cache():
    config = {"model_type": "gptj", **OTHERS["gptj"]}
    found = traced_json(config, None, "prefill", 10, 2)
    operators = found["operators"]
    assert operators["mha_projections"]["flops"] == 2 * 20 * 4 * 64 * 64 * 2
    assert operators["ffn_projections"]["flops"] == 2 * 20 * (2 * 64 * 256 * 2 + 64 * 100)
    assert operators["act_to_act"]["flops"] == 2 * 2 * 2 * 10 * 10 * 64 * 2
    assert found["cached"] == 2 * 2 * 64 * 10 and found["convention"] == "traced"


@pytest.mark.parametrize(
    "config, told",
    [
        ({"model_type": "no-such-kind"}, "no-such-kind"),
        ({"model_type": "t5"}, "an encoder and a decoder"),
        ({"model_type": "gptj", "n_layer": 10**6}, "from 1 to 1000"),
        ({"model_type": "gptj", "n_embd": "wide"}, "n_embd"),
        ({"model_type": "gptj", "n_embd": 7, "n_head": 4}, "transformers"),
        (  # its code multiplies by every expert, whatever the router says
            {
                "model_type": "llama4_text",
                "num_hidden_layers": 2,
                "hidden_size": 64,
                "intermediate_size": 128,
                "intermediate_size_mlp": 128,
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "head_dim": 16,
                "vocab_size": 100,
            },
            "by all experts",
        ),
    ],
)
def test_what_cannot_be_built_is_one_line(config, told):
    with pytest.raises(InputError, match=told) as caught:
        traced_needs(config)
    assert str(caught.value).isprintable()


def test_predict_falls_back_to_tracing(tmp_path, capsys):
    from analysis.__main__ import main

    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model_type": "gptj", **OTHERS["gptj"]}))
    chip = ["--bandwidth", "100", "--peak", "10"]
    assert main(["predict", "--config", str(path), *chip]) == 0
    assert "counted by tracing" in capsys.readouterr().out
    assert main(["count", "--config", str(path), "-l", "10"]) == 0
    assert "convention traced" in capsys.readouterr().out
