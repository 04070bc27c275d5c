"""The built book in a real browser, without a network: `make check-book` (not `make test`)."""

import contextlib
import functools
import http.server
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from analysis.errors import InputError
from publishing.pdf import QUIET, find_browser

WIDTHS = (375, 768, 1440, 2560)
MOST_BYTES = 2_500_000  # of a chapter, formulas included
SMALLEST_LETTERS = 10  # px, of figures on a phone
# Whatever is not on this machine does not exist; nothing runs beside the pages.
SWITCHES = ["--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", *QUIET]
AXE = {"resultTypes": ["violations"], "preload": False}  # preloading asks for what is no page's own
COLOURS = ["color-contrast", "link-in-text-block"]  # all else is in the dark as in the light
RULES = {"light": AXE, "dark": AXE | {"runOnly": COLOURS}}
# A drawing is one image to a screen reader; PALE looks at its letters.
CONTEXT = {"exclude": [["article figure > svg > *"]]}
STUMBLES, DRAWINGS, PALE = (
    Path(__file__).with_name(f"{name}.js").read_text("utf-8")
    for name in ("stumbles", "drawings", "pale")
)
MISSING = """() => [
  ...[...document.images].filter((i) => !i.complete || !i.naturalWidth)
    .map((i) => "image " + i.getAttribute("src")),
  ...[...document.querySelectorAll(".math")]
    .filter((m) => !m.querySelector("mjx-container") || m.querySelector("mjx-merror"))
    .map((m) => "formula " + m.textContent),
  ...([...document.fonts].some((f) => /Awesome/.test(f.family) && f.status === "loaded")
    ? [] : ["icons"]),
]"""
AT_REST = """async () => {
  for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
  document.getAnimations().forEach((animation) => animation.finish());
}"""
FIRST_PAINT = """() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0"""


@dataclass
class Visit:
    """What a browser met on one page."""

    foreign: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    stumbles: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    letters: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    first_paint: float = 0


@contextlib.contextmanager
def browsing():
    """A browser, for the thread that asks."""
    with sync_playwright() as playwright:
        found = find_browser(playwright)
        browser = playwright.chromium.launch(executable_path=found, args=SWITCHES)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def browser():
    try:
        with browsing() as browser:
            yield browser
    except InputError as error:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(str(error))


@pytest.fixture(scope="module")
def serve():
    """Return a function that serves a folder on this machine and returns its address."""
    servers = []

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    def start(folder: Path) -> str:
        handler = functools.partial(Quiet, directory=str(folder))
        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()


def listen(page, base: str, visit: Visit):
    """Note what a page asks for and complains of."""

    def asked(request):
        if not request.url.startswith((base, "data:", "blob:")):
            visit.foreign.append(request.url)

    page.on("request", asked)
    page.on("requestfinished", lambda r: visit.sizes.append(r.sizes()["responseBodySize"]))
    page.on("requestfailed", lambda r: visit.errors.append(f"{r.url}: {r.failure}"))
    page.on("pageerror", lambda error: visit.errors.append(str(error)))
    page.on("response", lambda r: r.status >= 400 and visit.errors.append(f"{r.url}: {r.status}"))
    page.on("console", lambda m: m.type == "error" and visit.errors.append(m.text))


def settle(page):
    """Wait until fonts, formulas and pictures further down are there."""
    page.evaluate(
        """async () => { await window.MathJax?.startup?.promise; await document.fonts.ready;
        for (const image of document.images) image.loading = "eager";
        await Promise.allSettled([...document.images].map((image) => image.decode())) }"""
    )


def look(browser, base: str, path: str, axe: Axe | None = None) -> Visit:
    """Open a page and, with axe, look at it at every width and in both themes."""
    visit = Visit()
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    listen(page, base, visit)
    page.goto(f"{base}/{path}", wait_until="load")
    settle(page)
    visit.first_paint = page.evaluate(FIRST_PAINT)
    visit.missing = page.evaluate(MISSING)
    for width in WIDTHS if axe else ():
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate(AT_REST)
        wrong, letters = page.evaluate(DRAWINGS)
        visit.stumbles += [f"{width} px: {said}" for said in page.evaluate(STUMBLES) + wrong]
        if width == WIDTHS[0]:
            visit.letters = letters
    for theme, rules in RULES.items() if axe else ():
        page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
        page.evaluate(AT_REST)
        visit.stumbles += [f"{theme}: {said}" for said in page.evaluate(PALE)]
        for found in axe.run(page, CONTEXT, rules).response["violations"]:
            if found["impact"] in ("serious", "critical"):
                where = [" ".join(node["target"]) for node in found["nodes"][:3]]
                visit.violations.append(f"{theme}: {found['id']} at {where}")
    page.close()
    return visit


def look_at_all(base: str, paths: list[str], axe: Axe | None = None) -> dict[str, Visit]:
    """Visit the pages, in two browsers at a time."""

    def some(own: list[str]) -> dict[str, Visit]:
        with browsing() as browser:
            return {path: look(browser, base, path, axe) for path in own}

    with ThreadPoolExecutor() as pool:
        one, other = pool.map(some, (paths[::2], paths[1::2]))
    return one | other


def of(visits: dict[str, Visit], name: str) -> dict[str, list]:
    """Return what was found of one kind, by page, where there is any."""
    return {path: getattr(visit, name) for path, visit in visits.items() if getattr(visit, name)}


@pytest.fixture(scope="module")
def paths(html, pages) -> list[str]:
    """Return every page that does not merely send on to another."""
    own = [file for file, page in pages.items() if not page.select("meta[http-equiv=Refresh]")]
    return sorted(file.relative_to(html).as_posix() for file in own)


