"""What the report says of the links of a run that is known in every number."""

import pytest

from analysis.compared import figures, link_checks, links, ranks
from analysis.errors import InputError
from analysis.measured.runs import Machine, Point, Run, now

START, RATE = 20e-6, 2e9  # seconds a message, bytes/s of bus bandwidth


def point(key, seconds, bytes=None):
    return Point(
        key=key, kind="ceiling", seconds=[[seconds] * 3], flops=None, bytes=bytes, details={}
    )


def points():
    for size in (8, 2**12, 2**19, 2**21, 2**26):
        yield point(f"link/all_reduce/2/{size}", START + size / RATE, size)
        yield point(f"link/send_recv/2/{size}", START / 2 + size / RATE, size)
    yield point("tensor/bert-large/512/1", 4.0)
    yield point("tensor/bert-large/512/2", 2.5)
    yield point("tensor/gpt2/512/1", 0.02)
    yield point("tensor/gpt2/512/2", 0.03)
    yield point("tensor/bert-large/128/2", 1.0)  # without one process alone


@pytest.fixture
def run():
    machine = Machine(
        device="cpu", device_name="a", cpu="a", cores=2, threads=1, caches={}, os="x",
        memory_bytes=None, gpu_memory_bytes=None, python="3", torch="2", numpy="2", blas="x",
        fast_paths=[],
    )  # fmt: skip
    return Run(
        schema_version=2, method_version="2", budget="links", machine=machine, started=now(),
        finished=now(), wall_seconds=1.0, points=list(points()), not_measured=[],
    )  # fmt: skip


def test_bus_bandwidth_of_two_is_message_over_time(run):
    rows = links.messages(run).set_index(["operation", "bytes"])
    assert rows.loc[("all_reduce", 2**26), "bandwidth"] == pytest.approx(
        2**26 / (START + 2**26 / RATE)
    )
    assert rows.loc[("send_recv", 8), "bandwidth"] == pytest.approx(8 / (START / 2 + 8 / RATE))
    assert links.link_of(run)[0] == pytest.approx((START + 8 / RATE) / 2)


def test_a_split_model_by_hand(run):
    bert, gpt2 = links.splits(run)
    communication = 2 * 24 * (START + 2**21 / RATE)
    assert bert.communication == pytest.approx(communication)
    assert bert.predicted == pytest.approx(2.0 + communication)
    assert gpt2.rows == 1 and gpt2.communication == pytest.approx(24 * (START + 768 * 4 / RATE))
    text = links.split_table(run, "tab")._repr_mimebundle_()["text/markdown"]
    assert "1\\.60×" in text and "0\\.667×" in text


def test_a_run_without_links_says_so(run):
    empty = run.model_copy(update={"points": []})
    assert 'no links; "make measure-links BUDGET=smoke" adds' in links.links_in_words(empty)
    quick = empty.model_copy(update={"budget": "quick"})
    assert 'BUDGET=quick" adds' in links.links_in_words(quick) and links.link_of(empty) is None
    assert links.splits(empty) == [] and links.messages(empty).empty
    assert figures.bus_bandwidths(links.messages(empty), None).data.shape == (1, 1)
    assert ":name: tab" in links.split_table(empty, "tab")._repr_mimebundle_()["text/markdown"]


@pytest.mark.parametrize(
    "key", ["link/all_reduce/1/8", "link/all_reduce/x/8", "link/send_recv/2/0"]
)
def test_a_link_from_elsewhere_that_is_none_is_one_line(run, key):
    odd = run.model_copy(update={"points": [point(key, 1.0, 8)]})
    with pytest.raises(InputError, match="expected processes and bytes"):
        links.messages(odd)


def test_the_figure_shows_each_message(run):
    plot = figures.bus_bandwidths(links.messages(run), 30e9)
    assert len(plot.data) == 10 and plot.svg().count("<svg") == 1


def checked(run, ratios, checks=("ring_copy",)):
    """The run with checks that take `ratios` times as long as the all-reduces."""
    reduced = [p for p in run.points if p.key.startswith("link/all_reduce")]
    more = [
        point(f"link/{check}/2/{p.bytes}", p.seconds[0][0] * ratio, p.bytes)
        for check in checks
        for p, ratio in zip(reduced, ratios, strict=True)
    ]
    return run.model_copy(update={"points": [*run.points, *more]})


