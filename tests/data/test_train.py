"""The script that trains the byte-level decoders, with one that is tiny."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner
from torch.nn.attention import SDPBackend, sdpa_kernel

from analysis.errors import InputError
from analysis.measured import byte_model
from analysis.measured.byte_model import HELD_OUT, MODELS, START, held_out, load, read, tensors
from analysis.measured.networks import Decoder
from analysis.measured.training import LOGITS
from analysis.predicted.architectures import BYTE_DECODER

spec = importlib.util.spec_from_file_location("train_bytes", MODELS / "train.py")
script = sys.modules["train_bytes"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)

TINY = BYTE_DECODER.replace(n_layers=2, d_model=16, n_heads=2, d_ff=32, n_positions=32)


@pytest.fixture(autouse=True)
def one_thread():
    """As trainings have it; tests in two processes would else have more threads than cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(script.THREADS)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def library(tmp_path):
    """Python's library in small: modules to train on, those held out, and what is left out."""
    for name in HELD_OUT:
        (tmp_path / f"{name}.py").write_text(f"# {name}\n" + "x = 1\n" * 100)
    for name in ("abc.py", "json/decoder.py", "test/regrtest.py", "site-packages/numpy.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"# {name}\n" * 40)
    return tmp_path


def made(seed=script.SEED):
    return Decoder(TINY, batch=script.BATCH, seed=seed)


def test_the_text_is_the_library_without_what_is_held_out(library):
    text = bytes(script.training_text(library).numbers.tolist())
    modules = text.split(bytes([START]))
    assert [each.split()[1] for each in modules] == [b"abc.py", b"json/decoder.py"]
    digest = script.training_text(library).digest
    (library / "abc.py").write_text("# other\n" * 40)
    script.training_text.cache_clear()
    assert script.training_text(library).digest != digest


def test_the_text_of_this_library_is_long_and_without_what_is_held_out():
    text = script.training_text().numbers
    assert len(text) > 3e6 and (text == START).sum() > 300
    assert bytes(held_out()[0, 1].tolist()) not in bytes(text.tolist())


def test_without_sources_it_is_said(tmp_path):
    with pytest.raises(InputError, match="no sources there to train on"):
        script.training_text(tmp_path)


def trained(text, seed=0, **options):
    network, seen = made(seed), []
    script.train(network, text, 30, seed, each=lambda step, bits: seen.append(bits), **options)
    return network, seen


def test_training_learns_and_repeats_itself(library):
    text = script.training_text(library)
    network, seen = trained(text)
    again, same = trained(text)
    assert seen == same and seen[0] == pytest.approx(8, abs=0.3) and seen[-1] < seen[0] - 1
    for one, other in zip(tensors(network).values(), tensors(again).values(), strict=True):
        assert torch.equal(one, other) and not one.requires_grad
    assert trained(text, seed=1)[1] != seen
    half = trained(text, way=script.Way(within=script.autocast))[1]
    assert half != seen and np.allclose(half, seen, atol=0.2)
    assert trained(text, stop=3)[1] == seen[:3]


def test_computing_again_trains_the_same_decoder(library):
    text = script.training_text(library)
    (network, seen), (again, same) = trained(text), trained(text, way=script.Way(policy="layers"))
    assert same == pytest.approx(seen, abs=1e-5) and len(again.layers) == TINY.n_layers
    for one, other in zip(tensors(network).values(), tensors(again).values(), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("clip", [1e9, 1e-2])
def test_a_second_order_step_divides_by_the_diagonal_of_the_hessian(library, monkeypatch, clip):
    """Yao et al. 2020: after one step both averages are what went in, so that a parameter moves by
    rate * gradient / |z * Hz|, z a vector of random signs; clipping touches the gradient alone."""
    monkeypatch.setattr(script, "CLIP", clip)
    text, rate = script.training_text(library), 0.1
    network, before = made(), [each.clone() for each in tensors(made()).values()]
    script.train(network, text, 30, rate=rate, way=script.WAYS["second-order"][0], stop=1)

    plain = made()
    plain.layer_caches = (None,) * len(plain.layers)
    parameters = [each.requires_grad_() for each in tensors(plain).values()]
    starts = torch.randint(len(text.numbers) - 33, (8, 1), generator=torch.manual_seed(0))
    windows = text.numbers[starts + torch.arange(33)].long()
    with sdpa_kernel(SDPBackend.MATH):
        logits = LOGITS(plain, windows[:, :-1])
    loss = F.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())
    gradients = torch.autograd.grad(loss, parameters, create_graph=True)
    torch.manual_seed(0)
    signs = [torch.randint_like(each, 0, 2) * 2 - 1 for each in parameters]
    products = torch.autograd.grad(gradients, parameters, signs)
    norm = torch.stack([each.norm() for each in gradients]).norm()
    first = rate / 25  # of the schedule
    rows = zip(before, tensors(network).values(), gradients, signs, products, strict=True)
    for old, new, gradient, sign, product in rows:
        clipped = gradient.detach() * min(1, clip / norm.item())
        moved = first * clipped / ((sign * product).abs() + 1e-16)
        assert torch.allclose(old - new, moved, rtol=1e-3, atol=1e-6)


def test_of_several_rates_the_best_for_the_first_seed_is_used_again(library, monkeypatch):
    windows = held_out(library)[:, :, :33]
    monkeypatch.setattr(byte_model, "held_out", lambda: windows)
    monkeypatch.setattr(script, "BYTE_DECODER", TINY)
    for name, few in {"TRIAL_STEPS": 16, "EVERY": 8, "SEEDS": 2}.items():
        monkeypatch.setattr(script, name, few)
    rows = script.trials(script.training_text(library))
    for way, (_, rates) in script.WAYS.items():
        ours = [row for row in rows if row[0] == way]
        assert [row[3] for row in ours] == [8, 16] * (len(rates) + script.SEEDS - 1)
        last = {row[1]: row[4] for row in ours if row[2:4] == (0, 16)}
        assert list(last) == list(rates) and min(last.values()) < 8
        assert {row[1] for row in ours if row[2]} == {min(rates, key=last.get)}
    by_way = {way: [row[1:] for row in rows if row[0] == way] for way in script.WAYS}
    for one, other in zip(by_way["adam"], by_way["rematerialised"], strict=True):
        assert one == pytest.approx(other, abs=1e-4)
    assert by_way["momentum"] != by_way["second-order"]


def test_weights_with_a_mask_stay_zero(library):
    masks = {"layers.0.up.weight": (torch.arange(32)[:, None] % 2).float().expand(32, 16)}
    weight = tensors(trained(script.training_text(library), masks=masks)[0])["layers.0.up.weight"]
    assert not weight[::2].any() and weight[1::2].all()


def test_what_is_trained_has_a_name(tmp_path, library, monkeypatch):
    with pytest.raises(InputError, match="no model 'gpt3' to train; there are: byte-decoder"):
        script.train_all(tmp_path, names=["gpt3"])
    windows = held_out(library)[:, :, :33]
    for module in (byte_model, script):
        monkeypatch.setattr(module, "TRAINED", {"byte-decoder": TINY, "byte-draft": TINY})
    small = {"STEPS": {"byte-decoder": 4, "byte-draft": 2}, "TUNING": 2}
    text = script.training_text(library)
    small["training_text"] = lambda: text
    few = {"BYTE_DECODER": TINY, "SEEDS": 2, "LOSS_STEPS": 4, "MEAN": 2, "TRIAL_STEPS": 4}
    held = {"held_out": lambda: windows}
    for module, changes in ((script, small | few | {"EVERY": 2}), (byte_model, held)):
        for name, value in changes.items():
            monkeypatch.setattr(module, name, value)
    seen = []
    script.train_all(tmp_path, lambda name, *rest: seen.append(name))
    made_here = {path.stem for path in tmp_path.glob("*.safetensors")}
    assert made_here == {"byte-decoder", "byte-draft", *byte_model.TUNED}
    lines = (tmp_path / "byte_losses.csv").read_text().splitlines()
    assert lines[0] == "seed,dtype,step,bits_per_byte" and len(lines) == 1 + 2 * 3 * 2
    lines = (tmp_path / "byte_trials.csv").read_text().splitlines()
    assert lines[0] == "way,rate,seed,step,bits_per_byte" and len(lines) == 1 + 4 * (3 + 1) * 2
    assert seen.count("byte-decoder") == 4
    assert len(seen) == 4 + 2 + 3 * 2 + 6 * 4 + 4 * (3 + 1) * 4
    pruned = read(tmp_path / "byte-tuned-unstructured-80.safetensors")[1]
    share = (pruned["layers.1.down.weight"] == 0).float().mean()
    assert share == pytest.approx(0.8, abs=0.01) and pruned["words"].all()
    assert load("byte-draft", folder=tmp_path).words.shape == (256, 16)


@pytest.mark.parametrize("arguments", [("gpt3",), ("--out", "nowhere"), ("--steps", "3")])
def test_a_mistake_is_exit_2_and_changes_nothing(arguments):
    before = sorted(MODELS.iterdir())
    done = CliRunner().invoke(script.main, arguments)
    assert done.exit_code == 2 and done.stdout == ""
    assert "rror: " in done.stderr.splitlines()[-1] and sorted(MODELS.iterdir()) == before


def test_the_script_runs_by_itself():
    command = [sys.executable, str(MODELS / "train.py"), "gpt3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stderr.startswith("error: no model 'gpt3'")


def test_without_its_optimizer_the_trials_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_optimizer", None)
    with pytest.raises(InputError, match="pip install"):
        script.second_order([], 0.1)


def test_products_of_eight_bits_have_their_numbers_and_gradients():
    """1.1 is between 1 and 1.125 in E4M3, and 0.3 between 0.25 and 0.3125 in E5M2."""
    x = torch.full((1, 2), 1.1, requires_grad=True)
    weight = torch.full((1, 2), 1.0, requires_grad=True)
    with script.EightBits():
        y = torch.nn.functional.linear(x, weight, torch.zeros(1))
        plain = x + 1
    assert y.item() == 2.25 and plain[0, 0].item() == pytest.approx(2.1)
    (gradient,) = torch.autograd.grad(y * 0.3, weight)
    assert gradient[0, 0].item() == pytest.approx(0.3125 * 1.125)
