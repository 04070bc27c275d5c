"""What is installed is what was locked: every file by its hash, but those of PyTorch."""

import re

import pytest

from publishing.citation import ROOT

PIN = r"[a-z0-9-]+==\S+( ; [^\\\n]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+\n"


def pinned(name):
    return set(re.findall(r"^\w\S*", (ROOT / name).read_text("utf-8"), re.MULTILINE))


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-all.lock"])
def test_every_pin_has_hashes(name):
    assert re.sub(PIN, "", (ROOT / name).read_text("utf-8")) == ""


def test_the_locks_agree():
    book = pinned("requirements.lock")
    assert len(book) > 100 and book < pinned("requirements-all.lock")
    assert not [pin for pin in book if re.match("torch|nvidia|cuda|triton", pin)]
    assert {pin.split("==")[0] for pin in pinned("torch.lock")} == {"torch"}
