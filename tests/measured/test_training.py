"""Bytes that autograd keeps against those predicted, and gradients that no policy changes."""

import pytest
import torch

from analysis.errors import InputError
from analysis.measured import training
from analysis.measured.driver import run_tasks
from analysis.measured.timing import BUDGETS, Budget, Key
from analysis.measured.training import BRIEF, HOW, POLICIES, SECOND, Training, training_tasks
from analysis.predicted.activations import AUTOCAST, FUSED, UNFUSED, activations
from analysis.predicted.architectures import BERT_BASE, GPT2
from analysis.predicted.footprint import model_state

pytestmark = pytest.mark.usefixtures("one_thread")
SIZES = {"n_layers": 4, "d_model": 48, "n_heads": 4, "d_ff": 160, "vocab_size": 101}
BERT, GPT = (arch.replace(n_positions=32, **SIZES) for arch in (BERT_BASE, GPT2))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("arch", [BERT, GPT], ids=["BERT", "GPT"])
def test_autograd_keeps_what_is_predicted(arch, batch):
    """Within what the formulas leave out: a few scalars."""
    ours = Training(arch, 24, batch=batch)
    for how, found in ours.kept_and_again().items():
        kept, again = found.values()
        if how == SECOND:
            assert kept > 2 * activations(arch, 24, batch=batch).kept
            continue
        convention = {"fused": FUSED, "autocast": AUTOCAST}.get(how, UNFUSED)
        policy = how if convention is UNFUSED else "none"
        expected = activations(arch, 24, convention, policy, batch)
        assert kept == pytest.approx(expected.kept, abs=100), how
        assert again == pytest.approx(expected.again, abs=100), how


@pytest.mark.parametrize("length", [128, 512])
@pytest.mark.parametrize("arch", [BERT_BASE, GPT2], ids=["BERT-Base", "GPT-2"])
def test_the_models_keep_what_is_predicted_within_5_percent(arch, length):
    """On a device that has shapes and no numbers; asks for a thousandth."""
    kept = Training(arch, length, "meta").saved_bytes()
    assert kept == pytest.approx(activations(arch, length).kept, rel=1e-3)


@pytest.mark.parametrize("arch", [BERT, GPT], ids=["BERT", "GPT"])
def test_gradients_do_not_depend_on_what_is_computed_again(arch):
    ours = Training(arch, 24)
    plain = ours.gradients()
    assert len(plain) == len(ours.parameters) and all(each.abs().max() > 0 for each in plain)
    for how in (*POLICIES[1:], "every-3", "stretch-9", "fused"):
        for one, other in zip(plain, ours.gradients(how), strict=True):
            assert (one - other).abs().max() <= 1e-5 * one.abs().max(), how


@pytest.mark.parametrize("arch", [BERT, GPT], ids=["BERT", "GPT"])
def test_gradients_under_autocast_are_near_and_in_float32(arch):
    ours = Training(arch, 24)
    for one, other in zip(ours.gradients(), ours.gradients("autocast"), strict=True):
        assert other.dtype == torch.float32 and not torch.equal(one, other)
        assert (one - other).norm() <= 0.05 * one.norm()


@pytest.mark.parametrize("arch", [BERT, GPT], ids=["BERT", "GPT"])
def test_gradients_are_those_of_the_loss(arch):
    """One number of every parameter, moved both ways."""
    ours = Training(arch, 8)
    for parameter, gradient in zip(ours.parameters, ours.gradients(), strict=True):
        place, losses = gradient.abs().flatten().argmax(), []
        for step in (0.01, -0.02, 0.01):  # the last moves it back
            with torch.no_grad():
                parameter.view(-1)[place] += step
                losses.append(ours.loss().double())
        slope = (losses[0] - losses[1]) / 0.02
        assert slope == pytest.approx(gradient.flatten()[place].item(), rel=0.05, abs=1e-3)


