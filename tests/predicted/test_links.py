"""Bus bandwidth as nccl-tests defines it, and what splitting costs, by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.errors import InputError
from analysis.predicted import links
from analysis.predicted.architectures import BERT_LARGE, GPT2


def test_bus_bandwidth_by_the_definition_of_nccl_tests():
    """doc/PERFORMANCE.md there: an all-reduce moves 2 (n - 1) / n of its message over each link."""
    assert links.bus_bandwidth("all_reduce", 8e9, 2.0, 2) == 4e9
    assert links.bus_bandwidth("all_reduce", 8e9, 2.0, 8) == pytest.approx(7e9)
    assert links.bus_bandwidth("send_recv", 8e9, 2.0, 2) == 4e9
    found = links.bus_bandwidth("all_reduce", 8, np.array([1.0, 2.0]), 4)
    assert found == pytest.approx([12, 6])


@pytest.mark.parametrize(("operation", "n"), [("gather", 2), ("all_reduce", 1)])
def test_what_has_no_bus_bandwidth_is_one_line(operation, n):
    with pytest.raises(InputError) as caught:
        links.bus_bandwidth(operation, 1, 1, n)
    assert "\n" not in str(caught.value)


@given(st.floats(1e-7, 1e-2), st.floats(1e6, 1e12), st.integers(8, 2**26))
def test_between_sizes_time_is_a_start_and_a_share(start, rate, size):
    times = {n: start + n / rate for n in (8, 2**13, 2**26)}
    assert links.message_time(times, size) == pytest.approx(start + size / rate, rel=1e-9)


@pytest.mark.parametrize("size", [7, 2**26 + 1])
def test_no_message_is_extrapolated(size):
    with pytest.raises(InputError, match="not measured"):
        links.message_time({8: 1.0, 2**26: 2.0}, size)
    with pytest.raises(InputError, match="not measured"):
        links.message_time({}, 8)


def test_a_layer_has_two_messages_of_its_activations():
    """BERT-Large, 512 tokens: 24 layers, 512 x 1024 numbers of 4 bytes = 2 MiB."""
    assert links.reduced_bytes(BERT_LARGE, 512) == 2**21
    assert links.communication_time(BERT_LARGE, 512, {2**21: 0.001}) == pytest.approx(0.048)
    assert links.parallel_time(BERT_LARGE, 512, 2.0, 2, {2**21: 0.001}) == pytest.approx(1.048)


def test_a_ring_by_hand():
    """Four processes, 4 GB at 1 GB/s: six rounds of 1 s and six starts."""
    assert links.ring_time(4e9, 4, 0.5, 1e9) == pytest.approx(6 * 1.5)
    assert links.ring_time(4e9, 1, 0.5, 1e9) == 0


def test_free_links_help_without_end_and_costly_ones_not_at_all():
    assert links.most_useful(GPT2, 1, 0.02, 0.0, 1e15, most=64) == 64
    assert links.most_useful(GPT2, 1, 0.02, 1.0, 1e9, most=64) == 1
    few = links.most_useful(GPT2, 1, 0.02, 1e-5, 1e9)
    assert 1 < few < links.most_useful(GPT2, 1, 0.2, 1e-5, 1e9)
