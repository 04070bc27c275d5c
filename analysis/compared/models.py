"""Open models of data/models/ as architectures, and what generating with them asks of memory."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.compared.page import Table, number, percent
from analysis.compared.ridges import ridges
from analysis.predicted.architectures import GPT2, Architecture
from analysis.predicted.operations import FUSED, Convention
from analysis.predicted.serving import batch_to_reach, intensity, memory_bytes, token_cost
from analysis.predicted.variants import Experts, Latent, Window
from analysis.published.tables import load_table

TOLERANCE = 0.02  # of the stated parameters; beyond it a row gives its reason
SAME = ("n_layers", "d_model", "n_heads", "n_kv_heads", "head_dim", "d_ff", "gated_ffn",
        "activation", "norm", "positions", "n_positions", "vocab_size", "tied_embeddings",
        "qkv_bias", "out_bias", "ffn_bias", "qk_norm")  # fmt: skip
HALF = FUSED.with_bytes(2)  # 16-bit weights, activations and cache
# One of each kind of attention and feed-forward network, and the paper's decoder.
SHOWN = ("GPT-2", "OPT-175B", "Llama 3.1 405B", "gpt-oss-120b", "Qwen3-235B-A22B", "DeepSeek-V3")


def architecture(row) -> Architecture:
    """The Architecture of a row of architectures.csv."""
    fields = {name: getattr(row, name) for name in SAME}
    if row.latent_rank:
        fields["latent"] = Latent(row.latent_rank, row.query_rank, row.rotary_dim)
    if row.n_experts:
        fields["experts"] = Experts(
            row.n_experts, row.active_experts, row.expert_d_ff, row.shared_experts, row.dense_layers
        )
    if row.window_layers:
        fields["window"] = Window(row.window_tokens, row.window_layers)
    return Architecture(row.name, "decoder", lm_head=True, **fields)


def _rows(data: Path | None) -> pd.DataFrame:
    return load_table("architectures", data)


def architectures(data: Path | None = None) -> dict[str, Architecture]:
    """Return the open models whose shape gives their stated size, by name, in order of date."""
    rows = _rows(data)
    return {row.name: architecture(row) for row in rows[rows["difference"] == ""].itertuples()}


@cache
def shown() -> dict[str, Architecture]:
    """Return the models that the figures draw: SHOWN."""
    known = {GPT2.name: GPT2, **architectures()}
    return {name: known[name] for name in SHOWN}


def kind(arch: Architecture) -> str:
    """Say how `arch` attends and what its feed-forward network is."""
    if arch.latent:
        words = "latent"
    else:
        words = "multi-head" if arch.n_kv_heads == arch.n_heads else "grouped-query"
    return words + (", windows" if arch.window else "") + (", experts" if arch.experts else "")


def sizes(data: Path | None = None) -> pd.DataFrame:
    """Return each row's stated and counted parameters: name, stated, counted, off, difference."""
    rows = _rows(data)
    counted = [architecture(row).n_parameters for row in rows.itertuples()]
    rows = rows.assign(counted=counted, stated=rows["parameters"])
    rows["off"] = rows["counted"] / rows["stated"] - 1
    return rows[["name", "stated", "counted", "off", "difference"]]


def sizes_table(name: str) -> Table:
    """Show counted against stated parameters, with the reasons for what differs."""
    rows = sizes()
    frame = pd.DataFrame(
        {
            "Model": rows["name"],
            "Stated (1e9)": [number(v / 1e9, 4) for v in rows["stated"]],
            "Counted (1e9)": [number(v / 1e9, 4) for v in rows["counted"]],
            "Off": [percent(v, sign=True) for v in rows["off"]],
            "Why": [why or "–" for why in rows["difference"]],
        }
    )
    return Table(frame, name, "Parameters that the shapes give, against those stated.")


