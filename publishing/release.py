"""A release: the project and its built book as one archive, the same bytes each time.

Everything is built in a clone of the commit, from the reference run alone, with the commit's date
as the time; what a build leaves to chance (ids of cells, times of execution) is set.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import nbformat

from analysis.compared.shown import REFERENCE
from analysis.errors import InputError
from analysis.terminal import echo, told
from publishing.build import COMMAND
from publishing.citation import ROOT, citation
from publishing.launch import numbered

SKIPPED = (".buildinfo", ".buildinfo.bak")  # Sphinx's own notes


def git(*arguments: str, root: Path = ROOT) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["failed"])[-1]
        raise InputError(f"git {arguments[0]}: {last}")
    return done.stdout.strip()


def clean_commit(root: Path = ROOT) -> tuple[str, int]:
    """Return the commit and its time; InputError if the tree holds anything else."""
    if changed := git("status", "--porcelain", root=root).splitlines():
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        first = changed[0].split(maxsplit=1)[1]
        raise InputError(f"not as committed: {first}{more}; commit or remove it, then release")
    return git("rev-parse", "HEAD", root=root), int(git("log", "-1", "--format=%ct", root=root))


def build(commit: str, seconds: int) -> Path:
    """Build book and PDF in a fresh clone of the commit, and return the clone."""
    source = ROOT / "_build" / "release"
    shutil.rmtree(source, ignore_errors=True)
    git("clone", "--quiet", str(ROOT), str(source))
    git("checkout", "--quiet", "--detach", commit, root=source)
    settled = {"SOURCE_DATE_EPOCH": str(seconds), "RUN": "none", "PYTHONPATH": str(source),
               "TZ": "UTC", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"}  # fmt: skip
    for command in (COMMAND, [sys.executable, "-m", "publishing.pdf"]):
        environment = {**os.environ, **settled}
        done = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True)
        if done.returncode:
            echo(done.stdout + done.stderr, err=True)
            raise InputError(f"{Path(command[0]).name} failed; what it said is above")
    return source


def settled_notebook(content: bytes) -> bytes:
    """Return a notebook without what differs between executions: ids and times."""
    notebook = numbered(nbformat.reads(content.decode(), as_version=4))
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    return nbformat.writes(notebook).encode() + b"\n"


def files(source: Path) -> dict[str, bytes]:
    """Return what a release holds, by path: the tracked files, and under built/ the book."""
    found = {name: source / name for name in git("ls-files", root=source).splitlines()}
    places = {"html": "html", "jupyter_execute": "notebooks", "pdf": "pdf"}
    for folder, name in places.items():
        base = source / "_build" / folder
        for path in base.rglob("*"):
            inside = path.relative_to(base).as_posix()
            kept = folder == "html" or path.suffix in (".ipynb", ".pdf")
            if path.is_file() and kept and path.name not in SKIPPED:
                found[f"built/{name}/{inside}"] = path
    for name, path in found.items():
        if path.is_symlink():
            raise InputError(f"{name}: a symbolic link, which no release follows")
    content = {name: path.read_bytes() for name, path in sorted(found.items())}
    return {n: settled_notebook(c) if n.endswith(".ipynb") else c for n, c in content.items()}


def pack(target: Path, content: dict[str, bytes], facts: dict, seconds: int) -> None:
    """Write the archive: sorted, with one date, a manifest and checksums."""
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}
    listed = [{"path": n, "bytes": len(d), "sha256": sums[n]} for n, d in content.items()]
    manifest = json.dumps({**facts, "files": listed}, indent=1).encode() + b"\n"
    sums["MANIFEST.json"] = hashlib.sha256(manifest).hexdigest()
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    content = {**content, "MANIFEST.json": manifest, "SHA256SUMS": lines.encode()}
    target.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(content.items()):
            entry = zipfile.ZipInfo(f"{target.stem}/{name}", time.gmtime(seconds)[:6])
            entry.external_attr, entry.create_system = 0o644 << 16, 3
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)


def release() -> tuple[Path, str]:
    """Build the release of the commit that is checked out: its file and its SHA-256."""
    commit, seconds = clean_commit()
    version = citation()["version"]
    content = files(build(commit, seconds))
    target = ROOT / "dist" / f"memory-wall-report-{version}-{commit[:10]}.zip"
    facts = {"version": version, "commit": commit, "reference": REFERENCE,
             "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))}  # fmt: skip
    pack(target, content, facts, seconds)
    return target, hashlib.sha256(target.read_bytes()).hexdigest()


def differences(one: Path, other: Path) -> list[str]:
    """Return the paths at which two archives differ."""
    with zipfile.ZipFile(one) as a, zipfile.ZipFile(other) as b:
        names = sorted(set(a.namelist()) | set(b.namelist()))
        both = set(a.namelist()) & set(b.namelist())
        return [n for n in names if n not in both or a.read(n) != b.read(n)]


def main(*options: str) -> None:
    """Release; with --twice, build it again and fail if a byte differs."""
    target, digest = release()
    if "--twice" in options:
        first = target.rename(target.with_suffix(".first"))
        again = release()[1]
        if again != digest:
            raise InputError(f"two builds differ: {', '.join(differences(first, target)[:5])}")
        first.unlink()
    echo(f"{digest}  {target}")


if __name__ == "__main__":
    sys.exit(told(lambda: main(*sys.argv[1:])))
