"""Two processes that divide a tiny model's state: the same training, every byte known."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from analysis.measured import sharded
from analysis.measured.parallel import Trainable
from analysis.measured.training import data
from analysis.predicted.architectures import GPT2


@pytest.fixture(scope="module")
def found(linked):
    """What tiny_links.py found of the stages."""
    return torch.load(linked.with_name("found.pt"))


@pytest.fixture(scope="module")
def arch(found):
    return GPT2.replace(**found["sizes"])


def test_all_stages_train_as_one_process_with_the_tokens_of_both(found, arch):
    """`verify` has compared the stages with stage 0; here that is compared with one process."""
    torch.manual_seed(0)
    model = Trainable(arch)
    start = [each.detach().clone() for each in model.parameters()]
    adam = torch.optim.Adam(model.parameters(), sharded.RATE, eps=sharded.EPSILON)
    for _ in range(found["steps"]):
        for seed in range(2):
            tokens, _, targets = data(arch, sharded.LENGTH, 1, "cpu", seed)
            (F.cross_entropy(model(tokens).flatten(0, 1), targets) / 2).backward()
        adam.step()
        adam.zero_grad()
    close = partial(torch.allclose, rtol=0, atol=sharded.WITHIN)
    for one, both, before in zip(model.parameters(), found["updated"], start, strict=True):
        assert close(one, both) and not torch.equal(one, before)


def test_what_is_held_is_what_each_stage_divides(found, arch):
    sizes = [each.numel() for each in found["updated"]]
    whole, tensors = 4 * sum(sizes), len(sizes)
    assert whole == 4 * arch.n_parameters
    rows = [len(each) for each in found["updated"]]
    padded = 4 * sum(-(-n // 2) * size // n for n, size in zip(rows, sizes, strict=True))
    assert whole / 2 < padded < whole / 2 * 1.03  # odd numbers of rows, filled up
    plain, first, second, third = found["held"]
    counts = 4 * tensors  # Adam's count of steps, one a tensor
    assert plain == {
        "passing": whole, "parameters": whole, "gradients": whole,
        "optimizer": 2 * whole + counts,
    }  # fmt: skip
    assert first | {"optimizer": 0} == plain | {"optimizer": 0}
    assert whole * 0.8 < first["optimizer"] < whole * 1.2  # whole tensors, more or less even
    assert second["parameters"] == second["passing"] == 2 * padded + padded
    assert third["parameters"] == padded
    # In passing the words and positions, and one layer.
    assert padded < third["passing"] < 3 * padded
    for each in (second, third):
        assert each["gradients"] == padded
        assert 2 * padded * 0.97 < each["optimizer"] - counts <= 2 * padded


def test_one_number_that_is_another_is_noticed_at_every_stage(found):
    assert len(found["noticed"]) == 3 and "another result" in found["noticed"][0]


def test_without_memory_it_is_said(monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setattr(sharded.dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(sharded, "over_all", lambda operation, numbers, device: numbers)
    need = sharded.needed_bytes(GPT2, 2)
    # 16, 12, 10 and 8 bytes a parameter, and 2 for what stage 2 has beside.
    assert need == pytest.approx(48 * GPT2.n_parameters, rel=0.1)
    monkeypatch.setattr(sharded.machine, "free_memory_bytes", lambda device: 2 * need - 1)
    reason = sharded.stages(GPT2, torch.device("cpu"))
    assert reason.startswith(f"needs {2 * need / 1e9:.2f} GB of memory; free are ")


def test_a_storage_is_counted_once_and_whole():
    whole = torch.zeros(100)
    assert sharded.held_bytes([whole, whole[:10], whole.view(10, 10), None]) == 400
