"""Autocast against float32, in a made-up run and a made-up table of losses."""

import pytest

from analysis.compared import low_precision
from analysis.measured.runs import Machine, Point, Run
from analysis.predicted.activations import AUTOCAST, UNFUSED, activations
from analysis.predicted.architectures import BERT_BASE

MACHINE = Machine(
    device="cpu", device_name="a CPU", cpu="a CPU", cores=2, threads=2, caches={},
    memory_bytes=None, gpu_memory_bytes=None, os="Linux", python="3", torch="2", numpy="2",
    blas="none", fast_paths=[],
)  # fmt: skip


def point(how, saved):
    return Point(
        key=f"train/bert-base/128/{how}", kind="latency", seconds=[[1.0, 3.0, 1.0]], flops=1,
        bytes=None, details={"saved_bytes": saved},
    )  # fmt: skip


def run(*points):
    made = Run.new(MACHINE, "quick")
    made.points = list(points)
    return made


def test_autocast_is_compared_with_float32():
    rows = low_precision.autocast(run(point("none", 600), point("autocast", 1500)))
    (row,) = rows.itertuples()
    assert (row.whole, row.kept, row.time) == (600, 1500, 1)
    arch = BERT_BASE
    cast = 2 * (12 * arch.d_model * (4 * arch.d_model + 2 * arch.d_ff) + 30522 * arch.d_model)
    assert row.weights == cast and row.predicted == activations(arch, 128, AUTOCAST).kept
    assert low_precision.autocast(run(point("none", 600))).empty
    assert "not measured" in low_precision.autocast_table(run(), "t").frame.to_string()
    # Casts of weights do not grow with the batch, and what they save does.
    n = low_precision.batch_to_gain("bert-base", 128)
    kept = [
        activations(arch, 128, each, batch=b).kept
        for b in (n - 1, n)
        for each in (AUTOCAST, UNFUSED)
    ]
    assert kept[0] >= kept[1] and kept[2] < kept[3]


def test_losses_are_paired_by_seed(tmp_path):
    (tmp_path / "models").mkdir()
    table = ["seed,dtype,step,bits_per_byte"]
    for seed, (plain, cast) in enumerate([(3.0, 3.1), (2.0, 2.1), (4.0, 4.1)]):
        for step in (10, 20):
            table += [f"{seed},float32,{step},{plain}", f"{seed},autocast,{step},{cast}"]
    (tmp_path / "models" / "byte_losses.csv").write_text("\n".join(table) + "\n")
    assert low_precision.loss_difference(tmp_path) == pytest.approx((0.1, 0.1, 0.1))
    rows = low_precision.loss_curves(tmp_path).set_index(["dtype", "step"])
    assert rows.loc[("float32", 20)].to_list() == [3, 2, 4]
