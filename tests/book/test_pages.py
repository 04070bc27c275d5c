"""What a reader gets: every chapter, whole and without errors, figures and tables that explain
themselves, and links that lead somewhere."""

import json
import re
import zipfile
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from analysis.compared.claims import VERDICTS
from analysis.published.claims import load_claims
from analysis.published.tables import DATA, described


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
        for image in article.select("img:not(.everything img)"):
            alt = image.get("alt", "")
            assert len(alt.split()) > 3, f"{doc}: the alt text of {image['src']} is {alt!r}"
            assert image.find_parent("figure"), f"{doc}: no figure around {image['src']}"


def test_every_figure_has_a_number_a_caption_and_what_its_cell_gave(html, articles):
    """The SVG to download is what screens are shown, the CSV what came with it."""
    figures = [(doc, figure) for doc, a in articles.items() for figure in a.select("figure")]
    assert figures
    for doc, figure in figures:
        where = f"{doc}: {figure.get('id')}"
        assert any(map(str.isdigit, figure.select_one(".caption-number").text)), where
        caption = figure.select_one(".caption-text")
        finding = caption.select_one("strong:first-child")
        assert finding.text.endswith(".") and caption.text.startswith(finding.text), where
        assert len(caption.text) > len(finding.text) + 20, where  # and what is drawn
        folder = (html / doc).parent
        links = {a.text: folder / a["href"] for a in figure.select(".downloads a")}
        assert set(links) == {"SVG", "CSV"}, where
        assert ElementTree.parse(links["SVG"]).getroot().tag.endswith("svg"), where
        wide, narrow = figure.select(":scope > svg")
        drawn = ElementTree.parse(links["SVG"]).getroot()
        words = [
            "".join("".join(e.itertext()).split()) for e in drawn.iter() if e.tag.endswith("}text")
        ]
        assert ["".join(e.get_text().split()) for e in wide.select("text")] == words, where
        assert len(narrow["aria-label"].split()) > 3, where
        assert not pd.read_csv(links["CSV"]).empty, where
        given = outputs_of(html, doc, "image/svg+xml", "text/csv")
        assert tuple(links[kind].read_text("utf-8") for kind in ("SVG", "CSV")) in given, where
        assert f"#{figure['id']}" in figure.select_one("details.cite").text, where


def outputs_of(html, doc, *kinds) -> list[tuple[str, ...]]:
    """Return what each output of a page's executed notebook has of these kinds."""
    notebook = json.loads((html.parent / "jupyter_execute" / f"{doc}.ipynb").read_text("utf-8"))
    return [
        tuple("".join(output.get("data", {}).get(kind, "")) for kind in kinds)
        for cell in notebook["cells"]
        for output in cell.get("outputs", [])
    ]


def test_the_csv_of_every_table_is_what_it_shows(html, articles):
    tables = [(doc, table) for doc, a in articles.items() for table in a.select("table")]
    assert tables
    for doc, table in tables:
        link = table.find_parent("div").find_next_sibling("p", class_="downloads").a
        file = (html / doc).parent / link["href"]
        rows = pd.read_csv(file, header=None, dtype=str, na_filter=False).to_numpy().tolist()
        shown = [[" ".join(c.text.split()) for c in r.select("th, td")] for r in table.select("tr")]
        assert rows == shown, f"{doc}: {table['id']}"


def test_every_chapter_can_be_downloaded_executed(html, chapters):
    for doc, chapter in chapters.items():
        links = {a["href"] for a in chapter.select(".downloads a")}
        assert f"../_sources/{doc}.ipynb" in links, doc
        notebook = json.loads((html / "_sources" / f"{doc}.ipynb").read_text("utf-8"))
        assert any(cell.get("outputs") for cell in notebook["cells"]), doc


