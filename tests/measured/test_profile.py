import json

import pytest
import torch

from analysis.measured import networks, profile, rest
from analysis.measured.breakdown import split, stamped
from analysis.measured.timing import BUDGETS, Clock
from analysis.predicted.architectures import BERT_BASE, BERT_LARGE, GPT2
from analysis.predicted.operations import FUSED, UNFUSED
from analysis.predicted.transformer import CLASSES, decoder_step, encoder_pass, generation

pytestmark = pytest.mark.usefixtures("one_thread")
SIZES = {"n_layers": 2, "d_model": 16, "n_heads": 2, "d_ff": 32, "vocab_size": 50}
TINY = {
    name: arch.replace(n_positions=8, **SIZES)
    for name, arch in (("bert-base", BERT_BASE), ("bert-large", BERT_LARGE), ("gpt2", GPT2))
}


class Ticks(Clock):
    """Each look at it takes a second."""

    def __init__(self):
        super().__init__("cpu")
        self.looks = 0

    def now(self):
        self.looks += 1
        return float(self.looks)


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(profile, "ARCHITECTURES", TINY)
    plan = [
        (model, attention, tuple(n // 64 for n in lengths))
        for model, attention, lengths in profile.PLAN
    ]
    monkeypatch.setattr(profile, "PLAN", plan)
    for name in ("SHORT", "LONG", "CONTEXTS"):
        lengths = getattr(profile, name)
        monkeypatch.setattr(profile, name, tuple(dict.fromkeys(max(1, n // 64) for n in lengths)))
    monkeypatch.setattr(profile, "CHECKED", 8)
    monkeypatch.setattr(profile, "READ_BYTES", 2**12)
    monkeypatch.setattr(rest, "last_level_cache_bytes", lambda device: 2**12)  # to evict from


@pytest.fixture
def tasks():
    return profile.profile_tasks("cpu", BUDGETS["quick"], 1)


def test_the_points(tasks):
    keys = [task.key for task in tasks]
    assert len(keys) == len(set(keys))
    lengths = (128, 256, 512, 1024, 2048, 4096)
    for attention in ("fused", "unfused"):
        for length in lengths:
            assert f"encode/bert-base/{length}/{attention}" in keys
            assert f"encode/bert-large/{length}/{attention}" in keys
        for context in (1, 64, *lengths, 3072):
            assert f"step/gpt2/{context}/{attention}" in keys
    assert keys.index("encode/bert-base/512/fused") < keys.index("encode/bert-base/128/unfused")
    assert keys.index("encode/bert-large/512/fused") < keys.index("encode/bert-base/1024/fused")
    assert "check/gpt2/512/loop" in keys


def test_tasks_tell_what_they_need(tasks):
    known = {task.key: task for task in tasks}
    assert {task.kind for task in tasks} == {"ceiling", "latency", "step", "check"}
    assert all(task.estimate_seconds > 0 and isinstance(task.memory_bytes, int) for task in tasks)
    least = BERT_LARGE.n_parameters * 4 + 3 * 16 * 4096**2 * 4  # weights, three copies of scores
    assert known["encode/bert-large/4096/unfused"].memory_bytes > least
    assert known["encode/bert-large/512/fused"].memory_bytes < BUDGETS["smoke"].memory_bytes
    long, short = (known[f"encode/bert-large/{n}/fused"] for n in (4096, 512))
    assert long.estimate_seconds > 8 * short.estimate_seconds


def test_every_point_carries_the_predicted_counts(tiny, tasks, monkeypatch):
    built = []
    for name in ("Encoder", "Decoder"):
        cls = getattr(networks, name)
        monkeypatch.setattr(
            networks, name, lambda arch, *a, cls=cls, **k: built.append(arch) or cls(arch, *a, **k)
        )
    count = {
        "encode": encoder_pass, "step": decoder_step, "check": generation,
        ("breakdown", "bert-base"): encoder_pass, ("breakdown", "gpt2"): decoder_step,
    }  # fmt: skip
    tasks = profile.profile_tasks("cpu", BUDGETS["quick"].__class__("none", 1, None, 0, 0), 1)
    measured = {}
    for task in tasks:
        point = task.run(0.0)
        measured |= {task.key: (task.kind, point)} | point.beside
    for key, (kind, point) in measured.items():
        if kind == "ceiling":  # see test_rest.py
            assert key.startswith(("other/float32/", "read/gpt2/")) and point.bytes > 0
            continue
        prefix, model, length, last = key.split("/")
        fused = last in ("fused", "loop", "sampled")
        name, convention = ("total", FUSED if fused else UNFUSED)
        if prefix == "breakdown":
            name, prefix = last, (prefix, model)
            assert measured[point.details["whole"]][1].sample.n == point.sample.n
        cost = count[prefix](TINY[model], int(length), convention)[name]
        assert (point.flops, point.bytes) == (cost.flops, cost.bytes), key
        assert point.details["weights"] == "warm" and point.details["dtype"] == "float32"
        json.dumps(point.details)
    for attention in ("fused", "unfused"):
        assert {f"step/gpt2/8/{attention}", f"read/gpt2/8/{attention}"} <= set(measured)
    for model in ("bert-base", "gpt2"):
        assert {f"breakdown/{model}/8/{name}" for name in CLASSES} <= set(measured)
    whole = [arch for arch in built if arch.n_layers > 1]
    assert len(whole) <= len(profile.PLAN)  # not one a point


def test_other_data_types_have_keys_of_their_own(monkeypatch):
    keys = {task.key for task in profile.profile_tasks("cuda", BUDGETS["quick"], 1)}
    assert {f"step/gpt2/512/fused{end}" for end in ("", "/bfloat16", "/float16")} <= keys
    assert "step/gpt2/512/unfused/float16" not in keys


@pytest.mark.parametrize("model", ["bert-base", "gpt2"])
def test_every_moment_of_a_pass_is_in_one_class(model):
    arch, clock = TINY[model], Ticks()
    if model == "gpt2":
        network, token = networks.Decoder(arch, "unfused"), torch.zeros(1, 1, dtype=torch.int64)
        work = lambda: network.step(token, 5)  # noqa: E731
    else:
        network, token = networks.Encoder(arch, "unfused"), torch.zeros(1, 4, dtype=torch.int64)
        work = lambda: network(token)  # noqa: E731
    parts = split(work, clock)
    # Between two looks a second passes: one in each matmul, one before each and one at the end.
    matmuls = {"mha_projections": 4 * 2, "act_to_act": 2 * 2, "ffn_projections": 2 * 2 + 1}
    assert parts == matmuls | {"other": sum(matmuls.values()) + 1}
    assert sum(parts.values()) == clock.looks - 1 - 2  # from the first mark to the last


def test_stamps_leave_nothing_behind():
    before = networks.Linear.__call__, torch.matmul
    with pytest.raises(RuntimeError), stamped(lambda name: None):
        assert networks.Linear.__call__ is not before[0]
        raise RuntimeError
    assert (networks.Linear.__call__, torch.matmul) == before
