"""Open models: their shapes give their sizes, or the row says why not."""

import shutil

import numpy as np
import pandas as pd
import pytest

from analysis.compared import models
from analysis.predicted.chips import model_named, open_models
from analysis.published.tables import DATA, load_table

CHIP, CONTEXT = models.accelerator("B200 (HGX/DGX)"), 4096


@pytest.fixture(scope="module")
def served():
    return models.served(CHIP, CONTEXT)


def test_shapes_give_the_stated_parameters_or_say_why_not(served):
    agree = (served["counted"] / served["stated"] - 1).abs() <= models.TOLERANCE
    assert list(served[~agree]["model"]) == list(served[served["difference"] != ""]["model"])
    assert agree.sum() >= 30


def test_a_row_that_is_off_is_not_counted(served):
    off = served[served["difference"] != ""]
    assert len(off) and not set(off["model"]) & set(open_models())
    assert off[["flops", "bytes", "batch", "chips"]].isna().all(axis=None)


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
    arch = model_named(name)
    least = arch.n_active_parameters - arch.vocab_size * arch.d_model
    assert 0.98 * least <= active <= 1.02 * arch.n_active_parameters


def test_stated_parameters_are_those_of_the_table_of_models():
    stated = load_table("models").query("quantity == 'parameters'").set_index("name")["value"]
    for row in load_table("architectures").itertuples():
        assert stated[row.name] == row.parameters


def test_the_drawn_models_are_of_each_kind():
    drawn = models.drawn()
    assert tuple(drawn) == models.DRAWN
    assert drawn["OPT-175B"].n_kv_heads == drawn["OPT-175B"].n_heads
    assert drawn["Llama 3.1 405B"].n_kv_heads < drawn["Llama 3.1 405B"].n_heads
    assert drawn["gpt-oss-120b"].window and drawn["Qwen3-235B-A22B"].experts
    assert drawn["DeepSeek-V3"].latent and not drawn["GPT-2"].latent


def test_a_token_alone_does_about_one_flop_for_a_byte():
    rows = models.costs(np.array([128]))
    assert rows["intensity"].between(0.9, 1.2).all()
    llama = rows[rows["model"] == "Llama 3.1 405B"].iloc[0]
    assert llama["flops"] == pytest.approx(2 * 405.9e9, rel=0.01)
    assert llama["cache"] == 2 * 126 * 2 * 8 * 128 * 128


def test_a_batch_shares_the_weights_and_no_cache():
    """Bytes of a token: a share of the weights, and what is its own."""
    rows = models.costs(CONTEXT, np.array([1, 2, 4])).set_index(["model", "batch"])["bytes"]
    one, two, four = (rows["Llama 3.1 405B", batch] for batch in (1, 2, 4))
    assert (one - two) == pytest.approx(2 * (two - four))
    assert 2 * (one - two) == pytest.approx(2 * 405.9e9, rel=0.01)  # the weights, 2 bytes each


def test_the_batch_of_the_ridge_reaches_it_and_one_less_does_not(served):
    row = served.set_index("model").loc["Llama 3.1 405B"]
    at = models.costs(CONTEXT, np.array([row["batch"] - 1, row["batch"]], int))
    at = at[at["model"] == "Llama 3.1 405B"]["intensity"].to_numpy()
    assert at[0] < CHIP["value"] <= at[1]
    held = 2 * 405_853_388_800 + row["batch"] * CONTEXT * row["cache"]
    assert row["chips"] == np.ceil(held / CHIP["memory"])
    assert served[served["batch"].isna() & (served["difference"] == "")]["chips"].isna().all()


def test_a_new_model_is_a_row(tmp_path):
    """A stranger's model: one row more in a copy of the data."""
    data = shutil.copytree(DATA, tmp_path / "data", ignore=shutil.ignore_patterns("*.safetensors"))
    path = data / "models" / "architectures.csv"
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    new = rows[rows["name"] == "Llama 3 8B"].assign(name="Mine 8B")
    pd.concat([rows, new]).to_csv(path, index=False)
    found = models.served(CHIP, CONTEXT, data).set_index("model")
    assert found.loc["Mine 8B", "flops"] == found.loc["Llama 3 8B", "flops"]
