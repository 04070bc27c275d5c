"""Execute what no cache holds yet before the pages are read, as many at a time as the build may use
cores and has memory for.

MyST-NB executes one chapter after another while it reads them, and each spends seconds on starting.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution
from myst_nb.core.read import create_nb_reader

from analysis.measured.allowed import Allowed, may_use

KERNEL_BYTES = 500_000_000  # what a chapter's process takes


def execute_ahead(app, env, docnames):
    """Put the executed notebooks of `docnames` into the cache from which MyST-NB takes them.

    A chapter in which a cell raises is not put there, so that MyST-NB executes it again and tells
    of it.
    """
    cache = get_cache(app.config.nb_execution_cache_path)
    found = {Path(env.doc2path(name)): notebook_of(env, name) for name in docnames}
    todo = {path: nb for path, nb in found.items() if nb is not None and not cached(cache, nb)}

    alone = Lock()  # at the cache

    def execute(path: Path):
        result = single_nb_execution(
            todo[path], cwd=str(path.parent), allow_errors=False,
            timeout=app.config.nb_execution_timeout, meta_override=True,
            shutdown_kernel="immediate",
        )  # fmt: skip
        if result.err is None:
            bundle = CacheBundleIn(todo[path], str(path), data={"execution_seconds": result.time})
            with alone:  # at once, so that a build that is ended has lost no finished chapter
                cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)

    with ThreadPoolExecutor(at_once(may_use())) as pool:
        list(pool.map(execute, todo))


def at_once(allowed: Allowed) -> int:
    """How many chapters are executed at a time, at least one."""
    return max(1, min(allowed.cores, allowed.free_bytes // KERNEL_BYTES))


def notebook_of(env, docname: str):
    """Return the page as MyST-NB reads it, or None where it has nothing to execute."""
    path = Path(env.doc2path(docname))
    text = path.read_text("utf-8")
    reader = create_nb_reader(str(path), env.myst_config, env.mystnb_config, text)
    notebook = reader and reader.read(text)
    cells = notebook.cells if notebook else []
    return notebook if any(cell.cell_type == "code" for cell in cells) else None


def cached(cache, notebook) -> bool:
    try:
        cache.merge_match_into_notebook(notebook)
    except (KeyError, ValueError):  # not there, or cut off where a build was killed
        return False
    return True
