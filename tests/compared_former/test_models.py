"""Open models: their shapes give their sizes, or the row says why not."""

import pytest

from analysis.compared import models
from analysis.predicted.operations import FUSED
from analysis.published.tables import load_table


def test_shapes_give_the_stated_parameters_or_say_why_not():
    sizes = models.sizes()
    agree = sizes["off"].abs() <= models.TOLERANCE
    assert list(sizes[~agree]["name"]) == list(sizes[sizes["difference"] != ""]["name"])
    assert agree.sum() >= 30


def test_a_row_that_is_off_is_not_counted():
    off = load_table("architectures").query("difference != ''")
    assert len(off) and not set(off["name"]) & set(models.architectures())


# Active parameters as the models' reports state them; the input embedding is looked up, not used.
@pytest.mark.parametrize(
    "name, active",
    [
        ("Mixtral 8x7B", 12.9e9), ("DeepSeek-V2", 21e9), ("DeepSeek-V3", 37e9),
        ("Qwen3-235B-A22B", 22e9), ("Kimi K2", 32.6e9), ("Llama 4 Maverick", 17e9),
        ("gpt-oss-120b", 5.13e9), ("gpt-oss-20b", 3.61e9),
    ],
)  # fmt: skip
def test_active_parameters_are_those_stated(name, active):
    arch = models.architectures()[name]
    least = arch.n_active_parameters - arch.vocab_size * arch.d_model
    assert 0.98 * least <= active <= 1.02 * arch.n_active_parameters


def test_stated_parameters_are_those_of_the_table_of_models():
    stated = load_table("models").query("quantity == 'parameters'").set_index("name")["value"]
    for row in load_table("architectures").itertuples():
        assert stated[row.name] == row.parameters


def test_kinds():
    known = models.shown()
    assert [models.kind(known[name]) for name in models.SHOWN] == [
        "multi-head",
        "multi-head",
        "grouped-query",
        "grouped-query, windows, experts",
        "grouped-query, experts",
        "latent, experts",
    ]


def test_a_token_alone_does_about_one_flop_for_a_byte():
    rows = models.by_context([128])
    assert rows["intensity"].between(0.9, 1.2).all()
    llama = rows[rows["model"] == "Llama 3.1 405B"].iloc[0]
    assert llama["flops"] == pytest.approx(2 * 405.9e9, rel=0.01)
    assert llama["cache"] == 2 * 126 * 2 * 8 * 128 * 128


def test_holders_only_ever_hold_more():
    assert models.holders()["memory"].is_monotonic_increasing
    assert models.holders()["memory"].is_unique


def test_the_largest_that_fits():
    fits = models.largest_that_fits(80e9, 8192)
    bigger = [a for a in models.architectures().values() if a.n_parameters > fits.n_parameters]
    assert all(2 * arch.n_parameters + arch.cached(8192) * 2 > 80e9 for arch in bigger)
    at_4 = models.largest_that_fits(80e9, 8192, FUSED.with_bytes(0.5, 2))
    assert at_4.n_parameters > fits.n_parameters


def test_tables_name_what_no_batch_reaches():
    table = models.batches_table(("H100 SXM5 80GB",), (512, 32768), "tab-x").frame
    assert table["DeepSeek-V3"].iloc[0].endswith("/ never")
