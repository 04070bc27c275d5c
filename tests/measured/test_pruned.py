"""What is pruned is gone, and the rest computes what it did."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.measured import serving, works
from analysis.measured.networks import Decoder
from analysis.measured.pruned import Sparse, mask, smaller, with_zeros
from analysis.measured.serving import zeros_task
from analysis.measured.timing import BUDGETS, Key
from analysis.predicted.architectures import GPT2
from analysis.predicted.pruning import pruned, sparse_bytes

SMALL = GPT2.replace(n_layers=2, d_model=64, n_heads=4, d_ff=120, vocab_size=101, n_positions=16)


@pytest.fixture(scope="module")
def network():
    return Decoder(SMALL, seed=1)


@pytest.fixture(scope="module")
def tokens():
    return torch.randint(101, (1, 12), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("prune", [smaller, with_zeros])
def test_pruning_nothing_changes_nothing(network, tokens, prune):
    assert torch.equal(prune(network, 0).prefill(tokens), network.prefill(tokens))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 100), st.integers(0, 99))
def test_a_mask_keeps_the_largest(per_cent, seed):
    weight = torch.randn(20, 10, generator=torch.Generator().manual_seed(seed))
    kept = mask(weight, per_cent / 100)
    assert kept.sum() == 200 - 2 * per_cent
    if 0 < per_cent < 100:
        assert weight.abs()[kept == 1].min() > weight.abs()[kept == 0].max()


def test_zeros_are_in_the_layers_alone(network):
    ours = with_zeros(network, 0.5)
    for linear in ours.linears():
        share = (linear.weight == 0).float().mean()
        assert share == (0 if linear is ours.head else 0.5)
    assert ours.head is network.head and network.layers[0].up.weight.all()


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9, 1.0])
def test_smaller_matrices_are_those_of_the_pruned_architecture(network, share):
    ours, arch = smaller(network, share), pruned(SMALL, share)
    other = Decoder(arch)
    shapes = [[each.weight.shape for each in n.linears()] for n in (ours, other)]
    assert shapes[0] == shapes[1] and ours.cache.shape == other.cache.shape
    assert ours.layers[0].heads == arch.n_heads == max(1, round(4 * (1 - share)))


def test_without_the_least_heads_and_neurons_it_computes_as_if_they_gave_nothing(network, tokens):
    """Heads and neurons whose outputs are zeroed are the ones that go."""
    dead = Decoder(SMALL, seed=1)
    for layer in dead.layers:
        layer.out.weight[:, 16:32] = 0  # the second head
        layer.down.weight[:, ::4] = 0
        layer.up.bias.zero_()
    ours = smaller(dead, 0.25)
    assert torch.allclose(ours.prefill(tokens), dead.prefill(tokens), atol=1e-5)
    assert torch.equal(ours.layers[1].up.weight[:3], dead.layers[1].up.weight[1:4])


def test_a_pruned_decoder_steps_as_it_prefills(network, tokens):
    ours = smaller(network, 0.5)
    whole = ours.prefill(tokens)
    assert torch.allclose(ours.step(tokens[:, -1:], 12)[:, 0], whole[:, -1], atol=1e-4)


@pytest.mark.parametrize("rows", [1, 12])
def test_sparse_rows_compute_the_same(network, rows):
    dense, sparse = with_zeros(network, 0.7), with_zeros(network, 0.7, Sparse)
    x = torch.randn(rows, 64, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        for one, other in zip(dense.linears(), sparse.linears(), strict=True):
            if one.weight.shape[1] == 64:
                assert torch.allclose(one(x), other(x), atol=1e-5)
    size = sum(each.nbytes for each in sparse.linears() if isinstance(each, Sparse))
    assert size == pytest.approx(sparse_bytes(SMALL, 0.7), rel=0.001)


def test_the_points(new_run, as_archived, monkeypatch):
    monkeypatch.setattr(serving, "GPT2", SMALL)
    monkeypatch.setattr(serving, "ZEROS_CONTEXT", 16)
    monkeypatch.setattr(works, "READ_BYTES", 800)
    task = zeros_task("cpu", BUDGETS["smoke"], 1)
    first = task.run(0)
    points = {task.key: first} | first.beside
    run = new_run()
    run.add(task.key, first)
    as_archived(run, "prune", "read")

    def key(how, n):
        return Key("prune", "gpt2", 16, how=how, n=n)

    found = [key("zeros", n) for n in (0, 50, 90)]
    found += [key("csr", n) for n in (30, 50, 60, 70, 80, 90, 95)]
    assert list(points) == [*found, Key("read", how="prune 16 zeros")]
    dense = points[key("zeros", 0)]
    assert {point.sample.n for point in points.values()} == {dense.sample.n}
    assert points[key("zeros", 90)].bytes == dense.bytes and dense.details["parameters"]
    assert points[key("csr", 90)].bytes < dense.bytes < points[key("csr", 30)].bytes
    assert points[key("csr", 90)].details["weight_bytes"] == pytest.approx(
        sparse_bytes(SMALL, 0.9), rel=0.01
    )
