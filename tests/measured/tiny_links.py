"""The program that measures links, with messages and models that take no time; what is planted
happens in one process, after all-reduce is measured."""

import os
import sys
import time

import torch

from analysis.measured import links, messages, parallel
from analysis.predicted.architectures import BERT_BASE, GPT2

TINY = {"n_layers": 2, "d_model": 16, "n_heads": 2, "d_ff": 32, "vocab_size": 50}
PLANTED = {
    "lost": lambda: os.kill(os.getpid(), 9),
    "hangs": lambda: time.sleep(600),
    "nothing": lambda: None,
    "no split": lambda: None,
}
planted, rank = sys.argv.pop(1), os.environ.get("RANK")
send_recv, split = links.send_recv, links.split


def compared_split(model, length, processes, device):
    found = split(model, length, processes, device)
    if processes > 1:
        mesh = torch.distributed.device_mesh.init_device_mesh("cpu", (processes,))
        with torch.no_grad():
            layers, x = parallel.stack(links.ARCHITECTURES[model], length, mesh)
            whole, same = parallel.stack(links.ARCHITECTURES[model], length)
            assert (x == same).all() and torch.allclose(layers(x), whole(x), atol=1e-5)
    return found


def after_all_reduce(*of):
    if rank == "1":
        PLANTED[planted]()
    return send_recv(*of)


links.SIZES = links.BRIEF_SIZES = (8, 4096)
messages.SECONDS = 0.01
links.ARCHITECTURES = {"bert-base": BERT_BASE.replace(**TINY), "gpt2": GPT2.replace(**TINY)}
links.SPLIT = (("bert-base", 8), ("gpt2", 8))
if planted == "no split":  # what splits a model takes seconds to import
    links.SPLIT, links.sharded.stages = (), lambda *_: "none is wanted"
after_all_reduce.__name__ = "send_recv"
links.split, links.send_recv = compared_split, after_all_reduce
links.main()
