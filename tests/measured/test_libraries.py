"""Products through every library that torch has: the same numbers, and the fastest is taken."""

from dataclasses import replace
from unittest import mock

import pytest
import torch
import torch.nn.functional as F

from analysis.measured import libraries, linear
from analysis.measured.libraries import LIBRARIES, ONEDNN, PLAIN, by_library, fastest, for_weight
from analysis.measured.linear import Linear

HERE = for_weight(torch.ones(2, 2))


@pytest.fixture(autouse=True)
def nothing_known_yet():
    fastest.cache_clear()
    yield
    fastest.cache_clear()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("rows", [2, 8, 16])
def test_every_library_computes_the_same(dtype, with_bias, rows):
    x, weight, bias = (torch.randn(n, dtype=dtype) for n in ((rows, 64), (48, 64), (48,)))
    bias = bias if with_bias else None
    expected = F.linear(x.double(), weight.double(), bias.double() if with_bias else None)
    there = by_library(x, weight)  # without those that have no kernel for this processor
    assert PLAIN.name in there
    for library in (each for each in for_weight(weight) if each.name in there):
        found = library.product(x, library.pack(weight, rows), weight, bias)
        scale = 1e-5 if dtype == torch.float32 else 0.1
        torch.testing.assert_close(found.double(), expected, atol=scale, rtol=scale)


def test_int8_and_the_meta_device_have_the_plain_product_alone():
    assert for_weight(torch.ones(2, 2, dtype=torch.int8)) == [PLAIN]
    assert for_weight(torch.ones(2, 2, device="meta")) == [PLAIN]


@pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="torch has no MKL here")
def test_slices_are_for_few_rows():
    weight = torch.ones(48, 64)
    there = {n: "MKL by slices" in by_library(torch.ones(n, 64), weight) for n in (2, 8, 9)}
    assert there == {2: True, 8: True, 9: False}


def planted(seconds: dict[str, float]):
    """Libraries that are timed as if they took so long."""
    known = tuple(replace(PLAIN, name=name, device="cpu", dtypes=("float32",)) for name in seconds)
    trial = mock.patch.object(libraries, "trial", lambda *_: seconds)
    return mock.patch.object(libraries, "LIBRARIES", (PLAIN, *known[1:])), trial


@pytest.mark.parametrize(
    "other, taken", [(0.5, "other"), (0.94, "other"), (0.96, "plain"), (2.0, "plain")]
)
def test_another_library_is_taken_only_where_it_is_faster(other, taken):
    there, trial = planted({"plain": 1.0, "other": other})
    with there, trial:
        assert fastest(16, 64, 48, torch.float32, "cpu").name == taken


def test_a_library_without_a_kernel_for_this_processor_is_left_out():
    def fails(*_):
        raise RuntimeError("could not create a primitive")

    broken = replace(ONEDNN, product=fails, dtypes=("float32",), there=lambda: True)
    with mock.patch.object(libraries, "LIBRARIES", (PLAIN, broken)):
        assert list(by_library(torch.ones(2, 2), torch.ones(2, 2))) == ["plain"]


@pytest.mark.skipif(ONEDNN not in HERE, reason="torch has no oneDNN here")
def test_a_weight_that_changed_is_packed_again():
    with mock.patch.object(linear, "fastest", lambda *_: ONEDNN):
        each = Linear(torch.randn(48, 64), torch.randn(48), "other")
        x = torch.randn(16, 64)
        with torch.no_grad():
            for _ in range(2):
                torch.testing.assert_close(each(x), F.linear(x, each.weight, each.bias))
                each.weight.mul_(2)
    assert each.library == ONEDNN.name


def test_gradients_go_through_the_product_that_knows_them():
    each = Linear(torch.randn(48, 64, requires_grad=True), torch.zeros(48), "other")
    with mock.patch.object(linear, "fastest", lambda *_: ONEDNN):
        each(torch.randn(16, 64)).sum().backward()
    assert each.weight.grad is not None and each.packed == {}


def test_names_of_libraries_differ():
    assert len({library.name for library in LIBRARIES}) == len(LIBRARIES)
