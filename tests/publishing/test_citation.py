"""What is cited is valid, agrees everywhere, and covers every source."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from pybtex.database import parse_string

from publishing import citation
from publishing.citation import ROOT

CFF = [sys.executable, "-m", "check_jsonschema", "--builtin-schema",
       "vendor.citation-file-format"]  # fmt: skip


def test_the_citation_file_is_valid():
    done = subprocess.run([*CFF, str(ROOT / "CITATION.cff")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_citation_file_without_authors_is_not(tmp_path):
    facts = citation.citation()
    del facts["authors"]
    (tmp_path / "CITATION.cff").write_text(yaml.safe_dump(facts, default_flow_style=False))
    done = subprocess.run([*CFF, str(tmp_path / "CITATION.cff")], capture_output=True, text=True)
    assert done.returncode == 1 and "authors" in done.stdout


def test_the_archive_and_the_package_say_what_the_citation_file_says():
    facts = citation.citation()
    zenodo = json.loads((ROOT / ".zenodo.json").read_text("utf-8"))
    for field in ("title", "version", "license", "keywords"):
        assert zenodo[field] == facts[field], field
    assert zenodo["description"] == facts["abstract"].strip()
    assert zenodo["upload_type"] == facts["type"]
    assert [c["name"] for c in zenodo["creators"]] == [a["name"] for a in facts["authors"]]
    related = [each["identifier"] for each in zenodo["related_identifiers"]]
    assert related == [each["doi"] for each in facts["references"]]
    package = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert package["version"] == facts["version"]


def test_the_report_s_entry_names_version_and_commit():
    entry = parse_string(citation.report_bibtex(), "bibtex").entries["memory_wall_report"]
    assert citation.citation()["version"] in entry.fields["note"]
    if at := citation.commit():
        assert at in entry.fields["note"]


def test_every_data_source_has_an_entry():
    sources = citation.data_sources()
    assert len(sources) > 5
    assert [address for address, key in sources.items() if key is None] == []


def test_an_unknown_key_names_those_there_are():
    with pytest.raises(KeyError, match="nobody.*gholami2024"):
        citation.bibtex("nobody")


@pytest.mark.parametrize(
    ("line", "address"),
    [
        ("", None),
        ("repository-code: https://github.com/a/b", "https://github.com/a/b"),
        ("repository-code: https://github.com/a/b.git", "https://github.com/a/b"),
        ("repository-code: https://github.com/a/b/", "https://github.com/a/b"),
    ],
)
def test_the_repository_is_read_from_the_citation_file(tmp_path, line, address):
    facts = {k: v for k, v in citation.citation().items() if k != "repository-code"}
    text = yaml.safe_dump(facts) + line
    (tmp_path / "CITATION.cff").write_text(text, "utf-8")
    assert citation.repository(tmp_path) == address


def test_outside_git_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert citation.commit(Path(tmp_path)) is None
