"""Qualities and pruned steps in a run that is made up, and in the reference."""

import pytest

from analysis.compared import quality
from analysis.compared.claims import judge, ours
from analysis.errors import InputError
from analysis.measured.schema import Point
from analysis.predicted.architectures import BYTE_DECODER, GPT2
from analysis.predicted.footprint import smaller
from analysis.predicted.pruning import layer_weights, sparse_bytes
from analysis.published.claims import load_claims

# Bits more per byte, by how and n, of a decoder that needs two before.
WORSE = {
    ("none", 0): 0.0, ("bfloat16", 0): 0.001, ("int row", 8): 0.002, ("int row", 4): 0.3,
    ("int group", 4): 0.1, ("int activations", 8): 0.004, ("structured", 30): 0.5,
    ("unstructured", 80): 1.5, ("tuned", 0): 0.0, ("tuned structured", 30): 0.2,
    ("tuned unstructured", 80): 0.02,
}  # fmt: skip
GAINS = {
    ("structured", 0): 1.0, ("structured", 50): 1.5, ("zeros", 0): 1.0, ("zeros", 90): 1.01,
    ("csr", 50): 0.4, ("csr", 80): 0.9, ("csr", 90): 1.2,
}  # fmt: skip


def scored(how: str, n: int, more: float, **changes) -> Point:
    details = {"bits_per_byte": 2 + more, "bits_low": 1.9 + more, "bits_high": 2.1 + more}
    details |= {"difference": more, "difference_low": more - 0.01, "difference_high": more + 0.01}
    details |= {"weight_bytes": 1000 if how == "int group" else 6000}
    details |= {"sparse_bytes": 4000} if how == "unstructured" else {}
    return Point(what="quality", model="byte-decoder", how=how, n=n, seconds=[[1.0]],
                 details=details | changes)  # fmt: skip


def stepped(how: str, n: int, gain: float) -> Point:
    left = {"structured": 1 - n / 100, "zeros": 1, "csr": 2 * (1 - n / 100)}[how]
    return Point(what="prune", model="gpt2", tokens=128, how=how, n=n, bytes=round(1e8 * left),
                 turn="structured" if how == "structured" else "zeros",
                 seconds=[[slow / gain for slow in (1.0, 2.0, 4.0)]])  # fmt: skip


@pytest.fixture
def run(reference):
    points = [scored(*key, more) for key, more in WORSE.items()]
    points += [stepped(*key, gain) for key, gain in GAINS.items()]
    return reference.model_copy(update={"points": points})


def test_scores_have_names_and_times_the_bits(run):
    rows = quality.scores(run)
    assert list(zip(rows["how"], rows["n"], strict=True))[:4] == [
        ("none", 0), ("bfloat16", 0), ("int row", 4), ("int row", 8),
    ]  # fmt: skip
    assert rows["remedy"].is_unique
    rows = rows.set_index(["how", "n"])
    assert rows.loc[("int group", 4), "remedy"] == "a scale for 32 inputs: 4 bits"
    assert rows.loc[("tuned structured", 30), "family"] == "heads and neurons, tuned"
    ends = ["more", "more_low", "more_high"]
    assert rows.loc[("int row", 4), ends].to_list() == pytest.approx([1.15, 1.145, 1.155])


def test_sizes_are_those_of_sparse_rows_where_there_are_zeros(run):
    rows = quality.scores(run).set_index(["how", "n"])["smaller"]
    assert rows["int group", 4] == 6
    assert rows["unstructured", 80] == rows["tuned unstructured", 80] == 1.5
    assert rows["tuned structured", 30] == rows["none", 0] == 1


def test_every_remedy_of_the_reference_has_a_name_of_its_own(reference):
    rows = quality.scores(reference)
    assert len(rows) == len(reference.rows("quality", model="byte-decoder"))
    assert rows["remedy"].is_unique


def test_a_run_with_few_remedies_has_their_rows(run):
    """As one of a brief budget, without zeros."""
    run.points = [
        each for each in run.points if each.how in ("none", "int row", "tuned structured")
    ]
    rows = quality.scores(run)
    assert len(rows) == 4 and rows["sparse_bytes"].isna().all()


