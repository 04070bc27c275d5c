"""Every command of make looks at its words before it measures or builds."""

import shutil
import socket
import subprocess

import pytest

from analysis.compared import shown
from analysis.errors import InputError
from publishing import words
from publishing.citation import ROOT


@pytest.fixture
def checked(monkeypatch):
    def check(*targets, **environment):
        for name in ("RUN", "REFERENCE", "BUDGET", "NAME", "PORT"):
            monkeypatch.delenv(name, raising=False)
        for name, value in ({"RUN": "none"} | environment).items():
            monkeypatch.setenv(name, value)
        shown.found.cache_clear()
        words.check(list(targets))

    yield check
    shown.found.cache_clear()


def test_good_words_are_taken(checked):
    checked("book", BUDGET="quick", RUN="intel-xeon-2-cores", REFERENCE="amd-epyc-zen-4-2-cores")
    checked("chapter", NAME="01_scaling_disparity")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    checked("serve", PORT=port)
    checked("book", PORT="8o8o", NAME="nonsense")  # which it does not use


@pytest.mark.parametrize(
    ("target", "wrong", "says"),
    [
        ("book", {"RUN": "typo"}, "RUN=typo: typo: neither a file nor an archived run"),
        ("book", {"RUN": "pyproject.toml"}, "not a run of this report"),
        ("book", {"REFERENCE": "typo"}, "not archived; there are amd-epyc-2-cores"),
        (
            "book",
            {"REFERENCE": "amd-epyc-zen-3-2-cores"},
            "no alone, generation, .*with RUN=amd",
        ),
        ("book", {"BUDGET": "typo"}, "typo"),
        ("chapter", {"NAME": "typo"}, "typo: no chapter; there are 01_scaling_disparity"),
        ("chapter", {"NAME": ""}, "NAME: no chapter"),
        ("serve", {"PORT": "8o8o"}, "expected a number from 1 to 65535"),
        ("serve", {"PORT": "99999"}, "expected a number from 1 to 65535"),
    ],
)
def test_a_wrong_word_is_one_line(target, wrong, says, checked):
    with pytest.raises(InputError, match=says) as caught:
        checked(target, **wrong)
    assert "\n" not in str(caught.value)


def test_a_port_in_use_is_said_before_the_build(checked):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(InputError, match="in use; make serve PORT=8001 takes another"):
            checked("serve", PORT=str(taken.getsockname()[1]))


def test_without_a_browser_nothing_is_built(checked, monkeypatch):
    from publishing import pdf

    def none(_):
        raise InputError("no Chromium was found")

    monkeypatch.setattr(pdf, "find_browser", none)
    with pytest.raises(InputError, match="no Chromium"):
        checked("pdf")


@pytest.fixture
def would(tmp_path):
    """What make would do in a clone that was installed at a place, without doing it."""

    def say(target, installed=""):
        for path in (ROOT / "Makefile", ROOT / "pyproject.toml", *ROOT.glob("*.lock")):
            shutil.copy(path, tmp_path)
        (tmp_path / ".venv").mkdir(exist_ok=True)
        (tmp_path / ".venv" / "all").write_text("")
        (tmp_path / ".venv" / "installed").write_text(installed or f"{tmp_path}\n")
        command = ["make", "--dry-run", "-C", str(tmp_path), target]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    return say


def test_a_clone_that_was_renamed_is_installed_anew(would):
    assert "-m venv" not in would("book")
    assert "-m venv --clear .venv" in would("book", installed="/elsewhere\n")


@pytest.mark.parametrize("target", ["book", "chapter", "serve", "pdf", "check-book"])
def test_words_come_first(target, would):
    commands = would(target)
    first = commands.index(f"-m publishing.words {target}")
    for later in ("-m analysis measure", "-m publishing.build", "-m http.server"):
        assert later not in commands or commands.index(later) > first


def test_laboratories_open_in_containers(would):
    assert "--allow-root" in would("lab")
