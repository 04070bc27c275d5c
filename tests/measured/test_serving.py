"""The points of serving, on a model small enough for a test."""

import pytest
import torch

from analysis.errors import InputError
from analysis.measured import drafting, formats, serving, serving_steps
from analysis.measured.driver import run_tasks
from analysis.measured.networks import Decoder
from analysis.measured.runs import Machine, Run
from analysis.measured.serving import serving_tasks
from analysis.measured.timing import BUDGETS, Budget
from analysis.predicted.architectures import GPT2

BYTES = GPT2.replace(n_layers=1, d_model=32, n_heads=2, d_ff=64, vocab_size=96, n_positions=16)
SMALL = GPT2.replace(n_layers=2, d_model=64, n_heads=4, d_ff=128, vocab_size=96, n_positions=32)
MACHINE = Machine(
    device="cpu", device_name="a CPU", cpu="a CPU", cores=1, threads=1, caches={},
    memory_bytes=None, gpu_memory_bytes=None, os="Linux", python="3", torch="2", numpy="2",
    blas="none", fast_paths=[],
)  # fmt: skip


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    before = torch.get_num_threads()
    for name, value in dict(
        GPT2=SMALL, CONTEXT=16, BATCHES=(1, 2, 9), BATCH_CONTEXTS=(8, 16), HEADS=(4, 2, 1),
        HEADS_CONTEXT=16, HEADS_BATCH=2, SIZE_CONTEXT=8, DRAFT=SMALL.replace(n_layers=1),
        SIZES={"in-cache": SMALL.replace(n_layers=1), "gpt2": SMALL}, WARM_CALLS=2,
        last_level_cache_bytes=lambda device: 4 * SMALL.n_parameters,
    ).items():  # fmt: skip
        monkeypatch.setattr(serving, name, value)
    for name, value in dict(GPT2=SMALL, CONTEXTS=(8, 16), ERRORS=2).items():
        monkeypatch.setattr(formats, name, value)
    monkeypatch.setattr(serving_steps, "GPT2", SMALL)
    monkeypatch.setattr(serving_steps, "READ_BYTES", 800)
    monkeypatch.setattr(serving_steps, "read_kernel", lambda device: torch.ones(100).sum)
    monkeypatch.setattr(drafting, "BYTE_DECODER", BYTES)
    monkeypatch.setattr(drafting, "PROMPT", 12)
    monkeypatch.setattr(drafting, "DRAFTED", (1, 3))
    monkeypatch.setattr(drafting, "held_out", lambda: torch.arange(4 * 2 * 17).view(4, 2, 17) % 96)
    monkeypatch.setattr(drafting, "load", lambda name, **options: Decoder(BYTES, **options))
    yield
    torch.set_num_threads(before)


def measured(budget=BUDGETS["smoke"], only=""):
    run = Run.new(MACHINE, budget.name)
    tasks = [task for task in serving_tasks("cpu", budget, 1) if only in task.key]
    few = Budget(budget.name, budget.wall_seconds, budget.memory_bytes, 0.0, 0.0)
    run_tasks(tasks, run, few, lambda run: None)
    return run


def test_the_points():
    run = measured()
    assert run.not_measured == []
    keys = {point.key for point in run.points}
    assert keys == (
        {f"serve/weights/gpt2/{n}/{name}" for name in formats.FORMATS for n in (8, 16)}
        | {f"serve/products/gpt2/{name}" for name in formats.FORMATS}
        | {f"serve/attention/gpt2/{n}" for n in (8, 16)}
        | {f"serve/batch/gpt2/{context}/{n}" for context in (8, 16) for n in (1, 2, 9, "read")}
        | {f"serve/heads/gpt2/{n}" for n in (4, 2, 1, "read")}
        | {f"serve/check/gpt2/{n}" for n in serving.CHECKED}
        | {"serve/size/in-cache/step", "serve/size/in-cache/warm", "serve/size/gpt2/step"}
        | {"serve/weights/gpt2/read", "serve/size/read", "serve/draft/gpt2/read"}
        | {"serve/draft/gpt2/step"}
        | {f"{drafting.KEY}/{name}" for name in ("greedy", "step", "draft-step", 1, 3)}
        | {f"{drafting.KEY}/check-{n}" for n in (1, 3)}
    )
    assert {point.kind for point in run.points} == {"serving"}
    assert all(point.sample.n >= 3 for point in run.points)


def test_each_format_stores_fewer_bytes_and_is_further_off():
    run = measured(only="weights")
    details = {name: run.point(f"serve/weights/gpt2/8/{name}").details for name in formats.FORMATS}
    sizes = [details[name]["weight_bytes"] for name in ("float32", "bfloat16", "int8", "int4")]
    assert sizes[0] == 2 * sizes[1] and sizes[1] > sizes[2] > sizes[3]
    errors = [details[name]["error"] for name in ("float32", "bfloat16", "int8", "int4")]
    assert errors[0] == 0 < errors[1] < errors[2] < errors[3] < 0.5


def test_batches_share_one_cache():
    run = measured(only="batch/gpt2/16")
    for n in (1, 2, 9):
        point = run.point(f"serve/batch/gpt2/16/{n}")
        assert point.details["batch"] == n
    flops = [run.point(f"serve/batch/gpt2/16/{n}").flops for n in (1, 9)]
    assert flops[1] == 9 * flops[0]


def test_cache_bytes_follow_the_heads():
    run = measured(only="heads")
    sizes = [run.point(f"serve/heads/gpt2/{n}").details["cache_bytes"] for n in (4, 2, 1)]
    assert sizes == [2 * 2 * 2 * 64 * 16 * 4 // k for k in (1, 2, 4)]


def test_a_format_without_a_kernel_is_said_and_the_others_are_measured(monkeypatch):
    def refuse(network):
        raise InputError("no 4-bit kernel here")

    monkeypatch.setitem(formats.FORMATS, "int4", refuse)
    run = measured(only="weights")
    assert run.point("serve/weights/gpt2/8/int4") is None
    assert run.point("serve/weights/gpt2/8/float32").details["no int4"] == "no 4-bit kernel here"
    assert run.point("serve/weights/gpt2/8/int8")


def test_a_draft_that_is_the_model_is_always_accepted():
    run = measured(only="speculative")
    assert run.point(f"{drafting.KEY}/greedy").details["agreement"] == 1
    details = run.point(f"{drafting.KEY}/3").details
    assert details["equal"] == 1 and details["accepted"] == details["examined"] > 0


def test_a_missing_checkpoint_is_said(monkeypatch):
    def missing(name, **options):
        raise InputError(f"{name}: cannot be read: No such file")

    monkeypatch.setattr(drafting, "load", missing)
    run = measured(only="speculative")
    assert run.points == [] and "No such file" in run.reason(f"{drafting.KEY}/greedy")


def test_too_little_memory_is_said():
    run = measured(Budget("small", 60, 10**4, 0, 0, least=2))
    assert run.points == []
    assert "of memory; budget small allows" in run.reason("serve/weights/gpt2/8/float32")
