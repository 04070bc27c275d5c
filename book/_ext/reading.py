"""What a page says of itself: its authors, where it is kept, when it last changed."""

import shutil
import subprocess
from pathlib import Path

from publishing.citation import citation


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
        shutil.copyfile(executed_notebook(app, pagename), target)
