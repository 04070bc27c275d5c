"""Ceilings on tiny arrays and matrices: what is counted, and that wrong results are found."""

import pytest
import torch

from analysis.errors import InputError
from analysis.measured import ceilings, products
from analysis.measured.timing import BUDGETS, Budget, Key

TINY = Budget("tiny", 1, None, seconds_per_point=1e-3, warm_seconds=1e-3)
SIZE = 8 * ceilings.GRAIN


@pytest.mark.parametrize("kernel", ceilings.KERNELS, ids=lambda kernel: kernel.name)
def test_bytes_are_counted_as_stream_does(kernel):
    counted = {"copy": 2, "scale": 2, "add": 3, "triad": 3, "sum": 1, "streams": 1, "product": 1}
    task = ceilings.bandwidth_task(kernel, "cpu", TINY, SIZE, large=False)
    measured = task.run(1e-3)
    assert measured.bytes == counted[kernel.name] * SIZE == task.memory_bytes
    assert measured.flops is None and measured.sample.n >= 5
    assert measured.details["resides_in"].startswith("cache")


@pytest.mark.parametrize("kernel", ceilings.KERNELS, ids=lambda kernel: kernel.name)
def test_a_wrong_result_is_found(kernel):
    x, y = torch.rand(2, 2 * ceilings.GRAIN, dtype=torch.float64)
    out = torch.empty_like(x)
    kernel.run(x, y, out)
    ceilings.verify(kernel, x, y, out)
    if kernel.expected:
        out[-1] += 1e-6
    else:
        wrong = ceilings.Kernel(kernel.name, 1, lambda x, y, out: x[:-1].sum())
        kernel = wrong
    with pytest.raises(RuntimeError, match="wrong result"):
        ceilings.verify(kernel, x, y, out)


def test_arrays_are_four_times_the_cache_or_said_to_be_cached(monkeypatch):
    monkeypatch.setattr(ceilings, "last_level_cache_bytes", lambda device: 2**30)
    monkeypatch.setattr(ceilings, "free_memory_bytes", lambda device: 2**40)
    assert ceilings.array_bytes("cpu", 3, TINY) == (2**32, True)
    bounded = Budget("tiny", 1, 3 * 2**30, 1, 1)
    size, large = ceilings.array_bytes("cpu", 3, bounded)
    assert 3 * size <= bounded.memory_bytes and not large
    monkeypatch.setattr(ceilings, "last_level_cache_bytes", lambda device: 2**20)
    assert ceilings.array_bytes("cpu", 3, TINY) == (2**28, True)
    monkeypatch.setattr(ceilings, "free_memory_bytes", lambda device: 15 * 2**26)
    assert ceilings.array_bytes("cpu", 3, TINY) == (2**26, True)


def test_too_little_memory_or_an_unknown_cache_is_a_reason():
    with pytest.raises(InputError, match="memory"):
        ceilings.bandwidth_task(ceilings.KERNELS[0], "cpu", TINY, 0, False).run(1e-3)


def test_the_cache_is_read_by_half(monkeypatch):
    monkeypatch.setattr(ceilings, "last_level_cache_bytes", lambda device: 2**16)
    assert ceilings.cache_task("cpu", TINY).run(1e-3).bytes == 2**15
    monkeypatch.setattr(ceilings, "last_level_cache_bytes", lambda device: None)
    with pytest.raises(InputError, match="unknown"):
        ceilings.cache_task("cpu", TINY).run(1e-3)


def test_a_launch_has_no_amount():
    measured = ceilings.launch_task("cpu", TINY).run(1e-3)
    assert measured.flops is None and measured.bytes is None


@pytest.mark.parametrize("dtype", ceilings.DTYPES)
def test_squares_of_every_data_type(dtype):
    task = products.square_tasks(dtype, [32], "cpu", TINY, {})[0]
    assert task.key == Key("matmul", how="32x32x32", dtype=dtype)
    try:
        measured = task.run(1e-3)
    except (RuntimeError, InputError):
        pytest.skip(f"no {dtype} here")
    assert measured.flops == 2 * 32**3
    assert measured.details["library"]


def test_a_data_type_that_is_not_supported_is_a_reason(monkeypatch):
    monkeypatch.setattr(products, "probe", lambda dtype, device: None)
    with pytest.raises(InputError, match="float16 products are not supported on cpu"):
        products.square_tasks("float16", [32], "cpu", TINY, {})[0].run(1e-3)


def test_a_square_that_would_take_too_long_is_left_out_but_not_the_first():
    small, large = products.square_tasks("float32", [16, 2048], "cpu", TINY, {"float32": 1e6})
    assert small.run(1e-3).flops == 2 * 16**3
    with pytest.raises(InputError, match="too long"):
        products.square_tasks("float32", [16, 2048], "cpu", TINY, {"float32": 1e6})[1].run(1e-3)
    assert large.key == Key("matmul", how="2048x2048x2048")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int32])
def test_a_wrong_product_is_found(dtype):
    a, b = torch.randn(2, 64, 64).mul_(9).to(dtype)
    c = a @ b
    products.verify(a, b, c)
    c[-1] = 0
    with pytest.raises(RuntimeError, match="wrong result"):
        products.verify(a, b, c)


@pytest.mark.parametrize("budget", BUDGETS.values(), ids=lambda budget: budget.name)
def test_all_ceilings_have_keys_of_their_own(budget, monkeypatch):
    monkeypatch.setattr(products, "probe", lambda dtype, device: 1e9)
    groups = ceilings.ceiling_tasks("cpu", budget, torch.get_num_threads())
    keys = [task.key for group in groups for task in group]
    assert len(set(keys)) == len(keys)
    kernels = {Key("bandwidth", how=each.name, dtype="float64") for each in ceilings.KERNELS}
    squares = {Key("matmul", how=f"{n}x{n}x{n}") for n in (512, 1024, 2048)}
    assert kernels | squares | {Key("launch"), Key("cache")} <= set(keys)
    assert (Key("matmul", how="512x512x512", dtype="int8") in keys) == (not budget.brief)


def test_points_are_as_archived_ones(new_run, as_archived, monkeypatch):
    monkeypatch.setattr(ceilings, "last_level_cache_bytes", lambda device: 2**16)
    tasks = [ceilings.bandwidth_task(each, "cpu", TINY, SIZE, True) for each in ceilings.KERNELS]
    tasks += [ceilings.cache_task("cpu", TINY), ceilings.launch_task("cpu", TINY)]
    for dtype in ("float32", "bfloat16"):
        tasks += products.square_tasks(dtype, [32], "cpu", TINY, {})
    run = new_run()
    for task in tasks:
        run.add(task.key, task.run(1e-3))
    as_archived(run, "bandwidth", "cache", "launch", "matmul")
