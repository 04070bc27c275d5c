"""`count` and `predict`: documented JSON, text, and one line for a mistake."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.__main__ import main
from analysis.measured.run import find_run

CONFIGS = Path(__file__).parent / "predicted" / "configs"
LLAMA, OSS = str(CONFIGS / "llama-3.1-8b.json"), str(CONFIGS / "gpt-oss-120b.json")
CHIP = ("--chip", "H100 SXM5 80GB")


def run(*arguments, capsys):
    code = main(list(arguments))
    streams = capsys.readouterr()
    return code, streams.out, streams.err


def test_predict_json_has_every_answer(capsys):
    code, out, _ = run("predict", "--config", LLAMA, *CHIP, "--price", "2", "--json", capsys=capsys)
    found = json.loads(out)
    assert code == 0
    assert found["model"] == {
        "name": "llama-3.1-8b", "kind": "decoder", "counted": "formulas",
        "parameters": 8_030_261_248, "active_parameters": 8_030_261_248,
    }  # fmt: skip
    assert found["memory"].keys() == {
        "weights", "cache", "left", "fits", "largest_batch", "longest_context",
    }  # fmt: skip
    both = {"flops", "bytes", "intensity", "limit", "seconds", "seconds_reached"}
    assert found["prompt"].keys() == both
    assert found["step"].keys() == both | {
        "tokens_per_s", "tokens_per_s_reached", "cost_per_million", "cost_per_million_reached",
    }  # fmt: skip
    assert found["chip"]["ridge_point"] == pytest.approx(989.4e12 / 3.35e12)
    assert found["batch_past_memory"] is None and len(found["changes"]) == 4


@pytest.mark.parametrize(
    "arguments, told",
    [
        ((LLAMA, *CHIP), "fits"),
        (("DeepSeek-V3", *CHIP, "--chips", "8", "--weights", "4"), "8 x H100 SXM5 80GB"),
        (("bert-base", "--bandwidth", "25", "--peak", "1.5"), "waits for compute"),
        ((LLAMA, "--run", "amd-epyc-2-cores", "--activations", "32"), "AMD EPYC"),
        ((LLAMA, *CHIP, "--memory", "10"), "too much"),
        ((LLAMA, *CHIP, "--prompt", "65536"), "86,472 FLOP/byte, waits for compute"),
    ],
)
def test_predict_in_words(arguments, told, capsys):
    code, out, err = run("predict", "--config", *arguments, capsys=capsys)
    assert (code, err) == (0, "") and told in out and "e+" not in out


def test_count_tells_parameters_cache_and_convention(capsys):
    code, out, _ = run("count", "--config", OSS, "-l", "131072", "--phase", "step", capsys=capsys)
    assert code == 0 and "convention unfused" in out
    assert "116,829,156,672" in out and "2,418,278,400 elements" in out
    code, out, _ = run("count", "gpt2", "-l", "512", "--json", capsys=capsys)
    found = json.loads(out)
    assert found["convention"] == "published" and found["parameters"] == 124_439_808
    assert found["cached"] == 12 * 2 * 768 * 512


@pytest.mark.parametrize("command", [
    ("count", "--config", LLAMA, "-l", "100"),
    ("predict", "--config", OSS, *CHIP),
])  # fmt: skip
def test_formulas_answer_without_heavy_libraries(command):
    heavy = "torch", "transformers", "numpy", "pandas", "scipy", "frictionless", "pydantic"
    code = f"import sys; from analysis.__main__ import main; assert main({list(command)!r}) == 0; "
    code += f"assert not set({heavy!r}) & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "arguments, told",
    [
        (("--config", LLAMA), "--chip, a --run, or both"),
        (("--config", LLAMA, "--bandwidth", "100"), "--chip, a --run, or both"),
        (("--config", LLAMA, *CHIP, "--run", "a"), "not both"),
        (("--config", LLAMA, "--chip", "H100"), "H100 SXM5 80GB"),
        (("--config", "lama 3 8b", *CHIP), "Llama 3 8B"),
        (("--config", "none.json", *CHIP), "cannot be read"),
        (("--config", ".", *CHIP), "cannot be read"),
        (("--config", LLAMA, *CHIP, "--batch", "0"), "batch"),
        (("--config", LLAMA, *CHIP, "--weights", "5"), "weights"),
        (("--config", LLAMA, *CHIP, "--price", "nan"), "price"),
        (("--config", LLAMA, *CHIP, "--bandwidth", "inf"), "bandwidth"),
        (("--config", LLAMA, *CHIP, "--task", "sums"), "tasks: causal-lm"),
        (("--config", LLAMA, "--run", "no-such-run"), "no-such-run"),
        (("--config", LLAMA, "--chip", "RTX 4090", "--chips", "2"), "links are not known"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(arguments, told, capsys):
    code, out, err = run("predict", *arguments, capsys=capsys)
    assert (code, out) == (2, "") and err.count("\n") == 1 and told in err


@pytest.mark.parametrize(
    "arguments, told",
    [
        (("gpt2", "--convention", "eager"), "'published', 'unfused', 'fused'"),
        (("bret-base",), "bert-base"),
    ],
)
def test_a_mistake_in_what_is_counted_is_one_line(arguments, told, capsys):
    code, out, err = run("count", *arguments, "-l", "4", capsys=capsys)
    assert (code, out) == (2, "") and err.count("\n") == 1 and told in err


def test_a_run_without_ceilings_is_one_line_and_says_what_to_do(tmp_path, capsys):
    path = tmp_path / "run.json"
    content = json.loads(find_run("amd-epyc-2-cores").read_text("utf-8"))
    path.write_text(json.dumps(content | {"points": []}))
    code, out, err = run("predict", "--config", LLAMA, "--run", str(path), capsys=capsys)
    assert (code, out) == (2, "") and err.startswith(f"error: {path}: no run has rate of reading")
    assert err.endswith("; type --bandwidth and --peak instead\n")
