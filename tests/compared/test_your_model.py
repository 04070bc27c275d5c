"""What the page of models and chips holds: all of them, and nothing that ends its script."""

import json
from pathlib import Path

from drawing import outputs

from analysis.predicted.answer import choices
from analysis.predicted.chips import known_chips, open_models

H100 = "H100 SXM5 80GB"
PAGE = Path(__file__).resolve().parents[2] / "book/your_model.md"


def test_every_model_and_every_chip_with_limits_is_there():
    held = choices()
    assert [each["name"] for each in held["models"]] == [a.name for a in open_models().values()]
    names = {each["name"] for each in held["chips"]}
    assert H100 in names and len(names) == len(known_chips()) > 100
    gpt2 = next(each for each in held["models"] if each["name"] == "GPT-2")
    assert gpt2["parameters"] == 124_439_808  # Hugging Face's, to the digit
    assert (gpt2["grouped"], gpt2["attention"][0]["window"]) == (None, None)  # 12 heads; all tokens
    xl = next(each for each in held["models"] if each["name"] == "OPT-175B")
    assert xl["grouped"]["attention"][0]["cached"] * 12 == xl["attention"][0]["cached"]


def test_no_name_ends_the_script(monkeypatch):
    planted = choices()
    planted["models"][0]["name"] = "</script><b>"
    monkeypatch.setattr("analysis.predicted.answer.choices", lambda: planted)
    shown = [value for _, value in outputs(PAGE)]
    html = next(each.data for each in shown if "your-model" in str(getattr(each, "data", "")))
    inside = html.split('type="application/json">')[1].split("</script>")[0]
    assert json.loads(inside)["models"][0]["name"] == "</script><b>"
