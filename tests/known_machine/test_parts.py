"""Small parts of measuring on a known machine: clocks, caches and cold weights.

Each check measures anew, and must fail where a fault is planted in the one function that it looks
at.
"""

import pytest
import torch
from arithmetic import BANDWIDTH, BESIDE, CACHE, DIGITS, PEAK, changed, encoder, near
from machine import PLAN, Known, measured

from analysis.compared import latency
from analysis.measured import networks, parts, profile, timing
from analysis.measured.ceilings import KERNELS, bandwidth_task, cache_task, launch_task
from analysis.measured.run import Run
from analysis.measured.timing import Key
from analysis.measured.works import Works, in_turn
from analysis.predicted.architectures import GPT2


def check_cuda_clock() -> None:
    """Events say milliseconds; the stamps inside a pass do too."""
    key = Key("encode", "bert-base", 128, how="unfused")
    task = profile.Point(profile.networks_for(128, "cpu"), 128, key, "cpu")
    run = measured(
        Known(BANDWIDTH, PEAK),
        lambda: [
            bandwidth_task(next(k for k in KERNELS if k.name == "sum"), "cpu", PLAN, 2**28, True),
            task.task(PLAN, 1),
        ],
        events=True,
    )
    rate = run.row("bandwidth", how="sum")
    near("bandwidth by events", rate["bytes"] / rate["seconds"], BANDWIDTH, DIGITS)
    near("pass by events", run.row("encode")["seconds"], encoder("BERT-Base", 128, False), BESIDE)
    for row in latency.breakdown(run).itertuples():
        near("sum of classes by events", row.sum_over_whole, 1, 2 * DIGITS)


def alone(model: str, tokens: int) -> Run:
    """An unfused pass or step and its parts alone, on a machine with a cache."""
    key = Key("step" if model == "gpt2" else "encode", model, tokens, how="unfused")
    task = profile.Point(profile.networks_for(tokens, "cpu"), tokens, key, "cpu")
    return measured(Known(BANDWIDTH, PEAK, CACHE), lambda: [task.task(PLAN, 1)])


def check_eviction() -> None:
    """With a cache that would hold all of it, what is no product in a step comes from memory all
    the same: keys and values, that is, as what layers have just written does not."""
    key = Key("other", "gpt2", 256)

    def prepare(works: Works) -> None:
        network = networks.Decoder(GPT2, "unfused", max_length=key.tokens)
        parts.add_rest(works, network, key, GPT2)

    task = in_turn(key, prepare, [], 0, "cpu", PLAN, 1)
    row = measured(Known(BANDWIDTH, PEAK, CACHE), lambda: [task]).row("other")
    kept = 4 * GPT2.cached(key.tokens)
    assert kept < CACHE
    rate = row["bytes"] / row["seconds"]
    near("bytes/s of what is no product", rate, BANDWIDTH, row["bytes"] / kept - 1)


def check_cold_weights() -> None:
    """With a cache, a step's products alone read the weights of all layers, and so from memory; a
    few rows of 768 and of 3072 numbers beside 768 times as many stay in it."""
    rows = alone("gpt2", 1).rows("alone")
    for row in rows.itertuples():  # a multiply-add a weight of four bytes
        near(f"bytes/s of weights, {row.how}", 2 * row.flops / row.seconds, BANDWIDTH, BESIDE)


PARTS = [check_cuda_clock, check_eviction, check_cold_weights]


@pytest.mark.parametrize("check", PARTS, ids=lambda check: check.__name__)
def test_the_known_machine_comes_out_of_its_parts(check):
    check()


def test_a_cache_and_a_launch_are_seen():
    known = Known(BANDWIDTH, PEAK, CACHE, launch=1e-4)
    run = measured(known, lambda: [cache_task("cpu", PLAN), launch_task("cpu", PLAN)])
    assert run.row("cache")["bytes"] == CACHE // 2
    for what in ("cache", "launch"):
        near(what, run.row(what)["seconds"], 1e-4, DIGITS)


PART_FAULTS = {
    "CUDA milliseconds read as seconds": (
        changed(timing.Clock, "_time_with_events", lambda true: lambda *args: 1000 * true(*args)),
        check_cuda_clock, "bandwidth by events",
    ),
    "CUDA milliseconds read as seconds inside a pass": (
        changed(profile, "split", lambda true: lambda *args: {
            name: 1000 * value for name, value in true(*args).items()}),
        check_cuda_clock, "sum of classes by events",
    ),
    "the eviction between passes left out": (
        changed(torch.Tensor, "sum", lambda true: lambda x, *args, **options: (
            true(x, *args, **options) if args or options else x)),
        check_eviction, "no product",
    ),
    "the weights of one layer again and again": (
        changed(parts, "products_of", lambda true: lambda *args: {
            shape: calls[:1] * len(calls) for shape, calls in true(*args).items()}),
        check_cold_weights, "bytes/s of weights",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", PART_FAULTS)
def test_a_fault_planted_in_measuring_is_seen(monkeypatch, fault):
    plant, check, seen = PART_FAULTS[fault]
    plant(monkeypatch)
    with pytest.raises(AssertionError, match=seen):
        check()
