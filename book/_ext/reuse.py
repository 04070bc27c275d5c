"""What a reader can take away: SVG and CSV of each figure, CSV of each table, all data.

A figure or table that lacks what it needs is a warning with its place, and warnings fail the build.
"""

import csv
import html
import io
import json
import os
import shutil
import zipfile
from pathlib import Path

from docutils import nodes
from inline import drawings
from reading import executed_notebook, has_notebook
from sphinx.util import logging

from analysis import text as texts
from publishing.citation import citation

DOWNLOADS = "_downloads"
ARCHIVE = f"{DOWNLOADS}/memory-wall-data.zip"
TYPES = {"svg": "image/svg+xml", "csv": "text/csv", "narrow": texts.NARROW}  # what a figure gives
logger = logging.getLogger(__name__)


def link(app, docname, path: str, text: str) -> nodes.reference:
    """Return a link from a page to a file of the built book."""
    here = Path(app.builder.get_target_uri(docname)).parent
    return nodes.reference("", text, refuri=os.path.relpath(path, here), internal=True)


def links(app, docname, lead: str, paths: dict[str, str]) -> nodes.paragraph:
    """Return a line of links to {text: path}, or nothing but the line where there is none."""
    line = nodes.paragraph("", lead, classes=["downloads"])
    for i, (text, path) in enumerate(paths.items()):
        line += [nodes.Text(" · " if i else ""), link(app, docname, path, text)]
    return line


def save(app, path: str, text: str):
    """Write a file of the built book."""
    file = Path(app.outdir) / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")


def number_of(app, docname, node, kind: str) -> str:
    """Return the number that Sphinx gave a figure or table, as in "Fig. 3"."""
    numbers = app.env.toc_fignumbers.get(docname, {}).get(kind, {})
    number = next((numbers[i] for i in node["ids"] if i in numbers), ())
    return app.config.numfig_format[kind] % ".".join(map(str, number)) if number else kind


def figure_files(app, docname) -> dict[str, dict[str, str]]:
    """Return {figure name: {"svg": .., "csv": .., "narrow": ..}} of the executed notebook."""
    if not has_notebook(app, docname):
        return {}
    found = {}
    for cell in json.loads(executed_notebook(app, docname).read_text("utf-8"))["cells"]:
        name = cell["metadata"].get("mystnb", {}).get("figure", {}).get("name")
        for output in cell.get("outputs", []):
            bundle = output.get("data", {})
            if name and set(TYPES.values()) <= bundle.keys():
                found[name] = {kind: "".join(bundle[type]) for kind, type in TYPES.items()}
    return found


def how_to_cite(app, docname, figure) -> nodes.raw:
    """Return a fold with the reference of one figure: report, version, number, anchor."""
    about = citation(Path(app.srcdir))
    authors = ", ".join(
        a.get("name") or f"{a['given-names']} {a['family-names']}" for a in about["authors"]
    )
    page = f"{app.builder.get_target_uri(docname)}#{figure['names'][0]}"
    address = f"{about['url'].rstrip('/')}/{page}" if "url" in about else page
    number = number_of(app, docname, figure, "figure")
    text = f"{authors}: “{about['title']}”, version {about['version']}, {number}, {address}"
    fold = f"<summary>Cite this figure</summary><p>{html.escape(text)}</p>"
    return nodes.raw("", f'<details class="cite">{fold}</details>', format="html")


def offer_figures(app, doctree, docname):
    """Put every figure into its page; under it, link its SVG and CSV, and say how to cite it."""
    available = figure_files(app, docname)
    for figure in doctree.findall(nodes.figure):
        name = next((n for n in figure["names"] if n in available), None)
        if name is None:
            said = ", ".join(figure["names"]) or "without a name"
            warn(docname, figure, f"figure {said}: no SVG and CSV to download")
            continue
        files, paths = available[name], {}
        for kind in ("svg", "csv"):
            paths[kind.upper()] = f"{DOWNLOADS}/figures/{name}.{kind}"
            save(app, paths[kind.upper()], files[kind])
        image = figure.next_node(nodes.image)
        drawn = drawings(name, image.get("alt", ""), files["svg"], files["narrow"])
        image.replace_self(nodes.raw("", drawn, format="html"))
        legend = nodes.legend()
        legend += [links(app, docname, "Download: ", paths), how_to_cite(app, docname, figure)]
        figure += legend


def offer_tables(app, doctree, docname):
    """Under every table, link the CSV of what it shows."""
    for table in list(doctree.findall(nodes.table)):
        if not table["names"]:
            warn(docname, table, "table without a name: no CSV to download")
            continue
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(
            [texts.cell(" ".join(cell.astext().split())) for cell in row]
            for row in table.findall(nodes.row)
        )
        path = f"{DOWNLOADS}/tables/{table['names'][0]}.csv"
        save(app, path, text.getvalue())
        line = links(app, docname, "Download: ", {"CSV": path})
        table.parent.insert(table.parent.index(table) + 1, line)


def offer_page(app, doctree, docname):
    """Under every executed page, link its notebook and its text."""
    if has_notebook(app, docname):
        paths = {"executed notebook": f"_sources/{docname}.ipynb", "text": f"_sources/{docname}.md"}
        doctree += links(app, docname, "This page to download: ", paths)


def find_faults(app, doctree, docname):
    """Warn of images without alternative text, and of figures and tables without a caption."""
    for image in doctree.findall(nodes.image):
        if not image.get("alt", "").strip():
            warn(docname, image, "image without alternative text (alt)")
        if not isinstance(image.parent, nodes.figure):
            warn(docname, image, "image that is no figure: no caption, no number")
    for kind, caption in ((nodes.figure, nodes.caption), (nodes.table, nodes.title)):
        for node in doctree.findall(kind):
            found = node.next_node(caption)
            if found is None or not found.astext().strip():
                name = ", ".join(node["names"]) or "without a name"
                warn(docname, node, f"{kind.__name__} {name}: no caption")


def warn(docname, node, text: str):
    """Warn with the page, and the line of the nearest node that knows its own."""
    while node is not None and node.line is None:
        node = node.parent
    logger.warning(text, location=(docname, node and node.line), type="report")


def offer_downloads(app, doctree, docname):
    """Check a page of the HTML book, and put its downloads in place."""
    if app.builder.format == "html":
        find_faults(app, doctree, docname)
        offer_figures(app, doctree, docname)
        offer_tables(app, doctree, docname)
        offer_page(app, doctree, docname)


def write_every_page(app, env):
    """Write all pages anew, since numbers and lists depend on others; forget old downloads."""
    for kind in ("figures", "tables"):
        shutil.rmtree(Path(app.outdir) / DOWNLOADS / kind, ignore_errors=True)
    return list(env.found_docs)


def copy_data(app, exception):
    """Offer data/ as it is, file by file and as one archive: the same bytes for the same data.

    Symbolic links lead out of it, hidden files are of those who write there, and compiled ones of
    those who import.
    """
    if exception or app.builder.format != "html":
        return
    source, out = Path(app.srcdir) / "data", Path(app.outdir)
    shutil.rmtree(out / DOWNLOADS / "data", ignore_errors=True)
    with zipfile.ZipFile(out / ARCHIVE, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(source.rglob("[!.]*")):
            if file.is_symlink() or not file.is_file() or file.suffix == ".pyc":
                continue
            name = f"data/{file.relative_to(source).as_posix()}"
            (out / DOWNLOADS / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, out / DOWNLOADS / name)
            member = zipfile.ZipInfo(name)
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, file.read_bytes())
