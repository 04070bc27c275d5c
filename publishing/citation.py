"""How this report and its sources are cited: CITATION.cff and book/references.bib, read once."""

import json
import re
import subprocess
from pathlib import Path

import yaml
from pybtex.database import parse_file

ROOT = Path(__file__).resolve().parents[1]


def citation(root: Path = ROOT) -> dict:
    """Return CITATION.cff, the one place for title, authors, version and addresses.

    `repository-code` is where the project is kept and `url` where the book is published. Without
    them there is no button to edit a page, and nothing is invented.
    """
    return yaml.safe_load((root / "CITATION.cff").read_text("utf-8"))


def repository(root: Path = ROOT) -> str | None:
    """Return the public address of the repository; None while CITATION.cff names none."""
    address = citation(root).get("repository-code")
    return address.rstrip("/").removesuffix(".git") if address else None


def commit(root: Path = ROOT) -> str | None:
    """Return the commit that is checked out, with "-dirty" after changes; None outside git."""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run([*command, "--exclude=*"], capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() or None


def report_bibtex(root: Path = ROOT) -> str:
    """Return this version and commit as a BibTeX entry."""
    facts, at = citation(root), commit(root)
    fields = {
        "author": " and ".join(map(_name, facts["authors"])),
        "title": facts["title"],
        "year": str(facts["date-released"])[:4],
        "note": f"Version {facts['version']}" + (f", commit {at}" if at else ""),
    }
    address = facts.get("doi") and f"https://doi.org/{facts['doi']}" or repository(root)
    if address:
        fields["url"] = address
    lines = ",\n".join(f"  {name} = {{{text}}}" for name, text in fields.items())
    return f"@misc{{memory_wall_report,\n{lines}\n}}"


def bibtex(key: str, root: Path = ROOT) -> str:
    """Return an entry of references.bib as it stands; KeyError names those there are."""
    text = (root / "book" / "references.bib").read_text("utf-8")
    entries = {e[1]: e[0] for e in re.finditer(r"^@\w+\{([^,\s]+),.*?^\}", text, re.M | re.S)}
    if key not in entries:
        raise KeyError(f"{key}: no entry of references.bib; there are {', '.join(entries)}")
    return entries[key]


def data_sources(root: Path = ROOT) -> dict[str, str | None]:
    """Return, by address, the key in references.bib of each source that the data package names."""
    package = json.loads((root / "data" / "datapackage.json").read_text("utf-8"))
    entries = parse_file(str(root / "book" / "references.bib")).entries
    addresses = {entry.fields.get("url"): key for key, entry in entries.items()}
    for key, entry in entries.items():
        if number := re.match(r"arXiv:([\d.]+)", entry.fields.get("note", "")):
            addresses[f"https://arxiv.org/abs/{number[1]}"] = key
    sources = [*package["sources"], *(s for r in package["resources"] for s in r["sources"])]
    return {s["path"]: addresses.get(s["path"]) for s in sources if "path" in s}


def _name(author: dict) -> str:
    if "name" in author:
        return f"{{{author['name']}}}"
    return f"{author['family-names']}, {author['given-names']}"
