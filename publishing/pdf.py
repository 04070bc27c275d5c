"""The whole book as one PDF: its built pages in one document, printed by headless Chromium."""

import os
import re
import shutil
import sys
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from bs4 import BeautifulSoup
from playwright.sync_api import sync_playwright
from pypdf import PdfReader

from analysis.errors import InputError
from analysis.terminal import echo, told
from publishing.citation import ROOT, citation, commit

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--no-first-run"]  # fmt: skip
STYLE = Path(__file__).with_name("print.css")
# What only a screen can use, and inputs that a page hides.
LEFT_OUT = (".headerlink, script, .downloads, details.cite, .run-again, button, .toggle-details, "
            ".tag_hide-input > details, .verdict-filter, summary")  # fmt: skip
MANY_COLUMNS = 10  # from here on a table is printed across
FOOTER = (
    '<div style="width:100%;font-size:8px;text-align:center"><span class="pageNumber"></span></div>'
)
# What reaches beyond the column that it stands in, on pages that are upright or across.
CUT = """() => [...document.querySelectorAll("article table, article pre, article img")]
    .filter(e => e.getBoundingClientRect().right > document.body.clientWidth + 1
                 && !e.closest(".across"))
    .map(e => e.id || e.closest("[id]").id)"""


def find_browser(playwright) -> str:
    """Return the path of a Chromium; InputError says how to install one."""
    found = next(filter(None, map(shutil.which, BROWSERS)), playwright.chromium.executable_path)
    if not Path(found).is_file():
        raise InputError(
            "no Chromium was found: on Debian or Ubuntu say apt-get install chromium, "
            "elsewhere .venv/bin/playwright install chromium"
        )
    return found


def contents(root: Path = ROOT) -> list[tuple[str | None, str]]:
    """Return every document in reading order, with the caption of the part that it opens."""
    toc = yaml.safe_load((root / "_toc.yml").read_text("utf-8"))
    listed = [(None, toc["root"])]
    for part in toc["parts"]:
        files = [chapter["file"] for chapter in part["chapters"]]
        listed += zip([part["caption"], *[None] * len(files)], files, strict=False)
    return listed


def slug(document: str) -> str:
    return document.replace("/", "-")


def merged(html: Path, listed: list, pages: dict[str, int], subtitle: str) -> str:
    """Return all pages as one document whose links lead inside it.

    pages: page numbers by slug, for the contents.
    """
    soups = {d: BeautifulSoup((html / f"{d}.html").read_bytes(), "html.parser") for _, d in listed}
    body, lines = BeautifulSoup("", "html.parser"), []
    for caption, document in listed:
        article = soups[document].select_one("article")
        adapt(article, document, html, set(soups))
        section = body.new_tag("section", id=slug(document), attrs={"class": "document"})
        section.append(article)
        body.append(section)
        if caption:
            lines.append(f"<li class='part'>{caption}</li>")
        title = " ".join(article.find("h1").get_text().split())
        number = pages.get(slug(document), "")
        lines.append(f"<li><a href='#{slug(document)}'>{title}</a><span>{number}</span></li>")
    head = head_of(soups, html)
    title = citation()["title"]
    return (
        f"<!doctype html><html lang='en' data-theme='light'><head><meta charset='utf-8'>"
        f"<title>{title}</title>{head}<style>{STYLE.read_text('utf-8')}</style></head><body>"
        f"<header><p class='title'>{title}</p><p>{subtitle}</p>"
        f"<p class='contents'>Contents</p><ol>{''.join(lines)}</ol></header>{body}</body></html>"
    )


def head_of(soups: dict, html: Path) -> str:
    """Return the styles of the book, and what sets formulas on the pages that have some."""
    kept = {}
    for document, soup in soups.items():
        for tag in soup.select("head link[rel=stylesheet], script"):
            source = tag.get("href") or tag.get("src")
            if tag.name == "script" and "mathjax" not in f"{source}{tag.string}".lower():
                continue
            for name in ("href", "src"):
                if tag.get(name):
                    tag[name] = local(tag[name], document, html)
            kept[str(tag)] = None
    return "".join(kept)


def local(link: str, document: str, html: Path) -> str:
    """Return the address on disk of what a page links to, as file://."""
    return ((html / document).parent / unquote(urlsplit(link).path)).resolve().as_uri()


def adapt(article, document: str, html: Path, documents: set[str]) -> None:
    """Make one page a part of the whole: ids of its own, links inside, nothing collapsed."""
    for tag in article.select(LEFT_OUT):
        tag.decompose()
    for details in article.select("details"):
        details.name = "div"
    for tag in article.select("[id]"):
        tag["id"] = f"{slug(document)}--{tag['id']}"
    for tag in article.select("[src]"):
        tag["src"] = local(tag["src"], document, html)
    for link in article.select("a[href]"):
        parts = urlsplit(link["href"])
        if parts.scheme:
            continue
        target = os.path.normpath(os.path.join(os.path.dirname(document), parts.path))
        target = target.removesuffix(".html") if parts.path else document
        if target in documents:
            anchor = f"--{unquote(parts.fragment)}" if parts.fragment else ""
            link["href"] = f"#{slug(target)}{anchor}"
        else:  # a file beside the pages, which paper does not have
            link.unwrap()
    for table in article.select("table"):
        if len(table.select("thead th")) >= MANY_COLUMNS:
            table["class"] = [*table.get("class", []), "across"]


def dated(pdf: bytes, seconds: int) -> bytes:
    """Return the PDF with its dates set, byte for byte in place."""
    stamp = time.strftime("D:%Y%m%d%H%M%S", time.gmtime(seconds)).encode()
    return re.sub(rb"(?<=Date \()D:\d{14}", stamp, pdf)


def print_book(html: Path, target: Path, subtitle: str, seconds: int, listed: list) -> None:
    """Print the built book twice: only then are the page numbers of its contents known.

    Raises InputError where no browser is found or something would be cut off.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    document, pages = target.with_suffix(".html"), {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(playwright), args=QUIET)
        page = browser.new_context(offline=True, viewport={"width": 658, "height": 900}).new_page()
        page.emulate_media(media="print")
        for _ in range(2):
            document.write_text(merged(html, listed, pages, subtitle), "utf-8")
            page.goto(document.resolve().as_uri())
            page.evaluate("() => window.MathJax?.startup?.promise")
            if cut := page.evaluate(CUT):
                raise InputError(f"does not fit on paper: {', '.join(cut)}")
            pdf = page.pdf(prefer_css_page_size=True, print_background=True, tagged=True,
                           outline=True, display_header_footer=True, header_template="<span/>",
                           footer_template=FOOTER)  # fmt: skip
            target.write_bytes(dated(pdf, seconds))
            reader = PdfReader(target)
            pages = {
                name.lstrip("/"): reader.get_destination_page_number(place) + 1
                for name, place in reader.named_destinations.items()
            }
        browser.close()


def main() -> None:
    html, at = ROOT / "_build" / "html", commit()
    target = ROOT / "_build" / "pdf" / "memory-wall-report.pdf"
    subtitle = f"Version {citation()['version']}" + (f", commit {at[:10]}" if at else "")
    subtitle += ", with changes" if at and at.endswith("-dirty") else ""
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
    print_book(html, target, subtitle, seconds, contents())
    echo(str(target))


if __name__ == "__main__":
    sys.exit(told(main))
