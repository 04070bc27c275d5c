import dataclasses

import numpy as np
import pytest

from analysis.errors import InputError
from analysis.predicted import operations as op
from analysis.predicted.operations import FUSED, PUBLISHED, UNFUSED, Cost


def test_costs_add_scale_and_divide():
    cost = Cost(6, 1, 2) + 2 * Cost(3, 1, 0)
    assert cost == Cost(12, 3, 2)
    assert (cost.bytes, cost.intensity) == (5, 2.4)


def test_projection_by_hand():
    # (2, 3) x (3, 5), bias of 5, four bytes an element
    assert op.projection(2, 3, 5, True, UNFUSED) == Cost(60, (6 + 15 + 5) * 4, 40)
    assert op.projection(2, 3, 5, True, PUBLISHED) == Cost(60, 6 + 15, 10)
    assert op.projection(2, 3, 5, False, UNFUSED) == Cost(60, (6 + 15) * 4, 40)


def test_act_to_act_matmuls_by_hand():
    # a batch of 2, 3 queries, 5 keys, 4 query heads in groups of 2, heads 7 wide
    shape = (2, 3, 5, (4, 2, 7))
    assert op.scores(*shape, UNFUSED.pass_rule, 4, UNFUSED) == Cost(
        2 * 120 * 7, (2 * 4 * 3 * 7 + 2 * 2 * 5 * 7) * 4, 120 * 4
    )
    assert op.weighted_values(*shape, UNFUSED.pass_rule, 4, UNFUSED) == Cost(
        2 * 5 * 168, (120 + 2 * 2 * 5 * 7) * 4, 168 * 4
    )
    assert op.scores(*shape, PUBLISHED.pass_rule, 1, PUBLISHED).flops == 120 * 13
    assert op.weighted_values(*shape, PUBLISHED.pass_rule, 1, PUBLISHED).flops == 168 * 9
    assert op.scores(*shape, FUSED.pass_rule, 4, FUSED).bytes_written == 0


def test_softmax_scale_and_mask_by_hand():
    scores = 2 * 4 * 3 * 5
    masked = op.softmax(2, 3, 5, 4, True, UNFUSED.pass_rule, UNFUSED)
    assert masked == Cost(7 * scores, (3 * scores + 15) * 4, 3 * scores * 4)
    plain = op.softmax(2, 3, 5, 4, False, PUBLISHED.pass_rule, PUBLISHED)
    assert plain == Cost(4 * scores, scores, scores)
    assert op.softmax(2, 3, 5, 4, True, FUSED.pass_rule, FUSED) == Cost(7 * scores)


def test_the_small_operations_by_hand():
    assert op.elementwise(10, 3, 2, UNFUSED) == Cost(30, 80, 40)
    assert op.norm(3, 5, 10, UNFUSED) == Cost(15 * 8, (15 + 10) * 4, 60)
    assert op.lookup(3, 5, UNFUSED.with_bytes(1, 2)) == Cost(0, 15, 30)
    assert op.position_add(6, 3, 5, UNFUSED) == Cost(30, (30 + 15) * 4, 30 * 4)
    assert op.rotary(6, 3, 2, 4, UNFUSED) == Cost(48 * 3, (48 + 24) * 4, 48 * 4)
    assert op.cache_write(3, 8, UNFUSED.with_bytes(1, 2, 1)) == Cost(0, 48, 24)
    assert op.cache_write(3, 8, PUBLISHED) == Cost(0, 0, 24)


def test_integers_stay_exact_and_arrays_are_curves():
    huge = op.projection(10**9, 10**6, 10**6, False, UNFUSED)
    assert huge.flops == 2 * 10**21 and isinstance(huge.bytes, int)
    curve = op.projection(np.array([1, 2]), 3, 5, True, UNFUSED)
    assert curve.flops.tolist() == [30, 60] and curve.bytes.dtype == np.int64


def test_bytes_per_element_are_separate():
    convention = UNFUSED.with_bytes(0.5, 2, 1)
    cost = op.projection(2, 3, 5, False, convention)
    assert (cost.bytes_read, cost.bytes_written) == (2 * 3 * 2 + 7.5, 20)
    assert UNFUSED.with_bytes(2) == dataclasses.replace(
        UNFUSED, weight_bytes=2, activation_bytes=2, kv_bytes=2
    )


@pytest.mark.parametrize("value", [0, -1, 3, "4", None, True, 0.25])
def test_other_bytes_per_element_are_refused(value):
    with pytest.raises(InputError, match="weight_bytes.*0.5, 1, 2, 4"):
        dataclasses.replace(UNFUSED, weight_bytes=value)


def test_conventions_have_names():
    assert list(op.CONVENTIONS) == ["published", "unfused", "fused"]
    assert op.CONVENTIONS["fused"] is FUSED
