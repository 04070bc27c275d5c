"""A known machine through tasks, points, predictions, claims and figures: what comes out is the
bandwidth and the peak that went in, and what follows from them by arithmetic that is written here.

Each check can be asked of a machine that is as it should be, and must fail where a fault is planted
in the one function that it looks at.
"""

from pathlib import Path

import pytest
from arithmetic import (
    BANDWIDTH,
    BESIDE,
    DIGITS,
    PEAK,
    RIDGE,
    changed,
    doubled,
    encoder,
    generation,
    near,
    step,
)
from drawing import figures
from machine import Known, made, measured

from analysis.compared import latency, roofs, serving, shown
from analysis.compared.claims import judge, verdicts
from analysis.compared.counts import LENGTHS, PAPER_MODELS
from analysis.measured import profile
from analysis.measured import serving as measured_serving
from analysis.measured.run import Run, load_run, save_run
from analysis.predicted import roofline
from analysis.predicted.roofline import Ceilings
from analysis.published.claims import load_claims

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
# Fewer points than a full run, as others say the same: one context of each remedy, and 64 tokens
# generated one by one.
FEWER = (
    (profile, "CHECKED", 64),
    (measured_serving, "FORMAT_CONTEXTS", (128,)),
    (measured_serving, "BATCH_CONTEXTS", (64,)),
)


# Runs


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    """The whole run of a machine without a cache, as it is read from its file."""
    path = tmp_path_factory.mktemp("known") / "run.json"
    with pytest.MonkeyPatch.context() as patch:
        for module, name, fewer in FEWER:
            patch.setattr(module, name, fewer)
        save_run(measured(Known(BANDWIDTH, PEAK), made()), path)
    return load_run(path)


# Checks of a run


def check_roofs(run: Run) -> None:
    """A sum reads and writes one number, large squares compute only: exact, but for the digits."""
    found = roofs.ceilings(run)
    near("read bandwidth", found.bandwidth_bytes_per_s, BANDWIDTH, DIGITS)
    near("float32 peak", found.peak_flop_per_s, PEAK, DIGITS)
    for end in (found.ridge_point, *roofs.ridge(run)):
        near("ridge point", end, RIDGE, 2 * DIGITS)
    for row in roofs.ceiling_rows(run).itertuples():
        rate = {"GB/s": BANDWIDTH, "GFLOP/s": PEAK}[row.unit] / 1e9
        near(f"ceiling, {row.ceiling}", row.rate, rate, BESIDE)


def check_latencies(run: Run) -> None:
    rows = latency.latencies(run)
    assert len(rows) == 3 * len(LENGTHS)
    for row in rows.itertuples():
        ours = generation(row.tokens) if row.model == "GPT-2" else encoder(row.model, row.tokens)
        near(f"latency, {row.model} {row.tokens}", row.seconds, ours, BESIDE)
    for tokens in LENGTHS:
        ours = generation(tokens) / encoder("BERT-Base", tokens)
        near("GPT-2 over BERT-Base", latency.gpt2_over_bert(run, tokens)[0], ours, BESIDE)
    loop = run.rows("generation").set_index("how")["seconds"]
    near("sampled steps", loop["sampled"], loop["loop"], 2 * DIGITS)


def check_predictions(run: Run) -> None:
    """The roofline charges a class what it moves and computes at once, operators one by one; the
    rates that calibrate are of the same shapes on the same machine; nothing beats a lower bound."""
    rows = roofs.predictions(run)
    assert set(rows["prediction"]) == {"lower bound", "roofline", "calibrated"}
    for row in rows.itertuples():
        if row.prediction == "lower bound":
            assert 1 - DIGITS <= row.ratio < 1.1, f"lower bound, {row.model}: {row.ratio}"
        else:
            near(f"{row.prediction}, {row.model} {row.tokens}", row.ratio, 1, BESIDE)


