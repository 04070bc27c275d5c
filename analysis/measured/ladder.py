"""The ladder (`analysis.measured.rungs`): its processes, visited in turn."""

import math
import multiprocessing
import os
import signal
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from itertools import chain
from unittest import mock

import torch

from analysis.errors import InputError
from analysis.measured.rungs import PASSES, Rung, keys, rungs, visited
from analysis.measured.timing import Budget, Key, Measurement, Task
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


def climb(climbed: list[Rung], seconds: float, least: int, *how) -> Measurement:
    """Visit the rungs in turn for about `seconds`, and at least `least` times each, with the read
    ceiling of this process between; a rung that fails is missing, with its reason."""
    device, threads, brief = how
    torch.set_num_threads(threads)
    works = Works(device)
    works.read(READ)
    with ExitStack() as stack:
        visitors = {rung.name: Visitor(rung, *how) for rung in climbed}
        for visitor in visitors.values():
            stack.callback(visitor.process.join)
            stack.callback(visitor.process.kill)

        def ask(name: str, most: float):
            """What a rung's process says; None once that failed."""
            try:
                return visitors[name].answer(most) if name in visitors else None
            except RuntimeError as error:
                works.missing |= dict.fromkeys(chain(*keys(name, brief).values()), str(error))
                if len(visitors) == 1:
                    reasons = "; ".join(dict.fromkeys(works.missing.values()))
                    raise RuntimeError(reasons) from None
                visitors.pop(name).process.kill()  # one that hangs would disturb the others

        def visit(name: str, n: int) -> list[float]:
            """Seconds of each of its works, once."""
            with suppress(KeyError, OSError):  # of one that ended, which `answer` explains
                visitors[name].pipe.send(True)
            return ask(name, SILENT) or [math.nan] * n

        for rung in climbed:
            if about := ask(rung.name, START):
                works.together(about, partial(visit, rung.name, len(about)))
        return replace(works.measure(seconds, least), missing=works.missing)


def ladder_tasks(device: str, budget: Budget, threads: int, fast_paths: list[str]) -> list[Task]:
    """The one task of a ladder: all its rungs."""
    brief, least = budget.brief, budget.ladder_rounds

    def run(seconds: float) -> Measurement:
        climbed = rungs(device, fast_paths, brief)
        return climb(climbed, seconds * len(climbed), least, device, threads, brief)

    try:
        n = len(rungs(device, fast_paths, brief))
    except InputError:
        n = 0  # which `run` explains
    lengths = budget.of(PASSES, PASSES[:1])
    costs = [encoder_pass(BERT_BASE, tokens, FUSED)["total"] for tokens in lengths]
    once = n * sum(guess(cost, device, threads) for cost in costs)
    estimate = n * START_SECONDS + max((least + 1) * once, n * budget.seconds_per_point)
    return [Task(READ, int(n * RUNG_BYTES), estimate, run)]
