"""A made-up run whose steps are known, and runs that lack or garble them."""

import numpy as np
import pytest

from analysis.compared import drafts, serving, serving_factors, verdicts
from analysis.compared import serving_tables as tables
from analysis.compared.figures import gain_of_fusing, speed_by_format, tokens_by_batch
from analysis.compared.page import Plot
from analysis.measured.runs import Machine, Point, Run
from analysis.predicted.architectures import BERT_BASE, GPT2
from analysis.predicted.operations import FUSED, UNFUSED
from analysis.predicted.roofline import compulsory_bytes
from analysis.predicted.transformer import encoder_pass

MACHINE = Machine(
    device="cpu", device_name="a CPU", cpu="a CPU", cores=2, threads=2, caches={},
    memory_bytes=None, gpu_memory_bytes=None, os="Linux", python="3", torch="2", numpy="2",
    blas="none", fast_paths=[],
)  # fmt: skip
SLOWER = (1.0, 3.0, 1.0, 2.0)  # the machine, from one repetition to the next
BANDWIDTH, PEAK = 1e10, 1e11


def point(key, time, kind="serving", flops=1, bytes=None, **details):
    seconds = [[slow * time for slow in SLOWER]]
    return Point(key=key, kind=kind, seconds=seconds, flops=flops, bytes=bytes, details=details)


def made(*points):
    run = Run.new(MACHINE, "quick")
    run.points = [
        point("bandwidth/sum", 1.0, "ceiling", None, int(BANDWIDTH)),
        point("matmul/float32/1x1x1", 1.0, "ceiling", int(PEAK)),
        *points,
    ]
    return run


def read(name):
    return point(f"serve/{name}/read", 0.01, flops=None, bytes=10**8)


TIMES = {"float32": 0.06, "bfloat16": 0.04, "int8": 0.03, "int8-planes": 0.025,
         "int8-dynamic": 0.02, "int4": 0.015}  # fmt: skip


