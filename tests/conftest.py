from pathlib import Path

import pytest
from hypothesis import settings

# No test asserts a speed.
settings.register_profile("report", parent=settings(), deadline=None)
settings.load_profile("report")

# What takes longest comes first, so that no process works on it alone at the end; files in a row
# share what takes long to make, and so a process.
FIRST = (
    ("compared/test_figures.py", "compared/test_drawings.py"),  # all figures
    ("book/test_build.py",),
    ("measured/test_links.py", "measured/test_sharded.py"),  # two processes
    ("compared/test_truncated_runs.py",),
    ("book/test_strangers_change.py",),
    ("known_machine/test_known_machine.py", "known_machine/test_other_machines.py"),
    ("test_measure_cli.py",),
    ("book/test_pages.py", "book/test_golden.py", "book/test_reuse.py"),  # all pages, parsed
)
TESTS = Path(__file__).parent
PLACES = {file: (i, j) for i, files in enumerate(FIRST) for j, file in enumerate(files)}


def pytest_collection_modifyitems(items):
    names = {item: item.path.relative_to(TESTS).as_posix() for item in items}
    items.sort(key=lambda item: PLACES.get(names[item], (len(FIRST), 0)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadFileScheduling

    class Rows(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid).removeprefix("tests/")
            return f"row {PLACES[file][0]}" if file in PLACES else file

    return Rows(config, log) if config.getoption("dist") == "loadfile" else None
