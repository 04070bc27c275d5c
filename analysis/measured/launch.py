"""Start the processes of `analysis.measured.links` on this machine, and end them together."""

import math
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from analysis.errors import InputError
from analysis.files import locked

POLL = 0.1  # seconds
PROGRAM = (sys.executable, "-m", "analysis", "links")


def launch(
    processes: int,
    out: Path,
    timeout: float,
    program: tuple[str, ...] = PROGRAM,
    device: str = "auto",
    budget: str = "full",
    most: float = math.inf,
) -> None:
    """Run `program` in that many processes until all have ended.

    The first that fails ends the others, and so do `most` seconds and whatever ends this one;
    InputError says in one line which and why."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    shared |= dict.fromkeys(("WORLD_SIZE", "LOCAL_WORLD_SIZE"), str(processes))
    command = [*program, "--out", str(out), "--timeout", str(timeout)]
    command += ["--device", device, "--budget", budget]
    with locked(out), ExitStack() as stack:
        said, ranks = [], []
        for rank in map(str, range(processes)):
            environment = {**os.environ, **shared, "RANK": rank, "LOCAL_RANK": rank}
            said.append(stack.enter_context(tempfile.TemporaryFile("w+")))
            ranks.append(subprocess.Popen(command, env=environment, stderr=said[-1]))
            stack.callback(ranks[-1].wait)
            stack.callback(ranks[-1].kill)
        end = time.monotonic() + most
        while (codes := [rank.poll() for rank in ranks]).count(None) and not any(codes):
            if time.monotonic() > end:
                raise InputError(f"not all done in {most:g} s; {_kept(out)}")
            time.sleep(POLL)
        time.sleep(POLL)  # whichever was killed has ended by now, too
        codes = [rank.poll() or 0 for rank in ranks]
        rank = min(range(processes), key=lambda rank: (codes[rank] >= 0, codes[rank] == 0))
        said[rank].seek(0)
        lines = said[rank].read().strip().splitlines() or ["failed without a word"]
    which = f"process {rank} of {processes}"
    if codes[rank] < 0:
        raise InputError(f"{which} was ended by signal {-codes[rank]}; {_kept(out)}")
    if codes[rank]:
        raise InputError(f"{which}: {lines[-1].removeprefix('error: ')}")


def _kept(out: Path) -> str:
    return f"what was measured before is in {out}" if out.exists() else "nothing was measured yet"
