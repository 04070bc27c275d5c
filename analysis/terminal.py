"""What a command says and how it ends; the one place that knows streams and exit codes."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress

import click

from analysis.errors import InputError
from analysis.text import printable


def echo(text: str, err: bool = False) -> None:
    """Print lines of text that may come from anyone: no character of them steers the terminal."""
    click.echo("\n".join(map(printable, text.split("\n"))), err=err)


def told(work: Callable[[], object]) -> int:
    """Run `work` and return the exit code.

    0; 2 for a user's mistake or output that cannot be written, which is one line on stderr; 130
    where it was interrupted; and 1 where nobody reads the output any more. Characters that a stream
    cannot encode are written as escapes.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed before the start
            setattr(sys, name, open(os.devnull, "w"))
        getattr(sys, name).reconfigure(errors="backslashreplace")
    try:
        work()
        sys.stdout.flush()
        return 0
    except (InputError, click.ClickException) as error:
        text = error.format_message() if isinstance(error, click.ClickException) else str(error)
    except (click.Abort, KeyboardInterrupt):
        return 130
    except OSError as error:
        _silence(sys.stdout)  # or Python tries once more at its end, and says so
        if isinstance(error, BrokenPipeError):
            return 1
        text = f"{error.filename or 'output'}: {error.strerror or error}"
    try:
        echo(f"error: {' '.join(text.split())}", err=True)
    except OSError:
        _silence(sys.stderr)
    return 2


def _silence(stream) -> None:
    """What is left in the buffer of a stream goes nowhere."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