@pytest.fixture
def run():
    points = [read("weights/gpt2"), read("size"), read("draft/gpt2")]
    for i, (name, time) in enumerate(TIMES.items()):
        details = {"weight_bytes": 4 * 10**8 // 2**i, "error": i / 100}
        points.append(point(f"serve/weights/gpt2/128/{name}", time, **details))
        points.append(point(f"serve/weights/gpt2/512/{name}", time + 0.005, **details))
        points.append(point(f"serve/products/gpt2/{name}", time / 2, **details))
    points += [point(f"serve/attention/gpt2/{n}", n * 1e-5) for n in (128, 512)]
    for context in serving.BATCH_CONTEXTS:
        for n in (16, 1, 2, 4):
            points.append(point(f"serve/batch/gpt2/{context}/{n}", 0.05 + 0.01 * n))
    for n, time in ((12, 0.3), (4, 0.15), (1, 0.1)):
        points.append(point(f"serve/heads/gpt2/{n}", time))
    for n, time in ((1, 0.05), (2, 0.06), (5, 0.1)):
        points.append(point(f"serve/check/gpt2/{n}", time))
    points.append(point("serve/draft/gpt2/step", 0.005))
    for how, time in (("unfused", 0.3), ("fused", 0.2)):
        points.append(point(f"encode/bert-base/512/{how}", time, "latency"))
    for name, arch in serving.SIZES.items():
        points.append(point(f"serve/size/{name}/step", compulsory_bytes(arch, 128) / 5e9))
    points.append(point("serve/size/in-cache/warm", 0.001))
    return made(*points)


def test_formats_are_relative_to_float32_in_their_turn(run):
    rows = serving.formats(run).set_index("format")
    assert list(rows.index) == list(TIMES)
    assert rows["gain"].to_list() == pytest.approx([1, 1.5, 2, 2.4, 3, 4])
    assert rows.loc["int4", ["low", "high"]].to_list() == pytest.approx([4, 4])
    cache = 12 * 2 * 768 * 128 * 4
    assert rows.loc["int8", "predicted"] == pytest.approx(
        (rows.loc["float32", "bytes"]) / rows.loc["int8", "bytes"]
    )
    assert rows.loc["int4", "bytes"] - cache == pytest.approx(
        (rows.loc["float32", "bytes"] - cache) * 4.5 / 32
    )
    # 1e10 bytes/s are read between the steps, 1.5 times the median of whose times is the first.
    share = rows.loc["float32", "bytes"] / (1.5 * 0.06) / (1e10 / 1.5)
    assert rows.loc["float32", "share"] == pytest.approx(share)
    assert rows.loc["int8", "products_share"] == pytest.approx(1e8 / 0.015 / 1e10)


def test_verdicts(run):
    judged = {v.id: v for v in verdicts.all_verdicts(run=run)}
    assert judged["int4_decoding_speed"].ours == pytest.approx(4)
    assert judged["int4_decoding_speed"].verdict == "differs"
    assert judged["smaller_models_decode_faster"].verdict == "reproduced"
    slow = run.point("serve/size/half-depth/step")
    slow.seconds = [[2 * each for each in slow.seconds[0]]]
    assert serving.in_proportion(run) == 0


def test_a_knee_by_hand(run):
    """A sequence adds 0.01 s, one alone takes 0.06 s."""
    rows = serving.crossings(run).set_index("context")
    assert rows["measured"].to_list() == pytest.approx([6, 6])
    assert rows["gain"].to_list() == pytest.approx([16 * 0.06 / 0.21] * 2)
    frame = serving.batches(run, 512)
    assert frame["batch"].to_list() == [1, 2, 4, 16]
    assert np.isnan(rows.loc[512, "by_intensity"]) and rows.loc[64, "by_intensity"] > 1
    assert tables.crossing_table(run, "t").frame["By intensity"].iloc[-1] == "at no batch"


def test_heads_are_relative_to_all_of_them(run):
    rows = serving.heads(run).set_index("kv_heads")
    assert rows["gain"].to_list() == pytest.approx([1, 2, 3])
    assert rows.loc[12, "cache_bytes"] == 12 * rows.loc[1, "cache_bytes"]
    assert rows.loc[12, "predicted"] == 1 < rows.loc[4, "predicted"] < rows.loc[1, "predicted"]


def test_fused_attention_saves_what_the_conventions_say(run):
    row = serving.attention(run).iloc[0]
    assert row["gain"] == pytest.approx(1.5)
    costs = [encoder_pass(BERT_BASE, 512, each)["total"].bytes for each in (FUSED, UNFUSED)]
    assert row["saved"] == 1 - costs[0] / costs[1]


def test_a_draft_with_the_times_of_this_machine(run):
    rows = drafts.foreseen(run, 0.5).set_index("drafted")
    assert list(rows.index) == [1, 4]
    assert rows.loc[1, "tokens"] == 1.5
    assert rows.loc[1, "gain"] == pytest.approx(1.5 / 1.1)
    assert rows.loc[1, "gain_here"] == pytest.approx(1.5 / (0.1 + 1.2))
    assert rows.loc[4, "gain_here"] == pytest.approx(1.9375 / (0.4 + 2))


def test_sentences_tables_and_figures_say_the_numbers(run):
    text = tables.formats_in_words(run)
    for part in ("2.40× (2.40 to 2.40)", "4.00× (4.00 to 4.00)", "are 1.20× as fast", "3.25×"):
        assert part in text
    assert "3.00×" in tables.dynamic_in_words(run)
    assert "1 instead of 12 heads" in tables.heads_in_words(run)
    assert "3.00× (3.00 to 3.00)" in tables.heads_in_words(run)
    assert "1.50× (0.500 to 4.50)" in tables.attention_in_words(run)
    assert "million fits into a cache" in tables.sizes_in_words(run)
    assert "as one" in tables.crossings_in_words(run)
    frame = tables.format_table(run, "t").frame.set_index("Weights")
    assert frame.loc["int4, weights only", "Measured"] == "4.00× (4.00 to 4.00)"
    for table in (tables.heads_table(run, "t"), tables.attention_table(run, "t"),
                  tables.size_table(run, "t"), drafts.draft_table(run, 0.5, "t")):  # fmt: skip
        assert len(table.frame) and not table.frame.isna().any().any()
    frames = {n: serving.batches(run, n) for n in serving.BATCH_CONTEXTS}
    plots = [speed_by_format(serving.formats(run)), tokens_by_batch(frames),
             gain_of_fusing(serving.attention(run))]  # fmt: skip
    assert all(len(plot.data) > 0 and "<svg" in plot.svg() for plot in plots)


def test_what_a_run_lacks_is_said():
    empty = made()
    assert "not measured" in tables.formats_in_words(empty)
    assert "not measured" in tables.dynamic_in_words(empty)
    assert "no batch" in tables.crossings_in_words(empty)
    for words in (tables.heads_in_words, tables.attention_in_words, tables.sizes_in_words):
        assert "measured in this run" in words(empty)
    assert (tables.format_table(empty, "t").frame["Tokens/s"] == "not measured").all()
    for table in (tables.crossing_table, tables.heads_table, tables.attention_table,
                  tables.size_table):  # fmt: skip
        assert table(empty, "t").frame.empty
    assert drafts.draft_table(empty, 0.5, "t").frame.empty
    none = {64: serving.batches(empty, 64)}
    nothing = [speed_by_format(serving.formats(empty)), tokens_by_batch(none),
               gain_of_fusing(serving.attention(empty))]  # fmt: skip
    assert all(isinstance(plot, Plot) for plot in nothing)
    judged = {v.id: v.verdict for v in verdicts.all_verdicts(run=empty)}
    assert judged["int4_decoding_speed"] == judged["smaller_models_decode_faster"] == "not measured"


def test_a_format_without_a_kernel_has_its_reason_in_the_table(run):
    run.points = [p for p in run.points if not p.key.endswith("/int4")]
    run.point("serve/weights/gpt2/128/float32").details["no int4"] = "no kernel | here"
    frame = tables.format_table(run, "t").frame.set_index("Weights")
    assert frame.loc["int4, weights only", "Tokens/s"] == "no kernel | here"


@pytest.mark.parametrize("odd", ["serve/batch/gpt2/64/²", "serve/batch/gpt2/64/0", "serve/batch/x",
                                 "serve/check/gpt2/-1", "serve/check/gpt2/" + "9" * 9])  # fmt: skip
def test_points_that_do_not_belong_there_are_left_out(odd):
    run = made(point("serve/check/gpt2/1", 1.0), point(odd, 1.0))
    assert serving.batches(run, 64).empty and len(drafts.checks(run)) == 1


def test_details_that_are_no_numbers_are_not_used(run):
    run.point("serve/products/gpt2/int8").details["error"] = "none"
    run.point("serve/weights/gpt2/128/int8").details["weight_bytes"] = "many"
    assert np.isnan(serving.formats(run).set_index("format").loc["int8", "products_share"])


def test_the_heads_measured_are_those_of_gpt2():
    assert serving.HEADS[0] == GPT2.n_heads


BYTES = "serve/speculative/byte-decoder"


def drafted(n, time, accepted, examined, checks, equal=1):
    counts = {"accepted": accepted, "examined": examined, "checks": checks}
    return [
        point(f"{BYTES}/{n}", time, drafted=n, equal=equal, **counts),
        point(f"{BYTES}/check-{n}", 0.015),
    ]


def test_drafts_by_hand():
    same = {"agreement": 0.7, "agreement_low": 0.65, "agreement_high": 0.75}
    run = made(
        point(f"{BYTES}/greedy", 1.0, **same),
        *drafted(2, 0.8, accepted=90, examined=150, checks=100),
        *drafted(1, 0.9, accepted=60, examined=100, checks=100),
        point(f"{BYTES}/step", 0.01),
        point(f"{BYTES}/draft-step", 0.004),
    )
    rows = drafts.drafts(run).set_index("drafted")
    assert rows["gain"].to_list() == pytest.approx([1 / 0.9, 1 / 0.8])
    assert rows["acceptance"].to_list() == pytest.approx([0.6, 0.6])
    assert rows["tokens"].to_list() == pytest.approx([1.6, 1.9])
    assert rows["expected"].to_list() == pytest.approx([1.6, 1.96])
    assert rows["predicted"].to_list() == pytest.approx([1.6 / 1.9, 1.96 / 2.3])
    assert rows["equal"].all() and drafts.agreement(run) == (0.7, 0.65, 0.75)
    text = drafts.drafts_in_words(run)
    assert "With 2 drafted" in text and "1.25×" in text and "the same" in text
    assert len(drafts.byte_draft_table(run, "t").frame) == 2
    run.point(f"{BYTES}/2").details["equal"] = 0
    assert "not always the same" in drafts.drafts_in_words(run)


def test_drafts_that_were_not_timed_or_are_garbled_are_left_out():
    empty = made()
    assert "not timed" in drafts.drafts_in_words(empty) and drafts.agreement(empty) is None
    assert "not timed" in drafts.foreseen_in_words(empty, 0.5)
    assert drafts.byte_draft_table(empty, "t").frame.empty
    greedy = point(f"{BYTES}/greedy", 1.0, agreement="high")
    steps = [point(f"{BYTES}/{name}", 0.01) for name in ("step", "draft-step")]
    for counts in ((5, 4, 1), (0, 0, 1), (1, 2, 0), (-1, 2, 1)):
        run = made(greedy, *steps, *drafted(1, 0.9, *counts))
        assert drafts.drafts(run).empty
    assert drafts.agreement(run) is None


def test_foreseen_in_words(run):
    """The best here drafts one token: 1.5 / 1.3; checks as steps would allow 1.9375 / 1.4."""
    text = drafts.foreseen_in_words(run, 0.5)
    assert "1.15× as fast with 1 drafted" in text and "1.38× at best" in text


def test_every_remedy_in_one_table(run):
    rows = serving_factors.factors(run).set_index("remedy")
    assert rows.loc["Weights in INT4", ["paper", "gain"]].to_list() == pytest.approx([8, 4])
    batch = rows.loc["16 sequences at 512 tokens"]
    assert batch[["gain", "low", "high"]].to_list() == pytest.approx([16 * 0.06 / 0.21] * 3)
    assert rows.loc["1 head of keys and values instead of 12", "gain"] == pytest.approx(3)
    assert rows.loc["Fused attention, BERT-Base, 512 tokens", "gain"] == pytest.approx(1.5)
    frame = serving_factors.factor_table(run, "t").frame
    assert len(frame) == len(rows) == 6 and set(frame["Paper"]) == {"8×", "–"}
    assert serving_factors.factor_table(made(), "t").frame.empty
