"""A training step whose state is divided among processes, as ZeRO does: what each of them holds.

GPT-2 in float32, each process on tokens of its own, by torch's implementations. A point's `n` is
the stage of `predicted.footprint.model_state`:

    0  nothing is divided: DistributedDataParallel
    1  the optimizer's state is: ZeroRedundancyOptimizer, which divides whole tensors
    2  and gradients: fully_shard, whose parameters stay gathered, beside a process's own part
    3  and parameters: fully_shard, whose layers are gathered to compute, and let go

Bytes in the details are storages, each once, on the process that has most: of parameters and
gradients between the backward pass and the update, of the optimizer after it; `passing_bytes` are
those of parameters at their most while a layer of the forward pass computes.
"""

import os
from dataclasses import replace
from functools import partial

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from analysis.measured import machine
from analysis.measured.messages import state, times_of
from analysis.measured.networks import memory
from analysis.measured.parallel import Trainable
from analysis.measured.timing import Clock, Key, Measurement
from analysis.measured.training import data
from analysis.predicted.activations import activations
from analysis.predicted.architectures import Architecture
from analysis.predicted.footprint import model_state

STAGES, LENGTH, TURNS = range(4), 64, 3
# Adam's usual epsilon would make moves of RATE out of rounding, and no two ways comparable.
RATE, EPSILON = 1e-4, 1e-4
WITHIN = 0.01 * RATE  # which parameters of two ways may differ by


class Trainer:
    """What one of the processes does and holds at a stage; all stages begin with equal weights."""

    def __init__(self, arch: Architecture, stage: int, device: torch.device):
        # All take seconds to import.
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard
        from torch.distributed.optim import ZeroRedundancyOptimizer

        torch.manual_seed(0)
        self.model = Trainable(arch).to(device)
        self.tokens, _, self.targets = data(arch, LENGTH, 1, device, seed=dist.get_rank())
        self.looks, self.held, self.stale = True, {}, []
        for layer in self.model.layers:
            layer.register_forward_hook(lambda *_: self._look("passing", self.parameters))
        if stage < 2:
            everywhere = torch.nn.parallel.DistributedDataParallel
            self.model = everywhere(self.model, gradient_as_bucket_view=True)
        else:
            parts = [*self.model.layers, self.model]
            mesh = init_device_mesh(device.type, (dist.get_world_size(),))
            for part in parts:
                fully_shard(part, mesh=mesh, reshard_after_forward=stage == 3)
            self.model.set_reshard_after_backward(stage == 3)
            self.stale = parts if stage == 2 else []  # what is still gathered after an update
        adam, options = torch.optim.Adam, {"lr": RATE, "eps": EPSILON, "fused": True}
        divided = partial(ZeroRedundancyOptimizer, optimizer_class=adam)
        self.update = (divided if stage == 1 else adam)(self.model.parameters(), **options)

    def step(self) -> None:
        """A step of training; the first one looks at what is held."""
        F.cross_entropy(self.model(self.tokens).flatten(0, 1), self.targets).backward()
        self._look("parameters", self.parameters)
        self._look("gradients", [each.grad for each in self.parameters])
        self.update.step()
        adam = getattr(self.update, "optim", self.update)  # which makes its state in the first step
        self._look("optimizer", [each for of in adam.state.values() for each in of.values()])
        self.update.zero_grad()
        for part in self.stale:
            part.reshard()
        self.looks = False

    @property
    def updated(self) -> list[Tensor]:
        """The parameters that this process updates, divided or not, in the order of the model."""
        return [each for group in self.update.param_groups for each in group["params"]]

    @property
    def parameters(self) -> list[Tensor]:
        return [*self.updated, *self.model.parameters()]  # the latter as they are gathered now

    def _look(self, part: str, tensors: list[Tensor | None]) -> None:
        if self.looks:
            self.held[part] = max(self.held.get(part, 0), held_bytes(tensors))


def local(tensor: Tensor) -> Tensor:
    """This process's part of a divided tensor; any other as it is."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


def held_bytes(tensors: list[Tensor | None]) -> int:
    """Bytes of the memory that this process has of `tensors`, each storage once."""
    own = [local(each) for each in tensors if each is not None]
    return sum({memory(each): each.untyped_storage().nbytes() for each in own}.values())


def verify(plain: Trainer, divided: Trainer) -> None:
    """RuntimeError where training with divided state came to other parameters."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    for one, other in zip(plain.updated, divided.updated, strict=True):
        if isinstance(other, DTensor):  # without a message: each divides what it has
            where = other.device_mesh, other.placements
            one = local(distribute_tensor(one.detach(), *where, src_data_rank=None))
        if not torch.allclose(one, local(other), rtol=0, atol=WITHIN):
            raise RuntimeError("sharded: a step with divided state has another result")


def needed_bytes(arch: Architecture, processes: int) -> float:
    """Bytes of memory for each process: all stages are there, as they are timed in turn."""
    states = [model_state(arch, zero=stage, devices=processes) for stage in STAGES]
    beside = 4 * arch.n_parameters / processes + 2 * activations(arch, LENGTH).bytes
    return beside + sum(sum(each.values()) for each in states)


def key(stage: int) -> Key:
    return Key("shard", "gpt2", LENGTH, n=stage)


def stages(arch: Architecture, device: torch.device) -> Measurement | str:
    """Stage 0 and the others beside it, timed in turn; where memory is too little, why not."""
    n, here = dist.get_world_size(), int(os.environ["LOCAL_WORLD_SIZE"])
    needed = needed_bytes(arch, n) * (here if device.type == "cpu" else 1)
    (free,) = over_all(dist.ReduceOp.MIN, [machine.free_memory_bytes(device.type)], device)
    if needed > free:
        return f"needs {needed / 1e9:.2f} GB of memory; free are {free / 1e9:.2f} GB"
    machine.keep_memory()
    trainers = [Trainer(arch, stage, device) for stage in STAGES]
    once = [partial(Clock(device.type).time, each.step) for each in trainers]
    found = {}
    for trainer, sample in zip(trainers, times_of(*once, seconds=0, least=TURNS), strict=True):
        verify(trainers[0], trainer)
        most = over_all(dist.ReduceOp.MAX, list(trainer.held.values()), device)
        held = {f"{part}_bytes": size for part, size in zip(trainer.held, most, strict=True)}
        details = state(device, threads=torch.get_num_threads(), processes=n) | held
        found[key(len(found))] = Measurement(sample, details=details)
    return replace(found.pop(key(0)), beside=found)


def over_all(operation, numbers: list[int], device: torch.device) -> list[int]:
    """The least or greatest of each number over all processes."""
    dist.all_reduce(each := torch.tensor(numbers, device=device), operation)
    return each.tolist()
