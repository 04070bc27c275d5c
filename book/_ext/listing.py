"""Lists of everything that can be taken from the book: `{everything} figures | tables | data`."""

import html
import json
import re
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst.directives import choice
from reuse import ARCHIVE, DOWNLOADS, link, links, number_of
from sphinx.util.docutils import SphinxDirective

KINDS = {"figures": ("figure", nodes.figure), "tables": ("table", nodes.table)}
FILES = {"figures": ("svg", "csv"), "tables": ("csv",)}


class everything(nodes.Element):
    """Stands for a list until every page is read."""


class Everything(SphinxDirective):
    """List the figures or the tables of all pages, or the tables of data/."""

    required_arguments = 1

    def run(self):
        return [everything(kind=choice(self.arguments[0], (*KINDS, "data")))]


def numbered(app, kind: str):
    """Yield (page, node) of every numbered figure or table of the book, in order."""
    sphinx_kind, node_class = KINDS[kind]
    numbers = app.env.toc_fignumbers
    pages = [doc for doc in numbers if numbers[doc].get(sphinx_kind)]
    for docname in sorted(pages, key=lambda doc: min(numbers[doc][sphinx_kind].values())):
        for node in app.env.get_doctree(docname).findall(node_class):
            if numbers[docname][sphinx_kind].keys() & set(node["ids"]):
                yield docname, node


def shown_items(app, here: str, kind: str):
    """Yield a list item for each figure or table: a small picture of a figure, its number, title,
    page, name and files."""
    for docname, node in numbered(app, kind):
        name = node["names"][0]
        target = f"{app.builder.get_target_uri(docname)}#{name}"
        files = {k.upper(): f"{DOWNLOADS}/{kind}/{name}.{k}" for k in FILES[kind]}
        line = nodes.paragraph("", "")
        line += link(app, here, target, number_of(app, docname, node, KINDS[kind][0]))
        line += [nodes.Text(" "), nodes.strong("", title_of(node)), nodes.Text(" ")]
        line += nodes.Text(f"{app.env.titles[docname].astext()}, ")
        line += [nodes.literal("", name), nodes.Text(": "), *links(app, here, "", files).children]
        item = nodes.list_item("", line)
        if kind == "figures":
            item["classes"].append("pictured")
            source = html.escape(link(app, here, files["SVG"], "")["refuri"])
            picture = f'<img src="{source}" alt="" loading="lazy" width="112" height="88">'
            item.insert(0, nodes.raw("", picture, format="html"))
        yield item


def title_of(node) -> str:
    """Return the first sentence of the caption of a figure or table."""
    caption = node.next_node(nodes.caption) or node.next_node(nodes.title)
    return re.split(r"(?<=[.!?]) (?=[A-Z])", " ".join(caption.astext().split()))[0]


def data_items(app, here: str):
    """Yield a list item for each table of data/, and for each archived run."""
    source = Path(app.srcdir) / "data"
    package = json.loads((source / "datapackage.json").read_text("utf-8"))
    files = {"ZIP": ARCHIVE, "datapackage.json": f"{DOWNLOADS}/data/datapackage.json"}
    yield nodes.list_item("", links(app, here, "All together: ", files))
    for resource in package["resources"]:
        line = nodes.paragraph("", "", nodes.strong("", f"{resource['title']}."))
        line += [nodes.Text(f" {resource['description']} "), nodes.literal("", resource["name"])]
        line += nodes.Text(": ")
        line += link(app, here, f"{DOWNLOADS}/data/{resource['path']}", "CSV")
        yield nodes.list_item("", line)
    # Not above: they import pandas and more, seconds that no build without this list needs.
    from analysis.compared.shown import described
    from analysis.measured.run import load_run

    for run in sorted((source / "runs").glob("*.json")):
        line = nodes.paragraph("", "", nodes.strong("", f"{described(load_run(run))}."))
        line += [nodes.Text(" An archived run. "), nodes.literal("", run.name), nodes.Text(": ")]
        line += link(app, here, f"{DOWNLOADS}/data/runs/{run.name}", "JSON")
        yield nodes.list_item("", line)


def fill_lists(app, doctree, docname):
    """Put each list in its place."""
    for node in list(doctree.findall(everything)):
        kind = node["kind"]
        items = data_items(app, docname) if kind == "data" else shown_items(app, docname, kind)
        node.replace_self(nodes.bullet_list("", *items, classes=["everything"]))


def setup(app):
    app.add_node(everything)
    app.add_directive("everything", Everything)
    app.connect("doctree-resolved", fill_lists)