def test_every_parameter_is_trained_but_the_pooler():
    for arch in (BERT, GPT):
        pooler = arch.pooler * (arch.d_model**2 + arch.d_model)
        assert sum(map(torch.numel, Training(arch, 8).parameters)) == arch.n_parameters - pooler


def test_a_hessian_is_that_of_the_gradients():
    """A product with signs against the difference of two gradients."""
    ours = Training(GPT, 8)
    n = len(ours.parameters)
    made = ours.step(SECOND)
    signs, products = made[n : 2 * n], made[2 * n : 3 * n]
    ends = []
    for step in (1e-3, -2e-3):
        with torch.no_grad():
            for parameter, sign in zip(ours.parameters, signs, strict=True):
                parameter += step * sign
        ends.append(ours.gradients())
    for above, below, product in zip(*ends, products, strict=True):
        assert (above - below).div(2e-3).sub(
            product
        ).abs().max() <= 0.1 * product.abs().max() + 0.01


@pytest.mark.parametrize("name", ["", "all", "every-0", "every-x", "stretch-", "layers-2"])
def test_an_unknown_policy_is_one_line(name):
    with pytest.raises(InputError, match="no policy .*every-K") as caught:
        Training(GPT, 8).loss(name)
    assert "\n" not in str(caught.value)


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(training, "ARCHITECTURES", {"bert-base": BERT, "gpt2": GPT})
    monkeypatch.setattr(training, "probe", lambda dtype, device: 1e12)


def key(model, how):
    return Key("train", model, 16, how=how, dtype="bfloat16" if how == "autocast" else "float32")


@pytest.mark.parametrize("budget", [BUDGETS["smoke"], BUDGETS["quick"]], ids=lambda b: b.name)
def test_the_points(tiny, budget, new_run, as_archived):
    tasks = training_tasks("cpu", budget, 1, 16)
    assert [task.key.model for task in tasks] == ["bert-base", "gpt2"][: 2 - budget.brief]
    for task in tasks:
        model, arch = task.key.model, GPT if task.key.model == "gpt2" else BERT
        first, run = task.run(0.0), new_run()
        run.add(task.key, first)
        as_archived(run, "train")
        points, ways = {task.key: first} | first.beside, BRIEF if budget.brief else HOW
        times = {key(model, how): 1 if how == SECOND else budget.least for how in ways}
        assert {key: point.sample.n for key, point in points.items()} == times
        assert {key.how for key, point in points.items() if not point.in_turn} == {SECOND}
        assert all(point.flops and point.details["saved_bytes"] for point in points.values())
        again = task.run(0.0)  # another visit asks for no bytes
        assert again.details == first.details and len(again.beside) == len(first.beside) - 1
        plain, second = first.details, points[key(model, SECOND)].details
        state = {o: sum(model_state(arch, o).values()) for o in ("sgd", "diagonal")}
        assert plain["state_bytes"] <= state["sgd"] and second["state_bytes"] <= state["diagonal"]
        assert second["state_bytes"] == 3 * plain["state_bytes"]
        assert task.memory_bytes > second["state_bytes"] + second["saved_bytes"]


@pytest.mark.parametrize("rate", [None, 1e9])
def test_where_bfloat16_is_only_imitated_it_is_left_out_and_said(tiny, rate, monkeypatch):
    monkeypatch.setattr(training, "probe", lambda dtype, device: rate)
    first = training_tasks("cpu", BUDGETS["smoke"], 1, 16)[0].run(0.0)
    autocast = key("bert-base", "autocast")
    assert autocast not in first.beside and "bfloat16 reach" in first.missing[autocast]
    assert key("bert-base", "layers") in first.beside


def test_too_little_memory_is_said(tiny, new_run, reasons):
    run, budget = new_run("small"), Budget("small", 60, 10**5, 0, 0)
    run_tasks(training_tasks("cpu", budget, 1, 16), run, budget, lambda run: None)
    assert run.points == []
    assert "of memory; budget small allows" in reasons(run)["train gpt2 16 none"]
