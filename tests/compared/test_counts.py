"""The printed cells beside ours, the traced ones, and what the command line prints of a count."""

import json
import subprocess
import sys

import pytest
import torch

from analysis.__main__ import main
from analysis.compared import counts
from analysis.measured.networks import Encoder
from analysis.measured.traced import trace
from analysis.predicted.architectures import BERT_BASE, BERT_LARGE
from analysis.predicted.counted import count, one_projection
from analysis.predicted.operations import UNFUSED
from analysis.predicted.transformer import CLASSES, encoder_pass


@pytest.fixture(scope="module")
def cells():
    return counts.cells()


def test_how_many_printed_cells_are_reproduced(cells):
    """Three quantities: of two models at 3 lengths by 5 classes, and of three at 6 lengths."""
    assert len(cells) == 3 * (2 * 3 * 5 + 3 * 6)
    found = cells["status"].value_counts()
    assert found.to_dict() == {
        "reproduced": 122, "one projection short": 12, "differs": 6, "cut": 4
    }  # fmt: skip


def test_only_bert_large_is_one_projection_short(cells):
    short = cells[cells["status"] == "one projection short"]
    assert set(short["model"]) == {"BERT-Large"}
    flops = short[short["quantity"] == "flops"]
    assert len(flops) == 6
    # Printed in whole 1e9 FLOPs; with three projections all six come out to half a unit.
    assert (flops["without"] - flops["printed"]).abs().max() < 0.5


def test_one_projection_by_hand():
    """2 l d d FLOPs and d d bytes of weights in each of 24 layers: no bias under `published`."""
    cost = one_projection(BERT_LARGE, 128)
    assert cost.flops == 24 * 2 * 128 * 1024**2
    assert (cost.bytes_read, cost.bytes_written) == (24 * 1024**2, 0)


def test_cells_that_contradict_their_row(cells):
    wrong = cells[cells["status"] == "differs"]
    assert set(zip(wrong["model"], wrong["tokens"], wrong["quantity"], strict=True)) == {
        ("BERT-Base", 128, "mops"),
        ("GPT-2", 128, "flops"),
        ("GPT-2", 128, "arithmetic_intensity"),
        ("GPT-2", 512, "arithmetic_intensity"),
        ("GPT-2", 4096, "arithmetic_intensity"),
    }


def test_curves_are_what_is_counted_and_shares_add_up():
    rows = counts.curves({"BERT-Base": BERT_BASE}, [128, 512], UNFUSED)
    by = rows.set_index(["operator_class", "tokens"])
    cost = encoder_pass(BERT_BASE, 512, UNFUSED)["act_to_act"]
    assert by.loc[("act_to_act", 512), "flops"] == cost.flops / 1e9
    assert by.loc[("act_to_act", 512), "mops"] == cost.bytes / 1e9
    assert by.loc[("act_to_act", 512), "arithmetic_intensity"] == cost.flops / cost.bytes
    shares = rows[rows["operator_class"] != "total"].groupby("tokens")["share_of_bytes"].sum()
    assert shares.tolist() == pytest.approx([100, 100])


def test_claims_by_hand():
    """GPT-2's 512 tokens: 12 layers of 12 d d weights, and per token l / 2 of context in mean, at 4
    FLOPs for each element of a key; the projections alone are 86.97e9 FLOPs."""
    d, n, length = 768, 12, 512
    matmuls = length * n * (24 * d * d + 4 * d * length / 2)
    other = n * length * (4 * 12 * length / 2 + 58 * d)
    assert counts.counted(None, "GPT-2", "flops") == pytest.approx((matmuls + other) / 1e9)
    assert counts.least_intensity(None) == pytest.approx(117.97, abs=0.01)  # at 4096, printed 117


def test_torch_runs_what_is_predicted():
    ids = torch.zeros(1, 128, dtype=torch.long, device="meta")
    found = trace(Encoder(BERT_BASE, "unfused", device="meta"), ids)
    predicted, matmuls = encoder_pass(BERT_BASE, 128, UNFUSED), set(CLASSES) - {"other"}
    assert not found.uncounted
    for name in matmuls:
        traced = found.classes[name]
        assert (traced.flops, traced.bytes) == (predicted[name].flops, predicted[name].bytes)
    total = sum(found.classes[name].flops for name in matmuls)
    assert total == 22_348_431_360  # 2mnk alone, with the pooler


