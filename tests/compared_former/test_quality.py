"""A made-up run whose qualities and times are known, and one that lacks them."""

import numpy as np
import pytest

from analysis.compared import figures, quality, verdicts
from analysis.compared import quality_tables as tables
from analysis.compared.page import Plot
from analysis.errors import InputError
from analysis.measured.quality import BITS, REMEDIES
from analysis.measured.runs import Machine, Point, Run
from analysis.predicted.architectures import BYTE_DECODER, GPT2
from analysis.predicted.pruning import layer_weights, pruned, sparse_bytes

MACHINE = Machine(
    device="cpu", device_name="a CPU", cpu="a CPU", cores=2, threads=2, caches={},
    memory_bytes=None, gpu_memory_bytes=None, os="Linux", python="3", torch="2", numpy="2",
    blas="none", fast_paths=[],
)  # fmt: skip
WORSE = {"none": 0.0, "int8-row": 0.002, "int4-row": 0.3, "int4-group": 0.1, "bfloat16": 0.001}
WORSE |= {"structured-30": 0.5, "unstructured-80": 1.5, "int8-activations": 0.004}
WORSE |= {"tuned": -0.1, "tuned-structured-30": 0.2, "tuned-unstructured-80": 0.02}
GAINS = {"structured-0": 1.0, "structured-50": 1.5, "zeros-0": 1.0, "zeros-90": 1.01}
GAINS |= {"csr-50": 0.4, "csr-80": 0.9, "csr-90": 1.2}


def scored(remedy, more, **changes):
    details = {"bits_per_byte": 2.0 + more, "low": 1.9 + more, "high": 2.1 + more}
    details |= {"difference": more, "difference_low": more - 0.01, "difference_high": more + 0.01}
    details |= {"weight_bytes": 1000 if remedy == "int4-group" else 6000}
    details |= {"sparse_bytes": 4000} if remedy == "unstructured-80" else {}
    return Point(
        key=f"quality/byte-decoder/{remedy}", kind="quality", seconds=[[1.0]], flops=None,
        bytes=None, details=details | changes,
    )  # fmt: skip


def timed(name, gain):
    return Point(
        key=f"prune/gpt2/128/{name}", kind="serving",
        seconds=[[slow / gain for slow in (1.0, 2.0, 4.0)]], flops=1, bytes=1, details={},
    )  # fmt: skip


@pytest.fixture
def run():
    made = Run.new(MACHINE, "quick")
    made.points = [scored(*each) for each in WORSE.items()]
    made.points += [timed(*each) for each in GAINS.items()]
    made.points.append(scored("none", 1.0))
    made.points[-1] = Point(**(dict(made.points[-1]) | {"key": "quality/byte-draft/none"}))
    return made


def test_scores_know_their_families(run):
    rows = quality.scores(run).set_index("remedy")
    assert set(rows.index) == set(WORSE)
    assert rows.loc["int4-group", ["family", "amount"]].to_list() == ["int-group", 4]
    assert rows.loc["unstructured-80", ["family", "amount"]].to_list() == ["unstructured", 80]
    assert rows.loc["tuned-structured-30", "family"] == ""
    both = quality.tuned_scores(run)
    assert both[["family", "amount"]].to_numpy().tolist() == [
        ["structured", 30],
        ["unstructured", 80],
    ]


def test_every_remedy_that_is_measured_has_words(run):
    for remedy in REMEDIES:
        run.points = [scored(remedy, 0.0)]
        (row,) = quality.scores(run).itertuples()
        assert tables.in_words(row)


def test_more_bits_are_over_those_before(run):
    assert quality.more_bits(run, "int4-row") == pytest.approx((1.15, 1.145, 1.155))
    assert quality.more_bits(run, "tuned-unstructured-80")[0] == pytest.approx(2.02 / 2)
    assert quality.more_bits(run, "int3-row") is None


def test_steps_are_over_the_whole_model_in_their_turn(run):
    rows = quality.steps(run).set_index(["kind", "share"])
    for name, gain in GAINS.items():
        kind, _, share = name.rpartition("-")
        row = rows.loc[(kind, int(share))]
        assert row[["gain", "low", "high"]].to_list() == pytest.approx([gain] * 3)
    half = pruned(GPT2, 0.5, quality.BLOCK)
    assert rows.loc[("structured", 50), "layer_bytes"] == 4 * layer_weights(half)[0]
    assert rows.loc[("csr", 90), "layer_bytes"] == sparse_bytes(GPT2, 0.9)
    assert rows.loc[("zeros", 90), "predicted"] == 1
    assert rows.loc[("csr", 50), "predicted"] < 1 < rows.loc[("csr", 80), "predicted"]
    assert quality.wins_from(run) == 90
    run.points = [each for each in run.points if not each.key.endswith("csr-90")]
    assert quality.wins_from(run) is None
    said = tables.speed_in_words(run)
    assert said.startswith("without half") and "zeros were not timed" in said
    run.points = []
    assert "pruned models were not timed" in tables.speed_in_words(run)


