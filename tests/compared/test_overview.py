"""The two tables of everything: every claim, and every archived run."""

import re
from pathlib import Path

import pandas as pd
import pytest
from drawing import judged_once, outputs

from analysis.compared import figures, roofs, shown
from analysis.compared.claims import BADGES, verdicts
from analysis.compared.page import number, svg
from analysis.measured.run import ARCHIVE, load_run
from analysis.published.claims import load_claims

BOOK = Path(__file__).resolve().parents[2] / "book"
UNESCAPED = r"(?<!\\)<script|(?<!\\){doc}"
MARKUP = "<script>alert(1)</script> [x](javascript:0) {{x}} $a$ | *b* {doc}`y`"


@pytest.fixture(scope="module")
def runs():
    return shown.all_archived()[0]


@pytest.fixture(scope="module")
def judged(reference):
    return verdicts({"reference": reference})


@pytest.fixture(scope="module")
def with_here():
    with judged_once(*shown.runs().values()):
        return verdicts(shown.runs())


def table(page: str) -> pd.DataFrame:
    """The table of a page, as its cell makes it of the runs that are shown."""
    with judged_once(*shown.runs().values()):
        return next(each for _, each in outputs(BOOK / f"{page}.md") if hasattr(each, "frame"))


@pytest.fixture(scope="module")
def every_claim() -> pd.DataFrame:
    return table("verdicts").frame


def test_every_claim_has_a_verdict_and_says_where_it_is_printed_and_computed(judged):
    assert list(judged["id"]) == list(load_claims())
    assert list(judged["number"]) == list(range(1, len(judged) + 1))
    where = ["printed_in", "source", "status", "page", "label"]
    assert judged[where].notna().all(axis=None) and (judged[where] != "").all(axis=None)


def test_the_table_has_a_row_a_claim_with_its_links(judged, every_claim):
    claims = load_claims().values()
    for row, claim in zip(every_claim.to_dict("records"), claims, strict=True):
        assert row["Claim"] == claim.statement and row["Paper"]
        assert row["Paper"].endswith(f"](<{claim.source}>)")
        assert row["Where"].startswith(f"{{numref}}`{claim.label}`") and row["Reference or data"]
        assert row["Verdict"] == BADGES[judged.set_index("id").loc[claim.id, "verdict"]]


def test_here_stands_beside_what_it_can_judge(with_here, every_claim):
    frame, numbers = every_claim, range(1, len(load_claims()) + 1)
    assert list(frame["No."]) == [f"[{n}]{{#claim-{n}}}" for n in numbers]
    here = with_here[with_here["run"] == "here"].set_index("number")["verdict"]
    for number_, row in enumerate(frame.to_dict("records"), 1):
        assert row["Verdict here"] == (BADGES[here[number_]] if number_ in here else "")
    assert (frame["Here"] == "").sum() == len(frame) - len(here)


def test_the_figure_draws_every_verdict(with_here, plots):
    found = plots["fig-verdicts"].data
    assert found["verdict"].to_list() == with_here["verdict"].to_list()
    assert (found["over"].notna() == with_here["ours"].notna()).all()


def test_what_lies_beyond_the_axis_is_drawn_at_its_end(with_here, monkeypatch):
    judged = with_here.copy()
    judged.loc[:1, "ours"] = 0.0, 1e9
    monkeypatch.setattr("analysis.compared.claims.verdicts", lambda runs: judged)
    drawn = dict(outputs(BOOK / "verdicts.md"))["fig-verdicts"].data
    assert drawn["over"].to_list()[:2] == [0.1, 10]


def test_every_archived_run_has_a_roof_and_a_row(runs):
    points, lines = roofs.drawn(runs)
    frame = table("machines").frame
    assert set(points["run"]) == set(lines["run"]) == set(runs)
    for name, run in shown.named(runs).items():
        ceilings, row = roofs.ceilings(run), frame.set_index("Machine").loc[name]
        assert row["Read (GB/s)"] == number(ceilings.bandwidth_bytes_per_s / 1e9)
        assert row["Float32 peak (GFLOP/s)"] == number(ceilings.peak_flop_per_s / 1e9)


