"""Counts the configs beside this file as Hugging Face transformers builds them, on the device
"meta", with torch's own counter: `python tests/predicted/hugging_face.py` writes them anew."""

import csv
import json
from pathlib import Path

HERE = Path(__file__).parent
CONFIGS, COUNTS = HERE / "configs", HERE / "hugging_face.csv"
ENCODED, PROMPT, CONTEXT, BATCH = 512, 96, 5000, 2  # no window but is narrower than the context
COLUMNS = ("config", "parameters", "pass_flops", "step_flops", "cached", "transformers")


def configs() -> dict[str, dict]:
    return {path.stem: json.loads(path.read_text()) for path in sorted(CONFIGS.glob("*.json"))}


def counted(config: dict) -> dict[str, int]:
    """Parameters, FLOPs of `BATCH` passes and steps, elements cached of a sequence after them."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from analysis.measured.hugging_face import build

    built = build(config)
    found = {"parameters": built.model.num_parameters()}
    with torch.no_grad():
        with FlopCounterMode(display=False) as counter:
            built.encode(PROMPT if built.kind == "decoder" else ENCODED, BATCH)
        found["pass_flops"] = counter.get_total_flops()
        if built.kind == "decoder":
            cache = built.filled(CONTEXT - 1, BATCH)
            with FlopCounterMode(display=False) as counter:
                built.step(cache, CONTEXT, BATCH)
            found["step_flops"] = counter.get_total_flops()
            kept = (getattr(each, name) for each in cache.layers for name in ("keys", "values"))
            found["cached"] = sum(each.numel() for each in kept) // BATCH
    return found


if __name__ == "__main__":
    import transformers

    rows = [
        {"config": name, **counted(config), "transformers": transformers.__version__}
        for name, config in configs().items()
    ]
    with COUNTS.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