def by_context(contexts) -> pd.DataFrame:
    """Return, for the models shown and each context: cache (bytes of a sequence), and of one
    token generated alone at 16 bits, flops, bytes and intensity."""
    contexts, frames = np.asarray(contexts), []
    for name, arch in shown().items():
        cost = token_cost(arch, contexts, HALF)
        frames.append(
            pd.DataFrame(
                {
                    "model": name,
                    "context": contexts,
                    "cache": arch.cached(contexts) * HALF.kv_bytes,
                    "flops": cost.flops,
                    "bytes": cost.bytes,
                    "intensity": cost.intensity,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def by_batch(batches, context: int) -> pd.DataFrame:
    """Return the intensity of a step of the models shown at `context`, by batch."""
    batches = np.asarray(batches)
    frames = [
        pd.DataFrame(
            {"model": name, "batch": batches, "intensity": intensity(arch, context, HALF, batches)}
        )
        for name, arch in shown().items()
    ]
    return pd.concat(frames, ignore_index=True)


def accelerator(name: str) -> pd.Series:
    """Return the 16-bit row of `ridges` of one accelerator."""
    rows = ridges(unshipped=True)
    return rows[(rows["name"] == name) & (rows["bits"] == 16)].iloc[0]


def serving_table(machine: str, context: int, name: str) -> Table:
    """Show for each counted model what a token costs and what a full `machine` would ask."""
    chip = accelerator(machine)
    records = []
    for arch in architectures().values():
        batch = batch_to_reach(arch, chip["value"], context, HALF)
        held = memory_bytes(arch, context, HALF, batch or 1)
        records.append(
            {
                "Model": arch.name,
                "Attention, network": kind(arch),
                "GFLOP a token": number(token_cost(arch, context, HALF).flops / 1e9),
                "GB a token, alone": number(token_cost(arch, context, HALF).bytes / 1e9),
                "Cache, kB a token": number(arch.cached(1) * 2 / 1e3),
                "FLOP/byte, alone": number(intensity(arch, context, HALF)),
                "Batch to the ridge": f"{batch:,}" if batch else "never",
                "Accelerators to hold it": f"{-(-held // chip['memory']):,.0f}" if batch else "–",
            }
        )
    caption = f"Open models at {context:,} tokens and 16 bits, and the batch that {machine} asks."
    return Table(pd.DataFrame(records), name, caption)


def batches_table(machines: tuple[str, ...], contexts: tuple[int, ...], name: str) -> Table:
    """Show the batch to the ridge point by accelerator, for the models shown at `contexts`."""
    records = []
    for machine in machines:
        chip = accelerator(machine)
        record = {"Accelerator": machine, "Date": f"{chip['date']:%Y-%m}",
                  "FLOP/byte": number(chip["value"])}  # fmt: skip
        for model, arch in list(shown().items())[2:]:
            found = [batch_to_reach(arch, chip["value"], context, HALF) for context in contexts]
            record[model] = " / ".join(f"{batch:,}" if batch else "never" for batch in found)
        records.append(record)
    said = " / ".join(f"{context:,}" for context in contexts)
    caption = f"Batch to the ridge point at {said} tokens of context, 16 bits."
    return Table(pd.DataFrame(records), name, caption)


def holders() -> pd.DataFrame:
    """Return shipped accelerators that held more than all before: name, date, memory (bytes)."""
    rows = ridges().query("bits == 16").drop_duplicates("name")
    return rows[rows["memory"] > rows["memory"].cummax().shift(fill_value=0)]


def largest_that_fits(memory: float, context: int, convention: Convention = HALF) -> Architecture:
    """Return the largest open model whose weights and one sequence's cache fit in `memory`."""
    fitting = [
        arch
        for arch in architectures().values()
        if memory_bytes(arch, context, convention) <= memory
    ]
    return max(fitting, key=lambda arch: arch.n_parameters)


def largest_table(context: int, name: str) -> Table:
    """Show the largest open model that one accelerator serves, by precision of its weights."""
    records = []
    for row in holders().itertuples():
        fits = {
            f"at {8 * width:g} bits": largest_that_fits(
                row.memory, context, FUSED.with_bytes(width, 2)
            )
            for width in (2, 1, 0.5)
        }
        records.append(
            {"Accelerator": row.name, "Date": f"{row.date:%Y-%m}", "GB": number(row.memory / 1e9)}
            | {k: f"{a.name} ({number(a.n_parameters / 1e9)})" for k, a in fits.items()}
        )
    caption = (f"The largest open model (1e9 parameters) that one accelerator serves, with the "
               f"16-bit cache of one sequence of {context:,} tokens.")  # fmt: skip
    return Table(pd.DataFrame(records), name, caption)
