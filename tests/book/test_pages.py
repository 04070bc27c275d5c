"""What a reader gets: every chapter, whole and without errors, figures and tables that explain
themselves, and links that lead somewhere."""

from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import pandas as pd
import pytest

from analysis.published.claims import load_claims


@pytest.fixture(scope="session")
def articles(html, pages, documents):
    return {doc: pages[html / f"{doc}.html"].find("article") for doc in documents}


@pytest.fixture(scope="session")
def chapters(articles):
    return {doc: article for doc, article in articles.items() if doc.startswith("notebooks/")}


def test_every_chapter_is_there(html, documents):
    assert any(doc.startswith("notebooks/") for doc in documents)
    assert [doc for doc in documents if not (html / f"{doc}.html").is_file()] == []


def test_no_page_shows_an_error(pages):
    for file, page in pages.items():
        assert not page.select(".output.traceback, .output.stderr"), file
        assert "Traceback (most recent call last)" not in page.get_text(), file


def test_every_image_is_a_described_figure(articles):
    for doc, article in articles.items():
        for image in article.select("img"):
            alt = image.get("alt", "")
            assert len(alt.split()) > 3, f"{doc}: the alt text of {image['src']} is {alt!r}"
            assert image.find_parent("figure"), f"{doc}: no figure around {image['src']}"


def test_every_figure_has_a_number_a_caption_and_its_data(html, articles):
    figures = [(doc, figure) for doc, a in articles.items() for figure in a.select("figure")]
    assert figures
    for doc, figure in figures:
        where = f"{doc}: {figure.get('id')}"
        assert any(map(str.isdigit, figure.select_one(".caption-number").text)), where
        assert len(figure.select_one(".caption-text").text.split()) > 3, where
        links = {a.text: a["href"] for a in figure.select(".downloads a")}
        assert set(links) == {"SVG", "CSV"}, where
        folder = (html / doc).parent
        assert ElementTree.parse(folder / links["SVG"]).getroot().tag.endswith("svg"), where
        assert not pd.read_csv(folder / links["CSV"]).empty, where


def test_every_table_has_a_caption(articles):
    for doc, article in articles.items():
        for table in article.select("table"):
            caption = table.select_one("caption .caption-text")
            assert caption and caption.text.strip(), f"{doc}: {' '.join(table.text.split())[:80]}"


def test_every_internal_link_resolves(html, pages):
    anchors = {
        file: {tag.get("id") or tag.get("name") for tag in page.select("[id], a[name]")}
        for file, page in pages.items()
    }
    broken = []
    for file, page in pages.items():
        for tag in page.select("[href], [src]"):
            link = tag.get("href") or tag.get("src")
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            known = anchors.get(target, {parts.fragment})
            if not target.is_file() or parts.fragment and unquote(parts.fragment) not in known:
                broken.append(f"{file.relative_to(html)}: {link}")
    assert broken == []


def test_every_chapter_opens_with_its_question(chapters):
    for doc, chapter in chapters.items():
        heading = chapter.find("h1")
        opening = [p.text for p in heading.find_next_siblings("p", recursive=False)]
        assert any("?" in text for text in opening), doc


def test_every_chapter_closes_with_takeaway_exercise_and_verdict(chapters):
    """A table of verdicts stands in every chapter that has claims to judge."""
    judging = {claim.chapter for claim in load_claims().values()}
    for doc, chapter in chapters.items():
        assert chapter.select(".admonition.takeaway"), f"{doc}: no takeaway"
        assert any("Exercise" in h.text for h in chapter.select("h2")), f"{doc}: no exercise"
        heads = [th.text.strip() for th in chapter.select("table th")]
        judges = doc.rsplit("/", 1)[-1].split("_", 1)[1] in judging
        assert "Verdict" in heads or not judges, f"{doc}: no table of verdicts"


def test_code_cells_are_short(cells):
    long = [
        f"{doc}: {cell.source.splitlines()[0]}"
        for doc, page in cells.items()
        for cell in page
        if cell.cell_type == "code" and len(cell.source.splitlines()) > 15
    ]
    assert long == []
