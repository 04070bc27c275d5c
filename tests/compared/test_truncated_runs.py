"""A run of any points, from none to all, whatever they took: every page still has its tables,
figures and verdicts."""

import random
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from drawing import judged_once, outputs
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from analysis.compared import shown
from analysis.compared.figures import style
from analysis.compared.page import Plot, svg
from analysis.measured.run import Run, find_run, load_run

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    page
    for page in (*sorted(ROOT.glob("notebooks/*.md")), *sorted(ROOT.glob("book/*.md")))
    if "shown.runs()" in page.read_text("utf-8")
]
NO_NUMBER = re.compile(r"\b(nan|NaN|NaT|inf|None)\b")


def scaled(seconds: list[float], factor: float) -> list[float]:
    return [factor * each for each in seconds]


TIMES = {  # that a point's repetitions may have taken
    "measured": lambda seconds, chance: seconds,
    "alike": lambda seconds, chance: [1.0] * len(seconds),
    "apart": lambda seconds, chance: scaled(seconds, 10 ** chance.uniform(-4, 4)),
}


def part(run: Run, kinds: set[str], share: float, times: str, chance: random.Random) -> Run:
    """A run of this share of the points of some kinds, and of as few visits as the least."""
    of = [point for point in run.points if point.what in kinds]
    kept = [of[i] for i in sorted(chance.sample(range(len(of)), round(share * len(of))))]
    once = [
        point.model_copy(update={"seconds": [TIMES[times](point.seconds[0], chance)]})
        for point in kept
    ]
    return run.model_copy(update={"points": once})


def made(page: Path, runs: dict[str, Run]) -> list[dict]:
    """What the cells of a page show, as pages are given it; of figures the wide drawing."""
    with pytest.MonkeyPatch.context() as patch, judged_once(runs["reference"]):
        patch.setattr(shown, "found", lambda: (runs, ""))
        patch.setattr(style, "WIDTHS", style.WIDTHS[:1])
        shows = []
        for _, each in outputs(page):
            if isinstance(each, Plot):
                svg(each.figures[0])
            elif hasattr(each, "_repr_mimebundle_"):
                shows.append(each._repr_mimebundle_())
    plt.close("all")
    return shows


def test_all_measured_chapters_are_tried():
    assert len(PAGES) == 10


@pytest.mark.parametrize("examples", [2, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_comes_from_any_part_of_a_run(page, examples, reference):
    whole = load_run(find_run("intel-xeon-2-cores"))
    kinds = sorted({point.what for point in whole.points})

    @settings(
        max_examples=examples, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(
        st.sets(st.sampled_from(kinds)), st.floats(0, 1), st.sampled_from(list(TIMES)),
        st.randoms(use_true_random=False),
    )  # fmt: skip
    def tried(kinds, share, times, chance):
        here = part(whole, kinds, share, times, chance)
        here.borrow(reference)
        shows = made(page, {"reference": reference, "here": here})
        assert not any(NO_NUMBER.search(each.get("text/markdown", "")) for each in shows)

    tried()
