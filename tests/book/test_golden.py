"""The book says of the reference what it said when golden.json was pinned.

What is said no more, or otherwise, is a row of golden_changes.csv with its reason and the pin that
it leaves; rows of former pins tell how the numbers came to be these.
"""

import bisect
import csv
import importlib.util
import json
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
spec = importlib.util.spec_from_file_location("golden", HERE / "golden.py")
golden = importlib.util.module_from_spec(spec)
spec.loader.exec_module(golden)

NUMBER = re.compile(r"\d(?:[\d,]*\d)?(?:\.\d+)?(?:e[+-]\d+)?")
BEFORE = json.loads(golden.PINNED.read_text("utf-8"))


def changes() -> dict[tuple[str, str], list[str]]:
    """(part, name) -> what of it is said no more: numbers, or "all"."""
    found: dict[tuple[str, str], list[str]] = {}
    with (HERE / "golden_changes.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            assert len(row["reason"].split()) > 3, f"{row}: no reason"
            if int(row["pin"]) != BEFORE["pin"]:
                continue
            found.setdefault((row["part"], row["name"]), []).append(row["number"])
    return found


CHANGED = changes()


@pytest.fixture(scope="module")
def build(html):
    return html.parent


@pytest.fixture(scope="module")
def after(build) -> dict:
    return golden.pinned(build)


def test_every_verdict_is_as_it_was(after):
    changed = {name for part, name in CHANGED if part == "verdict"}
    before = {id: found for id, found in BEFORE["verdicts"].items() if id not in changed}
    assert {id: after["verdicts"].get(id) for id in before} == {
        id: [None if ours is None else pytest.approx(ours, rel=1e-6), verdict]
        for id, (ours, verdict) in before.items()
    }


def missing(wanted: list[float], there: list[float], tolerance: float = 1e-6) -> list[float]:
    """The numbers of `wanted` that are not in `there`."""
    there = sorted(there)

    def has(number: float) -> bool:
        reach = tolerance * abs(number) + 1e-12
        at = bisect.bisect_left(there, number - reach)
        return at < len(there) and there[at] <= number + reach

    return [number for number in wanted if not has(number)]


@pytest.mark.parametrize("name", sorted(BEFORE["drawn"]))
def test_every_value_is_still_drawn(after, name):
    given_up = CHANGED.get(("figure", name), [])
    if "all" in given_up:
        return
    gone = missing(BEFORE["drawn"][name], after["drawn"][name])
    assert missing(gone, list(map(float, given_up))) == []


@pytest.mark.parametrize("page", sorted(BEFORE["glued"]))
def test_every_number_is_still_said(pages, html, page):
    there = set(NUMBER.findall(pages[html / f"{page}.html"].select_one("article").get_text(" ")))
    given_up = CHANGED.get(("page", page), [])
    gone = {
        f"{name}: {number}"
        for name, said in BEFORE["glued"][page].items()
        for number in NUMBER.findall(said)
        if number not in there and not {name, f"{name}: {number}"} & set(given_up)
    }
    assert gone == set()


def test_a_number_that_is_said_otherwise_would_be_seen():
    assert missing([1.0, 2.0], [1.0, 2.00001]) == [2.0]
    assert missing([-0.5, 1e-9], [-0.5000000001, 1.0000000001e-9]) == []