def check_intensities(run: Run) -> None:
    """What waits for memory has the bandwidth times its intensity as its rate: to a thousandth, as
    a step's row, read once and not three times, and its logits are less than that of its bytes."""
    for row in roofs.points(run).query("model == 'GPT-2'").itertuples():
        least, _ = roofline.intensity_ends(PAPER_MODELS[row.model], row.tokens)
        near(f"intensity at {row.tokens}", row.rate / least, BANDWIDTH, 1e-3)
        near(f"drawn intensity at {row.tokens}", row.rate / row.intensity, BANDWIDTH, 1e-3)


def check_steps(run: Run) -> None:
    """Steps read at the bandwidth: all that they move besides is below a hundredth."""
    rows = latency.steps(run)
    assert set(rows["part"]) == {"step", "products"}
    for row in rows.itertuples():
        assert 99 <= row.share <= 100 * (1 + 2 * DIGITS), f"steps: {row.part} {row.share}"
    for row in latency.breakdown(run).itertuples():
        near(f"sum of classes, {row.model} {row.tokens}", row.sum_over_whole, 1, 2 * DIGITS)


def check_fusing(run: Run) -> None:
    rows = serving.attention(run)
    for row in rows.itertuples():
        gain = encoder(row.model, row.tokens, fused=False) / encoder(row.model, row.tokens)
        near(f"gain of fusing, {row.model} {row.tokens}", row.gain, gain, BESIDE)
        near(f"predicted gain of fusing, {row.model} {row.tokens}", row.predicted, gain, BESIDE)


def check_heads(run: Run) -> None:
    """The predicted gain is of what must be read alone."""
    for row in serving.heads(run).itertuples():
        gain = step(4096, 4) / step(4096, 4, row.n)
        near(f"gain of {row.n} heads", row.gain, gain, BESIDE)
        near(f"predicted gain of {row.n} heads", row.predicted, gain, 2 * BESIDE)


def check_batches(run: Run) -> None:
    """A few rows, up to eight, go to their product and come back by a copy."""
    for row in serving.batches(run).itertuples():
        gain = row.batch * step(row.tokens) / step(row.tokens, row.batch)
        copied = 2 * BESIDE if 1 < row.batch <= 8 else BESIDE
        near(f"gain of {row.batch} sequences", row.gain, gain, copied)
        near(f"predicted step of {row.batch}", row.predicted_seconds, row.seconds, 2 * BESIDE)


def check_formats(run: Run) -> None:
    rows = serving.formats(run)
    assert {"float32", "bfloat16", "int8", "int8-planes", "int4"} == set(rows["how"])
    for row in rows.itertuples():
        near(f"gain of {row.how}", row.gain, row.predicted, BESIDE * row.predicted)


def check_sizes(run: Run) -> None:
    for row in serving.sizes(run).itertuples():
        near(f"bytes/s of {row.model}", row.rate, BANDWIDTH, BESIDE)


