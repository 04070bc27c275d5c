"""Files from anyone are read to a bound; what is replaced is kept; one writer at a time."""

import os

import pytest

from analysis.errors import InputError
from analysis.files import keep, locked, read
from analysis.published.tables import DATA, load_table


def test_a_file_is_read_to_its_bound(tmp_path):
    (tmp_path / "a").write_bytes(b"1234")
    assert read(tmp_path / "a", 4) == b"1234"
    with pytest.raises(InputError, match="at most 3 bytes"):
        read(tmp_path / "a", 3)


@pytest.mark.parametrize("path", ["/dev/zero", "pipe", "nul\0", "none"])
def test_what_is_no_file_is_one_line(path, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError) as caught:
        read(tmp_path / path, 10)
    assert "\n" not in str(caught.value)


def test_a_table_that_never_ends_is_one_line(tmp_path):
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / "speeds.csv").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="found a device or a pipe"):
        load_table("speeds", tmp_path)
    assert DATA.is_dir()


def test_a_number_that_signals_is_one_line(tmp_path):
    (tmp_path / "published").mkdir()
    text = (DATA / "published" / "model_sizes.csv").read_text("utf-8").splitlines()
    cells = [next((c for c in (cell,) if not c.replace(".", "").isdigit()), "sNaN")
             for cell in text[1].split(",")]  # fmt: skip
    assert "sNaN" in cells
    (tmp_path / "published" / "model_sizes.csv").write_text(f"{text[0]}\n{','.join(cells)}\n")
    with pytest.raises(InputError, match="found 'sNaN'"):
        load_table("model_sizes", tmp_path)


def test_copies_are_numbered(tmp_path):
    file = tmp_path / "run.json"
    assert keep(file) is None
    for i in (1, 2, 3):
        file.write_text(str(i))
        assert keep(file).name == f"run.json.previous-{i}"
    assert [(tmp_path / f"run.json.previous-{i}").read_text() for i in (1, 2, 3)] == list("123")


def test_who_has_a_file_may_ask_again(tmp_path):
    with locked(tmp_path / "new" / "run.json"), locked(tmp_path / "new" / "run.json"):
        pass


def test_a_lock_where_none_can_be_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"), locked(tmp_path / "file" / "run"):
        pass
