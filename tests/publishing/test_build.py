"""The book is built by one process at a time; what it takes along are files of its own."""

import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from analysis.errors import InputError
from analysis.files import locked
from publishing import build
from publishing.citation import ROOT

OTHER = "import sys; from pathlib import Path; from analysis.terminal import told;" \
        "from publishing import build; build.COMMAND = ['true'];" \
        "sys.exit(told(lambda: build.build(Path(sys.argv[1]))))"  # fmt: skip


def test_a_second_build_is_one_line(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(build, "COMMAND", [sys.executable, "-c", OTHER, str(tmp_path)])
    with pytest.raises(InputError, match="the book was not built"):
        build.build(tmp_path)  # within it the other, which is refused
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("error: ") and "another process is writing it" in line
    monkeypatch.setattr(build, "COMMAND", ["true"])
    build.build(tmp_path)
    with locked(tmp_path / "other"):
        build.build(tmp_path)


def test_data_are_taken_along_without_what_links_lead_to(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    import reuse

    source, out = tmp_path / "data", tmp_path / "out"
    (source / "runs").mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("secret")
    (source / "runs" / "a.json").write_text("{}")
    (source / "runs" / ".a.json.lock").write_text("")
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "train.cpython-311.pyc").write_text("")
    (source / "key").symlink_to(tmp_path / "secret" / "key")
    (source / "folder").symlink_to(tmp_path / "secret")
    (out / reuse.DOWNLOADS).mkdir(parents=True)
    app = SimpleNamespace(srcdir=tmp_path, outdir=out, builder=SimpleNamespace(format="html"))
    reuse.copy_data(app, None)
    copied = [p for p in (out / reuse.DOWNLOADS / "data").rglob("*") if p.is_file()]
    assert [Path(p).relative_to(out / reuse.DOWNLOADS).as_posix() for p in copied] == [
        "data/runs/a.json"
    ]
    with zipfile.ZipFile(out / reuse.ARCHIVE) as archive:
        assert archive.namelist() == ["data/runs/a.json"]


def test_the_caches_of_the_last_three_runs_are_kept(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    import report

    app = SimpleNamespace(srcdir=tmp_path, outdir=tmp_path / "_build" / "html")
    config, found = SimpleNamespace(), []
    for name in ("a", "b", "a", "c", "d"):
        monkeypatch.setenv("RUN", name)
        report.key_the_cache(app, config)
        found.append(Path(config.nb_execution_cache_path))
    assert found[0] == found[2] and len(set(found)) == 4
    assert set((tmp_path / "_build" / ".executed").iterdir()) == {found[2], *found[3:]}
