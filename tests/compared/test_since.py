"""What came after the paper: which rows a fit may use, and that the paper's own fits stay."""

import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from drawing import outputs
from scipy import stats

from analysis.compared import growth, ridges
from analysis.compared.claims import judge, ours
from analysis.errors import InputError
from analysis.published.claims import load_claims
from analysis.published.tables import DATA, load_table

NOTEBOOK = DATA.parent / "notebooks" / "03_since_the_paper.md"
DENSE = {"peak_fp32", "peak_16bit_dense", "peak_8bit_dense", "peak_4bit_dense"}
# 8-bit rates that are not at most twice the 16-bit ones, by the vendors' own tables
STEEP = {"Trainium 3", "Rubin GPU (VR200 NVL72, per GPU)"}


@pytest.fixture(scope="module")
def found():
    return growth.outcomes()


@pytest.fixture(scope="module")
def used():
    """The later points of each fit of `outcomes`, and of each other choice of the chapter's."""
    kept, compare = [], growth.outcome

    def keep(trend, later, paper):
        kept.append(later)
        return compare(trend, later, paper)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growth, "outcome", keep)
        growth.outcomes()
        assert len(kept) == len(growth.LATER)
        outputs(NOTEBOOK)
    return kept


@pytest.fixture
def copy(tmp_path):
    return Path(shutil.copytree(DATA, tmp_path / "data"))


