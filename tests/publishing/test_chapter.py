"""One chapter alone: executed, written, and wrong names told in one line."""

import nbformat
import pytest

from analysis.errors import InputError
from analysis.terminal import told
from publishing import chapter, launch

TEXT = """---
kernelspec: {name: python3, display_name: Python 3}
jupytext: {text_representation: {format_name: myst}}
---

# A chapter

```{code-cell}
CODE
```
"""


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A project of one chapter, whose code the test gives."""
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setattr(chapter, "ROOT", tmp_path)
    monkeypatch.setattr(chapter.find_chapter, "__defaults__", (tmp_path,))

    def write(code):
        (tmp_path / "notebooks" / "01_one.md").write_text(TEXT.replace("CODE", code), "utf-8")
        return tmp_path / "_build" / "chapters" / "01_one.ipynb"

    return write


def run(name):
    return told(lambda: chapter.main(name))


def test_a_chapter_is_executed_where_it_lies(book, capsys):
    written = book("import os\nprint(6 * 7, os.path.basename(os.getcwd()))")
    assert run("01_one") == 0
    assert str(written) in capsys.readouterr().out
    cells = nbformat.read(written, as_version=4).cells
    assert cells[1].outputs[0].text == "42 notebooks\n"


def test_a_cell_that_fails_is_one_line(book, capsys):
    book("raise ValueError('one\\ntwo')")
    assert run("01_one") == 2
    assert capsys.readouterr().err == "error: 01_one.md: ValueError: one two\n"


KILLED = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"


def test_a_kernel_that_dies_is_one_line(book, capsys):
    book(KILLED)
    assert run("01_one") == 2
    assert capsys.readouterr().err == "error: 01_one.md: Kernel died\n"


@pytest.mark.parametrize("name", ["", "one", "../notebooks/01_one", "01_one.md"])
def test_a_wrong_name_is_one_line_that_names_those_there_are(book, name, capsys):
    book("pass")
    assert run(name) == 2
    out = capsys.readouterr()
    assert out.err.endswith("there are 01_one\n") and out.err.count("\n") == 1 and not out.out


def test_every_chapter_of_the_book_has_its_name():
    for path in (chapter.find_chapter.__defaults__[0] / "notebooks").glob("*.md"):
        assert chapter.find_chapter(path.stem) == path
    with pytest.raises(InputError, match="01_scaling_disparity"):
        chapter.find_chapter("nonsense")


def test_a_launched_notebook_first_fetches_the_report(book, tmp_path):
    book("pass")
    text = tmp_path / "notebooks" / "01_one.md"
    made = launch.generated(text, "https://example.org/a/b")
    first = made.cells[0]
    assert first.cell_type == "code" and "https://example.org/a/b" in first.source
    compile(first.source, "cell", "exec")
    assert [cell.source for cell in made.cells[1:]] == ["# A chapter", "pass"]
    assert made == launch.generated(text, "https://example.org/a/b")
    nbformat.validate(made)
    assert len(launch.generated(text, None).cells) == 2
