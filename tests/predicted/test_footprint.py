import pytest

from analysis.errors import InputError
from analysis.predicted.architectures import ARCHITECTURES, BERT_BASE, GPT2, GPT2_XL
from analysis.predicted.footprint import (
    OPTIMIZERS,
    model_state,
    optimizer_numbers,
    weight_shapes,
)
from analysis.predicted.variants import Experts


@pytest.mark.parametrize(
    "arch",
    [
        *ARCHITECTURES.values(),
        GPT2.replace(n_kv_heads=4, gated_ffn=True, tied_embeddings=False, positions="rotary"),
    ],
    ids=lambda arch: arch.name,
)
def test_matrices_and_vectors_are_all_parameters(arch):
    shapes = list(weight_shapes(arch))
    assert sum(n * rows * columns for n, rows, columns in shapes) == arch.n_parameters
    vectors = shapes[-1][1]
    assert 0 < vectors < arch.n_layers * 20 * arch.d_model + 3 * arch.d_model


def test_numbers_of_state():
    n = GPT2.n_parameters
    assert [optimizer_numbers(GPT2, name) for name in ("sgd", "momentum", "adam")] == [0, n, 2 * n]
    assert optimizer_numbers(GPT2, "full") == n**2
    assert optimizer_numbers(GPT2, "diagonal") == 4 * n
    assert optimizer_numbers(GPT2, "adafactor") < n / 100
    # Per layer, of width d: 1 + 9, 1 + 1, 16 + 1 and 1 + 16 squares of d.
    wide = GPT2.replace(n_layers=112)
    per_layer = (optimizer_numbers(wide, "kronecker") - optimizer_numbers(GPT2, "kronecker")) / 100
    assert per_layer == pytest.approx(46 * 768**2, rel=1e-3)


def test_a_long_side_keeps_the_diagonal_of_its_factor():
    longer = GPT2.replace(vocab_size=GPT2.vocab_size + 1)
    assert optimizer_numbers(longer, "kronecker") - optimizer_numbers(GPT2, "kronecker") == 1


@pytest.mark.parametrize("devices", [1, 8, 64, 400])
def test_zero_is_section_5_of_its_paper(devices):
    n, k = GPT2_XL.n_parameters, 12
    expected = (
        (4 + k) * n,
        4 * n + k * n / devices,
        2 * n + (k + 2) * n / devices,
        (4 + k) * n / devices,
    )
    for stage, size in enumerate(expected):
        held = model_state(GPT2_XL, "adam", 2, stage, devices)
        assert list(held) == ["parameters", "gradients", "optimizer"]
        assert sum(held.values()) == pytest.approx(size)


def test_the_table_of_zero():
    """Table 1 of arXiv:1910.02054: 7.5e9 parameters on 64 devices, in GB."""
    arch = GPT2.replace(vocab_size=1, n_positions=1)
    for stage, printed in enumerate((120, 31.4, 16.6, 1.88)):
        each = sum(model_state(arch, "adam", 2, stage, 64).values()) / arch.n_parameters
        assert 7.5 * each == pytest.approx(printed, rel=5e-3)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"optimizer": "lion"}, f"there are: {', '.join(OPTIMIZERS)}"),
        ({"zero": 4}, "allowed: 0"),
        ({"zero": -1}, "allowed: 0"),
        ({"devices": 0}, "integer >= 1"),
        ({"devices": 1.5}, "integer >= 1"),
    ],
)
def test_a_mistake_is_one_line(options, says):
    with pytest.raises(InputError, match=says) as caught:
        model_state(BERT_BASE, **options)
    assert "\n" not in str(caught.value)


def test_adafactor_keeps_two_vectors_of_each_expert():
    arch = GPT2.replace(experts=Experts(8, 2, 512, shared=1, dense_layers=4))
    routed = optimizer_numbers(arch, "adafactor") - optimizer_numbers(GPT2, "adafactor")
    networks = 9 * 2 * (768 + 512) + (8 + 768)  # of a sparse layer, with what scores the experts
    biases = 9 * (768 + 512)
    assert routed == 8 * (networks + biases - 2 * (768 + 3072) - (768 + 3072))