def test_all_figures_tables_and_data_are_listed(html, articles):
    listed = articles["book/figures_and_data"]
    names = {code.text for code in listed.select("ul.everything code")}
    numbered = [e for a in articles.values() for e in a.select("figure, table")]
    named = {e["id"] for e in numbered if e.select_one(".caption-number")}
    assert len(named) > 20 and names == named | set(described()) | {
        file.name for file in (DATA / "runs").glob("*.json")
    }
    for item in listed.select("ul.everything li:not(:first-child)"):
        assert item.strong and item.strong.text, item.text
    pictures = [
        (html / "book" / image["src"]).resolve() for image in listed.select("li.pictured img")
    ]
    drawn = {e["id"] for a in articles.values() for e in a.select("figure")}
    assert {file.stem for file in pictures} == drawn and all(map(Path.is_file, pictures))
    with zipfile.ZipFile(html / "_downloads" / "memory-wall-data.zip") as archive:
        packed = {name: archive.read(name) for name in archive.namelist()}
    assert packed == {
        f"data/{file.relative_to(DATA).as_posix()}": file.read_bytes()
        for file in DATA.rglob("[!.]*")
        if file.is_file() and file.suffix != ".pyc"
    }


# Names that only the code knows, and numbers as only computers print them.
INTERNAL = re.compile(
    r"\b(?:bandwidth|matmul|linear|encode|step|train|messages|links)/[\w/]+|yes, highest"
    r"|\b(?:amd-epyc|intel-xeon)(?:-zen-\d)?-2-cores\b(?!\.json)|\b\d+/\d+ times"
    r"|\{(?:glue|doc|term|numref|bdg-\w+)(?::\w+)?\}`"
)
E_NOTATION = re.compile(r"(?<![\w.])\d+(?:\.\d+)?[eE][+-]?\d+(?![\w}])")


@pytest.mark.parametrize(
    "text",
    ["bandwidth/copy", "matmul/float32/1024x1024x1024", "yes, highest", "on intel-xeon-2-cores.",
     "takes 45/1 times", "{glue:text}`flops`", "grew 4.0e+06 in", "97e9 FLOPs"],
)  # fmt: skip
def test_an_internal_name_would_be_seen(text):
    assert INTERNAL.search(text) or E_NOTATION.search(text)


def test_no_page_shows_an_internal_name(html, articles):
    """Neither in its text, code left out, nor in its figures, nor in the notebook to download."""
    said = {}
    for doc, article in articles.items():
        shown = BeautifulSoup(str(article), "html.parser")
        for code in shown.select(".cell_input, .highlight, details.cite"):
            code.decompose()
        text = [shown.get_text(" ")] + [image["alt"] for image in shown.select("img")]
        said[doc] = "\n".join(text)
    for svg in (html / "_downloads" / "figures").glob("*.svg"):
        drawn = svg.read_text("utf-8")  # letters may be paths, with the text in a comment
        said[svg.name] = "\n".join(re.findall(r"(?<=<!-- ).*?(?= -->)|(?<=>)[^<>]+(?=</)", drawn))
    for doc in articles:
        if (html / "_sources" / f"{doc}.ipynb").exists():
            cells = json.loads((html / "_sources" / f"{doc}.ipynb").read_text("utf-8"))["cells"]
            prose = [cell["source"] for cell in cells if cell["cell_type"] == "markdown"]
            prose += [
                c["metadata"].get("mystnb", {}).get("figure", {}).get("caption", "") for c in cells
            ]
            said[f"{doc}.ipynb"] = "\n".join(prose)
    found = {
        where: sorted({m.group() for part in (INTERNAL, E_NOTATION) for m in part.finditer(text)})
        for where, text in said.items()
    }
    assert {where: names for where, names in found.items() if names} == {}


def test_tables_are_few(articles):
    """Where a figure has the numbers, its file is enough."""
    assert 15 < sum(len(article.select("table")) for article in articles.values()) <= 33


