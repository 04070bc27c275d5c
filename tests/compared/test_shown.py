"""Which runs a page shows: the reference always, here where there is one that can be compared."""

import json
import math
from itertools import combinations

import pandas as pd
import pytest

from analysis.compared import shown
from analysis.errors import InputError
from analysis.measured import run as archive
from analysis.measured.run import ARCHIVE, Missing, save_run
from analysis.measured.timing import Sample

OTHER = "intel-xeon-2-cores"


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Ask for the runs of an environment, with a folder of local runs of its own."""
    monkeypatch.setattr(shown, "LOCAL", tmp_path / "runs")

    def ask(**environment):
        for name in ("RUN", "REFERENCE"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, str(value))
        shown.found.cache_clear()
        return shown.found()

    yield ask
    shown.found.cache_clear()


def test_without_any_run_here_there_is_the_reference_alone(asked):
    runs, fault = asked()
    assert list(runs) == ["reference"] and fault == "nothing was measured here; make measure does"
    assert list(asked(RUN="none")[0]) == ["reference"]


def test_another_run_takes_the_place_of_here(asked):
    runs, fault = asked(RUN=OTHER)
    assert list(runs) == ["reference", "here"] and fault == ""
    assert runs["here"].machine.cpu.startswith("Intel")


def test_another_archived_run_takes_the_place_of_the_reference(
    asked, reference, monkeypatch, tmp_path
):
    monkeypatch.setattr(archive, "ARCHIVE", tmp_path)
    other = reference.model_copy(update={"budget": "another"})
    for name, run in {shown.REFERENCE: reference, "other": other}.items():
        save_run(run, tmp_path / f"{name}.json")
    assert asked(RUN="none", REFERENCE="other")[0]["reference"].budget == "another"


def test_an_archived_run_that_lacks_what_pages_speak_of_is_no_reference(asked):
    with pytest.raises(InputError, match=f"has no alone, pair, rest, rung; show .* RUN={OTHER}"):
        asked(RUN="none", REFERENCE=OTHER)


def test_the_reference_is_not_shown_twice(asked):
    assert list(asked(RUN=shown.REFERENCE)[0]) == ["reference"]


def test_the_newest_local_run_is_here(asked, tmp_path, reference):
    (tmp_path / "runs").mkdir()
    save_run(reference.model_copy(update={"budget": "smoke"}), tmp_path / "runs" / "a-smoke.json")
    assert asked()[0]["here"].budget == "smoke"


def test_a_reference_that_is_not_archived_is_one_line(asked):
    with pytest.raises(InputError, match="nobody: not archived; there are amd-epyc-2-cores") as e:
        asked(REFERENCE="nobody")
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text[: len(text) // 2], "not a run of this report"),
        (lambda text: text.replace('"schema_version": 3', '"schema_version": 2'), "schema version"),
        (lambda text: text.replace('"method_version": "6"', '"method_version": "2"'), "method 2"),
        (lambda text: text.replace('"what": "launch"', '"what": "lunch"'), "lunch"),
        (lambda text: json.dumps({"some": "file"}), "not a run of this report"),
    ],
)
def test_a_run_that_cannot_be_compared_is_left_out_in_one_line(asked, tmp_path, change, says):
    path = tmp_path / "planted.json"
    text = (ARCHIVE / f"{shown.REFERENCE}.json").read_text("utf-8")
    assert change(text) != text
    path.write_text(change(text), "utf-8")
    runs, fault = asked(RUN=path)
    assert list(runs) == ["reference"] and "\n" not in fault
    assert "planted.json" in fault and (says in fault or "Input should be" in fault)


def test_a_run_that_lacks_the_points_has_no_rows(reference):
    def of(run, what):
        return run.rows(what)[["what", "seconds"]]

    empty = reference.model_copy(update={"points": []})
    rows = shown.both(of, {"reference": reference, "here": empty}, "launch")
    assert list(rows["run"]) == ["reference"]
    pd.testing.assert_frame_equal(shown.of_reference(rows), of(reference, "launch"))
    with pytest.raises(Missing, match="no run has what of needs"):
        shown.both(of, {"here": empty}, "launch")


def test_visits_of_one_machine_agree_within_their_intervals():
    """As if each visit of an archived run were a run of its own, which borrows the drift of its
    kind: of all pairs of visits to a point, 95 % overlap."""
    for run in shown.all_archived()[0].values():
        drifts, overlap = run.drifts, []
        for point in run.points:
            visits = [Sample(tuple(v), (len(v),), drifts[point.what]) for v in point.seconds]
            for one, other in combinations([each.interval for each in visits], 2):
                overlap.append(one[0] <= other[1] and other[0] <= one[1])
        assert len(overlap) > 200 and sum(overlap) / len(overlap) >= 0.95


def test_here_of_single_visits_takes_the_references_drift(asked, tmp_path):
    reference = shown.reference()
    points = [p.model_copy(update={"seconds": p.seconds[:1]}) for p in reference.points]
    once = reference.model_copy(update={"points": points})
    save_run(once, tmp_path / "once.json")
    runs, fault = asked(RUN=tmp_path / "once.json")
    here = runs["here"]
    assert here.drifts == {} and set(here.borrowed) == {p.what for p in here.points} and not fault
    point = next(p for p in here.points if p.what == "step")
    low, high = point.sample.interval
    assert high / low >= math.exp(2 * 1.96 * reference.drifts["step"]) * (1 - 1e-9)
