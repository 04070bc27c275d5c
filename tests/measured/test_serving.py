"""The points of serving, on a model small enough for a test."""

from unittest import mock

import pytest
import torch

from analysis.errors import InputError
from analysis.measured import quantised, serving, speculative, works
from analysis.measured.driver import run_tasks
from analysis.measured.networks import Decoder
from analysis.measured.quantised import FORMATS
from analysis.measured.serving import serving_tasks, weights_task
from analysis.measured.speculative import byte_task
from analysis.measured.timing import BUDGETS, Budget, Key
from analysis.predicted.architectures import GPT2
from analysis.predicted.pruning import pruned

TABLES = serving.tables
BYTES = GPT2.replace(n_layers=1, d_model=32, n_heads=2, d_ff=64, vocab_size=96, n_positions=16)
SMALL = GPT2.replace(n_layers=2, d_model=64, n_heads=4, d_ff=128, vocab_size=96, n_positions=32)


def true_tables(budget):
    """As they are; tests have a stand-in."""
    with mock.patch.object(serving, "GPT2", GPT2):
        return TABLES(budget)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    before = torch.get_num_threads()

    def shorter(budget):
        """The same tables of a small model, at a 32nd of their contexts."""
        small = {GPT2: SMALL, serving.DRAFT: SMALL.replace(n_layers=1)}
        found = {}
        for name, table in true_tables(budget).items():
            found[name] = [
                (
                    serving.replace(key, tokens=key.tokens // 32 or 1),
                    small.get(arch) or shrunk(arch),
                )
                for key, arch in table
            ]
        return found

    monkeypatch.setattr(serving, "tables", shorter)
    for name, value in dict(GPT2=SMALL, FORMAT_CONTEXTS=(8, 16), ERRORS=2).items():
        monkeypatch.setattr(serving, name, value)
    monkeypatch.setattr(serving, "WARM_CALLS", 2)
    monkeypatch.setattr(serving, "last_level_cache_bytes", lambda device: 4 * SMALL.n_parameters)
    for module in (works, serving):
        monkeypatch.setattr(module, "READ_BYTES", 800)
    monkeypatch.setattr(quantised, "saturates", lambda: False)
    monkeypatch.setattr(speculative, "BYTE_DECODER", BYTES)
    monkeypatch.setattr(speculative, "PROMPT", 12)
    monkeypatch.setattr(speculative, "DRAFTED", (1, 3))
    windows = torch.arange(4 * 2 * 17).view(4, 2, 17) % 96
    monkeypatch.setattr(speculative, "held_out", lambda: windows)
    monkeypatch.setattr(speculative, "load", lambda name, **options: Decoder(BYTES, **options))
    yield
    torch.set_num_threads(before)


def shrunk(arch):
    """`SMALL` with what makes `arch` another than GPT-2."""
    heads = max(1, arch.n_heads * SMALL.n_heads // 12)
    shared = max(1, heads * arch.n_kv_heads // arch.n_heads)
    return SMALL.replace(
        n_layers=1 if arch.n_layers < 12 else 2, n_heads=heads, n_kv_heads=shared,
        head_dim=SMALL.head_dim, d_ff=arch.d_ff // 24, vocab_size=min(96, arch.vocab_size),
    )  # fmt: skip


@pytest.fixture
def measured(new_run):
    def measure(*makers, budget=BUDGETS["quick"]):
        run = new_run(budget.name)
        tasks = []
        for make in makers or (weights_task, serving_tasks, byte_task):
            made = make("cpu", budget, 1)
            tasks += made if isinstance(made, list) else [made]
        quick = Budget(budget.name, 1e6, budget.memory_bytes, 0.0, 0.0, brief=budget.brief)
        run_tasks(tasks, run, quick, lambda run: None)
        return run

    return measure


def named(run, what):
    return {(p.model, p.tokens, p.batch, p.how, p.n) for p in run.points if p.what == what}


def test_the_points(measured, as_archived):
    run = measured()
    assert run.not_measured == []
    as_archived(run, "weights", "products", "attention", "batch", "heads", "check", "draft", "size",
                "prune", "speculative")  # fmt: skip
    assert named(run, "weights") == {("gpt2", n, 1, name, 0) for name in FORMATS for n in (8, 16)}
    assert named(run, "products") == {("gpt2", 0, 1, name, 0) for name in FORMATS}
    assert named(run, "attention") == {("gpt2", n, 1, "", 0) for n in (8, 16)}
    batches = (1, 2, 4, 8, 16, 32, 64)
    assert named(run, "batch") == {("gpt2", c, n, "", 0) for c in (2, 16) for n in batches}
    assert named(run, "heads") == {("gpt2", 128, 4, "", n) for n in (12, 4, 1)}
    assert named(run, "check") == {("gpt2", 16, 1, "", n) for n in (1, 2, 3, 5, 9)}
    assert named(run, "draft") == {("gpt2", 16, 1, "", 0)}
    cold = {(name, 4, 1, "cold", 0) for name in serving.SIZES}
    warm = {(name, 4, 1, "warm", 0) for name in ("in-cache", "half-depth")}
    assert named(run, "size") == cold | warm
    assert named(run, "prune") == {("gpt2", 4, 1, "structured", n) for n in range(0, 100, 10)}
    parts = {("greedy", 0), ("step", 0), ("draft step", 0)}
    parts |= {(how, n) for how in ("drafted", "check") for n in (1, 3)}
    assert named(run, "speculative") == {("byte-decoder", 0, 1, how, n) for how, n in parts}
    reads = ("weights", "batch 64", "batch 512", "heads", "draft", "size", "prune 128 structured")
    assert named(run, "read") == {("", 0, 1, how, 0) for how in reads}
    assert all(point.sample.n >= 3 for point in run.points)
    turns = {}
    for point in run.points:
        turns.setdefault(point.turn, set()).add(point.what)
    assert "" not in turns and {frozenset(each) for each in turns.values()} == {
        frozenset(each)
        for each in (
            {"weights", "products", "attention", "read"}, {"batch", "read"}, {"heads", "read"},
            {"check", "draft", "read"}, {"size", "read"}, {"prune", "read"}, {"speculative"},
        )
    }  # fmt: skip


def test_a_brief_budget_has_a_part_of_each_remedy(measured):
    run = measured(budget=BUDGETS["smoke"])
    assert named(run, "weights") == {("gpt2", 8, 1, name, 0) for name in serving.BRIEF_FORMATS}
    assert named(run, "batch") == {("gpt2", 2, n, "", 0) for n in (1, 4, 16)}
    assert named(run, "heads") == {("gpt2", 128, 4, "", n) for n in (12, 1)}
    assert {model for model, *_ in named(run, "size")} == {"half-depth", "gpt2", "gpt2-medium"}
    assert named(run, "prune") == {("gpt2", 4, 1, "structured", n) for n in (0, 50)}
    assert ("byte-decoder", 0, 1, "drafted", 1) in named(run, "speculative")
    assert not named(run, "draft") and run.not_measured == []


def test_the_tables_are_of_the_models_that_they_name():
    wanted = {
        "heads": {GPT2.replace(n_kv_heads=n) for n in (12, 4, 1)},
        "batch 64": {GPT2},
        "prune 128 structured": {pruned(GPT2, n / 100, 64) for n in range(0, 100, 10)},
    }
    found = true_tables(BUDGETS["quick"])
    for name, archs in wanted.items():
        assert {arch for _, arch in found[name]} == archs
    assert {key.tokens for key, _ in found["heads"]} == {4096}


def test_each_format_stores_fewer_bytes_and_is_further_off(measured):
    run = measured(weights_task)
    rows = run.rows("weights", tokens=8).set_index("how")
    sizes = [rows.weight_bytes[name] for name in ("float32", "bfloat16", "int8", "int4")]
    assert sizes[0] == 2 * sizes[1] and sizes[1] > sizes[2] > sizes[3]
    errors = [rows.error[name] for name in ("float32", "bfloat16", "int8", "int4")]
    assert errors[0] == 0 < errors[1] < errors[2] < errors[3] < 0.5


def test_batches_and_heads_say_what_they_read(measured):
    run = measured(serving_tasks)
    one, many = (run.row("batch", tokens=16, batch=n) for n in (1, 8))
    assert many.flops == 8 * one.flops and many.parameters == SMALL.n_parameters
    heads = run.rows("heads")
    few, some, every = heads.bytes  # of 4 heads, not 12
    assert list(heads.n) == [1, 4, 12] and few == some < every
    plain = run.row("prune", n=0).bytes
    assert run.row("prune", n=50).bytes < plain


def test_a_format_without_a_kernel_is_said_and_the_others_are_measured(
    measured, reasons, monkeypatch
):
    def refuse(network):
        raise InputError("no 4-bit kernel here")

    monkeypatch.setitem(FORMATS, "int4", refuse)
    run = measured(weights_task)
    said = "no 4-bit kernel here"
    assert reasons(run) == {"weights gpt2 8 int4": said, "weights gpt2 16 int4": said}
    assert run.find(Key("weights", "gpt2", 8, how="int8"))


def test_a_draft_that_is_the_model_is_always_accepted(measured):
    run = measured(byte_task)
    assert run.row("speculative", how="greedy").agreement == 1
    row = run.row("speculative", how="drafted", n=3)
    assert row.equal == 1 and row.accepted == row.examined > 0


def test_a_missing_checkpoint_is_said(measured, reasons, monkeypatch):
    def missing(name, **options):
        raise InputError(f"{name}: cannot be read: No such file")

    monkeypatch.setattr(speculative, "load", missing)
    run = measured(byte_task)
    assert run.points == [] and "No such file" in reasons(run)["speculative byte-decoder greedy"]


def test_too_little_memory_is_said(measured, reasons):
    run = measured(weights_task, serving_tasks, budget=Budget("small", 60, 10**4, 0, 0, least=2))
    assert run.points == [] and len(run.not_measured) == 7
    assert "of memory; budget small allows" in reasons(run)["weights gpt2 8 float32"]