def test_the_first_page_answers_before_it_lists(articles):
    """The answer with numbers, one figure, a square a claim, and only then the contents."""
    page = articles["book/index"]
    answer, figure, squares, contents = (
        page.h1.find_next_siblings("p")[1], page.find("figure"),
        page.select_one("ul.verdicts"), page.find("section", id="contents"),
    )  # fmt: skip
    assert len(re.findall(r"\d[\d,.]*×", answer.text)) >= 5 and len(page.select("figure")) == 1
    places = [str(page).index(str(each)) for each in (answer, figure, squares, contents)]
    assert places == sorted(places)
    assert len(squares.select(".squares a")) == len(load_claims())
    assert all(word in squares.text for word in VERDICTS)


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
    judging = {f"notebooks/{claim.page}" for claim in load_claims().values()}
    for doc, chapter in chapters.items():
        assert chapter.select(".admonition.takeaway"), f"{doc}: no takeaway"
        assert any("Exercise" in h.text for h in chapter.select("h2")), f"{doc}: no exercise"
        heads = [th.text.strip() for th in chapter.select("table th")]
        assert "Verdict" in heads or doc not in judging, f"{doc}: no table of verdicts"


def test_no_figure_or_table_is_empty_and_none_says_that_nothing_was_measured(html, articles):
    for doc, article in articles.items():
        text = article.get_text(" ")
        assert "this run has no" not in text.lower() and "in this run" not in text, doc
        for table in article.select("table"):
            rows = [[c.get_text(strip=True) for c in r.select("td")] for r in table.select("tr")]
            rows = [row for row in rows if row]
            assert rows, f"{doc}: {table.get('id')} has no row"
            bare = [row for row in rows if set(row[1:]) <= {"–", "not measured", ""}]
            assert len(bare) < len(rows), f"{doc}: {table.get('id')} says nothing"
        for figure in article.select("figure[id]"):
            csv = html / "_downloads" / "figures" / f"{figure['id']}.csv"
            assert len(pd.read_csv(csv)) > 1, f"{doc}: {figure['id']} draws nothing"


MEASURED = ("05_this_machine", "06_profiling", "08_between_chips", "09_training",
            "10_fewer_bytes", "11_shared_bytes")  # fmt: skip


def test_the_card_of_a_run_says_something_of_everything(html, pages):
    """A number that is none is an empty cell."""
    card = pages[html / "notebooks/05_this_machine.html"].select_one("#tab-card")
    rows = [[cell.get_text(strip=True) for cell in row.select("td")] for row in card.select("tr")]
    assert len(rows) > 10 and [row for row in rows[1:] if not all(row)] == []


def test_here_is_visible_in_every_measured_chapter(html, chapters):
    """Where the book was built with a run of the reader's own."""
    runs = pd.read_csv(html / "_downloads" / "figures" / "fig-verdicts.csv")["run"]
    if "here" not in set(runs):
        pytest.skip("the book was built without a run here (RUN=none)")
    for name in MEASURED:
        chapter = chapters[f"notebooks/{name}"]
        drawn = [
            "here" in set(pd.read_csv(html / "_downloads/figures" / f"{figure['id']}.csv")["run"])
            for figure in chapter.select("figure[id]")
            if "run" in pd.read_csv(html / "_downloads/figures" / f"{figure['id']}.csv")
        ]
        heads = {th.get_text(strip=True) for th in chapter.select("table th")}
        assert any(drawn) and "Here" in heads, name


def test_decisive_lines_are_visible_and_held_to_the_package(cells):
    chapters = {doc: page for doc, page in cells.items() if doc.startswith("notebooks/")}
    assert all(
        any("decisive" in cell.metadata.get("tags", []) for cell in page)
        for doc, page in chapters.items()
        if doc != "notebooks/02_models_and_memory"  # which reads what chapter 1 fits
    )
    for doc, page in chapters.items():
        code = [cell for cell in page if cell.cell_type == "code"]
        for cell, after in zip(code, code[1:], strict=False):
            if "decisive" in cell.metadata.get("tags", []):
                assert not {"hide-input", "hide-cell"} & set(cell.metadata["tags"]), doc
                assert "assert" in after.source, f"{doc}: {cell.source.splitlines()[0]}"


def test_code_cells_are_short(cells):
    long = [
        f"{doc}: {cell.source.splitlines()[0]}"
        for doc, page in cells.items()
        for cell in page
        if cell.cell_type == "code" and len(cell.source.splitlines()) > 15
    ]
    assert long == []
