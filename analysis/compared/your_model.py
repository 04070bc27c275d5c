"""What the page "Your model on your chip" computes with, and the table that it shows without."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import pandas as pd

from analysis.compared.page import number, percent
from analysis.errors import InputError
from analysis.predicted.answer import FAST, SHARES, Setting, answer, grouped
from analysis.predicted.architectures import Architecture
from analysis.predicted.chips import BITS, Chip, chip_named, open_models
from analysis.predicted.needs import needs_of
from analysis.predicted.serving import MOST
from analysis.published.plain import rows


def chips() -> list[Chip]:
    """Those of data/hardware/accelerators.csv whose bandwidth and peak are known."""
    found = []
    for name in dict.fromkeys(row["name"] for row in rows("hardware/accelerators.csv")):
        try:
            found.append(chip_named(name))
        except InputError:
            continue
    return found


def _model(arch: Architecture) -> dict:
    fewer = grouped(arch) if arch.kind == "decoder" else None
    return asdict(needs_of(arch)) | {"grouped": fewer and asdict(needs_of(fewer))}


def choices() -> dict:
    """All that an `answer` is made of: coefficients of every model, limits of every chip, the
    shares that others reached, and the constants."""
    return {
        "models": [_model(arch) for arch in open_models().values()],
        "chips": [asdict(chip) for chip in chips()],
        "reached": [
            {
                "phase": row["phase"],
                "above": row["memory"] == "above",
                "shares": [float(row["low"]), float(row["high"])],
            }
            for row in rows("published/speeds_reached.csv")
        ],
        "fast": FAST,
        "most": MOST,
        "shares": SHARES,
        "bits": BITS,
    }


@dataclass(frozen=True)
class Tool:
    """Where book/_static/your_model.js builds the page's form, with the `choices` it reads."""

    choices: dict

    def _repr_mimebundle_(self, **_):
        data = json.dumps(self.choices, allow_nan=False).replace("<", "\\u003c")
        return {
            "text/html": f'<div id="your-model" hidden><script type="application/json">{data}'
            "</script></div>",
            "text/plain": f"<{len(self.choices['models'])} models, "
            f"{len(self.choices['chips'])} chips>",
        }


def some(models: Iterable[str], chips: Iterable[str], setting: Setting) -> pd.DataFrame:
    """Answers for decoders by name on single chips by name, as text, a row each."""
    known, found = open_models(), []
    for chip in map(chip_named, chips):
        for arch in (known[name] for name in models):
            one = answer(needs_of(arch), chip, setting)
            step, memory, batch = one["step"], one["memory"], one["batch_past_memory"]
            low, high = step["tokens_per_s_reached"]
            found.append(
                {
                    "Chip": chip.name,
                    "Model": arch.name,
                    "Weights and cache (GB)": number((memory["weights"] + memory["cache"]) / 1e9),
                    "Of its memory": percent((memory["weights"] + memory["cache"]) / chip.memory),
                    "A token, at least (ms)": number(1e3 * step["seconds"]),
                    "Tokens/s, at most": number(step["tokens_per_s"]),
                    "Others reach": f"{number(low)} to {number(high)}",
                    "Waits for": step["limit"],
                    "For compute from batch": f"{batch:,}" if batch else "none",
                }
            )
    return pd.DataFrame(found)
