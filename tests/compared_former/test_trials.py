"""Short trainings compared, in a made-up table and in the report's own."""

import pytest

from analysis.compared import trials
from analysis.compared.training_tables import factor_table
from analysis.measured.byte_trials import EVERY, SEEDS, TRIAL_STEPS, WAYS
from analysis.measured.runs import find_run, load_run
from analysis.published.tables import load_table


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
    assert trials.best_rates(folder) == dict.fromkeys(trials.WAYS, 0.3)
    assert trials.bits("adam", folder) == pytest.approx(3)
    assert trials.difference("second-order", data=folder) == pytest.approx((0.2, 0.2, 0.2))
    assert trials.difference("rematerialised", data=folder) == (0, 0, 0)
    # 3.7 after 50 steps, where momentum ends with 4; AdamW ends with 3.
    assert trials.met_at("second-order", "momentum", folder) == 50
    assert trials.met_at("second-order", "adam", folder) is None
    rows = trials.curves(folder)
    assert list(dict.fromkeys(rows["way"])) == ["momentum", "adam", "second-order"]
    row = rows.set_index(["way", "step"]).loc[("adam", 50)]
    assert row.to_list() == pytest.approx([3.5, 3.4, 3.6])


def test_an_interval_is_students_of_the_pairs(folder):
    path = folder / "models" / "byte_trials.csv"
    path.write_text(path.read_text().replace("adam,0.3,0,100,3.0", "adam,0.3,0,100,2.7"))
    middle, low, high = trials.difference("second-order", data=folder)
    # Differences 0.5, 0.2, 0.2: mean 0.3, standard error 0.1, t of two degrees 4.3027.
    assert (middle, low, high) == pytest.approx((0.3, 0.3 - 0.43027, 0.3 + 0.43027), abs=1e-5)


def test_the_reports_own_table_is_whole():
    rows = load_table("byte_trials")
    for way, (_, rates) in WAYS.items():
        ours = rows[rows["way"] == way]
        assert set(ours.query("seed == 0")["rate"]) == set(rates)
        wanted = {(rate, 0) for rate in rates}
        wanted |= {(trials.best_rates()[way], seed) for seed in range(1, SEEDS)}
        steps = {key: each["step"].to_list() for key, each in ours.groupby(["rate", "seed"])}
        assert steps == dict.fromkeys(wanted, list(range(EVERY, TRIAL_STEPS + 1, EVERY)))
    # What is trained has learnt more than how often each byte occurs.
    assert all(trials.bits(way) < 4.5 for way in WAYS)


def test_chapter_11_says_what_the_table_shows():
    """As much from a step as AdamW, more than momentum; computed again, the same."""
    _, low, high = trials.difference("second-order")
    assert low < 0 < high and trials.difference("second-order", "momentum")[2] < 0
    assert "equal in every digit" in trials.rematerialised_in_words()


def test_quality_is_told_before_and_after_every_remedy_for_training():
    frame = factor_table(load_run(find_run("amd-epyc-2-cores")), "t").frame
    cells = frame["Bits per byte"].to_list()
    assert sum("before" in cell and "after" in cell for cell in cells) == 3
    assert cells[2].startswith("unchanged")
    table = trials.trial_table("t").frame
    assert table["From AdamW"].to_list()[1] == "–" and len(table) == len(WAYS)
