"""What the book needs from Sphinx beyond Jupyter Book: honest caching, and downloads by figure.

Notebook caches look at a chapter's own cells only. Here the cache is keyed by everything that a
chapter can reach: the package, the data, the lock file and the interpreter. The key is part of a
Sphinx setting, so that a change also makes Sphinx read every chapter again.
"""

import hashlib
import json
import os
import platform
import shutil
from pathlib import Path

import nbformat
from docutils import nodes
from jupyter_cache import get_cache

REACHED = ("analysis", "data", "runs", "requirements.lock", "pyproject.toml")
SETTINGS = ("RUN", "BUDGET")  # environment variables that `make book` passes on to chapters
DOWNLOADS = "_downloads/figures"


def reached_digest(root: Path) -> str:
    """Return a digest of every file that a chapter under `root` can import or read."""
    digest = hashlib.sha256(platform.python_version().encode())
    for name in SETTINGS:
        digest.update(f"{name}={os.environ.get(name, '')}".encode())
    for top in REACHED:
        path = root / top
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        for file in files:
            if "__pycache__" not in file.parts:
                digest.update(f"\0{file.relative_to(root)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def key_the_cache(app, config):
    """Give this state of package and data its own cache of executed chapters; drop older ones."""
    caches = Path(app.outdir).parent / ".executed"
    cache = caches / reached_digest(Path(app.srcdir))
    for old in caches.glob("*"):
        if old != cache:
            shutil.rmtree(old)
    config.nb_execution_cache_path = str(cache)


def executed_notebook(app, docname) -> Path:
    return Path(app.outdir).parent / "jupyter_execute" / f"{docname}.ipynb"


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


def link_downloads(app, doctree, docname):
    """Under every figure of an executed chapter, link its SVG and the CSV of what it shows."""
    if app.builder.format != "html":
        return
    available = figure_files(app, docname)
    for figure in doctree.findall(nodes.figure):
        name = next((n for n in figure["names"] if n in available), None)
        if name is None:
            continue
        here = Path(app.builder.get_target_uri(docname)).parent
        links = nodes.paragraph(classes=["figure-downloads"])
        links += nodes.Text("Download: ")
        for i, kind in enumerate(("svg", "csv")):
            target = os.path.relpath(f"{DOWNLOADS}/{name}.{kind}", here)
            links += nodes.Text(" · " if i else "")
            links += nodes.reference("", kind.upper(), refuri=target, internal=True)
        legend = nodes.legend()
        legend += links
        figure += legend


def figure_files(app, docname) -> dict[str, dict[str, str]]:
    """Return {figure name: {"svg": .., "csv": ..}} from the executed notebook of `docname`."""
    executed = executed_notebook(app, docname)
    if not executed.exists():
        return {}
    found = {}
    for cell in json.loads(executed.read_text("utf-8"))["cells"]:
        name = cell["metadata"].get("mystnb", {}).get("figure", {}).get("name")
        for output in cell.get("outputs", []):
            bundle = output.get("data", {})
            if name and "text/csv" in bundle:
                found[name] = {
                    "svg": "".join(bundle["image/svg+xml"]),
                    "csv": "".join(bundle["text/csv"]),
                }
    return found


def write_downloads(app, exception):
    """Write the files that `link_downloads` links to."""
    if exception or app.builder.format != "html":
        return
    folder = Path(app.outdir) / DOWNLOADS
    folder.mkdir(parents=True, exist_ok=True)
    for docname in app.env.found_docs:
        for name, files in figure_files(app, docname).items():
            for kind, text in files.items():
                (folder / f"{name}.{kind}").write_text(text, "utf-8")


def caption_run_times(app, doctree, docname):
    """Give MyST-NB's table of run times the caption that its directive cannot take."""
    if app.env.nb_metadata.get(docname, {}).get("has_exec_table"):
        table = next(t for t in doctree.findall(nodes.table) if "Run Time (s)" in t.astext())
        table["ids"].append("tab-run-times")
        table.insert(0, nodes.title("", "What each page took to run when it was last executed."))


def forget_after_warnings(app, exception):
    """Read every page again after a build that warned, so that the next one warns too."""
    if exception or app._warncount:
        shutil.rmtree(app.doctreedir, ignore_errors=True)


def setup(app):
    app.connect("config-inited", key_the_cache, priority=900)
    app.connect("doctree-read", restore_outputs)
    app.connect("doctree-resolved", link_downloads)
    app.connect("doctree-resolved", caption_run_times)
    app.connect("build-finished", write_downloads)
    app.connect("build-finished", forget_after_warnings)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