def plant(folder, table, **cells):
    """Change cells of the first row that a fit of peak FLOPS uses, and return its name."""
    file = folder / table
    with open(file, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    name = growth.later_points("peak_flops")["name"].iloc[0]
    row = next(r for r in rows if r["name"] == name and r["quantity"] == "peak_16bit_dense")
    row.update(cells)
    with open(file, "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return name, rows.index(row) + 2


def test_every_row_of_every_fit_has_a_source_is_dense_and_verified(used):
    rows = pd.concat(used)
    assert len(rows) > 250
    assert rows["source"].str.contains(r"https://\S").all()
    assert DENSE == set(rows["quantity"][rows["quantity"].str.startswith("peak")])
    # Two say what estimates would change, three what announced chips would; no other has such.
    guessed = [each for each in used if not (each["status"] == "sourced").all()]
    assert [each["unit"].iloc[0] for each in guessed] == ["FLOP", "parameters"]
    assert sum("announced" in set(each.get("stage", [])) for each in used) == 3
    for trend in growth.LATER:
        assert growth.trend_points(trend)["source"].str.contains(r"https://\S").all()


def test_a_rate_with_sparsity_would_be_seen():
    """Halving the bits at most doubles a dense rate; a rate with sparsity is four times it."""
    table = load_table("accelerators")
    wide = table.pivot(index="name", columns="quantity", values="value")
    ratio = (wide["peak_8bit_dense"] / wide["peak_16bit_dense"]).dropna()
    assert set(ratio[ratio > 2.05].index) == STEEP
    assert not (DATA / "hardware/accelerators.csv").read_text("utf-8").count("sparse,")


@pytest.mark.parametrize("cells", [{"status": "to_verify"}, {"stage": "announced"}])
def test_a_doubtful_or_unshipped_row_leaves_the_fit_and_is_drawn_hollow(copy, cells):
    name, _ = plant(copy, "hardware/accelerators.csv", **cells)
    for data in (None, copy):
        row = growth.later_facts("peak_flops", data).query("name == @name")
        assert row["used"].tolist() == [data is None]
        assert (name in set(growth.later_points("peak_flops", data)["name"])) == (data is None)
    whole = {bits for bits in ridges.ridges().query("name == @name")["bits"]}
    assert whole - {*ridges.ridges(copy).query("name == @name")["bits"]} == {16}


@pytest.mark.parametrize(
    "cells, told",
    [
        ({"source": ""}, "column source: expected a value"),
        ({"source": "a colleague"}, "column source: expected text like"),
        ({"quantity": "peak_16bit_sparse"}, "column quantity: expected one of"),
        ({"status": ""}, "column status: expected a value"),
        ({"stage": "soon"}, "column stage: expected one of"),
        ({"value": "-1"}, "column value: expected at least"),
    ],
)
def test_a_row_without_source_or_not_dense_is_a_fault(copy, cells, told):
    _, line = plant(copy, "hardware/accelerators.csv", **cells)
    with pytest.raises(InputError, match=told) as caught:
        growth.later_points("peak_flops", copy)
    assert str(caught.value).startswith(f"hardware/accelerators.csv, line {line}, ")


def test_the_papers_points_alone_give_the_papers_numbers_exactly(found):
    drawn = growth.fit_trends()
    for row in found.itertuples():
        low, high = drawn[row.trend].interval_over(2)
        assert (row.paper, row.paper_low, row.paper_high) == (drawn[row.trend].over(2), low, high)


def test_later_points_alone_give_the_rate_and_all_together_the_pooled_one(found):
    """Slope and interval by numpy's and scipy's own regressions, over points put together here."""
    for row in found.itertuples():
        paper, later = growth.trend_points(row.trend), growth.later_points(row.trend)
        both = pd.concat([paper, later])
        years = (both["date"] - both["date"].min()).dt.days / 365.25
        slope = np.polyfit(years, np.log10(both["value"]), 1)[0]
        assert row.pooled == pytest.approx(10 ** (2 * slope), rel=1e-9)
        if row.later < growth.FEWEST:
            assert growth.refitted(trend=row.trend) is None and np.isnan(row.value)
            continue
        years = (later["date"] - later["date"].min()).dt.days / 365.25
        line = stats.linregress(years, np.log10(later["value"]))
        reach = stats.t.ppf(0.975, len(later) - 2) * line.stderr
        ends = [10 ** (2 * (line.slope + side * reach)) for side in (0, -1, 1)]
        assert growth.refitted(trend=row.trend) == pytest.approx(ends, rel=1e-9)
        assert (row.value, row.value_low, row.value_high) == pytest.approx(ends, rel=1e-9)


def test_later_points_are_later_and_not_the_papers_own():
    for trend in growth.LATER:
        paper, later = growth.trend_points(trend), growth.later_points(trend)
        assert later["date"].min() > paper["date"].max()
        assert not set(growth.DRAWN.get(trend, ())) & set(later["name"])
        assert later["name"].is_unique
    for trend in ("transformer_parameters", "transformer_training_compute"):
        assert growth.later_points(trend)["date"].dt.year.is_unique


def test_what_the_paper_draws_already_is_known_by_its_name():
    """A name that is in no table would leave nothing out."""
    for trend, drawn in growth.DRAWN.items():
        table, quantity, *_ = growth.LATER[trend]
        assert set(drawn) <= set(growth.facts(table, quantity=quantity)["name"])


def test_largest_of_each_year():
    rows = pd.DataFrame(
        {"date": pd.to_datetime(["2021-01-01", "2021-05-05", "2022-02-02"]), "value": [3, 5, 4]}
    )
    assert list(growth.largest_of_each_year(rows)["value"]) == [5, 4]


def test_points_on_the_line_continue_and_points_off_it_slow():
    paper = growth.trend_points("peak_flops")
    dates = pd.DataFrame({"date": pd.date_range("2023-01-01", periods=8, freq="180D")})
    line = growth.foretold(paper, dates)["line"].to_numpy()
    on = growth.outcome("peak_flops", dates.assign(value=line), paper)
    assert (on["so_it"], on["inside"], round(on["ratio"], 9)) == ("continued", 8, 1)
    assert on["value"] == pytest.approx(on["paper"]) == pytest.approx(on["pooled"])
    fallen = dates.assign(value=line[0] * 10 ** -np.arange(8.0))
    off = growth.outcome("peak_flops", fallen, paper)
    assert off["so_it"] == "slowed" and off["inside"] < 8
    risen = growth.outcome("peak_flops", dates.assign(value=line * 9 ** np.arange(8.0)), paper)
    assert risen["so_it"] == "quickened"
    beside = growth.outcome("peak_flops", dates.assign(value=line * 1e3), paper)
    assert (beside["so_it"], beside["inside"]) == ("continued", 0)  # as steep, but off the line
    few = growth.outcome("peak_flops", fallen.iloc[:2], paper)
    assert few["so_it"] == "too few points" and np.isnan(few["value"])


def grown(rows: pd.DataFrame, factor: float) -> pd.DataFrame:
    """`rows` with their scatter about their own line, and growth of `factor` in two years."""
    if len(rows) < growth.FEWEST:
        return rows
    own = growth.fit(rows)
    years = (rows["date"] - rows["date"].min()).dt.days / 365.25
    return rows.assign(
        value=rows["value"] / own.at(rows["date"].to_numpy()) * factor ** (years / 2)
    )


def test_a_rate_that_stopped_or_halved_is_not_called_continued_however_high_its_points_lie():
    """The pooled fit would call it so: it follows the level that the later points start from."""
    for trend in growth.LATER:
        paper, later = growth.trend_points(trend), growth.later_points(trend)
        if len(later) < growth.FEWEST:
            continue
        rate = load_claims()[f"{trend}_to_2026"].value
        for factor in (1.0, rate**0.5, 0.5):
            flat = grown(later, factor)
            flat["value"] *= later["value"].median() / flat["value"].median()
            assert growth.outcome(trend, flat, paper)["so_it"] != "continued", (trend, factor)


@pytest.mark.parametrize("id", [id for id in load_claims() if re.search("years$|_to_2026$", id)])
def test_no_verdict_on_a_trend_is_one_that_shuffled_or_trendless_data_would_get(id, monkeypatch):
    """Reproduced is none whose dates were shuffled, or that grows no more; differs is none that
    grew at the paper's rate."""
    claim, random = load_claims()[id], np.random.default_rng(5)
    shuffled = lambda rows: rows.assign(value=random.permutation(rows["value"]))  # noqa: E731
    worlds = {"shuffled": shuffled, "flat": lambda rows: grown(rows, 1.0)}
    years = 20 if "twenty" in id else 2
    worlds["as the paper says"] = lambda rows: exact(rows, claim.value ** (2 / years))
    words = {}
    for world, change in worlds.items():
        with monkeypatch.context() as patch:
            for name in ("trend_points", "later_points"):
                if name.startswith("later") == id.endswith("_to_2026"):
                    before = getattr(growth, name)
                    patch.setattr(growth, name, lambda *a, b=before, c=change: c(b(*a)))
            before = ridges.choices
            patch.setattr(ridges, "choices", lambda *a, b=before, c=change: {
                name: c(rows) for name, rows in b(*a).items()})  # fmt: skip
            words[world] = judge(claim, ours(claim, None))
    if set(words.values()) != {"not measured"}:
        assert "reproduced" not in (words["shuffled"], words["flat"]), words
        assert words["as the paper says"] == "reproduced"


def exact(rows: pd.DataFrame, factor: float) -> pd.DataFrame:
    """`rows` on a line that grows by `factor` in two years."""
    return rows.assign(value=factor ** ((rows["date"] - rows["date"].min()).dt.days / 365.25 / 2))


def test_how_often_each_word_is_given_where_the_truth_is_known():
    """Continued in at most 5 % of the worlds where growth stopped or halved; never differs in more
    than 5 % of those where it went on: each interval misses in 5 % of cases."""
    rows = growth.powers()
    assert set(rows["world"]) == {"went on", "halved", "stopped"} and len(rows) >= 12
    wrong = rows[rows["world"] != "went on"]
    assert wrong["reproduced"].max() <= 0.05
    assert rows[rows["world"] == "went on"]["differs"].max() <= 0.05
    assert (rows[["reproduced", "undecided", "differs"]].sum(axis="columns") - 1).abs().max() < 1e-9
    # Where growth is great beside the scatter, the test tells; a test that says nothing says this.
    size = rows[rows["trend"] == "transformer_parameters"].set_index("world")
    assert size["reproduced"]["went on"] > 0.9 and size["differs"]["stopped"] > 0.9