def check_figures(run: Run) -> None:
    """The chapters draw the run as here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shown, "found", lambda: ({"reference": shown.reference(), "here": run}, ""))
        chapters = (NOTEBOOKS / f"{name}.md" for name in ("05_this_machine", "06_profiling"))
        drawn = {name: plot for each in chapters for name, plot in figures(each).items()}
    rows = drawn["fig-latency"].data.query("run == 'here'")
    assert len(rows) == 3 * len(LENGTHS)
    for row in rows.itertuples():
        ours = generation(row.tokens) if row.model == "GPT-2" else encoder(row.model, row.tokens)
        near(f"fig-latency, {row.model}", row.value, ours / encoder("BERT-Base", 128), BESIDE)
    rows = drawn["fig-roofline"].data.query("run == 'here'")
    rates, at = rows["rate_gflop_per_s"] * 1e9, rows["intensity_flop_per_byte"]
    roof, points = rows["what"] == "roof", rows["what"] == "measured"
    near("fig-roofline, ridge point", at[roof].iloc[1], RIDGE, 2 * DIGITS)
    for i, rate in enumerate((at[roof].iloc[0] * BANDWIDTH, PEAK, PEAK)):
        near("fig-roofline, roof", rates[roof].iloc[i], rate, 2 * DIGITS)
    assert points.sum() == 3 * len(LENGTHS)
    for i in rows.index[points]:  # a pass is of several operators, so that BERT stays below
        attainable, model = min(PEAK, at[i] * BANDWIDTH), rows["model"][i]
        assert rates[i] <= attainable, f"fig-roofline, {model} above the roof"
        if model == "GPT-2":
            near("fig-roofline, GPT-2", rates[i], attainable, BESIDE)


def check_claims(run: Run) -> None:
    judged = verdicts({"reference": run}).set_index("id")
    printed = load_claims()
    words = dict.fromkeys(
        ("decoding_is_memory_bound", "encoding_is_not_memory_bound", "models_in_order_of_latency",
         "smaller_models_decode_faster"), "reproduced"
    )  # fmt: skip
    for tokens in LENGTHS:
        id = f"gpt2_over_bert_base_latency_{tokens}"
        words[id] = judge(printed[id], generation(tokens) / encoder("BERT-Base", tokens))
    # Weights of 4 bits with 4 bytes for each 64 are 7.1 times smaller, of the "up to 8" that hold.
    words["int4_decoding_speed"] = "reproduced"
    for id, word in words.items():
        assert judged.loc[id, "verdict"] == word, f"claim {id}: {judged.loc[id, 'verdict']}"


CHECKS = [
    check_roofs, check_latencies, check_predictions, check_intensities, check_steps, check_fusing,
    check_heads, check_batches, check_formats, check_sizes, check_figures, check_claims,
]  # fmt: skip


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_known_machine_comes_out(run, check):
    check(run)


def test_nothing_was_left_out_but_what_says_why(run):
    assert {(each.what, each.how) for each in run.not_measured} == {("weights", "int8-dynamic")}
    # It packs into no tensor, or overflows on this processor; the run says which.
    assert all(len(each.reason.split()) > 3 for each in run.not_measured)


# Planted faults


FAULTS = {
    "the roofline's prediction doubled": (
        changed(Ceilings, "time", doubled), check_predictions, "roofline, BERT-Base 128",
    ),
    "any predicted time doubled": (
        changed(Ceilings, "predicted_time", doubled), check_batches, "predicted step of 1",
    ),
    "a lower bound twice as high": (
        changed(Ceilings, "lower_bound", doubled), check_predictions, "lower bound, BERT-Base",
    ),
    "calibrated rates halved": (
        changed(roofs, "together", lambda true: lambda parts: true(
            parts.assign(weight=2 * parts["weight"]))),
        check_predictions, "calibrated, BERT-Base 128",
    ),
    "the predicted gain of fusing inverted": (
        changed(serving, "attention", lambda true: lambda run: true(run).assign(
            predicted=lambda rows: 1 / rows["predicted"])),
        check_fusing, "predicted gain of fusing, BERT-Base 128",
    ),
    "heads ignore their batch": (
        changed(serving, "step_bytes", lambda true: lambda arch, context, weights, batch: true(
            arch, context, weights, 1)),
        check_heads, "predicted gain of 4 heads",
    ),
    "GPT-2's intensity at the end of a generation": (
        changed(roofline, "intensity_ends", lambda true: lambda arch, tokens: true(
            arch, 2 * tokens)),
        check_intensities, "intensity at",
    ),
    "GPT-2's intensity at its start": (
        changed(roofline, "intensity_ends", lambda true: lambda arch, _: true(arch, 1)),
        check_intensities, "intensity at",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_seen(run, monkeypatch, fault):
    plant, check, seen = FAULTS[fault]
    plant(monkeypatch)
    with pytest.raises(AssertionError, match=seen):
        check(run)