def test_claims_are_put_to_the_decoder(run):
    found = {id: judge(claim, ours(claim, run if claim.basis == "machine" else None))
             for id, claim in load_claims().items() if id in ("int8_quality", "int4_size",
             "structured_pruning", "unstructured_pruning")}  # fmt: skip
    assert found == {
        "int8_quality": "reproduced", "int4_size": "reproduced", "structured_pruning": "differs",
        "unstructured_pruning": "undecided",  # 1.01, with an interval across it
    }  # fmt: skip
    run.points = []
    assert ours(load_claims()["int8_quality"], run) is None


def test_sizes_by_arithmetic_are_those_of_the_tensors(reference):
    """Of the trained decoder, as the reference stored them; torch's sparse rows have a few zeros
    less than asked for, where magnitudes are the same."""
    rows = quality.scores(reference).set_index(["how", "n"])["smaller"]
    sizes = {how: rows.loc[how] for how in ("int row", "int group", "structured", "unstructured")}
    assert all(len(each) for each in sizes.values())
    for how, each in sizes.items():
        for n, measured in each.items():
            by_hand = smaller(how, n, BYTE_DECODER)
            assert by_hand == pytest.approx(measured, rel=1e-4), (how, n)


def test_smaller_by_hand():
    """Scales, embeddings and the numbers of columns are counted."""
    shapes = [(2304, 768), (768, 768), (3072, 768), (768, 3072)] * 12 + [(50257, 768)]
    saved = sum(3 * n * m - 2 * n for n, m in shapes)
    by_hand = 1 / (1 - saved / (4 * GPT2.n_parameters))
    assert smaller("int row", 8, GPT2) == pytest.approx(by_hand)
    saved = sum(3.5 * n * m - 2 * n * m / 32 for n, m in shapes)
    assert quality.int4_smaller() == pytest.approx(1 / (1 - saved / (4 * GPT2.n_parameters)))
    layers, _ = layer_weights(BYTE_DECODER)
    left = 4 * (BYTE_DECODER.n_parameters - layers) + sparse_bytes(BYTE_DECODER, 0.8)
    found = smaller("unstructured", 80, BYTE_DECODER)
    assert found == pytest.approx(4 * BYTE_DECODER.n_parameters / left)
    assert 1.2 < smaller("structured", 30, BYTE_DECODER) < 1 / 0.7
    with pytest.raises(InputError, match="'tuned'"):
        smaller("tuned", 0, GPT2)


def test_steps_are_over_the_whole_model_of_their_turn(run):
    rows = quality.steps(run).set_index(["how", "n"])
    for key, gain in GAINS.items():
        assert rows.loc[key, ["gain", "gain_low", "gain_high"]].to_list() == pytest.approx(
            [gain] * 3
        )
    assert rows.loc[("structured", 50), "predicted"] == 2
    assert rows.loc[("zeros", 90), "predicted"] == 1
    assert rows["predicted"].loc["csr"].to_dict() == pytest.approx({50: 1, 80: 2.5, 90: 5})


def test_steps_without_the_whole_model_say_nothing(run):
    run.points = [each for each in run.points if (each.how, each.n) != ("structured", 0)]
    assert "structured" not in set(quality.steps(run)["how"])


def test_the_bytes_of_pruned_steps_follow_from_shapes(reference):
    """At half of heads and neurons: 6 of 12 heads, 1,536 of 3,072 neurons."""
    rows = quality.steps(reference).set_index(["how", "n"])
    half = 4 * (12 * (3 * 384 * 768 + 384 * 768 + 2 * 1536 * 768) + 50257 * 768)
    whole = 4 * (12 * 12 * 768**2 + 50257 * 768)
    cache = 12 * 2 * 768 * 128 * 4
    # Activations, embeddings and norms are a half per cent of a step.
    assert rows.loc[("structured", 50), "predicted"] == pytest.approx(
        (whole + cache) / (half + cache / 2), rel=5e-3
    )
