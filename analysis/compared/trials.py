"""Short trainings of the byte-level decoder: what computing again and what an optimizer does to the
quality that is reached in the same steps."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t

from analysis.compared.page import Table, number, signed
from analysis.published.tables import load_table

WAYS = {  # as in the table -> in words
    "momentum": "gradient descent with momentum",
    "adam": "AdamW",
    "rematerialised": "AdamW, every layer computed again",
    "second-order": "a diagonal second-order method",
}


def paired(pairs: pd.Series) -> tuple[float, float, float]:
    """Return the mean of differences, one a seed, and its 95 % interval by Student's t."""
    wide = t.ppf(0.975, len(pairs) - 1) * pairs.std() / np.sqrt(len(pairs))
    return float(pairs.mean()), float(pairs.mean() - wide), float(pairs.mean() + wide)


def _last(data: Path | None) -> pd.DataFrame:
    rows = load_table("byte_trials", data)
    return rows[rows["step"] == rows["step"].max()]


def best_rates(data: Path | None = None) -> dict[str, float]:
    """Return the rate of each way that leaves the fewest bits with the first seed."""
    rows = _last(data).query("seed == 0").set_index("rate")
    return rows.groupby("way")["bits_per_byte"].idxmin().to_dict()


def _at_best(rows: pd.DataFrame, data: Path | None) -> pd.DataFrame:
    return rows[rows["rate"] == rows["way"].map(best_rates(data))]


def curves(data: Path | None = None) -> pd.DataFrame:
    """Return the bits per byte of held-out modules while an optimizer trains at its best rate: way,
    step, and over the seeds mean, least and greatest. Computing again changes no optimizer."""
    rows = _at_best(load_table("byte_trials", data), data).query("way != 'rematerialised'")
    grouped = rows.groupby(["way", "step"])
    rows = grouped["bits_per_byte"].agg(mean="mean", least="min", greatest="max").reset_index()
    return rows.sort_values(["way", "step"], key=_in_order, ignore_index=True)


def _in_order(column: pd.Series) -> pd.Series:
    return column.map(list(WAYS).index) if column.name == "way" else column


def bits(way: str, data: Path | None = None) -> float:
    """Return the bits per byte after the last step, the mean of the seeds."""
    return float(_by_seed(way, data).mean())


def difference(way: str, other: str = "adam", data: Path | None = None) -> tuple[float, ...]:
    """Return the bits per byte after the last step over those by another way, and the interval."""
    return paired(_by_seed(way, data) - _by_seed(other, data))


def _by_seed(way: str, data: Path | None) -> pd.Series:
    rows = _at_best(_last(data), data).query("way == @way")
    return rows.set_index("seed")["bits_per_byte"]


def met_at(way: str, other: str = "adam", data: Path | None = None) -> int | None:
    """Return the first step after which a way needs no more bits than another after the last;
    None without one."""
    rows = curves(data).query("way == @way")
    enough = rows[rows["mean"] <= bits(other, data)]
    return None if enough.empty else int(enough["step"].iloc[0])


def apart(difference: tuple[float, ...]) -> str:
    """Return a difference with its interval, in words."""
    middle, low, high = map(signed, difference)
    return f"{middle} ({low} to {high})"


def trial_table(name: str) -> Table:
    """Show the bits per byte that each way leaves, at each rate and at the best."""
    last, best = _last(None), best_rates()
    rows = []
    for way, words in WAYS.items():
        tried = last.query("way == @way and seed == 0").sort_values("rate")
        each = [f"{row.rate:g}: {number(row.bits_per_byte)}" for row in tried.itertuples()]
        rows.append(
            {
                "Trained by": words,
                "Bits at each rate": "; ".join(each),
                "Best rate": f"{best[way]:g}",
                "Bits per byte": number(bits(way), 4),
                "From AdamW": "–" if way == "adam" else apart(difference(way)),
            }
        )
    caption = (
        f"Bits per byte of held-out modules after {last['step'].max()} steps of the byte-level "
        f"decoder: with one seed at each rate, and at the best the mean of {last['seed'].nunique()}"
        ", with the difference from AdamW, paired by seed, and its 95 % interval."
    )
    return Table(pd.DataFrame(rows), name, caption)


def trials_in_words() -> str:
    """Say what a second-order method leaves of the quality, and after how many steps."""
    steps, way = _last(None)["step"].max(), "second-order"
    momentum, adam, second = (number(bits(each), 4) for each in ("momentum", "adam", way))
    met = [
        (name, met_at(way, other)) for name, other in (("momentum", "momentum"), ("AdamW", "adam"))
    ]
    reached = " and ".join(
        f"{name}'s last score after {step} steps" if step else f"{name}'s last score not at all"
        for name, step in met
    )
    return (
        f"after {steps} steps the decoder needs {momentum} bits for a byte by momentum, {adam} by "
        f"AdamW and {second} by {WAYS[way]}, whose difference from momentum is "
        f"{apart(difference(way, 'momentum'))}, and from AdamW {apart(difference(way))}. "
        f"It reaches {reached}."
    )


def rematerialised_in_words() -> str:
    """Say how far bits per byte with every layer computed again are from those without."""
    key = ["rate", "seed", "step"]
    rows = load_table("byte_trials").pivot(index=key, columns="way", values="bits_per_byte")
    pairs = (rows["rematerialised"] - rows["adam"]).dropna().abs()
    most = pairs.max()
    agree = f"at most {most:.1e} apart" if most else "equal in every digit kept"
    return (
        f"trained by AdamW with every layer computed again it needs "
        f"{number(bits('rematerialised'), 4)} bits for a byte, and {number(bits('adam'), 4)} "
        f"without; all {len(pairs)} scores, over rates, seeds and steps, are {agree}."
    )


def quality_cells() -> dict[str, str]:
    """Return the bits per byte before and after each remedy that was trained, by its claim."""
    plain, slow, again, second = (
        number(bits(way), 4) for way in ("adam", "momentum", "rematerialised", "second-order")
    )
    same = f"{plain} before, {again} after: {apart(difference('rematerialised'))}"
    other = (
        f"{slow} by momentum and {plain} by AdamW before, {second} after: "
        f"{apart(difference('second-order'))} from AdamW"
    )
    return {
        "rematerialisation_memory": same,
        "rematerialisation_compute": same,
        "second_order_memory": other,
    }
