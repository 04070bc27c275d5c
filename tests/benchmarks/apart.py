"""A work in a process of its own, which is stopped while others are timed.

Threads of some libraries wait by spinning, for seconds after their work and for as long as they
live: beside them whatever is timed takes up to twice as long.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import Connection

from analysis.errors import InputError
from analysis.measured.machine import keep_memory, set_threads

Times = Callable[[], float]  # seconds of one unit of a work
TOLD = (ImportError, InputError, RuntimeError)  # why a work cannot be made, told as it is


def apart(running: ExitStack, threads: int, make: Callable[[], Times]) -> Times:
    """What `make`, which can be pickled, makes in a process of its own, as long as it is `running`.
    Raises what it raises of `TOLD`, and RuntimeError where the process ends."""
    spawn = multiprocessing.get_context("spawn")
    pipe, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(make, threads, theirs), daemon=True)
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


def _serve(make: Callable[[], Times], threads: int, pipe: Connection) -> None:
    set_threads(threads)
    keep_memory()
    sys.stdout = sys.stderr  # what libraries say is no row of a table
    try:
        times = make()
    except TOLD as error:
        kind = next(each for each in TOLD if isinstance(error, each))
        pipe.send(kind(str(error)))  # subclasses may not survive the pipe
        return
    pipe.send(None)
    while pipe.recv():
        pipe.send(times())
