"""The networks against Hugging Face's, with equal weights, and against themselves."""

import pytest
import torch

from analysis.errors import InputError
from analysis.measured.networks import Decoder, Encoder
from analysis.predicted.architectures import BERT_BASE, GPT2
from analysis.predicted.variants import Experts, Latent, Window

transformers = pytest.importorskip("transformers")

SMALL = {"n_layers": 2, "d_model": 48, "n_heads": 4, "d_ff": 192, "vocab_size": 101}
# Of the real widths; a layer is as the others.
BERT_WIDE, GPT2_WIDE = (arch.replace(n_layers=2) for arch in (BERT_BASE, GPT2))
ATTENTION = ("fused", "unfused")


def copy(linear, weight, bias=None):
    """Ours to theirs: ours are random in every bias and gain, so that none can be left out."""
    assert linear.weight.shape == weight.shape
    weight.copy_(linear.weight)
    if bias is not None:
        bias.copy_(linear.bias)


def copy_norm(norm, theirs):
    theirs.weight.copy_(norm.gain)
    theirs.bias.copy_(norm.bias)


@torch.no_grad()
def bert(arch, ours):
    config = transformers.BertConfig(
        vocab_size=arch.vocab_size, hidden_size=arch.d_model, num_hidden_layers=arch.n_layers,
        num_attention_heads=arch.n_heads, intermediate_size=arch.d_ff,
        max_position_embeddings=arch.n_positions, type_vocab_size=arch.token_types,
    )  # fmt: skip
    theirs = transformers.BertModel(config).eval()
    embeddings = theirs.embeddings
    embeddings.word_embeddings.weight.copy_(ours.words)
    embeddings.token_type_embeddings.weight.copy_(ours.types)
    embeddings.position_embeddings.weight.copy_(ours.positions)
    copy_norm(ours.norm, embeddings.LayerNorm)
    copy(ours.pooler, theirs.pooler.dense.weight, theirs.pooler.dense.bias)
    for mine, their in zip(ours.layers, theirs.encoder.layer, strict=True):
        heads = their.attention.self
        parts = (heads.query, heads.key, heads.value)
        linears = list(zip(mine.qkv.split(3), parts, strict=True)) + [
            (mine.out, their.attention.output.dense),
            (mine.up, their.intermediate.dense),
            (mine.down, their.output.dense),
        ]
        for linear, target in linears:
            copy(linear, target.weight, target.bias)
        copy_norm(mine.norm1, their.attention.output.LayerNorm)
        copy_norm(mine.norm2, their.output.LayerNorm)
    return theirs


@torch.no_grad()
def gpt2(arch, ours):
    config = transformers.GPT2Config(
        vocab_size=arch.vocab_size, n_embd=arch.d_model, n_layer=arch.n_layers,
        n_head=arch.n_heads, n_inner=arch.d_ff, n_positions=arch.n_positions,
    )  # fmt: skip
    theirs = transformers.GPT2LMHeadModel(config).eval()
    body = theirs.transformer
    assert theirs.lm_head.weight is body.wte.weight
    copy(ours.head, theirs.lm_head.weight)
    body.wpe.weight.copy_(ours.positions[: arch.n_positions])
    copy_norm(ours.norm, body.ln_f)
    for mine, their in zip(ours.layers, body.h, strict=True):
        for linear, target in (
            (mine.qkv, their.attn.c_attn),
            (mine.out, their.attn.c_proj),
            (mine.up, their.mlp.c_fc),
            (mine.down, their.mlp.c_proj),
        ):
            copy(linear, target.weight.t(), target.bias)
        copy_norm(mine.norm1, their.ln_1)
        copy_norm(mine.norm2, their.ln_2)
    return theirs


def close(ours, theirs):
    assert ours.shape == theirs.shape
    assert torch.isfinite(ours).all()
    assert (ours - theirs).abs().max() <= 1e-4 * theirs.abs().max()


