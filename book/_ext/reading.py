"""What a page says of itself: its authors, where it is kept, when it last changed."""

import json
import os
import re
import subprocess
from pathlib import Path

from analysis.text import plain
from publishing.citation import citation

GLUED = re.compile(r"\{glue:text\}`(\w+)`")
TITLED = re.compile(r"\{doc\}`/?((?:notebooks/|book/)?\w+)`")
NUMBERED = re.compile(r"\{numref\}`([\w-]+)`")


def days_of_change(root: Path) -> dict[str, str]:
    """Return the day of each file's last commit, as {"book/method.md": "2026-11-23"}.

    Outside git, and in a clone that lacks the history, nothing is known and {} is returned.
    """

    def git(*arguments: str) -> str:
        try:
            command = ["git", "-C", str(root), *arguments]
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError):
            return ""

    if git("rev-parse", "--is-shallow-repository").strip() != "false":
        return {}
    days, day = {}, ""
    for line in git("log", "--format=%x00%cs", "--name-only", "--relative").splitlines():
        if line.startswith("\0"):
            day = line[1:]
        elif line:
            days.setdefault(line, day)
    return days


def executed_notebook(app, docname) -> Path:
    """Return where MyST-NB leaves the executed notebook of a page."""
    return Path(app.outdir).parent / "jupyter_execute" / f"{docname}.ipynb"


def has_notebook(app, docname) -> bool:
    """Say whether the page was executed."""
    return docname in app.env.nb_metadata and executed_notebook(app, docname).exists()


def filled(app, docname) -> str:
    """Return the executed notebook of a page as JSON, its roles replaced by what the page prints:
    numbers, titles of pages, numbers of figures; a table keeps the form that notebooks show."""
    path = executed_notebook(app, docname)
    notebook, said = json.loads(path.read_text("utf-8")), path.with_suffix(".glue.json")
    found = json.loads(said.read_text("utf-8")) if said.exists() else {}
    glued = {name: each["data"]["text/plain"].strip("'\"") for name, each in found.items()}
    titles = {os.path.basename(doc): title.astext() for doc, title in app.env.titles.items()}
    numbers = {
        name: app.config.numfig_format[kind] % ".".join(map(str, number))
        for numbered in app.env.toc_fignumbers.values()
        for kind in ("figure", "table")
        for name, number in numbered.get(kind, {}).items()
    }

    def text(source: str) -> str:
        source = GLUED.sub(lambda m: glued.get(m[1], m[0]), source)
        source = TITLED.sub(lambda m: titles.get(os.path.basename(m[1]), m[0]), source)
        return plain(NUMBERED.sub(lambda m: numbers.get(m[1], m[0]), source))

    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = text("".join(cell["source"]))
        figure = cell["metadata"].get("mystnb", {}).get("figure", {})
        figure |= {"caption": text(figure["caption"])} if "caption" in figure else {}
        for output in cell.get("outputs", []):
            if "text/html" in output.get("data", {}):
                output["data"].pop("text/markdown", None)  # which only the book can read
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def name_repository(app, config):
    """Show buttons to the repository and to edit a page, where CITATION.cff names one."""
    config.html_theme_options["navbar_persistent"] = []  # the sidebar has the search already
    address = citation(Path(app.srcdir)).get("repository-code")
    if address:
        config.html_theme_options |= {
            "repository_url": address,
            "repository_branch": "main",
            "use_repository_button": True,
            "use_edit_page_button": True,
        }


def describe_page(app, pagename, templatename, context, doctree):
    """Give the page its day of last change, and its executed notebook to download."""
    if pagename not in app.env.found_docs:
        return
    if not hasattr(app, "report_days"):
        app.report_days = days_of_change(Path(app.srcdir))
    file = app.env.doc2path(pagename, base=False)
    context["last_updated"] = app.report_days.get(file)
    if has_notebook(app, pagename):
        context["ipynb_source"] = f"{pagename}.ipynb"  # the theme's button looks in _sources
        target = Path(app.outdir) / "_sources" / context["ipynb_source"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(filled(app, pagename), "utf-8")
