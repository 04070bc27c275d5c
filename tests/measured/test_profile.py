import json
from functools import partial
from math import prod

import pytest
import torch

from analysis.measured import networks, parts, profile, works
from analysis.measured.parts import MATMUL, PROJECTION, products_of, replayed, split
from analysis.measured.timing import BUDGETS, Budget, Clock, Key
from analysis.predicted.architectures import BERT_BASE, BERT_LARGE, GPT2
from analysis.predicted.operations import FUSED, UNFUSED
from analysis.predicted.roofline import pieces
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
        (model, attention, tuple(dict.fromkeys(max(1, n // 64) for n in lengths)))
        for model, attention, lengths in profile.PLAN
    ]
    monkeypatch.setattr(profile, "PLAN", plan)
    monkeypatch.setattr(profile, "SHORT_STEPS", (1, 2, 4, 8))
    monkeypatch.setattr(profile, "CHECKED", 8)
    for module in (profile, works):
        monkeypatch.setattr(module, "READ_BYTES", 2**12)
    monkeypatch.setattr(parts, "last_level_cache_bytes", lambda device: 2**12)  # to evict from


@pytest.fixture
def tasks():
    return profile.profile_tasks("cpu", BUDGETS["quick"], 1)


def test_the_points(tasks):
    keys = [task.key for task in tasks]
    assert len(keys) == len(set(keys))
    lengths = (128, 256, 512, 1024, 2048, 4096)
    for how in ("fused", "unfused"):
        for n in lengths:
            assert Key("encode", "bert-base", n, how=how) in keys
            assert Key("encode", "bert-large", n, how=how) in keys
        for n in (1, 64, *lengths, 3072):
            assert Key("step", "gpt2", n, how=how) in keys
    place = {str(key): i for i, key in enumerate(keys)}
    assert place["encode bert-base 512 fused"] < place["encode bert-base 128 unfused"]
    assert place["encode bert-large 512 fused"] < place["encode bert-base 1024 fused"]
    assert Key("generation", "gpt2", 512, how="loop") in keys


def test_a_brief_budget_has_what_the_first_numbers_are_made_of():
    keys = [str(task.key) for task in profile.profile_tasks("cpu", BUDGETS["smoke"], 1)]
    assert keys == [
        *(f"encode bert-base {n} fused" for n in (128, 256, 512)),
        *(f"step gpt2 {n} fused" for n in (1, 64, 128, 256, 512)),
        "encode bert-base 128 unfused", "encode bert-base 512 unfused", "step gpt2 128 unfused",
    ]  # fmt: skip


def test_tasks_tell_what_they_need(tasks):
    known = {str(task.key): task for task in tasks}
    assert all(task.estimate_seconds > 0 and isinstance(task.memory_bytes, int) for task in tasks)
    least = BERT_LARGE.n_parameters * 4 + 3 * 16 * 4096**2 * 4  # weights, three copies of scores
    assert known["encode bert-large 4096 unfused"].memory_bytes > least
    assert known["encode bert-large 512 fused"].memory_bytes < BUDGETS["smoke"].memory_bytes
    long, short = (known[f"encode bert-large {n} fused"] for n in (4096, 512))
    assert long.estimate_seconds > 8 * short.estimate_seconds


def test_every_point_carries_the_predicted_counts(tiny, tasks, new_run, as_archived, monkeypatch):
    built = []
    for name in ("Encoder", "Decoder"):
        cls = getattr(networks, name)
        monkeypatch.setattr(
            networks, name, lambda arch, *a, cls=cls, **k: built.append(arch) or cls(arch, *a, **k)
        )
    count = {"encode": encoder_pass, "step": decoder_step, "generation": generation}
    count["pair"] = encoder_pass
    classes = {"bert-base": encoder_pass, "gpt2": decoder_step}
    tasks = profile.profile_tasks("cpu", Budget("none", 1, None, 0, 0), 1)
    measured, run = {}, new_run()
    for task in tasks:
        point = task.run(0.0)
        run.add(task.key, point)
        assert {each.sample.n for each in point.beside.values()} <= {point.sample.n}
        measured |= {task.key: point} | point.beside
    for key, point in measured.items():
        if key.what in ("alone", "other", "read"):
            assert point.flops if key.what == "alone" else point.bytes > 0
            continue
        name, fused = "total", key.how in ("fused", "loop", "sampled") or key.what == "pair"
        if key.what == "breakdown":
            name = key.how
        counted = classes[key.model] if key.what == "breakdown" else count[key.what]
        cost = counted(TINY[key.model], key.tokens, FUSED if fused else UNFUSED)[name]
        assert (point.flops, point.bytes) == (cost.flops, cost.bytes), key
        assert key.what == "pair" or point.details["weights"] == "warm"
        assert key.dtype == "float32"
        json.dumps(point.details)
    for how in ("fused", "unfused"):
        assert {Key("step", "gpt2", 8, how=how), Key("read", "gpt2", 8, how=how)} <= set(measured)
    for model in ("bert-base", "gpt2"):
        assert {Key("breakdown", model, 8, how=name) for name in CLASSES} <= set(measured)
    loop, sampled = (measured[Key("generation", "gpt2", 8, how=h)] for h in ("loop", "sampled"))
    assert loop.sample.n == sampled.sample.n == 1
    as_archived(run, "encode", "step", "read", "breakdown", "generation", "alone", "other")
    whole = [arch for arch in built if arch.n_layers > 1]
    assert len(whole) <= len(profile.PLAN)  # not one a point


def test_other_data_types_have_keys_of_their_own():
    keys = {task.key for task in profile.profile_tasks("cuda", BUDGETS["quick"], 1)}
    types = {key.dtype for key in keys if (key.what, key.tokens, key.how) == ("step", 512, "fused")}
    assert types == {"float32", "bfloat16", "float16"}
    assert Key("step", "gpt2", 512, how="unfused", dtype="float16") not in keys


@pytest.mark.parametrize("model", ["bert-base", "gpt2"])
def test_every_moment_of_a_pass_is_in_one_class(model):
    arch, clock = TINY[model], Ticks()
    if model == "gpt2":
        network, token = networks.Decoder(arch, "unfused"), torch.zeros(1, 1, dtype=torch.int64)
        work = lambda: network.step(token, 5)  # noqa: E731
    else:
        network, token = networks.Encoder(arch, "unfused"), torch.zeros(1, 4, dtype=torch.int64)
        work = lambda: network(token)  # noqa: E731
    found = split(work, clock)
    # Between two looks a second passes: one in each matmul, one before each and one at the end.
    matmuls = {"mha_projections": 4 * 2, "act_to_act": 2 * 2, "ffn_projections": 2 * 2 + 1}
    assert found == matmuls | {"other": sum(matmuls.values()) + 1}
    assert sum(found.values()) == clock.looks - 1 - 2  # from the first mark to the last


def test_stamps_leave_nothing_behind():
    before = networks.Linear.__call__, torch.matmul

    def work():
        assert networks.Linear.__call__ is not before[0] and torch.matmul is not before[1]
        raise RuntimeError

    with pytest.raises(RuntimeError):
        split(work, Ticks())
    assert (networks.Linear.__call__, torch.matmul) == before


@pytest.mark.parametrize("places", [(PROJECTION, MATMUL), (PROJECTION,)])
@torch.inference_mode()
def test_a_layer_without_its_matmuls_gives_the_same_again(places):
    layer = networks.Encoder(TINY["bert-base"], "unfused").layers[0]
    x = torch.randn(4, 16)
    expected, before = layer(x, 1), (networks.Linear.__call__, torch.matmul)
    work = partial(layer, x, 1)
    patch = replayed(work, *places)
    layer.up.weight.zero_()  # not read any more
    for _ in range(3):
        with patch():
            assert work().equal(expected)
    assert (networks.Linear.__call__, torch.matmul) == before


@pytest.mark.parametrize("model", TINY)
def test_the_parts_alone_are_all_of_an_unfused_whole(tiny, model):
    """By the names and amounts of `pieces`: of a pass one product of each shape, of a step all, and
    the bytes of the rest."""
    arch, tokens = TINY[model], 4
    what = "step" if model == "gpt2" else "encode"
    point = profile.Point(
        profile.networks_for(8, "cpu"), 8, Key(what, model, tokens, how="unfused"), "cpu"
    )
    found = point.task(BUDGETS["smoke"], 1).run(0.0).beside
    needed = pieces(arch, tokens, UNFUSED)
    alone = {key.how: each.flops for key, each in found.items() if key.what == "alone"}
    assert found[Key("other", model, tokens)].bytes == needed.pop("other")
    assert alone.keys() == needed.keys()
    for shape, flops in alone.items():
        once = 2 * prod(map(int, shape.split("x")))
        assert flops == (needed[shape] if what == "step" else once), shape


@pytest.mark.parametrize("model", TINY)
def test_products_alone_read_the_weights_of_every_layer(model):
    arch = TINY[model]
    build = networks.Decoder if model == "gpt2" else networks.Encoder
    calls = products_of(build(arch, "unfused"), arch, 4, "cpu")
    rows, d = 1 if model == "gpt2" else 4, arch.d_model
    assert len(calls[f"{rows}x{d}x{d}"]) == 4 * arch.n_layers
    weights = {each.__wrapped__.func.weight.data_ptr() for each in calls[f"{rows}x{d}x{d}"]}
    assert len(weights) == 4 * arch.n_layers


def test_a_wrong_product_is_refused(monkeypatch):
    network = networks.Encoder(TINY["bert-base"], "unfused")
    monkeypatch.setattr(
        networks.Linear, "__call__", lambda self, x: x.new_ones(len(x), len(self.weight))
    )
    with pytest.raises(RuntimeError, match="wrong result"):
        products_of(network, TINY["bert-base"], 4, "cpu")


def test_the_loop_is_the_steps_in_their_order():
    decoder, token = networks.Decoder(TINY["gpt2"]), torch.tensor([[7]])
    expected = token.clone()
    for context in range(1, 6):
        works.advance(decoder, expected, context)
    steps = profile.generation_steps(decoder, token, 5)
    for step in steps:
        step()
    assert token.equal(expected) and token.shape == (1, 1)


def test_samples_are_taken_between_the_steps_of_the_loop():
    """Steps that take as many seconds as their context on a clock of their own."""

    class Slow(Clock):
        moment = 0.0

        def now(self):
            return self.moment

    clock, taken = Slow("cpu"), []

    def step(context):
        clock.moment += context
        taken.append(context)

    steps = [lambda n=n: step(n) for n in range(1, 65)]
    loop, sampled = profile.loop_and_samples(steps, (1, 64), clock)
    assert loop == sum(range(1, 65)) == pytest.approx(sampled)
    assert taken == [1, 64, *range(1, 33), 1, 64, *range(33, 65)]