def tokens(arch, batch, length, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(arch.vocab_size, (batch, length), generator=generator)


@pytest.mark.parametrize(
    "arch, batch, length",
    [(BERT_BASE.replace(**SMALL), 3, 17), (BERT_BASE.replace(**SMALL), 1, 1), (BERT_WIDE, 1, 8)],
    ids=["small", "one token", "BERT-Base's widths"],
)
def test_encoder_equals_hugging_face(arch, batch, length):
    ids = tokens(arch, batch, length)
    types = tokens(arch, batch, length, seed=1) % arch.token_types
    fused, unfused = Encoder(arch), Encoder(arch, "unfused")
    theirs = bert(arch, fused)
    with torch.no_grad():
        expected = theirs(ids, token_type_ids=types)
        plain = theirs(ids)
    for ours in (fused, unfused):  # of the same seed
        hidden, pooled = ours(ids, types)
        close(hidden, expected.last_hidden_state)
        close(pooled, expected.pooler_output)
        close(ours(ids)[0], plain.last_hidden_state)


@pytest.mark.parametrize(
    "arch, batch, length",
    [(GPT2.replace(**SMALL), 3, 17), (GPT2.replace(**SMALL), 1, 17), (GPT2_WIDE, 1, 4)],
    ids=["small", "small, batch 1", "GPT-2's widths"],
)
def test_decoder_equals_hugging_face_in_one_pass_and_step_by_step(arch, batch, length):
    ids = tokens(arch, batch, length)
    fused, unfused = (Decoder(arch, name, max_length=32, batch=batch) for name in ATTENTION)
    with torch.no_grad():
        expected = gpt2(arch, fused)(ids).logits
    for ours in (fused, unfused):  # of the same seed
        close(ours.prefill(ids), expected)
        ours.cache.normal_()  # so that the steps cannot read what the pass has left
        steps = [ours.step(ids[:, i : i + 1], i + 1) for i in range(length)]
        close(torch.cat(steps, 1), expected)


def test_steps_go_on_from_a_prefill():
    arch = GPT2.replace(**SMALL)
    ids = tokens(arch, 2, 12)
    for attention in ATTENTION:
        ours = Decoder(arch, attention, batch=2, max_length=12)
        whole = ours.prefill(ids)[:, 8:]
        ours.cache.normal_()
        ours.prefill(ids[:, :8])
        steps = [ours.step(ids[:, i : i + 1], i + 1) for i in range(8, 12)]
        close(torch.cat(steps, 1), whole)


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
@pytest.mark.parametrize("attention", ATTENTION)
def test_several_tokens_go_on_as_one_by_one(attention, kv_heads):
    arch = GPT2.replace(**SMALL, n_kv_heads=kv_heads)
    if kv_heads < 4 and attention == "unfused":
        return
    ids = tokens(arch, 2, 12)
    ours = Decoder(arch, attention, batch=2, max_length=12)
    whole = ours.prefill(ids)
    ours.cache.normal_()
    ours.prefill(ids[:, :4])
    rest = [ours.step(ids[:, 4:9], 9), ours.step(ids[:, 9:10], 10), ours.step(ids[:, 10:], 12)]
    close(torch.cat(rest, 1), whole[:, 4:])


def test_heads_that_share_keys_equal_heads_whose_keys_are_equal():
    """The keys and values of each group, written out for each of its heads."""
    arch = GPT2.replace(**SMALL, n_kv_heads=2)
    few, many = Decoder(arch, max_length=12), Decoder(GPT2.replace(**SMALL), max_length=12)
    for name in ("words", "positions"):
        getattr(many, name).copy_(getattr(few, name))
    for mine, full in zip(few.linears(), many.linears(), strict=True):
        if mine.weight.shape == full.weight.shape:
            copy(mine, full.weight, full.bias)
            continue
        for own, other in ((mine.weight, full.weight), (mine.bias, full.bias)):
            q, kv = own.split((48, 48))
            kv = kv.unflatten(0, (2, 2, 12)).repeat_interleave(2, 1).flatten(0, 2)
            other.copy_(torch.cat((q, kv)))
    for mine, full in zip(few.layers, many.layers, strict=True):
        for name in ("norm1", "norm2"):
            setattr(full, name, getattr(mine, name))
    many.norm = few.norm
    ids = tokens(arch, 1, 12)
    close(few.prefill(ids), many.prefill(ids))
    close(few.step(ids[:, -1:], 12), many.step(ids[:, -1:], 12))
    assert 2 * few.cache.numel() == many.cache.numel()


def test_a_step_reads_the_filled_part_of_the_cache_only():
    arch = GPT2.replace(**SMALL)
    ours = Decoder(arch, max_length=16)
    before = ours.step(tokens(arch, 1, 1), 5)
    ours.cache[..., 5:, :] = torch.nan
    assert torch.equal(ours.step(tokens(arch, 1, 1), 5), before)


def test_a_row_gives_the_same_whether_or_not_the_weights_are_sliced():
    arch = GPT2.replace(**SMALL)
    sliced, plain = (Decoder(arch, max_length=8) for _ in range(2))
    for linear in plain.linears():
        linear.slices = None
    assert torch.equal(sliced.cache, plain.cache)
    close(sliced.step(tokens(arch, 1, 1), 8), plain.step(tokens(arch, 1, 1), 8))


def test_a_seed_fixes_the_weights_and_none_is_zero():
    arch = GPT2.replace(**SMALL)
    first, same, other = (Decoder(arch, max_length=8, seed=seed) for seed in (0, 0, 1))
    ids = tokens(arch, 1, 8)
    assert torch.equal(first.prefill(ids), same.prefill(ids))
    assert not torch.equal(first.prefill(ids), other.prefill(ids))
    tensors = [each.weight for each in first.linears()] + [first.cache, first.positions]
    assert all(tensor.std() > 0 for tensor in tensors)


def test_a_network_can_be_longer_than_it_was_trained():
    arch = GPT2.replace(**SMALL, n_positions=8)
    ours = Decoder(arch, max_length=12)
    assert ours.prefill(tokens(arch, 1, 12)).shape == (1, 12, arch.vocab_size)


def test_low_precision_is_close_to_float32():
    arch = GPT2.replace(**SMALL)
    full, half = (Decoder(arch, max_length=8, dtype=t) for t in (torch.float32, torch.bfloat16))
    for name in ("words", "positions"):
        getattr(half, name).copy_(getattr(full, name))
    for mine, low in zip(full.linears(), half.linears(), strict=True):
        copy(mine, low.weight, low.bias)
    ids = tokens(arch, 1, 8)
    expected = full.prefill(ids)
    difference = (half.prefill(ids).float() - expected).abs().max()
    assert difference < 0.1 * expected.abs().max()
    assert half.step(ids[:, :1], 8).dtype == torch.bfloat16


@pytest.mark.parametrize(
    "network, arch, field",
    [
        (Decoder, GPT2.replace(gated_ffn=True), "gated_ffn"),
        (Encoder, BERT_BASE.replace(n_kv_heads=4), "n_kv_heads"),
        (Decoder, GPT2.replace(norm="rmsnorm"), "norm"),
        (Decoder, GPT2.replace(positions="rotary"), "positions"),
        (Decoder, GPT2.replace(activation="silu"), "activation"),
        (Decoder, GPT2.replace(ffn_bias=False), "ffn_bias"),
        (Decoder, GPT2.replace(tied_embeddings=False), "tied_embeddings"),
        (Decoder, GPT2.replace(latent=Latent(64, 64, 8)), "latent"),
        (Decoder, GPT2.replace(experts=Experts(8, 2, 64)), "experts"),
        (Encoder, BERT_BASE.replace(window=Window(64, 6)), "window"),
        (Decoder, BERT_BASE, "kind"),
        (Encoder, GPT2, "kind"),
    ],
)
def test_what_is_not_built_is_refused_by_its_field(network, arch, field):
    with pytest.raises(InputError, match=f"{field}=") as caught:
        network(arch, device="meta")
    assert "\n" not in str(caught.value)


def test_unknown_attention_and_lengths_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="'fused', 'unfused'"):
        Encoder(BERT_BASE, "flash", device="meta")
    arch = GPT2.replace(**SMALL)
    ours = Decoder(arch, max_length=8)
    for context in (0, 9):
        with pytest.raises(InputError, match="1 to 8"):
            ours.step(tokens(arch, 1, 1), context)
    with pytest.raises(InputError, match="1 to 8"):
        ours.prefill(tokens(arch, 1, 9))
    with pytest.raises(InputError, match="built for 1"):
        ours.prefill(tokens(arch, 2, 8))
