"""The authors' rows counted again, and a made-up run whose training steps are known."""

import pandas as pd
import pytest

from analysis.compared import training, verdicts
from analysis.compared import training_tables as tables
from analysis.compared.figures import memory_against_time
from analysis.compared.page import Plot
from analysis.measured.runs import Machine, Point, Run
from analysis.predicted.activations import PUBLISHED, activations
from analysis.predicted.architectures import BERT_BASE, BERT_LARGE

MACHINE = Machine(
    device="cpu", device_name="a CPU", cpu="a CPU", cores=2, threads=2, caches={},
    memory_bytes=None, gpu_memory_bytes=None, os="Linux", python="3", torch="2", numpy="2",
    blas="none", fast_paths=[],
)  # fmt: skip
TIMES = {"none": 1.0, "layers": 1.3, "fused": 0.9, "second-order": 4.0}
SLOWER = (1.0, 3.0, 1.0, 2.0)  # the machine, from one repetition to the next


def point(how, model="bert-base", length="128", **changes):
    details = {"saved_bytes": 600 if how == "none" else 100, "again_bytes": 20, "state_bytes": 400}
    details |= {"again_bytes": 0} if how == "none" else {}
    details |= {"state_bytes": 1200, "saved_bytes": 1800} if how == "second-order" else {}
    return Point(
        key=f"train/{model}/{length}/{how}", kind="latency",
        seconds=[[slow * TIMES.get(how, 1) for slow in SLOWER]], flops=1, bytes=None,
        details=details | changes,
    )  # fmt: skip


def run(*points):
    made = Run.new(MACHINE, "quick")
    made.points = list(points)
    return made


@pytest.fixture
def steps():
    return run(*(point(how) for how in TIMES))


def test_the_authors_rows_are_met_within_10_percent_but_one_cell():
    rows = training.published_rows()
    assert set(rows["model"]) == set(training.ROWS) and len(rows) == 3 * 4
    far = rows[rows["deviation"].abs() > 0.1]
    assert set(zip(far["model"], far["part"], strict=True)) == {(training.BIG, "activations")}
    assert (2 * far["ours"] < far["printed"]).all()


def test_the_features_of_bert_large_give_its_cell():
    """230e6 features of 4 bytes, 16 sequences: 14.38 units, as printed."""
    features = round(activations(BERT_LARGE, 512, PUBLISHED).bytes / 4, -7)
    assert round(features * 4 * 16 / training.UNIT, 2) == pytest.approx(14.38)


def test_a_curve_is_relative_to_the_step_that_keeps_all(steps):
    rows = training.curve(steps).set_index("how")
    assert list(rows.index) == ["none", "layers", "fused"]
    assert rows["factor"].to_list() == [1, 5, 5]
    assert rows["time"].to_list() == pytest.approx([1, 1.3, 0.9])
    # Repetitions are compared in their turn, so that a machine that slows down costs no width.
    assert rows.loc["layers", ["low", "high"]].to_list() == pytest.approx([1.3, 1.3])
    ours = activations(BERT_BASE, 128, policy="layers")
    assert rows.loc["layers", "predicted_compute"] == 1 + ours.extra / ours.flops
    assert rows.loc["layers", "predicted_saved"] == ours.kept


def test_verdicts(steps):
    judged = {v.id: v for v in verdicts.all_verdicts(run=steps)}
    ours = {name: judged[name].ours for name in judged if "train" in judged[name].chapter}
    assert ours["rematerialisation_memory"] == 5
    assert ours["rematerialisation_compute"] == pytest.approx(1.3)
    assert ours["second_order_memory"] == 3  # 1200 + 1800 over 400 + 600
    assert ours["zero_model_size"] == pytest.approx(16 / (2 + 14 / 400))
    kinds = {
        name: judged[name].verdict for name in ours if name != "training_memory_over_parameters"
    }
    assert list(kinds.values()) == ["reproduced", "differs", "reproduced", "reproduced"]


def test_what_a_run_lacks_is_said():
    empty = run()
    empty.skip("train/bert-base/128/none", "needs 9.00 GB of memory; free are 1.00 GB")
    assert training.curve(empty).empty and training.second_order(empty) is None
    assert "no training step" in tables.saved_in_words(empty)
    assert "No second-order step" in tables.second_order_in_words(empty)
    assert "needs 9.00 GB" in tables.curve_table(empty, "t").frame.to_string()
    measured = tables.factor_table(empty, "t").frame["Measured"]
    assert measured.str.startswith("not measured").all() and "nobody" in measured.to_string()
    assert isinstance(memory_against_time(training.curve(empty), (5, 1.2)), Plot)
    judged = {v.id: v.verdict for v in verdicts.all_verdicts(run=empty)}
    assert judged["rematerialisation_memory"] == judged["second_order_memory"] == "not measured"


@pytest.mark.parametrize(
    "odd",
    [
        point("none", length="²"),
        point("layers", length="9" * 9),
        point("layers", model="bert-huge"),
        point("tomorrow"),
        point("layers", saved_bytes="many"),
        point("layers", again_bytes=-1),
    ],
)
def test_points_that_do_not_belong_there_are_left_out(odd):
    made = run(point("fused"), odd) if odd.key.endswith("none") else run(point("none"), odd)
    rows = training.curve(made)
    assert rows.empty or list(rows["how"]) == ["none"]


def test_without_bytes_there_is_no_second_order_factor(steps):
    del steps.points[0].details["state_bytes"]
    assert training.second_order(steps) is None


def test_tables_and_sentences_say_the_numbers(steps):
    assert "20 % of the activations" in tables.saved_in_words(steps)
    assert "3.00×" in tables.second_order_in_words(steps)
    assert "4.00×" in tables.second_order_in_words(steps)
    frame = tables.factor_table(steps, "t").frame.set_index("Paper")
    assert frame.loc["5.0×", "Measured"] == "5.00×"
    assert frame.loc["1.2×", "95 % interval"] == "1.30 to 1.30"
    assert len(tables.curve_table(steps, "t").frame) == 3
    zero = tables.zero_table("t").frame
    assert zero["Less"].to_list() == ["1.00×", "3.97×", "7.86×", "400×"]
    assert tables.state_table("t").frame["Optimizer"].is_unique
    assert set(tables.published_table("t").frame["Model"]) == set(training.ROWS)


def test_torch_keeps_what_is_predicted_within_5_percent():
    rows = training.kept_by_torch()
    assert len(rows) == 4 and set(rows["sequence_length"]) == {128, 512}
    assert (rows["kept"] / rows["predicted"] - 1).abs().max() < 0.05
    assert "at most" in tables.kept_in_words() and len(tables.kept_table("t").frame) == 4


def test_the_largest_batch_fits_and_one_more_does_not():
    n = training.largest_batch("bert-base", 128, "layers", 5e9)
    room = 5e9 - 16 * BERT_BASE.n_parameters
    sizes = [activations(BERT_BASE, 128, policy="layers", batch=each).bytes for each in (n, n + 1)]
    assert sizes[0] <= room < sizes[1]
    assert training.largest_batch("bert-base", 128, "none", 1e9) == 0


def test_the_figure_shows_what_it_is_given(steps):
    rows = training.curve(steps)
    plot = memory_against_time(rows, (5, 1.2))
    assert isinstance(plot.data, pd.DataFrame) and len(plot.data) == 3
    shown = [text.get_text() for text in plot.figure.axes[0].texts]
    assert shown == ["all kept", "every layer", "fused"]