def test_decoding_lies_left_of_every_archived_ridge_point_and_encoding_right(runs):
    """As the page of machines says."""
    for name, run in runs.items():
        ridge, points = roofs.ceilings(run).ridge_point, roofs.points(run)
        left = points["model"] == "GPT-2"
        assert left.any() and (points[left]["intensity"] < ridge).all(), name
        assert (~left).any() and (points[~left]["intensity"] > ridge).all(), name


def test_a_run_without_ceilings_has_a_row_of_dashes(runs, reference, monkeypatch):
    bare = reference.model_copy(update={"points": []})
    monkeypatch.setattr(shown, "named", lambda runs: {**runs, "bare": bare})
    row = table("machines").frame.set_index("Machine").loc["bare"]
    assert row["Read (GB/s)"] == row["Ridge point (FLOP/byte)"] == "–"
    assert row["Points"] == f"0 of {len(reference.not_measured)}"


def test_an_archived_file_that_cannot_be_read_is_one_line_and_the_others_are_shown(
    runs, tmp_path, monkeypatch
):
    for path in ARCHIVE.glob("[!.]*"):  # a writer's lock is hidden
        (tmp_path / path.name).write_bytes(path.read_bytes())
    text = next(tmp_path.glob("*.json")).read_text("utf-8")
    broken = {"cut": text[:1000], "foreign": "{}", "former": '{"schema_version": 2}'}
    for name, content in broken.items():
        (tmp_path / f"{name}.json").write_text(content, "utf-8")
    monkeypatch.setattr("analysis.measured.run.ARCHIVE", tmp_path)
    there, faults = shown.all_archived()
    assert list(there) == list(runs) and len(faults) == 3
    for name, fault in zip(broken, faults, strict=True):
        assert f"{name}.json: " in fault and "\n" not in fault


def test_runs_of_like_machines_have_names_of_their_own(reference):
    words, day = shown.described(reference), f"{reference.started:%Y-%m-%d}"
    assert list(shown.named({"a": reference})) == [words]
    alike = shown.named(dict.fromkeys("abc", reference))
    assert list(alike) == [words, f"{words}, {day}", f"{words}, {day}, c"]


def test_text_of_run_files_is_drawn_and_shown_as_text(reference, monkeypatch):
    machine = reference.machine.model_copy(update={"device": MARKUP, "device_name": MARKUP})
    planted = shown.named({"planted": reference.model_copy(update={"machine": machine})})
    monkeypatch.setattr(shown, "named", lambda runs: planted)
    text = table("machines")._repr_mimebundle_()["text/markdown"]
    assert not re.search(UNESCAPED, text) and "javascript\\:0" in text
    points, lines = roofs.drawn(planted)
    x, y = "intensity_flop_per_byte", "rate_gflop_per_s"
    plot = figures.scatter(points, x, y, "run", x, y, lines=lines)
    assert "<script" not in svg(plot.figures[0])


def test_every_file_of_the_archive_is_a_finished_run_of_a_plain_name():
    for path in ARCHIVE.glob("[!.]*"):  # a writer's lock is hidden
        assert re.fullmatch(r"[a-z0-9-]+\.json", path.name), path.name
        assert load_run(path).finished, path.name


EMPTY = ("unit", "note", "figure")  # where there is nothing to say


def test_the_file_of_verdicts_reads_back(with_here, tmp_path):
    (tmp_path / "v.csv").write_text(with_here.to_csv(index=False), "utf-8")
    back = pd.read_csv(tmp_path / "v.csv").fillna(dict.fromkeys(EMPTY, ""))
    pd.testing.assert_frame_equal(back, with_here, check_dtype=False)
