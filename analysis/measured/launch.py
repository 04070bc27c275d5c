"""Start the processes of `analysis.measured.links` on this machine, and end them together."""

import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from analysis.errors import InputError
from analysis.files import locked

POLL = 0.1  # seconds
PROGRAM = (sys.executable, "-m", "analysis.measured.links")


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

    The first that fails ends the others, and so do `most` seconds; InputError says in one line
    which and why."""
    with locked(out):
        _launch(processes, out, timeout, program, device, budget, most)


def _launch(processes, out, timeout, program, device, budget, most) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    shared |= dict.fromkeys(("WORLD_SIZE", "LOCAL_WORLD_SIZE"), str(processes))
    command = [*program, "--out", str(out), "--timeout", str(timeout)]
    command += ["--device", device, "--budget", budget]
    # Whoever ends this one by a signal ends them all.
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    said = [tempfile.TemporaryFile("w+") for _ in range(processes)]
    ranks = [
        subprocess.Popen(
            command,
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=said[rank],
        )
        for rank in range(processes)
    ]
    end = time.monotonic() + most
    try:
        while (codes := [rank.poll() for rank in ranks]).count(None) and not any(codes):
            if time.monotonic() > end:
                raise InputError(f"not all done in {most:g} s; {_kept(out)}")
            time.sleep(POLL)
        time.sleep(POLL)  # whichever was killed has ended by now, too
        codes = [rank.poll() or 0 for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
            rank.wait()
        signal.signal(signal.SIGTERM, before)
    rank = min(range(processes), key=lambda rank: (codes[rank] >= 0, codes[rank] == 0))
    if codes[rank] < 0:
        raise InputError(
            f"process {rank} of {processes} was ended by signal {-codes[rank]}; {_kept(out)}"
        )
    if codes[rank]:
        said[rank].seek(0)
        lines = said[rank].read().strip().splitlines() or ["failed without a word"]
        raise InputError(f"process {rank} of {processes}: {lines[-1].removeprefix('error: ')}")


def _kept(out: Path) -> str:
    return f"what was measured before is in {out}" if out.exists() else "nothing was measured yet"
