"""Bring a run file of the former schema, whose points had keys, to the present one, whose points
have columns: `python -m publishing.migrate FILE [TO]`. No time, count or detail is changed.
"""

import json
import sys
from pathlib import Path

from analysis.errors import InputError
from analysis.files import keep, read
from analysis.measured.run import FILE_BYTES, Run, save_run
from analysis.terminal import told

# The former key by its parts -> columns. A last part may be left out; numbers are tokens, batch, n.
SHAPES = {
    "launch": "what",
    "bandwidth": "what how",
    "cache": "what",
    "matmul": "what dtype how",
    "other": "what dtype model tokens",
    "encode": "what model tokens how dtype",
    "step": "what model tokens how dtype",
    "read": "what model tokens how dtype",
    "breakdown": "what model tokens how",
    "check": "what model tokens how",
    "train": "what model tokens how",
    "quality": "what model how",
    "link": "what how processes n",
    "tensor": "what model tokens n",
    "shard": "what model n processes",
    "serve weights": "- what model tokens how",
    "serve products": "- what model how",
    "serve attention": "- what model tokens",
    "serve batch": "- what model tokens batch",
    "serve heads": "- what model n",
    "serve size": "- what model how",
    "serve check": "- what model n",
    "serve draft": "- what model how",
    "serve speculative": "- what model how",
    "prune": "what model tokens how",
}
LEFT_OUT = {"ranks"}  # measured no more
NUMBERS = ("tokens", "batch", "n", "processes")
TOKENS = {"heads": 4096, "size": 128, "check": 512, "draft": 512}  # that were in no key
SAID = "batch tokens context kv_heads format drafted bits share group whole attention".split()
RENAMED = {"low": "bits_low", "high": "bits_high"}  # details of quality


def columns(key: str) -> dict | None:
    """The columns of a former key; None for what is measured no more."""
    parts = key.split("/")
    first = " ".join(parts[:2]) if parts[0] in ("serve", "link") else parts[0]
    if first in LEFT_OUT:
        return None
    shape = SHAPES.get(first) or SHAPES.get(parts[0])
    if shape is None:
        raise InputError(f"point {key}: no former key begins so")
    found = dict(zip(shape.split(), parts, strict=False))
    found.pop("-", None)
    if parts[0] in ("serve", "prune") and parts[-1] == "read":
        how = " ".join(parts[1:-1] if parts[0] == "serve" else parts[:-1])
        return {"what": "read", "how": how.replace(" gpt2", "")}
    if parts[0] == "other":
        found["model"] = {"gpt-2": "gpt2"}.get(found["model"], found["model"])
    if found["what"] == "check" and parts[0] == "check":
        found["what"] = "generation"
    found |= {name: int(found[name]) for name in NUMBERS if name in found}
    found |= (
        {"tokens": TOKENS[found["what"]]} if parts[0] == "serve" and found["what"] in TOKENS else {}
    )
    return _split(found)


def _split(found: dict) -> dict:
    """Numbers that were within a name, as in int4-row, in `n`."""
    what, how = found["what"], found.get("how", "")
    words, numbers = [], []
    for word in how.split("-"):
        (numbers if word.isdecimal() else words).append(word)
    if what == "heads":
        found["batch"] = 4
    if what == "draft":
        found["how"] = ""
    elif what == "size":
        found["how"] = {"step": "cold"}.get(how, how)
    elif what == "speculative":
        found |= {"how": " ".join(words) or "drafted", "n": int(numbers[0]) if numbers else 0}
    elif what == "prune":
        found |= {"how": " ".join(words), "n": int(numbers[0])}
    elif what == "quality":
        if words[0].startswith("int"):
            found |= {"how": f"int {words[1]}", "n": int(words[0][3:])}
        else:
            found |= {"how": " ".join(words), "n": int(numbers[0]) if numbers else 0}
    return found


def turn_of(key: str, points: dict[str, dict]) -> str:
    """The turn in which a former key was timed: the parts of its key that its neighbours share."""
    parts = key.split("/")
    match parts:
        case ["serve", "weights" | "products" | "attention", *_]:
            return "weights gpt2"
        case ["serve", "check" | "draft", *_]:
            return "check gpt2"
        case ["serve", "batch", model, tokens, *_]:
            return f"batch {model} {tokens}"
        case ["serve", kind, *_]:
            return kind
        case ["prune", _, _, how, *_]:
            return "prune structured" if how.startswith("structured") else "prune zeros"
        case ["train", _, _, "second-order"]:
            return ""
        case ["train" | "check", model, tokens, *_]:
            return f"{parts[0]} {model} {tokens}"
        case ["step" | "read" | "breakdown" | "encode", model, tokens, how, *more]:
            how = "unfused" if parts[0] == "breakdown" else how
            alone = parts[0] == "encode" and f"breakdown/{model}/{tokens}/other" not in points
            return (
                ""
                if alone or (parts[0] == "encode" and how == "fused")
                else " ".join(("pass", model, tokens, how, *more))
            )
        case ["link", how, n, size] if how != "send_recv":
            return f"link {n} {size}" if f"link/benchmark/{n}/{size}" in points else ""
        case ["shard", model, _, n]:
            return f"shard {model} {n}"
    return ""


def migrated(former: dict) -> Run:
    """The run of a former file's content; InputError for what is none."""
    if former.get("schema_version") != 2:
        raise InputError("not a run of the former schema, whose version is 2")
    by_key = {point["key"]: point for point in former["points"]}
    points, skipped = [], []
    for key, point in by_key.items():
        if (found := columns(key)) is None:
            continue
        details = {RENAMED.get(k, k) if found["what"] == "quality" else k: v
                   for k, v in point["details"].items()}  # fmt: skip
        dtype = details.pop("dtype", None)
        if dtype and "dtype" not in found and found["what"] in ("bandwidth", "cache"):
            found["dtype"] = dtype
        if found["what"] == "train" and dtype == "bfloat16":
            found["dtype"] = dtype
        if "processes" in found:
            details["processes"] = found.pop("processes")
        if found["what"] == "tensor":
            details["processes"] = found["n"]
        if found["what"] == "shard":
            found["tokens"] = details["tokens"]
        for name in SAID:
            details.pop(name, None)
        for name in [name for name in details if name.startswith("no ")]:
            missing = {**found, "how": name.removeprefix("no ")}
            skipped.append({**missing, "reason": str(details.pop(name))})
        points.append({**found, "turn": turn_of(key, by_key), "seconds": point["seconds"],
                       "flops": point["flops"], "bytes": point["bytes"],
                       "details": details})  # fmt: skip
    for each in former["not_measured"]:
        if (found := columns(each["key"])) is not None:
            found.pop("processes", None)
            skipped.append({**found, "reason": each["reason"]})
    kept = {**former, "schema_version": 3, "points": points, "not_measured": skipped}
    return Run.model_validate_json(json.dumps(kept))


def main(file: str = "FILE", to: str = "") -> None:
    content, target = read(Path(file), FILE_BYTES), Path(to or file)
    try:
        run = migrated(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{file}: {str(error)[:300]}") from None
    keep(target)
    save_run(run, target)


if __name__ == "__main__":
    sys.exit(told(lambda: main(*sys.argv[1:3])))