def test_checks_are_compared_by_hand(run):
    found = checked(run, [3.0, 0.5, 1.05, 0.95, 1.2])
    found = checked(found, [1.0, 1.05, 1.0, 1.0, 1.2], ["benchmark"])
    rows = link_checks.checks(found).query("check == 'ring_copy'").set_index("bytes")
    assert rows["ratio"].tolist() == pytest.approx([3.0, 0.5, 1.05, 0.95, 1.2])
    assert (rows["low"] == rows["high"]).all()
    text = link_checks.check_in_words(found)
    assert text.startswith(
        "Bus bandwidth agrees within 10 % with torch's benchmark for 1 of 2 long"
    )
    assert "(ratios 1.00 to 1.20) and 3 of 3 short messages" in text
    assert "bare copies for 1 of 2 long messages (ratios 0.950 to 1.20) and 1 of 3 short" in text
    frame = link_checks.check_table(found, "tab").frame
    assert frame["Bare copies"].iloc[:2].tolist() == [
        "3.00 (3.00 to 3.00)", "0.500 (0.500 to 0.500)",
    ]  # fmt: skip
    assert frame["Benchmark"].iloc[1] == "1.05 (1.05 to 1.05)"
    assert frame["All-reduce (MB/s)"].iloc[-1] == "2,000"


def test_a_run_without_checks_shows_those_of_an_archived_one(run):
    other = checked(run, [2.0] * 5)
    found, whose = link_checks.with_checks(run, {"bare": run, "other": other})
    assert found is other and "archived other" in whose
    assert link_checks.with_checks(other, {"another": other.model_copy()}) == (other, "")
    assert link_checks.with_checks(run, {}) == (run, "")


def test_the_ratio_is_of_neighbours(run):
    """The machine slows tenfold half way; neighbours still agree, medians of unequal halves not."""
    both = {
        "all_reduce": [[1.0, 1.0, 10.0]],
        "ring_copy": [[1.0, 10.0, 10.0]],
    }
    points = [point(f"link/{name}/2/8", 1.0, 8) for name in both]
    for each, seconds in zip(points, both.values(), strict=True):
        each.seconds = seconds
    (row,) = link_checks.checks(run.model_copy(update={"points": points})).itertuples()
    assert row.ratio == 1.0 and row.high == 10.0


def test_a_send_is_compared_with_what_goes_both_ways(run):
    text = link_checks.one_way_in_words(checked(run, [2.0] * 5))
    assert "1.00× the best all-reduce and 2.00× the best plain copies" in text


def test_all_processes_at_once_beside_one_alone(run):
    points = [
        point(f"ranks/{rank}/bandwidth/sum", seconds, 8 * 10**9)
        for rank, seconds in (("alone", 1.0), ("0", 1.6), ("1", 2.0))
    ]
    found = run.model_copy(update={"points": points})
    row = ranks.ranks_table(found, "tab").frame.iloc[0]
    assert row["Processes"] == 2 and row["One alone"] == "8.00"
    assert (row["Slowest"], row["Fastest"], row["Sum"]) == ("4.00", "5.00", "9.00")
    assert row["Sum over one"] == "1.12×"
    assert ranks.ranks_in_words(found) == "Together 2 processes read 1.12× as fast as one alone."
    older = run.model_copy(update={"points": points[1:]})
    assert ranks.ranks_table(older, "tab").frame["Sum over one"].tolist() == ["–"]
    assert "does not have" in ranks.ranks_in_words(older)


def test_a_run_without_checks_or_ranks_says_so(run):
    empty = run.model_copy(update={"points": []})
    assert "nothing to compare" in link_checks.check_in_words(run)
    assert "no sends" in link_checks.one_way_in_words(empty)
    for table in (link_checks.check_table(empty, "tab"), ranks.ranks_table(empty, "tab")):
        assert ":name: tab" in table._repr_mimebundle_()["text/markdown"]
    odd = [point("ranks/x/bandwidth/sum", 1.0, 8), point("ranks/0/matmul/y", 1.0)]
    assert ranks.ranks(run.model_copy(update={"points": odd})) == {}


def test_causes_are_the_ratios_of_long_messages_and_of_the_shortest(run):
    found = checked(run, [1.3, 1.0, 0.7, 0.9, 0.8])
    found = checked(found, [1.5, 1.0, 1.0, 0.9, 0.95], ["ring_sum"])
    assert link_checks.causes(found) == {
        "bare_long": "0.850×", "sums_long": "0.925×", "bare_short": "1.30×",
    }  # fmt: skip
    assert set(link_checks.causes(run).values()) == {"an unknown part"}
