"""Taking the book further: how to cite it, run a chapter again, or have its tables as files."""

import json
import os
from pathlib import Path
from urllib.parse import quote

from docutils import nodes
from report import CHARTS
from sphinx.util.docutils import SphinxDirective, SphinxRole

from publishing.chapter import COSTS
from publishing.citation import bibtex, data_sources, report_bibtex, repository
from publishing.launch import BRANCH

PAPER = "gholami2024"
TABLES = "_downloads/tables"
OWN = {  # page -> what only it loads, of _static
    "book/verdicts": ("verdicts.js",),
    "book/your_model": (CHARTS, "answer.js", "your_model.js", "your_model.css"),
}


class BibTeX(SphinxDirective):
    """`{bibtex} KEY`: an entry of references.bib, `report`, or `data`: sources but the paper."""

    required_arguments = 1

    def run(self):
        key, root = self.arguments[0], Path(self.env.srcdir)
        self.env.note_dependency(str(root / "book" / "references.bib"))
        try:
            if key == "report":
                entries = [report_bibtex(root)]
            elif key == "data":
                named = data_sources(root).items()
                entries = [bibtex(each or address, root) for address, each in named]
                entries.remove(bibtex(PAPER, root))
            else:
                entries = [bibtex(key, root)]
        except KeyError as error:
            raise self.error(error.args[0]) from None
        return [nodes.literal_block(e, e, language="bibtex") for e in dict.fromkeys(entries)]


class chapter_costs(nodes.General, nodes.Element):
    """The place of the list, filled once every chapter was executed."""


class ChapterCosts(SphinxDirective):
    """`{chapter-costs}`: what to type to run each chapter alone, and what it costs."""

    def run(self):
        return [chapter_costs()]


class TableFile(SphinxRole):
    """`{table-file}` links the file that a `page.Download` of the same page holds."""

    def run(self):
        here = os.path.dirname(self.env.docname)
        target = os.path.relpath(f"{TABLES}/{self.text}", here)
        return [nodes.reference("", self.text, refuri=target, internal=True)], []


def write_tables(app, exception):
    """Write what `page.Download` holds, from the executed notebooks."""
    if exception or app.builder.format != "html":
        return
    for docname in app.env.found_docs:
        executed = Path(app.outdir).parent / "jupyter_execute" / f"{docname}.ipynb"
        cells = json.loads(executed.read_text("utf-8"))["cells"] if executed.exists() else []
        for output in (o for cell in cells for o in cell.get("outputs", [])):
            text = "".join(output.get("data", {}).get("text/markdown", ""))
            if "{table-file}`" in text and "text/csv" in output["data"]:
                folder = Path(app.outdir) / TABLES
                folder.mkdir(parents=True, exist_ok=True)
                name = os.path.basename(text.split("`")[1])
                (folder / name).write_text("".join(output["data"]["text/csv"]), "utf-8")


def cost_in_words(seconds: float) -> str:
    """Say the least bound that holds; coarse, so that a rebuilt book says the same."""
    return next((f"less than {name}" for most, name in COSTS if seconds < most), "over an hour")


def command_and_cost(env, docname) -> tuple[str, str]:
    """Return what to type to run one chapter alone, and how long it took, in words."""
    executed = env.nb_metadata.get(docname, {}).get("exec_data") or {}
    name = os.path.basename(docname)
    return f"make chapter NAME={name}", cost_in_words(executed.get("runtime") or 0)


def say_how_to_run_again(app, doctree, docname):
    """Close each chapter with what to type to run it alone and its cost; list all in one table."""
    if docname.startswith("notebooks/"):
        command, cost = command_and_cost(app.env, docname)
        line = nodes.paragraph(classes=["run-again"])
        line += nodes.Text("Run this chapter alone: ")
        line += nodes.literal(command, command)
        line += nodes.Text(f". With measurements that are kept it takes {cost}.")
        next(iter(doctree.findall(nodes.section)), doctree).append(line)
    for place in list(doctree.findall(chapter_costs)):
        chapters = sorted(d for d in app.env.found_docs if d.startswith("notebooks/"))
        listed = nodes.bullet_list()
        for chapter in chapters:
            command, cost = command_and_cost(app.env, chapter)
            item = nodes.paragraph("", "", nodes.literal(command, command))
            item += nodes.Text(f": {cost}")
            listed += nodes.list_item("", item)
        place.replace_self(listed)


def launch_links(address: str, docname: str) -> dict[str, str]:
    """Return where Binder and Colab open the generated notebook of a chapter."""
    project = address.removeprefix("https://github.com/")
    file = f"{docname}.ipynb"
    return {
        "Binder": f"https://mybinder.org/v2/gh/{project}/{BRANCH}?labpath={quote(file, safe='')}",
        "Colab": f"https://colab.research.google.com/github/{project}/blob/{BRANCH}/{file}",
    }


def add_launch_buttons(app, pagename, templatename, context, doctree):
    """Give chapters launch buttons once CITATION.cff says where the repository is."""
    address = repository(Path(app.srcdir))
    if not (address or "").startswith("https://github.com/"):
        return
    if not pagename.startswith("notebooks/") or "header_buttons" not in context:
        return
    buttons = [
        {"type": "link", "text": name, "tooltip": f"Run this chapter on {name}", "url": url,
         "icon": "fas fa-rocket"}
        for name, url in launch_links(address, pagename).items()
    ]  # fmt: skip
    context["header_buttons"].append(
        {"type": "group", "tooltip": "Run this chapter elsewhere", "icon": "fas fa-rocket",
         "buttons": buttons, "label": "launch-buttons"}
    )  # fmt: skip


def add_scripts(app, pagename, templatename, context, doctree):
    """Load a page's own scripts and styles."""
    for name in OWN.get(pagename, ()):
        if name.endswith(".css"):
            app.add_css_file(name)
        else:
            app.add_js_file(name, loading_method="defer")


def setup(app):
    app.add_directive("bibtex", BibTeX)
    app.add_directive("chapter-costs", ChapterCosts)
    app.add_role("table-file", TableFile())
    app.connect("env-get-outdated", lambda app, env, *_: ["book/cite"] if "book/cite" in
                env.found_docs else [])  # the commit is in no file that Sphinx watches  # fmt: skip
    app.connect("doctree-resolved", say_how_to_run_again)
    app.connect("html-page-context", add_launch_buttons, priority=600)
    app.connect("html-page-context", add_scripts)
    app.connect("build-finished", write_tables)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
