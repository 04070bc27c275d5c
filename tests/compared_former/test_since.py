"""What came after the paper: which rows a fit may use, and that the paper's own fits stay."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.compared import ridges, scaling, sensitivity, since
from analysis.errors import InputError
from analysis.published.tables import DATA, load_table

DENSE = {"peak_fp32", "peak_16bit_dense", "peak_8bit_dense", "peak_4bit_dense"}
# 8-bit rates that are not at most twice the 16-bit ones, by the vendors' own tables
STEEP = {"Trainium 3", "Rubin GPU (VR200 NVL72, per GPU)"}


@pytest.fixture(scope="module")
def variants():
    return sensitivity.variants()


@pytest.fixture
def copy(tmp_path):
    return Path(shutil.copytree(DATA, tmp_path / "data"))


def plant(folder, table, **cells):
    """Change cells of the first row that a fit of peak FLOPS uses, and return its name."""
    file = folder / table
    with open(file, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    used = since.later_points("peak_flops")["name"].iloc[0]
    row = next(r for r in rows if r["name"] == used and r["quantity"] == "peak_16bit_dense")
    row.update(cells)
    with open(file, "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return used, rows.index(row) + 2


def test_every_row_of_every_fit_has_a_source_is_dense_and_verified(variants):
    frames = [v.outcome.points.assign(variant=f"{v.trend}, {v.points}") for v in variants]
    rows = pd.concat([*frames, *(scaling.trend_points(t).assign(status="sourced")
                                 for t in since.SERIES)])  # fmt: skip
    assert len(rows) > 300
    assert rows["source"].str.contains(r"https://\S").all()
    assert (rows["status"] == "sourced").all()
    peaks = rows["quantity"].dropna().loc[lambda q: q.str.startswith("peak")]
    assert set(peaks) <= DENSE
    asked = rows["variant"].fillna("").str.contains("announced")
    assert "announced" not in set(rows[~asked]["stage"].dropna())
    walls = ridges.ridges()
    assert set(walls["stage"]) == {"shipped"}
    doubtful = load_table("accelerators").query("status == 'to_verify'")
    at_4 = walls[walls["bits"] == 4]["name"]
    assert not set(at_4) & set(doubtful[doubtful["quantity"] == "peak_4bit_dense"]["name"])


def test_a_rate_with_sparsity_would_be_seen():
    """Halving the bits at most doubles a dense rate; a rate with sparsity is four times it."""
    table = load_table("accelerators")
    wide = table.pivot(index="name", columns="quantity", values="value")
    ratio = (wide["peak_8bit_dense"] / wide["peak_16bit_dense"]).dropna()
    assert set(ratio[ratio > 2.05].index) == STEEP
    assert not (DATA / "hardware/accelerators.csv").read_text("utf-8").count("sparse,")


@pytest.mark.parametrize("cells", [{"status": "to_verify"}, {"stage": "announced"}])
def test_a_doubtful_or_unshipped_row_leaves_the_fit(copy, cells):
    name, _ = plant(copy, "hardware/accelerators.csv", **cells)
    assert name in set(since.later_points("peak_flops")["name"])
    assert name not in set(since.later_points("peak_flops", copy)["name"])


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
        since.later_points("peak_flops", copy)
    assert str(caught.value).startswith(f"hardware/accelerators.csv, line {line}, ")


def test_the_papers_rows_alone_give_the_papers_numbers_exactly():
    drawn = scaling.fit_trends()
    for trend in since.SERIES:
        alone = since.refit(trend, since.later_points(trend).iloc[:0])
        assert (alone.slope, alone.intercept, alone.n) == (
            drawn[trend].slope, drawn[trend].intercept, drawn[trend].n
        )  # fmt: skip
        assert alone.interval == drawn[trend].interval


def test_later_points_are_later_and_not_the_papers_own():
    for trend, series in since.SERIES.items():
        paper, later = scaling.trend_points(trend), since.later_points(trend)
        assert later["date"].min() > paper["date"].max()
        assert not set(series.same) & set(later["name"])
        assert len(later) == len(set(later["name"]))
        if series.largest_of_year:
            assert later["date"].dt.year.is_unique


def test_largest_of_each_year():
    rows = pd.DataFrame(
        {"date": pd.to_datetime(["2021-01-01", "2021-05-05", "2022-02-02"]), "value": [3, 5, 4]}
    )
    assert list(since.largest_of_each_year(rows)["value"]) == [5, 4]


def test_points_on_the_line_continue_and_points_off_it_slow():
    paper = scaling.trend_points("peak_flops")
    dates = pd.date_range("2023-01-01", periods=8, freq="180D")
    line = since.foretold(paper, pd.DataFrame({"date": dates}))["line"].to_numpy()
    on = since.outcome("peak_flops", pd.DataFrame({"date": dates, "value": line}))
    assert (on.word, on.inside, round(on.ratio, 9)) == ("continued", 8, 1)
    fallen = pd.DataFrame({"date": dates, "value": line[0] * 10 ** -np.arange(8.0)})
    off = since.outcome("peak_flops", fallen)
    assert off.word == "slowed" and off.parting.change < 1 and off.inside < 8
    assert since.outcome("peak_flops", fallen.iloc[:3]).word == "undecided"


def test_what_became_of_the_six_rates():
    found = since.outcomes()
    assert {trend: outcome.word for trend, outcome in found.items()} == {
        "peak_flops": "continued",
        "dram_bandwidth": "continued",
        "interconnect": "undecided",  # two generations
        "accelerator_memory": "continued",
        "transformer_parameters": "slowed",
        "transformer_training_compute": "slowed",
    }
    for trend, outcome in found.items():
        assert not set(outcome.points["name"]) & set(since.left_out(trend)["name"])


def test_ridge_points_are_peak_over_bandwidth():
    """NVIDIA's H100 data sheet: 989.4 TFLOP/s at 16 bits, 1979 at 8, over 3.35 TB/s."""
    h100 = ridges.ridges().query("name == 'H100 SXM5 80GB'").set_index("bits")
    assert h100["value"][16] == pytest.approx(989.4 / 3.35)
    assert h100["value"][8] == pytest.approx(1979 / 3.35)
    assert h100["batch"][16] == pytest.approx(h100["batch"][8], rel=0.01)
    assert ridges.lowest_precision(ridges.ridges())["name"].is_unique


def test_at_one_precision_the_wall_no_longer_rises_as_the_paper_says():
    growths = ridges.growth_choices()
    assert growths["at 16 bits, since the paper"].interval_over(2)[1] < 3.0 / 1.6
    low, high = growths["at the fewest bits of each"].interval_over(2)
    assert low < 3.0 / 1.6 < high


def test_machines_to_compare_with_have_shipped():
    names = set(ridges.shipped_machines()["name"])
    assert {"Xeon Gold 6242", "H100 SXM5 80GB"} <= names
    assert not names & {"Rubin GPU (VR200 NVL72, per GPU)", "M2 Ultra", "EPYC 9654"}


def test_estimates_bound_what_slowed_can_mean():
    """As the chapter says: for size it stands with them, for training compute it does not."""
    assert sensitivity.with_estimates("transformer_parameters").word == "slowed"
    assert sensitivity.with_estimates("transformer_training_compute").word != "slowed"
