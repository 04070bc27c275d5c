"""The page "Your model on your chip" in a browser: its numbers are those of the package, and it
needs no network, little script and no mouse."""

import importlib.util
import json
import math
import random
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from analysis.errors import InputError
from analysis.predicted.answer import Setting, answer, choices
from analysis.predicted.chips import BITS, Chip, known_chips, open_models
from analysis.predicted.needs import needs_of

spec = importlib.util.spec_from_file_location(
    "check_book", Path(__file__).with_name("check_book.py")
)
check_book = sys.modules.setdefault("check_book", importlib.util.module_from_spec(spec))
spec.loader.exec_module(check_book)
browser = check_book.browser

PAGE = "book/your_model.html"
MOST_SCRIPT = 1_500_000  # bytes of all scripts that the page loads
CHOICES = 200
ANSWER = """([model, chip, setting]) => {
  const needs = predicted.data.models.find((each) => each.name === model);
  try {
    return predicted.answer(needs, chip, setting);
  } catch (error) { return error.message; }
}"""


@pytest.fixture(scope="module")
def visit():
    return check_book.Visit()


@pytest.fixture(scope="module")
def page(browser, html, visit):
    page = browser.new_page()
    scripts = []
    check_book.listen(page, html.as_uri(), visit)
    page.on("response", lambda r: r.request.resource_type == "script" and scripts.append(r))
    page.goto((html / PAGE).as_uri(), wait_until="load")
    page.locator("#your-chart svg").wait_for()
    page.scripts = [html.as_uri() + "/" + script.url.split("/html/")[1] for script in scripts]
    yield page
    page.close()


def sizes(rng: random.Random, most: int) -> int:
    """A whole number from 1, as likely in each of its lengths."""
    return round(math.exp(rng.uniform(0, math.log(most))))


def chosen(rng: random.Random) -> tuple:
    """A model, a chip of the table or of any numbers, and a setting."""
    limits = [10 ** rng.uniform(*ends) for ends in ((10, 14), (12, 17), (9, 13), (10, 12))]
    typed = Chip("typed", limits[0], {32: limits[1]}, *limits[2:])
    chip = typed if rng.random() < 0.25 else rng.choice(known_chips())
    bits = (rng.choice(BITS) for _ in range(3))
    setting = Setting(sizes(rng, 2**20), sizes(rng, 2**17), sizes(rng, 4096), *bits)
    return (
        rng.choice(list(open_models().values())),
        replace(chip, n=rng.choice([1, 1, 2, 8])),
        setting,
    )


def expected(arch, chip, setting):
    """What the package answers, of what the page has too; its message where it refuses."""
    try:
        found = answer(needs_of(arch), chip, setting, arch)
    except InputError as error:
        return str(error)
    return {k: v for k, v in found.items() if k not in ("model", "chip", "setting")}


def differences(ours, theirs, where: str = "") -> list[str]:
    """Where two answers are not the same, numbers to 1e-9 of their size."""
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.keys() == theirs.keys():
        return [d for k in ours for d in differences(ours[k], theirs[k], f"{where}/{k}")]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        both = enumerate(zip(ours, theirs, strict=True))
        return [d for i, pair in both for d in differences(*pair, f"{where}/{i}")]
    if type(ours) in (int, float) and type(theirs) in (int, float):
        same = math.isclose(ours, theirs, rel_tol=1e-9)
    elif isinstance(ours, str) and isinstance(theirs, str):
        same = ours.split(" (--")[0] == theirs  # a page has no options
    else:
        same = ours is theirs
    return [] if same else [f"{where}: {ours} and {theirs}"]


def test_every_choice_gives_the_numbers_of_the_package(page):
    rng, kinds = random.Random(19), set()
    for _ in range(CHOICES):
        arch, chip, setting = chosen(rng)
        ours = expected(arch, chip, setting)
        theirs = page.evaluate(ANSWER, [arch.name, asdict(chip), asdict(setting)])
        assert differences(ours, theirs) == [], (arch.name, chip, setting)
        kinds.add("refused" if isinstance(ours, str) else ours.get("step", ours["prompt"])["limit"])
    assert kinds == {"memory", "compute", "links", "refused"}  # each was met


def test_a_difference_is_seen():
    assert differences({"a": [1.0, None]}, {"a": [1.0 + 1e-8, 0]}) == [
        "/a/0: 1.0 and 1.00000001",
        "/a/1: None and 0",
    ]


def test_the_page_holds_the_data_of_the_package(page):
    assert page.evaluate("predicted.data") == json.loads(json.dumps(choices()))


def test_what_is_chosen_is_said_and_what_is_wrong_named(page):
    said = page.locator("#your-answer[role=status]")
    page.get_by_label("Model", exact=True).select_option("Llama 3 70B")
    page.get_by_label("Chip", exact=True).select_option("RTX 3090")
    assert "Llama 3 70B on RTX 3090: a step takes at least" in said.inner_text()
    assert "It does not fit" in said.inner_text()
    page.get_by_label("A chip's memory (GB)").fill("200")
    assert page.get_by_label("Chip", exact=True).input_value() == "numbers typed below"
    assert "It fits" in said.inner_text()
    page.get_by_label("Batch (sequences)").fill("0")
    assert said.inner_text() == "Batch (sequences): a whole number from 1 to 1e9"
    page.get_by_label("Batch (sequences)").fill("1")
    page.get_by_label("Model", exact=True).select_option("BERT-Base")
    assert "a pass takes at least" in said.inner_text()


def test_a_keyboard_reaches_every_field_in_order(page):
    fields = page.locator("#your-form :is(select, input)")
    fields.first.focus()
    reached = []
    for _ in range(fields.count()):
        reached.append(page.evaluate("document.activeElement.name"))
        page.keyboard.press("Tab")
    assert reached == [each.get_attribute("name") for each in fields.all()]


def test_each_chip_tells_its_name(page):
    page.get_by_label("Bits of a product").select_option("16")
    dots = page.locator("#your-chart g.mark-symbol path")
    dots.nth(5).hover(force=True)
    told = page.locator("#vg-tooltip-element.visible")
    told.wait_for()
    names = page.evaluate("predicted.data.chips.map((each) => each.name)")
    assert any(told.inner_text().startswith(f"{name}: ") for name in names)


def test_without_scripts_a_table_stands_in_its_place(browser, html):
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto((html / PAGE).as_uri())
    assert not page.locator("#your-model").is_visible()
    assert page.locator("#tab-your-model tbody tr").count() > 10
    page.context.close()


def test_nothing_failed_and_the_script_is_small(page, html, visit):
    loaded = [Path(script.removeprefix("file://").split("?")[0]) for script in page.scripts]
    assert {"vega.js", "answer.js"} <= {file.name for file in loaded}
    assert sum(file.stat().st_size for file in loaded) < MOST_SCRIPT
    assert (visit.foreign, visit.errors) == ([], [])
