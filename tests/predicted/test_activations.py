import pytest

from analysis.errors import InputError
from analysis.predicted.activations import (
    AUTOCAST,
    BIG_DECODER,
    BIG_ENCODER,
    FUSED,
    MIXED,
    PUBLISHED,
    UNFUSED,
    activations,
    layer_tensors,
    policy_named,
    predicted_tokens,
)
from analysis.predicted.architectures import BERT_BASE, BERT_LARGE, GPT2, GPT2_XL
from analysis.published.tables import load_table

ARCHS = (BERT_BASE, BERT_LARGE, GPT2, GPT2_XL)
KEPT = (UNFUSED, FUSED, MIXED, PUBLISHED, AUTOCAST)


@pytest.mark.parametrize("arch", ARCHS, ids=lambda arch: arch.name)
@pytest.mark.parametrize(("length", "batch"), [(1, 1), (128, 1), (512, 16)])
def test_a_layer_is_that_of_korthikanti(arch, length, batch):
    """s b h (34 + 5 a s / h) bytes: arXiv:2205.05198, equation 1, which leaves out statistics."""
    layer = layer_tensors(arch, length, MIXED, batch)
    ours = sum(size for name, size in layer.items() if not name.endswith("statistics"))
    s, b, h, a = length, batch, arch.d_model, arch.n_heads
    assert ours == s * b * h * 34 + 5 * a * s * s * b
    assert sum(layer.values()) - ours == 16 * s * b


def test_features_are_those_of_the_authors_table():
    table = load_table("model_sizes")
    printed = table[table["quantity"] == "features"].set_index("model")["value"]
    base = [arch.replace(d_model=512, n_heads=8, d_ff=2048) for arch in (BIG_ENCODER, BIG_DECODER)]
    transformer = sum(
        6 * sum(layer_tensors(arch, 512, PUBLISHED, cross=arch.kind == "decoder").values())
        for arch in base
    )
    assert round(transformer / 4, -6) == printed["Transformer"] == 77e6
    bert, gpt2 = (
        activations(arch, n, PUBLISHED).bytes / 4
        for arch, n in ((BERT_LARGE, 512), (GPT2_XL, 1024))
    )
    assert round(bert, -7) == printed["BERT Large"] == 230e6
    assert round(gpt2, -9) == printed["GPT-2"] == 2e9


@pytest.mark.parametrize("kept", KEPT, ids=lambda kept: kept.name)
@pytest.mark.parametrize("arch", ARCHS, ids=lambda arch: arch.name)
def test_activations_grow_with_the_batch(arch, kept):
    one, two, four = (activations(arch, 128, kept, batch=batch).bytes for batch in (5, 10, 20))
    assert four - two == 2 * (two - one)
    if not kept.autocast:  # which keeps copies of weights besides
        assert four == 4 * one


def test_fused_attention_keeps_a_number_a_row_in_place_of_a_row():
    unfused, fused = (layer_tensors(GPT2, 256, kept) for kept in (UNFUSED, FUSED))
    assert unfused.pop("probabilities") == 256 * fused.pop("row_statistics") == 12 * 256**2 * 4
    assert unfused == fused


def test_grouped_heads_keep_fewer_keys_and_values():
    arch = GPT2.replace(n_kv_heads=3)
    whole, grouped = (layer_tensors(each, 8, UNFUSED)["qkv"] for each in (GPT2, arch))
    assert grouped == whole // 2  # 12 + 3 + 3 heads of 12 + 12 + 12


@pytest.mark.parametrize("arch", ARCHS, ids=lambda arch: arch.name)
def test_policies(arch):
    def of(policy):
        return activations(arch, 128, policy=policy)

    plain, each, all_at_once = of("none"), of("layers"), of(f"stretch-{arch.n_layers}")
    assert (plain.again, plain.extra) == (0, 0)
    assert each == of("every-1") == of("stretch-1") and all_at_once == of("stretch-1000")
    layer = sum(layer_tensors(arch, 128, UNFUSED).values())
    entry = 128 * arch.d_model * 4
    assert plain.kept - each.kept == arch.n_layers * (layer - entry)
    assert (each.again, all_at_once.again) == (layer - entry, arch.n_layers * layer - entry)
    assert of("every-2").kept == (plain.kept + each.kept) // 2
    assert of("attention").bytes < plain.bytes and 0 < of("attention").extra < each.extra
    assert each.extra <= each.flops / 3  # never more than the forward pass


def test_what_comes_after_the_last_tensor_needed_is_not_computed_again():
    """A decoder's last projection; an encoder's is followed by a norm that needs it."""
    for arch, spared in ((BERT_BASE, 0), (GPT2, 2 * 128 * 768 * 3072)):
        bare = activations(arch.replace(vocab_size=1), 128, policy="layers")
        heads = 3 * 2 * 768 * predicted_tokens(arch, 128)
        assert bare.extra == (bare.flops - heads) // 3 - 12 * spared


@pytest.mark.parametrize(
    "name", ["", "all", "every-0", "every-", "stretch-x", "layers-2", "every-²"]
)
def test_an_unknown_policy_is_one_line(name):
    with pytest.raises(InputError, match="no policy .*none, attention, layers, every-K") as caught:
        policy_named(name)
    assert "\n" not in str(caught.value)
