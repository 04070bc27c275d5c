"""Builds are killed at any moment: the next goes on, and executes no finished chapter again."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from jupyter_cache import get_cache

KILLS = 24
CHAPTERS = [f"chapter{i}" for i in range(5)]
CHAPTER = """---
jupytext: {text_representation: {extension: .md, format_name: myst}}
kernelspec: {name: python3, display_name: Python 3}
---

# NAME

```{table} NAME
:name: tab-NAME
| a | b |
|---|---|
| c | d |
```

```{code-cell}
import time
from pathlib import Path

import analysis

with open(Path(analysis.__file__).parents[1] / "executed", "a") as log:
    log.write("NAME\\n")
time.sleep(int("NAME"[-1]))
print("NAME" * 100_000)
```
"""
BUILD = """
import sys
from pathlib import Path
from analysis.terminal import told
from publishing.build import build
sys.exit(told(lambda: build(Path(sys.argv[1]))))
"""


@pytest.fixture
def book(site):
    return site(index="# Start\n", **{name: CHAPTER.replace("NAME", name) for name in CHAPTERS})


def start(root):
    environment = os.environ | {"RUN": "none", "PYTHONPATH": f"{root}{os.pathsep}{os.getcwd()}"}
    return subprocess.Popen([sys.executable, "-c", BUILD, root], env=environment, text=True,
                            start_new_session=True, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)  # fmt: skip


def executed(root):
    """How often each chapter was begun."""
    log = root / "executed"
    lines = log.read_text().split() if log.exists() else []
    return {name: lines.count(name) for name in CHAPTERS}


def finished(root):
    """The chapters that the cache of the last build has whole."""
    caches = [file.parent for file in (root / "_build" / ".executed").glob("*/__version__.txt")]
    if not caches:
        return set()
    cache, found = get_cache(max(caches, key=lambda each: each.stat().st_mtime)), set()
    for record in cache.list_cache_records():
        with suppress(KeyError, ValueError):
            cache.get_cache_bundle(record.pk)
            found.add(Path(record.uri).stem)
    return found


def whole(root):
    """Every page, once the book is built without an interruption."""
    process = start(root)
    said, _ = process.communicate()
    assert process.returncode == 0, said
    return {path.name: path.read_text() for path in (root / "_build" / "html").glob("*.html")}


@pytest.mark.slow
def test_a_killed_build_goes_on(book):
    root, chance, seen = book.root, random.Random(0), set()
    began = time.monotonic()
    pages = whole(root)
    takes = time.monotonic() - began
    assert executed(root) == dict.fromkeys(CHAPTERS, 1)
    for kill in range(KILLS):
        done, begun = finished(root), executed(root)
        if len(done) == len(CHAPTERS):  # begin anew
            (root / "torch.lock").write_text(str(kill))
            done = set()
        seen.add(len(done))
        process = start(root)
        time.sleep(chance.uniform(0, takes))
        how = (signal.SIGKILL, signal.SIGINT)[kill % 2]
        os.killpg(process.pid, how)
        said, _ = process.communicate()
        assert process.returncode in (0, -how, 130) and "Traceback" not in said, said
        assert all(executed(root)[name] == begun[name] for name in done)
    done, begun = finished(root), executed(root)
    after = whole(root)
    assert after.keys() == pages.keys()
    assert all(page.endswith("</html>") for page in after.values())
    assert all(executed(root)[name] == begun[name] for name in done)
    assert len(seen) > 2
