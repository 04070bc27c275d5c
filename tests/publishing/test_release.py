"""A release: nothing that is not in the commit, nothing left to chance, everything listed."""

import hashlib
import json
import subprocess
import zipfile

import nbformat
import pytest

from analysis.errors import InputError
from publishing import release


@pytest.fixture
def repository(tmp_path):
    """A repository of one commit of one file."""
    root = tmp_path / "repository"
    root.mkdir()
    (root / "a.txt").write_text("one\n")
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "One"]):
        subprocess.run(["git", "-C", str(root), *command], check=True)
    return root


def test_a_clean_tree_is_its_commit(repository):
    commit, seconds = release.clean_commit(repository)
    assert len(commit) == 40 and seconds > 1.7e9


@pytest.mark.parametrize("name", ["a.txt", "new.txt"])
def test_a_dirty_tree_is_refused_in_one_line(repository, name):
    (repository / name).write_text("two\n")
    with pytest.raises(InputError, match=name) as caught:
        release.clean_commit(repository)
    assert "\n" not in str(caught.value)


def test_outside_a_repository_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(InputError, match="not a git repository"):
        release.clean_commit(tmp_path)


def test_the_archive_lists_what_it_holds_and_is_the_same_again(tmp_path):
    content = {"b.txt": b"two\n", "a/c.txt": b"three\n"}
    for name in ("one", "two"):
        release.pack(tmp_path / name / "r.zip", content, {"version": "1"}, 1_700_000_001)
    first, second = ((tmp_path / n / "r.zip").read_bytes() for n in ("one", "two"))
    assert first == second
    with zipfile.ZipFile(tmp_path / "one" / "r.zip") as archive:
        inside = {n.removeprefix("r/"): archive.read(n) for n in archive.namelist()}
    assert {n: inside[n] for n in content} == content
    manifest = json.loads(inside["MANIFEST.json"])
    assert {each["path"] for each in manifest["files"]} == set(content)
    sums = dict(line.split("  ")[::-1] for line in inside["SHA256SUMS"].decode().splitlines())
    del inside["SHA256SUMS"]
    assert sums == {n: hashlib.sha256(data).hexdigest() for n, data in inside.items()}


def test_executions_at_other_times_give_the_same_notebook():
    def executed(stamp, id):
        cell = nbformat.v4.new_code_cell(
            "1", metadata={"execution": {"shell.execute_reply": stamp}}
        )
        cell["id"] = id
        return nbformat.writes(nbformat.v4.new_notebook(cells=[cell])).encode()

    one, other = executed("2026-01-01", "aaaa"), executed("2026-01-02", "bbbb")
    assert one != other
    assert release.settled_notebook(one) == release.settled_notebook(other)


def test_differences_names_what_differs(tmp_path):
    for name, content in (("one", {"a": b"1", "b": b"2"}), ("two", {"a": b"1", "b": b"3"})):
        release.pack(tmp_path / name / "r.zip", content, {}, 1_700_000_000)
    found = release.differences(tmp_path / "one" / "r.zip", tmp_path / "two" / "r.zip")
    assert found == ["r/MANIFEST.json", "r/SHA256SUMS", "r/b"]


def test_a_symbolic_link_is_not_followed(repository):
    (repository / "b.txt").symlink_to("/etc/passwd")
    subprocess.run(["git", "-C", str(repository), "add", "."], check=True)
    with pytest.raises(InputError, match="b.txt: a symbolic link"):
        release.files(repository)
