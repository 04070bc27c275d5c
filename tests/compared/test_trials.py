"""Short trainings compared, in made-up tables and in the report's own."""

import pytest

from analysis.compared import quality
from analysis.compared.claims import EITHER
from analysis.published.tables import load_table

WAYS = ("momentum", "adam", "rematerialised", "second-order")


@pytest.fixture
def folder(tmp_path):
    """Bits at steps 50 and 100: with the first seed at two rates, with two more at the better."""
    (tmp_path / "models").mkdir()
    last = {"momentum": 4.0, "adam": 3.0, "rematerialised": 3.0, "second-order": 3.2}
    lines = ["way,rate,seed,step,bits_per_byte"]
    for way, bits in last.items():
        for rate, seed, more in ((0.1, 0, 0.5), (0.3, 0, 0), (0.3, 1, 0.1), (0.3, 2, -0.1)):
            lines += [f"{way},{rate},{seed},{step},{bits + more + (100 - step) / 100}"
                      for step in (50, 100)]  # fmt: skip
    (tmp_path / "models" / "byte_trials.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_ways_are_compared_at_their_best_rates_and_paired_by_seed(folder):
    found = quality.trials(folder)
    assert set(found["rate"]) == {0.3}
    assert quality.last(found, "adam").mean() == pytest.approx(3)
    assert quality.difference(found, "second-order", "adam") == pytest.approx((0.2, 0.2, 0.2))
    assert quality.difference(found, "rematerialised", "adam") == (0, 0, 0)
    rows = quality.curves(found)
    assert list(dict.fromkeys(rows["way"])) == list(WAYS)
    row = rows.set_index(["way", "step"]).loc[("adam", 50)]
    assert row.to_list() == pytest.approx([3.5, 3.4, 3.6])


def test_each_way_has_its_own_best_rate(folder):
    path = folder / "models" / "byte_trials.csv"
    path.write_text(path.read_text().replace("adam,0.1,0,100,3.5", "adam,0.1,0,100,2.9"))
    rates = quality.trials(folder).groupby("way")["rate"].unique().map(list)
    assert rates["adam"] == [0.1] and rates["momentum"] == [0.3]


def test_an_interval_is_students_of_the_pairs(folder):
    path = folder / "models" / "byte_trials.csv"
    path.write_text(path.read_text().replace("adam,0.3,0,100,3.0", "adam,0.3,0,100,2.7"))
    middle, low, high = quality.difference(quality.trials(folder), "second-order", "adam")
    # Differences 0.5, 0.2, 0.2: mean 0.3, standard error 0.1, t of two degrees 4.3027.
    assert (middle, low, high) == pytest.approx((0.3, 0.3 - 0.43027, 0.3 + 0.43027), abs=1e-5)


def test_losses_are_paired_by_seed(tmp_path):
    (tmp_path / "models").mkdir()
    table = ["seed,dtype,step,bits_per_byte"]
    for seed, (plain, cast) in enumerate([(3.0, 3.1), (2.0, 2.1), (4.0, 4.1)]):
        for step in (10, 20):
            table += [f"{seed},float32,{step},{plain}", f"{seed},autocast,{step},{cast}"]
    (tmp_path / "models" / "byte_losses.csv").write_text("\n".join(table) + "\n")
    rows = quality.losses(tmp_path)
    assert quality.difference(rows, "autocast", "float32") == pytest.approx((0.1, 0.1, 0.1))
    curves = quality.curves(rows)
    assert list(dict.fromkeys(curves["way"])) == ["float32", "autocast"]  # solid, then dashed
    assert curves.set_index(["way", "step"]).loc[("float32", 20)].to_list() == [3, 2, 4]


def test_the_reports_own_table_is_whole():
    """Three rates with the first seed, two more seeds at the best, ten scores in 500 steps each."""
    rows, best = load_table("byte_trials"), quality.trials()
    assert set(rows["way"]) == set(WAYS)
    for way in WAYS:
        ours, chosen = rows[rows["way"] == way], best[best["way"] == way]
        assert ours.query("seed == 0")["rate"].nunique() == 3
        (rate,) = chosen["rate"].unique()
        assert set(ours.query("seed > 0")["rate"]) == {rate} and set(chosen["seed"]) == {0, 1, 2}
        steps = [each["step"].to_list() for _, each in ours.groupby(["rate", "seed"])]
        assert steps == [list(range(50, 501, 50))] * 5
        # What is trained has learnt more than how often each byte occurs.
        assert quality.last(best, way).mean() < 4.5


def test_chapter_9_says_what_the_tables_show():
    """As much from a step as AdamW, more than momentum; under autocast as in float32."""
    found, losses = quality.trials(), quality.losses()
    _, low, high = quality.difference(found, "second-order", "adam")
    assert low < 0 < high and quality.difference(found, "second-order", "momentum")[2] < 0
    _, low, high = quality.difference(losses, "autocast", "float32")
    assert low < 0 < high


@pytest.mark.parametrize(
    ("more", "scatter", "ours"), [(0.9, 0.1, 1.0), (0.0, 0.0, 0.0), (0.1, 0.5, EITHER)]
)
def test_eight_bits_are_judged_by_the_interval_of_pairs(tmp_path, more, scatter, ours):
    (tmp_path / "models").mkdir()
    table = ["seed,dtype,step,bits_per_byte"]
    for seed in range(3):
        table += [f"{seed},float32,10,3.0", f"{seed},autocast,10,3.0"]
        table.append(f"{seed},float8,10,{3.0 + more + scatter * (seed - 1)}")
    (tmp_path / "models" / "byte_losses.csv").write_text("\n".join(table) + "\n")
    assert quality.eight_bits_lose(tmp_path) == ours
