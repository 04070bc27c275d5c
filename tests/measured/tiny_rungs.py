"""Processes of rungs without models, which answer, die or say nothing: for tests of a ladder."""

import os
import signal
import time

from analysis.measured.rungs import keys
from analysis.predicted.operations import Cost


def visited(rung, device, threads, brief, pipe) -> None:
    if rung.name == "refuses":
        pipe.send("the limit is ignored: oneDNN uses Intel AVX2")
        return
    if rung.name == "illegal":
        os.kill(os.getpid(), signal.SIGILL)
    named = [key for of in keys(rung.name, brief).values() for key in of]
    pipe.send({key: (Cost(10, 20), {"year": rung.year}) for key in named})
    rounds = 0
    while pipe.recv():
        rounds += 1
        if rung.name == "dies later" and rounds == 2:
            os._exit(3)
        if rung.name == "hangs":
            time.sleep(60)
        pipe.send([0.5] * len(named))
