"""What a claim compares is timed in turn, and its ratio is taken pair by pair."""

import numpy as np
import pytest

from analysis.compared import latency, shown
from analysis.measured import pairs, works
from analysis.measured.run import Run
from analysis.measured.timing import BUDGETS, Key, Measurement, Sample
from analysis.predicted.architectures import BERT_BASE, GPT2


@pytest.fixture
def run() -> Run:
    return shown.reference().model_copy(update={"points": []})


def timed(run: Run, passes: dict, steps: dict, noise=(1.0,)) -> None:
    """Points of one turn, in which each repetition is slower than usual by `noise`."""
    turn = f"to {max(steps)}"
    found = {
        Key("pair", model, n, how=turn): Measurement(Sample(tuple(seconds * np.array(noise))))
        for model, each in (("bert-base", passes), ("gpt2", steps))
        for n, seconds in each.items()
    }
    first = next(iter(found))
    beside = {key: found[key] for key in list(found)[1:]}
    run.add(first, Measurement(found[first].sample, beside=beside))


def test_the_ratio_of_a_generation_is_pair_by_pair(run):
    """Steps of 10 ms, whatever the context, over a pass of 0.1 s: 12.8; a machine that slows down
    tenfold within the turn slows both."""
    timed(run, {128: 0.1}, dict.fromkeys((1, 64, 128), 0.01), noise=(1, 10, 2, 5))
    assert latency.gpt2_over_bert(run, 128) == pytest.approx((12.8,) * 3)
    row = latency.in_turn(run).iloc[0]
    assert (row["tokens"], row["over"]) == (128, 128)


def test_what_no_turn_has_is_set_over_with_both_drifts(run):
    run.points = shown.reference().points
    apart = latency.gpt2_over_bert(run, 512)
    timed(run, {128: 0.1}, dict.fromkeys((1, 64, 128), 0.01))
    assert latency.gpt2_over_bert(run, 512) == apart  # the turn ends at 128
    assert latency.gpt2_over_bert(run, 128)[0] == pytest.approx(12.8)


def test_a_turn_without_the_first_context_gives_no_generation(run):
    timed(run, {128: 0.1}, dict.fromkeys((64, 128), 0.01))
    assert latency.in_turn(run).empty


@pytest.mark.parametrize("budget", ["smoke", "full"])
def test_every_pass_of_a_turn_has_a_generation_as_long(budget):
    """Else a claim at that length would have no pair."""
    for passes, contexts in BUDGETS[budget].of(pairs.TURNS, pairs.BRIEF).values():
        assert min(contexts) == 1 and max(passes) <= max(contexts)
        assert set(passes) >= {128}  # over which the paper prints its latencies
    tasks = pairs.pair_tasks("cpu", BUDGETS[budget], 2)
    assert len({task.key for task in tasks}) == len(tasks)
    assert all(
        task.memory_bytes > 4 * (BERT_BASE.n_parameters + GPT2.n_parameters) for task in tasks
    )


def test_a_turn_is_measured_as_it_is_asked(run):
    """The real networks, for the blink of an eye."""
    task = pairs.pair_task("short", (8,), (1, 8), "cpu", BUDGETS["smoke"], 1)
    run.add(task.key, task.run(1e-6))
    rows = run.rows("pair")
    assert rows["turn"].nunique() == 1 and rows["turn"].iloc[0]
    assert set(zip(rows["model"], rows["tokens"], strict=True)) == {
        ("bert-base", 8), ("gpt2", 1), ("gpt2", 8)}  # fmt: skip
    assert (rows["flops"] > 0).all() and len({len(s.times) for s in rows["sample"]}) == 1


def test_a_step_after_the_passes_is_not_timed(run, monkeypatch):
    called = []
    monkeypatch.setattr(works, "advance", lambda decoder, token, context: called.append(context))
    task = pairs.pair_task("short", (8,), (1, 8), "cpu", BUDGETS["smoke"], 1)
    run.add(task.key, task.run(1e-6))
    rounds = len(run.rows("pair")["sample"].iloc[0].times)
    assert called == [1, 1, 8, 8] + [8, 1, 8] * rounds


def test_the_figure_says_of_a_pair_what_the_claim_does(run):
    """One number on one page: the latency over BERT-Base's at 128 tokens, too."""
    run.points = shown.reference().points
    apart = latency.relative(run).set_index(["model", "tokens"])
    timed(run, {128: 0.1}, dict.fromkeys((1, 64, 128), 0.01), noise=(1, 2))
    rows = latency.relative(run).set_index(["model", "tokens"])
    ends = ["value", "value_low", "value_high"]
    assert rows.loc[("GPT-2", 128), ends].to_list() == pytest.approx([12.8] * 3)
    assert tuple(rows.loc[("GPT-2", 128), ends]) == pytest.approx(latency.gpt2_over_bert(run, 128))
    others = rows.index != ("GPT-2", 128)
    assert rows[others].equals(apart[others])
