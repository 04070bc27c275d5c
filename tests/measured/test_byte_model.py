"""The text and the checkpoints of byte-level decoders, with one that is tiny."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from analysis.errors import InputError
from analysis.measured import byte_model
from analysis.measured.byte_model import (
    HELD_OUT,
    START,
    WINDOW,
    WINDOWS,
    held_out,
    load,
    read,
    score,
    with_interval,
)
from analysis.measured.networks import Decoder
from analysis.predicted.architectures import BYTE_DECODER

pytestmark = pytest.mark.usefixtures("one_thread")
TINY = BYTE_DECODER.replace(n_layers=2, d_model=16, n_heads=2, d_ff=32, n_positions=32)


def test_this_library_has_the_held_out_modules():
    windows = held_out()
    assert windows.shape == (len(HELD_OUT), WINDOWS, WINDOW + 1)
    assert (windows[:, 0, 0] == START).all() and windows.max() < 256


def test_without_sources_it_is_said(tmp_path):
    with pytest.raises(InputError, match="calendar.py: cannot be read"):
        held_out(tmp_path)
    (tmp_path / "calendar.py").write_text("pass")
    with pytest.raises(InputError, match="shorter than a window"):
        held_out(tmp_path)


@pytest.fixture
def checkpoint(tmp_path, save, monkeypatch):
    for name in ("tiny", "half"):
        monkeypatch.setitem(byte_model.TRAINED, name, TINY)
    network = Decoder(TINY)
    path = tmp_path / "tiny.safetensors"
    save(network, path, {"python": "3.0"})
    return network, path


def test_a_checkpoint_holds_every_parameter_once(checkpoint):
    network, path = checkpoint
    about, stored = read(path)
    assert about == {"python": "3.0"}
    assert sum(each.numel() for each in stored.values()) == TINY.n_parameters
    tokens = torch.randint(256, (1, 8))
    ours = load("tiny", folder=path.parent, seed=9)
    network.cache = network.cache[:, :, :1]
    network.layer_caches = network.cache.unbind(0)
    assert torch.equal(ours.prefill(tokens), network.prefill(tokens))


def test_a_checkpoint_in_16_bits_is_read_too(checkpoint, tmp_path, save):
    network, _ = checkpoint
    save(network, tmp_path / "half.safetensors", {}, torch.float16)
    ours = load("half", folder=tmp_path).words
    assert ours.dtype == torch.float32 and torch.allclose(ours, network.words, atol=1e-3)


def _cut(path, save):
    path.write_bytes(path.read_bytes()[:-100])


def _other(path, save):
    save(Decoder(TINY.replace(d_ff=48)), path, {})


def _deeper(path, save):
    save(Decoder(TINY.replace(n_layers=3)), path, {})


def _integers(path, save):
    stored = {name: each.int() for name, each in read(path)[1].items()}
    save_file(stored, path)


def _not_numbers(path, save):
    stored = read(path)[1]
    stored["words"][0, 0] = torch.nan
    save_file(stored, path)


def _large(path, save):
    with path.open("ab") as file:
        file.truncate(10**7 + 1)


@pytest.mark.parametrize(
    "spoil, said",
    [
        (lambda path, save: path.unlink(), "cannot be read"),
        (_cut, "not a whole checkpoint"),
        (lambda path, save: path.write_bytes(b""), "not a whole checkpoint"),
        (_other, r"up.weight, \(48, 16\), is not \(32, 16\)"),
        (_deeper, "not a checkpoint of the byte decoder: layers.2"),
        (_integers, "is not .* of finite floats"),
        (_not_numbers, "words, .* is not .* of finite floats"),
        (_large, "at most 10000000 bytes"),
    ],
)
def test_a_bad_checkpoint_is_one_line(checkpoint, spoil, said, save):
    path = checkpoint[1]
    spoil(path, save)
    with pytest.raises(InputError, match=said) as caught:
        load("tiny", folder=path.parent)
    assert "\n" not in str(caught.value) and path.name in str(caught.value)


def test_a_score_is_the_mean_of_its_modules():
    """A decoder that knows nothing needs 8 bits, and no fewer than one that knows."""
    windows = torch.randint(256, (3, 2, 33))
    network = restored = Decoder(TINY, batch=2)
    restored.head.weight.zero_()
    ours = score(network, windows)
    assert ours == pytest.approx([8.0] * 3, abs=1e-5)
    assert with_interval(ours) == pytest.approx((8, 8, 8), abs=1e-5)


def test_intervals_span_modules_and_differences_are_paired():
    one, other = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.1, 2.1, 3.1, 4.1])
    mean, low, high = with_interval(one)
    assert low < mean == 2.5 < high and high - low > 1
    assert with_interval(other - one) == pytest.approx((0.1, 0.1, 0.1))


def test_checkpoints_of_this_report_load_and_say_what_they_were_trained_on():
    for name in (*byte_model.TRAINED, *byte_model.TUNED):
        load(name)
        about = read(byte_model.MODELS / f"{name}.safetensors")[0]
        assert about.keys() >= {"python", "text_sha256", "seed", "threads", "steps"}
    # Most of what is scored was never seen: a decoder that has learnt needs well below 8 bits.
    assert score(load("byte-decoder", WINDOWS), held_out()[:2]).mean() < 3.5
