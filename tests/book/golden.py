"""What the built book says of the reference, in numbers: `python tests/book/golden.py` pins it.

golden.json holds every verdict's number, every text that is glued into the prose and every value
that a figure draws, of the reference run and of no other; test_golden.py compares a later book.
"""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
PINNED = Path(__file__).with_name("golden.json")
REFERENCE = "amd-epyc-zen-4-2-cores"
# Names of what is no other run's.
OWN = {"", "paper", "data", "reference", "this run", REFERENCE, "AMD EPYC (Zen 4), 2 cores"}
DIGITS = 8


def drawn(csv: Path) -> list[float]:
    """The numbers under a figure, each once and in order, to `DIGITS` digits."""
    frame = pd.read_csv(csv)
    if "run" in frame:
        frame = frame[frame["run"].fillna("").isin(OWN)]
    if "measured" in frame and "name" in frame:  # machines among hardware
        frame = frame[~frame["measured"].astype(bool) | frame["name"].isin(OWN)]
    kept = [c for c in frame.select_dtypes(["number"]) if not re.search(" on (?!amd)", c)]
    numbers = np.concatenate([frame[c].dropna().to_numpy(float) for c in kept])
    return sorted({float(f"{n:.{DIGITS}g}") for n in numbers if np.isfinite(n)})


def glued(build: Path) -> dict[str, dict[str, str]]:
    """The texts that each page's cells hand to its prose: page -> name -> text."""
    pages = {}
    for path in sorted((build / "jupyter_execute").rglob("*.glue.json")):
        page = path.relative_to(build / "jupyter_execute").as_posix().removesuffix(".glue.json")
        found = json.loads(path.read_text("utf-8"))
        pages[page] = {
            name: each["data"]["text/plain"].strip("'\"") for name, each in found.items()
        }
    return pages


def verdicts(build: Path) -> dict[str, list]:
    """Our number and the verdict of each claim on the reference, by the file of verdicts."""
    (path,) = (build / "html").rglob("verdicts.csv")
    rows = pd.read_csv(path).set_index("id")
    rows = rows[rows["run"] != "here"]
    return {
        id: [None if pd.isna(row["ours"]) else float(f"{row['ours']:.{DIGITS}g}"), row["verdict"]]
        for id, row in rows.iterrows()
    }


def pinned(build: Path) -> dict:
    """All of it, of the book in `build`."""
    figures = sorted((build / "html" / "_downloads" / "figures").glob("*.csv"))
    return {
        "verdicts": verdicts(build),
        "glued": glued(build),
        "drawn": {csv.stem: drawn(csv) for csv in figures},
    }


if __name__ == "__main__":
    build = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "_build"
    lines = [f' "pin": {json.loads(PINNED.read_text("utf-8"))["pin"] + 1}']
    for part, found in pinned(build).items():
        rows = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in found.items())
        lines.append(f' "{part}": {{\n{rows}\n }}')
    PINNED.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
