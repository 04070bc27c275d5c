import pytest
import torch

from analysis.measured import networks
from analysis.measured.rest import rest_task, without_matmuls
from analysis.measured.timing import BUDGETS
from analysis.predicted.architectures import BERT_BASE, GPT2
from analysis.predicted.operations import UNFUSED
from analysis.predicted.transformer import decoder_step, encoder_pass

pytestmark = pytest.mark.usefixtures("one_thread")
SIZES = {"n_layers": 2, "d_model": 16, "n_heads": 2, "d_ff": 32, "vocab_size": 50}
SIZES |= {"n_positions": 8}
BERT, GPT = BERT_BASE.replace(**SIZES), GPT2.replace(**SIZES)


@pytest.mark.parametrize("heads", [True, False])
def test_a_layer_without_its_matmuls_gives_the_same_again(heads):
    layer = networks.Encoder(BERT, "unfused").layers[0]
    x = torch.randn(4, 16)
    expected, before = layer(x, 1), (networks.Linear.__call__, torch.matmul)
    with without_matmuls(lambda: layer(x, 1), heads) as work:
        layer.up.weight.zero_()  # not read any more
        for _ in range(3):
            assert work().equal(expected)
    assert (networks.Linear.__call__, torch.matmul) == before


@pytest.mark.parametrize("arch, count", [(BERT, encoder_pass), (GPT, decoder_step)])
def test_the_point_is_the_rest_of_a_whole_pass(arch, count):
    task = rest_task(arch, 4, "cpu", BUDGETS["smoke"])
    point, cost = task.run(0.0), count(arch, 4, UNFUSED)
    cost = cost["other"] if arch is BERT else cost["other"] + cost["act_to_act"]
    assert task.key == f"other/float32/{arch.name.lower()}/4" and task.kind == "ceiling"
    assert (point.flops, point.bytes) == (cost.flops, cost.bytes)
    assert point.sample.n >= 3 and task.memory_bytes > 0
