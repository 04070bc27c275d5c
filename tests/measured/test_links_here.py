"""Where a process of several measures, and which run it writes into, without the others."""

import pytest
import torch

from analysis.errors import InputError
from analysis.measured import links, machine, parallel
from analysis.measured import run as runs
from analysis.measured.run import Run, local_path, save_run
from analysis.predicted.architectures import BERT_BASE, GPT2


@pytest.fixture
def gpus(monkeypatch):
    """A machine that seems to have that many GPUs, and this the second of two processes on it."""

    def pretend(count):
        there = ["cpu", "cuda"] if count else ["cpu"]
        monkeypatch.setattr(machine, "available_devices", lambda: there)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setenv("LOCAL_RANK", "1")
        monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")

    return pretend


@pytest.mark.parametrize(
    ("count", "asked", "where"),
    [(2, "auto", "cuda:1"), (2, "cuda", "cuda:1"), (2, "cpu", "cpu"), (1, "auto", "cpu"),
     (0, "auto", "cpu")],
)  # fmt: skip
def test_each_process_has_a_gpu_of_its_own_or_all_use_the_cpu(count, asked, where, gpus):
    gpus(count)
    assert links.place(asked) == torch.device(where)


@pytest.mark.parametrize(("count", "says"), [(1, "2 processes .* 1 GPUs"), (0, "is not there")])
def test_too_few_gpus_are_one_line(count, says, gpus):
    gpus(count)
    with pytest.raises(InputError, match=says) as caught:
        links.place("cuda")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("arch", [BERT_BASE, GPT2])
def test_a_split_model_is_all_where_it_should_be(arch):
    """ "meta" stands in for a GPU: torch keeps shapes there and computes nothing."""
    layers, x = parallel.stack(arch.replace(n_layers=1), 8, device="meta")
    caches = [layer.cache for layer in layers if layer.decodes]
    assert {t.device.type for t in (x, *layers.parameters(), *caches)} == {"meta"}
    with torch.inference_mode():
        assert layers(x).device.type == "meta"


def test_links_are_kept_in_the_run_that_the_book_shows(tmp_path, monkeypatch):
    for module in (runs, links):
        monkeypatch.setattr(module, "LOCAL", tmp_path)
    here = machine.describe("cpu", machine.set_threads())
    save_run(Run.new(here, "quick"), local_path(here, "quick"))
    assert links.own_file("quick", 2, "cpu") == local_path(here, "quick")
    assert links.own_file("full", 2, "cpu") == tmp_path / "links.json"  # nothing shows it yet


def test_a_run_of_another_machine_is_not_mixed(tmp_path):
    out = tmp_path / "run.json"
    device = torch.device("cpu")
    run = links.open_run(out, device)
    run.machine.device_name = "another"
    links.save_run(run, out)
    with pytest.raises(InputError, match="another machine or device: another"):
        links.open_run(out, device)
    run.machine.device_name = machine.describe("cpu", 1).device_name
    run.method_version = "2"
    links.save_run(run, out)
    with pytest.raises(InputError, match="measured by another method"):
        links.open_run(out, device)
