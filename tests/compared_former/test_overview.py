"""The two tables of everything: every claim on every machine, every archived run."""

import re
from pathlib import Path

import pandas as pd
import pytest

from analysis.compared import figures, overview, serving
from analysis.compared.counts import LENGTHS
from analysis.compared.page import times
from analysis.compared.profiling import archived_runs, gpt2_over_bert
from analysis.compared.serving_tables import span
from analysis.compared.verdicts import MEASURED, all_verdicts
from analysis.measured.runs import ARCHIVE, load_run
from analysis.published.claims import load_claims

ROOT = Path(__file__).resolve().parents[2]
UNESCAPED = r"(?<!\\)<script|(?<!\\){doc}"
MARKUP = "<script>alert(1)</script> [x](javascript:0) {{x}} $a$ | *b* {doc}`y`"


@pytest.fixture(scope="module")
def runs():
    return archived_runs()


@pytest.fixture(scope="module")
def frame(runs):
    return overview.claims_frame(next(iter(runs.values())), runs)


def test_every_claim_has_a_row_with_its_verdict(frame, runs):
    run = next(iter(runs.values()))
    judged = all_verdicts(run=run)
    assert list(frame["id"]) == [v.id for v in judged] == list(load_claims())
    assert list(frame["verdict"]) == [v.verdict for v in judged]
    assert list(frame["number"]) == list(range(1, len(frame) + 1))


def test_archived_machines_judge_the_claims_about_machines_only(frame, runs):
    for name in runs:
        there = frame.set_index("id")[f"verdict on {name}"]
        assert set(there.dropna().index) == set(MEASURED)
    first = next(iter(runs))  # the frame was made with this run as the one that is shown
    measured = frame[frame["basis"] == "this machine"]
    assert list(measured["verdict"]) == list(measured[f"verdict on {first}"])


def test_every_chapter_that_judges_has_the_table_that_is_linked():
    assert set(overview.COMPUTED_IN) == {claim.chapter for claim in load_claims().values()}
    for chapter, (page, label) in overview.COMPUTED_IN.items():
        text = (ROOT / "notebooks" / f"{page}.md").read_text("utf-8")
        call = re.search(rf'verdict_table\(\s*"{label}".*?^```', text, re.DOTALL | re.MULTILINE)
        assert call and f'"{chapter}"' in call[0], chapter


def test_the_figure_draws_every_verdict_of_the_frame(frame):
    plot = figures.claims(frame)
    ax = plot.figure.axes[0]
    dots = sum(len(scatter.get_offsets()) for scatter in ax.collections)
    silent = (frame["verdict"] == "not measured").sum()
    assert dots == len(frame) - silent and len(ax.texts) == silent
    pd.testing.assert_frame_equal(plot.data[frame.columns], frame)


def test_a_number_beyond_the_axis_is_drawn_at_its_end(frame):
    row = frame[frame["verdict"] != "not measured"].head(1)
    for ours, end in ((0.0, 0.1), (1e9, 10)):
        ax = figures.claims(row.assign(ours=ours, published=1.0, number=1)).figure.axes[0]
        drawn = [s.get_offsets()[0][0] for s in ax.collections if len(s.get_offsets())]
        assert drawn == [pytest.approx(end)]


def test_every_archived_run_has_a_roof_and_a_row(runs):
    roofs, points = overview.rooflines(runs)
    assert list(roofs["run"]) == list(runs)
    table = overview.machines_table(runs, "tab", "Caption.").frame
    assert list(table["Run"]) == list(runs)
    assert set(figures.rooflines(roofs, points).data["run"]) == set(runs)


def test_other_machines_are_told_beside_the_one_that_is_shown(runs):
    run = runs["amd-epyc-2-cores"]
    bare = run.model_copy(update={"points": []})
    for say in (overview.distances_in_words, overview.formats_in_words):
        assert say(run, {"same": run, "bare": bare}) == "No other machine is archived."
        assert say(bare, {"other": run}).startswith("On the archived other ")
    ratios = [gpt2_over_bert(run, n) for n in LENGTHS]
    assert f"{times(min(ratios))} to {times(max(ratios))}" in overview.distances_in_words(
        bare, {"other": run}
    )
    rows = serving.formats(run).set_index("format")
    assert span(rows.loc["int4"]) in overview.formats_in_words(bare, {"other": run})


def test_without_a_measured_roof_there_is_a_row_and_no_line(runs):
    bare = next(iter(runs.values())).model_copy(update={"points": []})
    roofs, points = overview.rooflines({"bare": bare})
    assert roofs.empty and figures.rooflines(roofs, points).svg()
    assert overview.machines_table({"bare": bare}, "t", "C.").frame.loc[0, "Read (GB/s)"] == "–"


def test_text_of_run_files_is_drawn_and_shown_as_text(runs):
    run = next(iter(runs.values()))
    machine = run.machine.model_copy(update={"device_name": MARKUP})
    planted = {MARKUP: run.model_copy(update={"machine": machine})}
    text = overview.machines_table(planted, "t", "C.")._repr_mimebundle_()["text/markdown"]
    assert not re.search(UNESCAPED, text) and "javascript\\:0" in text
    plot = figures.rooflines(*overview.rooflines(planted))
    assert "<script" not in plot.svg()
    claims = overview.claims_table(run, planted, "t", "C.")._repr_mimebundle_()["text/markdown"]
    assert not re.search(UNESCAPED, claims.replace("{doc}`/notebooks", ""))


def test_every_file_of_the_archive_is_a_finished_run_of_a_plain_name():
    for path in ARCHIVE.iterdir():
        assert re.fullmatch(r"[a-z0-9-]+\.json", path.name), path.name
        assert load_run(path).finished, path.name


def test_the_file_of_verdicts_reads_back(frame, tmp_path):
    (tmp_path / "v.csv").write_text(frame.to_csv(index=False), "utf-8")
    back = pd.read_csv(tmp_path / "v.csv")
    pd.testing.assert_frame_equal(back, frame, check_dtype=False)
