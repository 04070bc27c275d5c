"""The ladder (`analysis.measured.rungs`): its processes, visited in turn."""

import math
import multiprocessing
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import chain
from unittest import mock

import torch

from analysis.errors import InputError
from analysis.measured.rungs import BRIEF, PASSES, Rung, keys, rungs, visited
from analysis.measured.timing import MOST, Budget, Key, Measurement, Sample, Task
from analysis.measured.works import Works, guess
from analysis.predicted.architectures import BERT_BASE
from analysis.predicted.operations import FUSED
from analysis.predicted.transformer import encoder_pass

START, SILENT = 120, 120  # seconds until a process is ready, and until it answers
START_SECONDS = 4  # of a process, to plan with
RUNG_BYTES = 1.2e9  # of both models, their weights packed
READ = Key("read", how="ladder")


class Visitor:
    """The process of a rung, for whoever started it."""

    def __init__(self, rung: Rung, *how):
        spawn = multiprocessing.get_context("spawn")
        self.pipe, theirs = spawn.Pipe()
        self.process = spawn.Process(target=visited, args=(rung, *how, theirs), daemon=True)
        with mock.patch.dict(os.environ, rung.environment):
            self.process.start()
        theirs.close()

    def answer(self, seconds: float):
        """What it sends within so many seconds; RuntimeError says why it does not, or what it said
        was wrong."""
        if not self.pipe.poll(seconds):
            raise RuntimeError(f"no answer for {seconds} s")
        try:
            found = self.pipe.recv()
        except EOFError:
            self.process.join(1)
            code = self.process.exitcode or 0
            name = signal.Signals(-code).name if code < 0 else f"exit status {code}"
            raise RuntimeError(f"its process ended: {name}") from None
        if isinstance(found, str):
            raise RuntimeError(found)
        return found

    def round(self) -> list[float]:
        """Seconds of each of its works, once."""
        with suppress(OSError):  # of one that ended, which `answer` explains
            self.pipe.send(True)
        return self.answer(SILENT)

    def end(self) -> None:
        self.process.kill()
        self.process.join()


def climb(climbed: list[Rung], seconds: float, least: int, *how) -> Measurement:
    """Visit the rungs in turn for about `seconds`, and at least `least` times each, with the read
    ceiling of this process between; a rung that fails is missing, with its reason."""
    device, threads, brief = how
    torch.set_num_threads(threads)
    own = Works(device)
    own.read(READ)
    missing, about, times = {}, {}, {}
    with ExitStack() as stack:
        visitors = {rung.name: Visitor(rung, *how) for rung in climbed}
        for visitor in visitors.values():
            stack.callback(visitor.end)

        def ask(name: str, question: Callable, *args):
            try:
                return question(*args)
            except RuntimeError as error:
                missing.update(dict.fromkeys(chain(*keys(name, brief).values()), str(error)))
                del visitors[name]

        for name in list(visitors):
            about[name] = ask(name, visitors[name].answer, START)
        rounds, start = 0, own.clock.now()
        while visitors and (rounds < least or own.clock.now() - start < seconds):
            rounds += 1
            for name in list(visitors):
                times.setdefault(name, []).append(ask(name, visitors[name].round))
            times.setdefault("", []).append(own.timed[0]())
    if not visitors:
        raise RuntimeError("; ".join(dict.fromkeys(missing.values())))
    every = math.ceil(rounds / MOST)
    found = {}
    for name in ["", *visitors]:
        works = own.about if name == "" else about[name]
        each = zip(*times[name][::every], strict=True)
        for (key, (cost, details)), sample in zip(works.items(), each, strict=True):
            found[key] = Measurement(Sample(sample), cost.flops or None, cost.bytes, details)
    return replace(found.pop(READ), beside=found, missing=missing)


def ladder_tasks(device: str, budget: Budget, threads: int, fast_paths: list[str]) -> list[Task]:
    """The one task of a ladder: all its rungs."""
    brief, names = budget.brief, budget.of(None, BRIEF)

    def run(seconds: float) -> Measurement:
        climbed = rungs(device, fast_paths, names)
        return climb(climbed, seconds * len(climbed), max(3, budget.least), device, threads, brief)

    try:
        n = len(rungs(device, fast_paths, names))
    except InputError:
        n = 0  # which `run` explains
    costs = [
        encoder_pass(BERT_BASE, tokens, FUSED)["total"] for tokens in PASSES[: 1 if brief else 2]
    ]
    once = n * sum(guess(cost, device, threads) for cost in costs)
    estimate = n * START_SECONDS + max(4 * once, n * budget.seconds_per_point)
    return [Task(READ, int(n * RUNG_BYTES), estimate, run)]
