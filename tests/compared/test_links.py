"""What the report says of the links of a run that is known in every number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.compared import links
from analysis.compared.page import beside, number, times
from analysis.compared.shown import both
from analysis.errors import InputError
from analysis.measured.run import Missing, find_run, load_run
from analysis.measured.schema import Point

START, RATE = 20e-6, 2e9  # seconds a message, bytes/s of bus bandwidth
SIZES = (8, 2**12, 2**19, 2**21, 2**26)


def link(how: str, size: int, seconds: float, processes: int = 2) -> Point:
    return Point(
        what="link", how=how, n=size, bytes=size, seconds=[[seconds] * 3],
        details={"processes": processes},
    )  # fmt: skip


def tensor(model: str, tokens: int, n: int, seconds: float) -> Point:
    return Point(what="tensor", model=model, tokens=tokens, n=n, seconds=[[seconds] * 3])


def points():
    yield Point(what="bandwidth", how="sum", dtype="float64", bytes=30 * 10**9, seconds=[[1.0] * 3])
    yield Point(what="matmul", how="64x64x64", flops=10**12, seconds=[[1.0] * 3])
    for size in SIZES:
        yield link("all_reduce", size, START + size / RATE)
        yield link("send_recv", size, START / 2 + size / RATE)
    yield tensor("bert-large", 512, 1, 4.0)
    yield tensor("bert-large", 512, 2, 2.5)
    yield tensor("gpt2", 512, 1, 0.02)
    yield tensor("gpt2", 512, 2, 0.03)
    yield tensor("bert-large", 128, 2, 1.0)  # without one process alone


def of(run, *made):
    return run.model_copy(update={"points": list(made)})


@pytest.fixture(scope="module")
def run(reference):
    return of(reference, *points())


def test_bus_bandwidth_of_two_is_message_over_time(run):
    rows = links.messages(run).set_index(["operation", "bytes"])
    found = rows.loc[("all-reduce", 2**26), ["bandwidth", "bandwidth_low", "bandwidth_high"]]
    assert found.to_list() == pytest.approx([2**26 / (START + 2**26 / RATE) / 1e9] * 3)
    assert rows.loc[("send", 8), "bandwidth"] == pytest.approx(8 / (START / 2 + 8 / RATE) / 1e9)
    start, best = links.link_of(run)
    assert start == pytest.approx((START + 8 / RATE) / 2) and best < RATE


@given(st.integers(2, 64), st.integers(8, 2**30), st.floats(1e-6, 10))
def test_the_bandwidth_of_many_is_what_each_sends_over_the_time(reference, n, size, seconds):
    """2 (n - 1) / n of the message, as doc/PERFORMANCE.md of nccl-tests has it."""
    (row,) = links.messages(of(reference, link("all_reduce", size, seconds, n))).itertuples()
    assert row.bandwidth * 1e9 * seconds == pytest.approx(size * 2 * (n - 1) / n, rel=1e-5)


def test_a_slow_end_in_time_is_a_low_end_in_bandwidth(reference):
    slow = Point(what="link", how="send_recv", n=8, bytes=8, seconds=[[1.0, 2.0]],
                 details={"processes": 2})  # fmt: skip
    (row,) = links.messages(of(reference, slow)).itertuples()
    assert (row.low, row.high) == (1, 2)
    assert (row.bandwidth_low * 1e9, row.bandwidth_high * 1e9) == pytest.approx((4, 8))


def test_a_split_model_by_hand(run):
    bert, gpt2 = links.splits(run).itertuples()
    communication = 2 * 24 * (START + 2**21 / RATE)
    assert bert.communication == pytest.approx(communication / 2.5)
    assert bert.predicted_seconds == pytest.approx(2.0 + communication)
    assert bert.predicted == pytest.approx(4 / (2.0 + communication))
    assert bert.bookkeeping == pytest.approx((0.5 - communication) / (6 * 24))
    assert gpt2.communication == pytest.approx(24 * (START + 768 * 4 / RATE) / 0.03)
    assert (bert.speedup, gpt2.speedup) == pytest.approx((1.6, 2 / 3))


def test_a_speed_up_out_of_turn_has_the_drift_of_both_times(run, reference):
    """Two visits that differ by a factor e: drift is 1 / sqrt(2), and so are both intervals."""
    visits = {1: [[1.0], [2.718281828]], 2: [[0.5], [1.359140914]]}
    made = [p for p in points() if p.what == "link"]
    made += [Point(what="tensor", model="gpt2", tokens=512, n=n, seconds=each)
             for n, each in visits.items()]  # fmt: skip
    (row,) = links.splits(of(reference, *made)).itertuples()
    assert row.speedup == pytest.approx(2)
    assert row.speedup_low <= 2 / 2.718 and row.speedup_high >= 2 * 2.718


def test_reference_and_here_stand_beside_each_other(run):
    faster = of(run, *[p for p in points() if p.what != "tensor"], tensor("gpt2", 512, 1, 0.02),
                tensor("gpt2", 512, 2, 0.01))  # fmt: skip
    rows = both(links.splits, {"reference": run, "here": faster})
    frame = beside(rows, ["model", "tokens"], "speedup", "t", "c", show=times).frame
    assert frame["Here"].to_list() == ["–", "2.00×"]
    assert frame["Reference"].str.split(" ").str[0].to_list() == ["1.60×", "0.667×"]


def test_a_run_without_links_is_missing(reference, run):
    for without in (links.messages, links.splits, links.link_of):
        with pytest.raises(Missing):
            without(of(reference))
    sends = [p for p in run.points if p.how != "all_reduce"]
    with pytest.raises(Missing):
        links.splits(of(reference, *sends))
    with pytest.raises(Missing):
        links.splits(of(reference, *[p for p in run.points if p.n != 1 or p.what != "tensor"]))


def test_odd_links_from_elsewhere_are_left_out_or_one_line(reference):
    odd = of(reference, link("gather", 8, 1.0), link("send_recv", 8, 1.0))
    assert links.messages(odd)["operation"].to_list() == ["send"]
    with pytest.raises(InputError, match="a link needs at least 2") as caught:
        links.messages(of(reference, link("all_reduce", 8, 1.0, processes=1)))
    assert "\n" not in str(caught.value)


def test_the_former_reference_says_what_chapter_8_said():
    """As the book printed them before runs were tables."""
    reference = load_run(find_run("amd-epyc-2-cores"))
    start, best = links.link_of(reference)
    assert (number(1e6 * start), number(best / 1e9)) == ("129", "1.54")
    gains = links.splits(reference).set_index(["model", "tokens"])["speedup"].map(times)
    assert (gains["BERT-Large", 512], gains["GPT-2", 128]) == ("1.63×", "0.294×")