def test_counting_loads_nothing_that_it_does_not_need():
    """Which is what makes it quick: numpy is two thirds of what is left."""
    command = (
        "import sys; from analysis.__main__ import main; main(['count', 'gpt2', '-l', '512']); "
        "print(sorted({'pandas', 'matplotlib', 'torch', 'scipy', 'pydantic'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True).stdout
    assert "92,154,101,760 FLOPs" in out and out.endswith("[]\n")


def run(capsys, *arguments):
    code = main(["count", *arguments])
    streams = capsys.readouterr()
    return code, streams.out, streams.err


def test_count_json_has_the_documented_shape_and_exact_integers(capsys):
    code, out, _ = run(capsys, "bert-base", "--sequence-length", "128", "--json")
    shown = json.loads(out)
    assert code == 0
    assert shown["architecture"] == "BERT-Base" and shown["phase"] == "encode"
    assert list(shown["operators"]) == list(CLASSES)
    for key in ("flops", "bytes"):
        parts = [operator[key] for operator in shown["operators"].values()]
        assert all(isinstance(part, int) for part in parts)
        assert sum(parts) == shown["total"][key]


def test_matmul_totals_that_others_publish(capsys):
    """BERT-Base at 128 with pooler; GPT-2 with LM head at 128 and 1024: 2mnk alone."""
    published = {
        ("bert-base", "128", "encode"): 22_348_431_360,
        ("gpt2", "128", "prefill"): 32_228_179_968,
        ("gpt2", "1024", "prefill"): 291_648_307_200,
    }
    for (arch, length, phase), flops in published.items():
        _, out, _ = run(
            capsys, arch, "-l", length, "--phase", phase, "--convention", "unfused", "--json"
        )
        operators = json.loads(out)["operators"]
        assert sum(operators[c]["flops"] for c in operators if c != "other") == flops


def test_default_phases_and_overrides(capsys):
    _, out, _ = run(capsys, "gpt2", "-l", "16", "--set", "n_layers=1", "--json")
    assert json.loads(out)["phase"] == "generate"
    _, halved, _ = run(
        capsys, "bert-base", "-l", "16", "--convention", "unfused", "--bytes", "2", "--json"
    )
    expected = count(BERT_BASE, 16, UNFUSED)["total"].bytes // 2
    assert json.loads(halved)["total"]["bytes"] == expected


def test_config_file(capsys, tmp_path):
    config = {
        "model_type": "llama",
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 128,
        "vocab_size": 100,
        "max_position_embeddings": 32,
        "rms_norm_eps": 1e-6,
        "hidden_act": "silu",
    }
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    code, out, err = run(capsys, "--config", str(file), "-l", "8", "--json")
    assert code == 0, err
    assert json.loads(out)["phase"] == "generate"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nonsense",), "nonsense"),
        (("bert-base", "--set", "n_heads=7"), "n_heads"),
        (("bert-base", "--set", "n_layers=0"), "n_layers"),
        (("bert-base", "--set", "colour=red"), "d_model"),
        (("bert-base", "--set", "n_heads"), "n_heads"),
        (("bert-base", "--convention", "mine"), "unfused"),
        (("bert-base", "--bytes", "3"), "--bytes"),
        (("bert-base", "--phase", "generate"), "decoder"),
        ((), "ARCH"),
        (("--config", "no/such/file"), "no/such/file"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(capsys, arguments, says):
    code, out, err = run(capsys, *arguments, "-l", "8")
    assert code == 2 and out == ""
    assert err.count("\n") == 1 and says in err


@pytest.mark.parametrize(
    "text",
    ["", "[1]", "{", "null", '{"model_type": "nonsense"}', '{"model_type": 3}', "[" * 100_000],
)
def test_a_bad_config_is_one_line_and_exit_2(capsys, tmp_path, text):
    file = tmp_path / "config.json"
    file.write_text(text)
    code, out, err = run(capsys, "--config", str(file), "-l", "8")
    assert code == 2 and out == "" and err.count("\n") == 1
