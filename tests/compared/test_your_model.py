"""What the page of models and chips holds: all of them, and nothing that ends its script."""

import json

import pytest

from analysis.compared.your_model import Tool, chips, choices, some
from analysis.predicted.answer import Setting, answer
from analysis.predicted.chips import chip_named, model_named, open_models
from analysis.predicted.needs import needs_of

H100 = "H100 SXM5 80GB"


def test_every_model_and_every_chip_with_limits_is_there():
    held = choices()
    assert [each["name"] for each in held["models"]] == [a.name for a in open_models().values()]
    names = {each["name"] for each in held["chips"]}
    assert H100 in names and len(names) == len(chips()) > 100
    gpt2 = next(each for each in held["models"] if each["name"] == "GPT-2")
    assert gpt2["parameters"] == 124_439_808  # Hugging Face's, to the digit
    assert (gpt2["grouped"], gpt2["attention"][0]["window"]) == (None, None)  # 12 heads; all tokens
    xl = next(each for each in held["models"] if each["name"] == "OPT-175B")
    assert xl["grouped"]["attention"][0]["cached"] * 12 == xl["attention"][0]["cached"]


def test_no_name_ends_the_script():
    html = Tool({"models": [{"name": "</script><b>"}], "chips": []})._repr_mimebundle_()[
        "text/html"
    ]
    inside = html.split('type="application/json">')[1].split("</script>")[0]
    assert json.loads(inside)["models"][0]["name"] == "</script><b>"


def test_the_table_says_what_is_answered():
    setting = Setting(2048, 2048, weights=4)
    row = some(["Llama 3 8B"], [H100], setting).iloc[0]
    step = answer(needs_of(model_named("Llama 3 8B")), chip_named(H100), setting)["step"]
    assert float(row["Tokens/s, at most"]) == pytest.approx(step["tokens_per_s"], rel=1e-2)
    assert row["Weights and cache (GB)"] == "4.28"  # 8.03e9 / 2 + 32 * 2 * 1024 * 2048 * 2 bytes
    assert (row["Waits for"], row["For compute from batch"]) == ("memory", "none")
