"""A work in a process of its own, which is stopped while others are timed.

Threads of some libraries wait by spinning, for seconds after their work and for as long as they
live: beside them whatever is timed takes up to twice as long.
"""

import math
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import Connection

from analysis.errors import InputError
from analysis.measured.machine import keep_memory, set_threads
from analysis.measured.timing import Clock

Times = Callable[[], float]  # seconds of one unit of a work
PAUSE = 0.25  # seconds before each work: threads of the one before may spin for as long
LONG = 0.3  # seconds that are timed at once, at least
TOLD = (ImportError, InputError, RuntimeError)  # why a work cannot be made, told as it is


def timed(work: Callable[[], object], units: float = 1) -> Times:
    """Times of `work`, which is so many units; calls it to warm up."""
    clock = Clock()
    work()
    calls = math.ceil(LONG / clock.time(work))

    def times() -> float:
        time.sleep(PAUSE)
        return clock.time(work, calls) / units

    return times


def apart(running: ExitStack, threads: int, units: float, make: Callable, *how) -> Times:
    """Times of the work that `make(*how)` makes in a process of its own, as long as it is
    `running`. A process finds nothing of a script that python -m began, so `make` is of a module.
    Raises what it raises of `TOLD`, and RuntimeError where the process ends."""
    spawn = multiprocessing.get_context("spawn")
    pipe, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(theirs, threads, units, make, *how), daemon=True)
    process.start()
    theirs.close()
    running.callback(process.join)
    running.callback(process.kill)  # one that is stopped would not end by itself

    def answer():
        try:
            found = pipe.recv()
        except EOFError:
            raise RuntimeError("its process ended") from None
        if isinstance(found, Exception):
            raise found
        os.kill(process.pid, signal.SIGSTOP)
        return found

    def times() -> float:
        os.kill(process.pid, signal.SIGCONT)
        pipe.send(True)
        return answer()

    answer()
    return times


def _serve(pipe: Connection, threads: int, units: float, make: Callable, *how) -> None:
    set_threads(threads)
    keep_memory()
    sys.stdout = sys.stderr  # what libraries say is no row of a table
    try:
        times = timed(make(*how), units)
    except TOLD as error:
        kind = next(each for each in TOLD if isinstance(error, each))
        pipe.send(kind(str(error)))  # subclasses may not survive the pipe
        return
    pipe.send(None)
    while pipe.recv():
        pipe.send(times())
