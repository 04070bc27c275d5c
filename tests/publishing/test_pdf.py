"""The PDF: pages become one document whose links lead inside it, and nothing is cut off."""

import os

import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import sync_playwright
from pypdf import PdfReader

from analysis.errors import InputError
from publishing import pdf

LISTED = [(None, "index"), ("Part one", "notebooks/01_a")]
INDEX = """<html><head><link rel="stylesheet" href="_static/a.css"></head><body><article>
<h1>Start</h1><p id="x"><a href="notebooks/01_a.html#x">there</a> <a href="#x">here</a>
<a href="https://example.org/">out</a> <a href="_downloads/t.csv">t.csv</a></p>
</article></body></html>"""
CHAPTER = """<html><head><script>window.MathJax = {}</script><script src="theme.js"></script></head>
<body><article><h1>A <em>chapter</em><a class="headerlink" href="#a">#</a></h1>
<p id="x"><a href="../index.html">back</a></p>WIDE
<div class="tag_hide-input"><details><summary>s</summary>hidden input</details></div>
<details><summary>s</summary>a solution</details></article></body></html>"""


@pytest.fixture
def html(tmp_path):
    """Return a function that writes a built book of two pages."""

    def write(wide=""):
        folder = tmp_path / "html"
        (folder / "notebooks").mkdir(parents=True, exist_ok=True)
        (folder / "index.html").write_text(INDEX, "utf-8")
        chapter = CHAPTER.replace("WIDE", wide)
        (folder / "notebooks" / "01_a.html").write_text(chapter, "utf-8")
        return folder

    return write


def test_pages_become_one_document(html):
    page = BeautifulSoup(pdf.merged(html(), LISTED, {"index": 2}, "Version 1"), "html.parser")
    links = {a.text: a["href"] for a in page.select("section a")}
    assert links == {
        "there": "#notebooks-01_a--x",
        "here": "#index--x",
        "out": "https://example.org/",
        "back": "#index",
    }
    ids = [tag["id"] for tag in page.select("[id]")]
    assert len(ids) == len(set(ids)) and {h[1:] for h in links.values() if h[0] == "#"} <= set(ids)
    assert "t.csv" in page.get_text() and "hidden input" not in page.get_text()
    assert "a solution" in page.get_text() and not page.select("details")
    lines = [" ".join(li.get_text(" ", strip=True).split()) for li in page.select("header li")]
    assert lines == ["Start 2", "Part one", "A chapter"]
    assert page.find("link")["href"].startswith("file://")
    assert [s.string for s in page.select("script")] == ["window.MathJax = {}"]


def test_the_book_s_own_contents_are_listed_in_order():
    listed = pdf.contents()
    assert listed[0] == (None, "book/index") and listed[1][1] == "notebooks/01_scaling_disparity"
    assert all((pdf.ROOT / f"{document}.md").is_file() for _, document in listed)


def test_dates_are_set_in_place():
    before = b"/CreationDate (D:20260101000000+00'00')\n/ModDate (D:20260101000000+00'00')>>"
    after = pdf.dated(before, 0)
    assert after == before.replace(b"20260101", b"19700101") and len(after) == len(before)


def test_without_a_browser_one_line_says_how_to_install_one(monkeypatch):
    class Playwright:
        class chromium:
            executable_path = "/nowhere/chrome"

    monkeypatch.setattr(pdf.shutil, "which", lambda name: None)
    with pytest.raises(InputError, match="apt-get install chromium") as caught:
        pdf.find_browser(Playwright)
    assert "\n" not in str(caught.value)


@pytest.fixture
def printer():
    try:
        with sync_playwright() as playwright:
            pdf.find_browser(playwright)
    except InputError as error:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(str(error))


def test_the_print_has_contents_with_page_numbers_and_is_the_same_again(html, tmp_path, printer):
    folder, prints = html(), []
    for name in ("one", "two"):
        target = tmp_path / f"{name}.pdf"
        pdf.print_book(folder, target, "Version 1", 1_700_000_000, LISTED)
        prints.append(target.read_bytes())
    assert prints[0] == prints[1]
    reader = PdfReader(tmp_path / "one.pdf")
    texts = [page.extract_text() for page in reader.pages]
    numbers = dict(line.rsplit(" ", 1) for line in texts[0].splitlines() if line[-1:].isdigit()
                   and line.startswith(("Start", "A chapter")))  # fmt: skip
    assert numbers.keys() == {"Start", "A chapter"}
    assert all(title in texts[int(n) - 1].splitlines() for title, n in numbers.items())
    assert texts[0].count("Contents") == 1 and "1" not in numbers.values()
    assert [entry.title for entry in reader.outline][-1] == "A chapter"


def test_what_would_be_cut_off_is_named(html, tmp_path, printer):
    wide = "<table id='tab-wide'><tr><td><div style='width: 3000px'>x</div></td></tr></table>"
    with pytest.raises(InputError, match="notebooks-01_a--tab-wide"):
        pdf.print_book(html(wide), tmp_path / "w.pdf", "Version 1", 1_700_000_000, LISTED)
