"""What the book needs from Sphinx beyond Jupyter Book: honest caching, and downloads by figure.

Notebook caches look at a chapter's own cells only. Here the cache is keyed by everything that a
chapter can reach: the package, the data, the lock file and the interpreter. The key is part of a
Sphinx setting, so that a change also makes Sphinx read every chapter again.
"""

import hashlib
import importlib.util
import os
import platform
import re
import shutil
from pathlib import Path

import ahead
import listing
import nbformat
import reading
import reuse
from jupyter_cache import get_cache
from reading import executed_notebook

REACHED = ("analysis", "data", "runs", "requirements.lock", "torch.lock", "pyproject.toml")
FORMULAS = "mathjax"  # where in _static
CHARTS = "vega.js"
ICONS, SEARCHING = ("fontawesome",), ("searchtools", "language_data", "searchindex")
WAITED_FOR = re.compile(r"<script (?=[^>]*\bsrc=)(?!defer\b|[^>]*/documentation_options\.js)")
SETTINGS = ("RUN", "REFERENCE")  # environment variables that `make book` passes on to chapters


def reached_digest(root: Path) -> str:
    """Return a digest of every file that a chapter under `root` can import or read."""
    digest = hashlib.sha256(platform.python_version().encode())
    for name in SETTINGS:
        digest.update(f"{name}={os.environ.get(name, '')}".encode())
    for top in (*REACHED, os.environ.get("RUN") or "runs"):
        path = root / top  # as it is where RUN names a file elsewhere
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        for file in files:
            if "__pycache__" not in file.parts:
                digest.update(f"\0{os.path.relpath(file, root)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def key_the_cache(app, config):
    """Give this state of package and data its own cache of executed chapters; keep the last three,
    for who changes between runs."""
    caches = Path(app.outdir).parent / ".executed"
    cache = caches / reached_digest(Path(app.srcdir))
    if not (cache / "__version__.txt").exists():  # the last of an empty cache: the build was killed
        shutil.rmtree(cache, ignore_errors=True)
    for folder in cache.glob("executed/*"):
        if not (folder / "base.ipynb").exists():  # killed as it kept a chapter
            shutil.rmtree(folder)
    cache.mkdir(parents=True, exist_ok=True)
    os.utime(cache)
    for old in sorted(caches.iterdir(), key=lambda each: each.stat().st_mtime)[:-3]:
        shutil.rmtree(old)
    config.nb_execution_cache_path = str(cache)


def restore_outputs(app, doctree):
    """Put the outputs back that MyST-NB leaves out of the executed notebook of a cached chapter."""
    path = executed_notebook(app, app.env.docname)
    if app.env.docname not in app.env.nb_metadata or not path.exists():
        return
    notebook = nbformat.read(path, as_version=4)
    if any(cell.get("outputs") for cell in notebook.cells):
        return
    cache = get_cache(app.config.nb_execution_cache_path)
    nbformat.write(cache.merge_match_into_notebook(notebook)[1], path)


def forget_after_warnings(app, exception):
    """Read every page again after a build that warned, so that the next one warns too."""
    if exception or app._warncount:
        shutil.rmtree(app.doctreedir, ignore_errors=True)


def mend_pages(app, exception):
    """Take off every page what theme and docutils should not have put there.

    The icon script weighs more than the formulas, and the style sheet has the same icons as a font.
    A list of references calls itself a list, but its entries are no list items to a screen reader.
    No page but the search page searches, and no script but the one that others name must come
    before the page is drawn.
    """
    if exception or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text("utf-8").replace(' role="list" class="citation', ' class="citation')
        unused = "|".join(ICONS if page.name == "search.html" else ICONS + SEARCHING)
        text = re.sub(rf'<script[^>]*[/"](?:{unused})\.js[^>]*></script>', "", text)
        page.write_text(WAITED_FOR.sub("<script defer ", text), "utf-8")
    for script in Path(app.outdir, "_static", "scripts").glob("fontawesome.js*"):
        script.unlink()


def lighten_formulas(app, config):
    """Start MathJax with the parts that _config.yml names."""
    config.mathjax_path = f"{FORMULAS}/startup.js"


def copy_formulas(app, exception):
    """Put MathJax into the book, without a CDN: what starts it, and the parts that it is to load
    with what they load themselves (fonts, rarer TeX)."""
    if exception or app.builder.format != "html":
        return
    package = Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent
    source, target = package / "static" / "mathjax", Path(app.outdir, "_static", FORMULAS)
    shutil.rmtree(target, ignore_errors=True)
    for part in ("startup", "core", *app.config.mathjax3_config["loader"]["load"]):
        target.joinpath(part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / f"{part}.js", target / f"{part}.js")
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part)


def write_charts(app, exception):
    """Put Vega, Vega-Lite and Vega-Embed into the book, in a scope of their own."""
    if not exception and app.builder.format == "html" and "book/your_model" in app.env.found_docs:
        from vl_convert import javascript_bundle  # takes a second, which other books are spared

        Path(app.outdir, "_static", CHARTS).write_text(
            f"/* vega-license.txt */\n(() => {{\n{javascript_bundle()}\n}})();\n", "utf-8"
        )


def drop_old_pages(app, exception):
    """Delete what earlier builds wrote of documents that are no more."""
    if exception or app.builder.format != "html":
        return
    sources = Path(app.outdir, "_sources")
    for file in [*sources.rglob("*.md"), *sources.rglob("*.ipynb")]:
        docname = file.relative_to(sources).with_suffix("").as_posix()
        if docname not in app.env.found_docs:
            file.unlink()
            Path(app.builder.get_outfilename(docname)).unlink(missing_ok=True)


def setup(app):
    app.connect("config-inited", key_the_cache, priority=900)
    app.connect("config-inited", reading.name_repository)
    app.connect("config-inited", lighten_formulas)
    app.connect("env-before-read-docs", ahead.execute_ahead)
    app.connect("doctree-read", restore_outputs)
    app.connect("env-updated", reuse.write_every_page)
    app.connect("doctree-resolved", reuse.offer_downloads)
    app.connect("html-page-context", reading.describe_page)
    app.connect("build-finished", reuse.copy_data)
    app.connect("build-finished", copy_formulas)
    app.connect("build-finished", write_charts)
    app.connect("build-finished", drop_old_pages)
    app.connect("build-finished", mend_pages)
    app.connect("build-finished", forget_after_warnings)
    listing.setup(app)
    return {"version": "1", "parallel_read_safe": True}
