"""What readers take away: files, commands, citations, launches."""

import os
import re

import pandas as pd
import pytest
from playwright.sync_api import sync_playwright
from pybtex.database import parse_string

from analysis.errors import InputError
from publishing.chapter import find_chapter
from publishing.citation import data_sources, repository
from publishing.pdf import QUIET, find_browser


def test_the_file_of_verdicts_is_what_table_and_figure_show(html, pages):
    page = pages[html / "book" / "verdicts.html"]
    link = page.find("a", string="verdicts.csv")
    file = pd.read_csv(html / "book" / link["href"])
    drawn = pd.read_csv(html / "_downloads/figures/fig-verdicts.csv")
    assert list(drawn["run"]) == list(file["run"].replace("data", "reference"))
    same = file.columns.drop("run")
    pd.testing.assert_frame_equal(drawn[same], file[same])
    table = page.find("table", id="tab-all-claims")
    heads = [th.get_text(strip=True) for th in table.select("thead th")]
    shown = [[td.get_text(" ", strip=True) for td in tr("td")] for tr in table.select("tbody tr")]
    shown = pd.DataFrame(shown, columns=heads)
    file = file[file["run"] != "here"]  # whose verdict has columns of its own
    assert list(shown["No."].astype(int)) == list(file["number"])
    badges = shown["Verdict"].str.replace(r"^\W+", "", regex=True)
    assert list(badges) == list(file["verdict"])


def test_every_chapter_says_how_to_run_it_alone(pages, html, documents):
    listed = pages[html / "book" / "rerun.html"].get_text()
    for doc in (d for d in documents if d.startswith("notebooks/")):
        line = pages[html / f"{doc}.html"].select_one("article .run-again").get_text()
        name = re.search(r"make chapter NAME=(\w+)\. ", line)[1]
        assert find_chapter(name).stem == doc.removeprefix("notebooks/")
        assert re.search(r"takes (less than|over) \w+ \w+", line), line
        assert f"make chapter NAME={name}" in listed


def test_the_cite_page_has_an_entry_for_report_paper_and_each_source(pages, html):
    page = pages[html / "book" / "cite.html"]
    text = "\n".join(block.get_text() for block in page.select(".highlight-bibtex pre"))
    keys = set(parse_string(text, "bibtex").entries)
    assert keys >= {"memory_wall_report", "gholami2024", *data_sources().values()}


@pytest.fixture
def browser_page():
    with sync_playwright() as playwright:
        try:
            found = find_browser(playwright)
        except InputError as error:
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(str(error))
        browser = playwright.chromium.launch(executable_path=found, args=QUIET)
        yield browser.new_page()
        browser.close()


def test_the_filter_shows_the_claims_of_one_verdict(html, browser_page):
    browser_page.goto((html / "book" / "verdicts.html").as_uri())
    rows = browser_page.locator("#tab-all-claims tbody tr")
    every = rows.count()
    for button in browser_page.locator(".verdict-filter button").all():
        wanted = button.get_attribute("data-verdict")
        button.press("Enter")
        assert button.get_attribute("aria-pressed") == "true"
        shown = [row.inner_text() for row in rows.all() if row.is_visible()]
        assert shown and all(wanted in ("all", "") or wanted in text for text in shown)
        assert f"{len(shown)} of {every}" in browser_page.get_by_role("status").inner_text()


def test_chapters_have_launch_buttons_where_the_repository_is_known(pages, html, documents):
    for doc in (d for d in documents if d.startswith("notebooks/")):
        links = pages[html / f"{doc}.html"].select("a[href*='mybinder.org']")
        assert bool(links) == (repository() is not None), doc