def test_verdicts(run):
    judged = {v.id: v for v in verdicts.all_verdicts(run=run)}
    assert judged["int8_quality"].ours == pytest.approx(1.001)
    names = ("int8_quality", "int4_size", "structured_pruning", "unstructured_pruning")
    kinds = [judged[name].verdict for name in names]
    assert kinds == ["reproduced", "differs", "differs", "reproduced"]
    assert judged["int4_size"].ours == pytest.approx(quality.smaller("int4-group"))
    without = {v.id: v.verdict for v in verdicts.all_verdicts()}
    assert without["int8_quality"] == without["structured_pruning"] == "not measured"


def test_smaller_by_arithmetic():
    """Scales, embeddings and the numbers of columns are counted; by hand for 8 bits."""
    # Half a byte a weight and two for the scale of 32: a factor below 8, and more without them.
    assert 5 < quality.smaller("int4-group", BYTE_DECODER) < quality.smaller("int4-group") < 64 / 9
    shapes = [(2304, 768), (768, 768), (3072, 768), (768, 3072)] * 12 + [(50257, 768)]
    saved = sum(3 * n * m - 2 * n for n, m in shapes)
    assert quality.smaller("int8-row") == pytest.approx(1 / (1 - saved / (4 * GPT2.n_parameters)))
    assert 1.2 < quality.smaller("structured-30", BYTE_DECODER) < 1 / 0.7
    assert 2 < quality.smaller("unstructured-80", BYTE_DECODER) < 2.5  # 8 bytes a weight that stays
    with pytest.raises(InputError, match="'tuned'"):
        quality.smaller("tuned")


def test_what_a_run_lacks_is_said():
    empty = Run.new(MACHINE, "quick")
    empty.skip("quality/byte-decoder/none", "byte-decoder.safetensors: cannot be read")
    assert "cannot be read" in tables.quality_table(empty, "t").frame.to_string()
    assert "not measured" in tables.step_table(empty, "t").frame.to_string()
    assert set(tables.factor_table(empty, "t").frame["Measured"]) == {"not measured"}
    for words in (tables.quality_in_words, tables.pruning_in_words, tables.draft_in_words):
        assert " not " in words(empty)
    for plot in (
        figures.quality_by_bits(quality.scores(empty)),
        figures.quality_by_sparsity(quality.scores(empty), quality.tuned_scores(empty)),
        figures.speed_by_sparsity(quality.steps(empty)),
    ):
        assert isinstance(plot, Plot) and list(plot.data.columns) == ["not measured"]


@pytest.mark.parametrize(
    "odd", [{"bits_per_byte": "few"}, {"low": "x"}, {"bits_per_byte": -1.0}, {"difference": "x"}]
)
def test_points_that_do_not_belong_there_are_left_out(odd, run):
    run.points = [scored("int8-row", 0.0, **odd)]
    rows = quality.scores(run)
    assert rows.empty or np.isfinite(rows["difference"]).all()


def test_tables_and_sentences_say_the_numbers(run):
    assert "+0.3000" in tables.quality_in_words(run) and "2.00 bits" in tables.quality_in_words(run)
    assert "1.25×" in tables.pruning_in_words(run) and "1.010×" in tables.pruning_in_words(run)
    said = tables.speed_in_words(run)
    assert "win from 90 % zeros on" in said and "1.50×" in said
    assert "3.00 bits" in tables.draft_in_words(run)
    frame = tables.factor_table(run, "t").frame
    assert frame["Smaller: paper"].to_list() == ["4.00×", "8.00×", "1.43×", "5.00×"]
    assert frame["Measured"].to_list() == ["1.00×", "6.00×", "1.00×", "1.50×"]
    assert [each.split()[0] for each in frame["Times the bits"]] == [
        "1.001×", "1.050×", "1.100×", "1.010×",
    ]  # fmt: skip
    assert frame["Bits per byte"].iloc[3] == "2.000 before, 2.020 after"
    shown = tables.quality_table(run, "t").frame
    assert len(shown) == len(WORSE) and shown["Remedy"].is_unique


def test_the_figures_draw_what_they_are_given(run):
    run.points += [scored(f"int{n}-row", 8 / n - 1) for n in BITS if n not in (4, 8)]
    plot = figures.quality_by_bits(quality.scores(run))
    drawn = {tuple(point) for line in plot.figure.axes[0].lines for point in line.get_xydata()}
    assert drawn >= set(zip(plot.data["amount"], plot.data["difference"], strict=True))
    plot = figures.quality_by_sparsity(quality.scores(run), quality.tuned_scores(run))
    assert plot.data["trained_more"].sum() == 2
    plot = figures.speed_by_sparsity(quality.steps(run))
    assert len(plot.data) == len(GAINS)
