"""The program that measures links, with messages and models that take no time; what is planted
happens in one process, after all-reduce is measured. The second process keeps what test_sharded.py
looks at as found.pt."""

import os
import sys
import time
from pathlib import Path

import torch

from analysis.__main__ import main
from analysis.measured import links, messages, parallel, sharded
from analysis.measured.allowed import Allowed
from analysis.predicted.architectures import BERT_BASE, GPT2

# 51 words are no multiple of two: the last part is filled up.
TINY = {"n_layers": 2, "d_model": 16, "n_heads": 2, "d_ff": 32, "vocab_size": 51, "n_positions": 65}
STEPS = 2
PLANTED = {
    "lost": lambda: os.kill(os.getpid(), 9),
    "hangs": lambda: time.sleep(600),
    "nothing": lambda: None,
}
planted, rank = sys.argv.pop(1), os.environ.get("RANK")
send_recv, split, stages = links.send_recv, links.split, sharded.stages


def compared_split(model, length, processes, device):
    found = split(model, length, processes, device)
    if processes > 1:
        mesh = torch.distributed.device_mesh.init_device_mesh("cpu", (processes,))
        with torch.no_grad():
            layers, x = parallel.stack(links.ARCHITECTURES[model], length, mesh)
            whole, same = parallel.stack(links.ARCHITECTURES[model], length)
            assert (x == same).all() and torch.allclose(layers(x), whole(x), atol=1e-5)
    return found


def kept_stages(arch, device):
    trainers = [sharded.Trainer(arch, stage, device) for stage in sharded.STAGES]
    for _ in range(STEPS):
        for each in trainers:
            each.step()
    noticed = []
    for each in trainers[1:]:
        sharded.verify(trainers[0], each)
        with torch.no_grad():
            sharded.local(each.updated[-1])[-1] += 0.02 * sharded.RATE
        try:
            sharded.verify(trainers[0], each)
        except RuntimeError as error:
            noticed.append(str(error))
    if rank == "1":
        held = [each.held for each in trainers]
        found = {"sizes": TINY, "steps": STEPS, "updated": trainers[0].updated, "held": held}
        found["noticed"] = noticed
        torch.save(found, Path(sys.argv[sys.argv.index("--out") + 1]).with_name("found.pt"))
    return stages(arch, device)


def after_all_reduce(*of):
    if rank == "1":
        PLANTED[planted]()
    return send_recv(*of)


links.SIZES = links.BRIEF_SIZES = (8, 4096)
messages.SECONDS = 0.01
links.may_use = lambda: Allowed(1, None, 2**40, 2**40)  # more threads wait for one another
links.ARCHITECTURES = {"bert-base": BERT_BASE.replace(**TINY), "gpt2": GPT2.replace(**TINY)}
links.SPLIT = (("bert-base", 8), ("gpt2", 8))
after_all_reduce.__name__ = "send_recv"
links.split, links.send_recv, sharded.stages = compared_split, after_all_reduce, kept_stages
sys.exit(main(["links", *sys.argv[1:]]))