@pytest.fixture(scope="module")
def online(browser, serve, html, paths):
    return look_at_all(serve(html), paths, Axe())


@pytest.fixture(scope="module")
def offline(browser, html, paths):
    return look_at_all(html.as_uri(), paths)


@pytest.mark.parametrize("name", ["foreign", "errors", "missing", "stumbles", "violations"])
def test_no_page_has_any(online, name):
    assert of(online, name) == {}


@pytest.mark.parametrize("name", ["foreign", "errors", "missing"])
def test_no_page_opened_as_a_file_has_any(offline, name):
    assert of(offline, name) == {}


def test_letters_of_figures_can_be_read_on_a_phone(online):
    letters = {path: visit.letters[0] for path, visit in online.items() if visit.letters}
    assert letters and {p: size for p, size in letters.items() if size < SMALLEST_LETTERS} == {}


def test_chapters_are_light(online, capsys):
    sizes = {p: sum(v.sizes) for p, v in online.items() if p.startswith("notebooks/")}
    slowest = max(online, key=lambda path: online[path].first_paint)
    with capsys.disabled():
        print(f"\nheaviest chapter {max(sizes.values()) / 1e6:.2f} MB; slowest first paint "
              f"{online[slowest].first_paint:.0f} ms ({slowest})")  # fmt: skip
    assert min(sizes.values()) > 100_000  # they were counted
    assert {path: size for path, size in sizes.items() if size > MOST_BYTES} == {}


@pytest.mark.parametrize("way", ["served", "file"])
def test_search_finds_a_word_and_its_page(browser, serve, html, way):
    base = serve(html) if way == "served" else html.as_uri()
    visit, page = Visit(), browser.new_page()
    listen(page, base, visit)
    page.goto(f"{base}/search.html?q=ridge", wait_until="networkidle")  # excerpts are there
    page.locator("#search-results li a", has_text="Roofline").click()
    assert "ridge point" in page.locator("article").inner_text()
    assert (visit.foreign, visit.errors) == ([], [])
    page.goto(f"{base}/search.html?q=xyzzy")
    page.get_by_text("did not match any documents").wait_for()
    page.close()


def test_the_theme_is_toggled_and_kept(browser, serve, html):
    page = browser.new_page(color_scheme="light")
    page.goto(f"{serve(html)}/book/index.html")
    seen = {}
    for _ in range(3):
        page.locator(".article-header-buttons .theme-switch-button").click()
        theme = page.evaluate("document.documentElement.dataset.theme")
        seen[theme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.reload()
        assert page.evaluate("document.documentElement.dataset.theme") == theme
    assert set(seen) == {"light", "dark"} and len(set(seen.values())) == 2
    page.close()


def test_the_contents_open_on_a_phone(browser, serve, html):
    page = browser.new_page(viewport={"width": WIDTHS[0], "height": 800})
    page.goto(f"{serve(html)}/book/index.html")
    page.locator(".bd-header-article .primary-toggle").click()
    page.get_by_role("link", name="Glossary", exact=True).first.click()
    assert page.locator("article h1").inner_text().startswith("Glossary")
    page.close()


def test_claims_are_filtered_and_sorted(browser, serve, html):
    page = browser.new_page()
    page.goto(f"{serve(html)}/book/verdicts.html")
    rows, head = (
        page.locator("#tab-all-claims tbody tr:visible"),
        page.locator("#tab-all-claims th"),
    )
    count = rows.count()
    page.locator("[data-verdict=undecided]").click()
    words = rows.locator("td:nth-child(5)").all_inner_texts()
    assert 0 < len(words) < count and set(words) == {"? undecided"}
    page.locator("[data-verdict=all]").click()
    for first in ("1", str(count)):
        head.first.locator("button").click()
        assert rows.locator("td").first.inner_text() == first
    page.close()


PLANTED = """<!doctype html><html lang="en"><title>Planted</title><meta name="viewport"
content="width=device-width"><body style="background: #fff"><main>
<article class="bd-article"><section><h1>Planted</h1>
<p style="width: 900px">wide</p><p style="margin-bottom: -3em">on</p><p>another</p>
<div style="overflow: hidden; width: 9em; white-space: nowrap">cut off, since it is too long</div>
<figure><img src="gone.svg"></figure><figure id="drawn"><svg viewBox="0 0 90 20" width="90"
style="background: #fff"><path id="m" d="M 0 0 L 9 9"/><text y="9">one</text><text y="9">two</text>
<text x="30" y="12" fill="#eee">pale</text><use href="#m" x="35" y="5"/>
<text x="85" y="9">out</text></svg></figure><span class="math">x</span>
<p style="color: #eee; background: #fff">pale</p></section></article></main>
<script src="https://elsewhere.example/x.js"></script>
<script>console.error("planted")</script></html>"""


def test_planted_faults_are_seen(browser, serve, tmp_path):
    (tmp_path / "planted.html").write_text(PLANTED, "utf-8")
    visit = look(browser, serve(tmp_path), "planted.html", Axe())
    assert visit.foreign == ["https://elsewhere.example/x.js"]
    assert {"planted"} <= set(visit.errors) and any("gone.svg" in e for e in visit.errors)
    assert {m.split()[0] for m in visit.missing} == {"image", "formula", "icons"}
    for said in ("375 px: page is", "leaves the page", "lies on", "is cut off",
                 "drawn is 90 px wide", "two lies on one", "pale lies on a marker", "out leaves it",
                 "pale: contrast", "a plate"):  # fmt: skip
        assert any(said in stumble for stumble in visit.stumbles), said
    for rule in ("image-alt", "color-contrast"):
        assert any(rule in violation for violation in visit.violations), rule
