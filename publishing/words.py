"""Whether the words of a make command can be used, before anything is measured or built:
`python -m publishing.words TARGET...`, with the words in the environment.
"""

import os
import socket
import sys
from collections.abc import Callable

from analysis.compared import shown
from analysis.errors import InputError
from analysis.measured.timing import budget_named
from analysis.terminal import told
from publishing.chapter import find_chapter


def run(name: str) -> None:
    """RUN: what pages show beside the reference."""
    why = shown.found()[1]
    if why and name not in ("", "none"):
        raise InputError(f"RUN={name}: {why}")


def port(number: str) -> None:
    """PORT: a free one of this machine's."""
    try:
        with socket.create_server(("127.0.0.1", int(number))):
            pass
    except (OverflowError, ValueError):
        raise InputError(f"PORT={number}: expected a number from 1 to 65535") from None
    except OSError as error:
        why = os.strerror(error.errno)
        raise InputError(f"PORT={number}: {why}; make serve PORT=8001 takes another") from None


def browser(_: str) -> None:
    """Not a word, but as soon missed."""
    from playwright.sync_api import sync_playwright

    from publishing.pdf import find_browser

    with sync_playwright() as playwright:
        find_browser(playwright)


CHECKS: dict[str, Callable[[str], object]] = {
    "BUDGET": lambda name: name and budget_named(name),
    "REFERENCE": lambda _: shown.reference(),
    "RUN": run,
    "NAME": find_chapter,
    "PORT": port,
    "browser": browser,
}
ALWAYS = ("BUDGET", "REFERENCE", "RUN")
BESIDES = {"chapter": "NAME", "serve": "PORT", "pdf": "browser", "check-book": "browser"}


def check(targets: list[str]) -> None:
    """InputError for the first word that a target cannot use."""
    for word in (*ALWAYS, *(BESIDES[each] for each in targets if each in BESIDES)):
        CHECKS[word](os.environ.get(word, ""))


if __name__ == "__main__":
    sys.exit(told(lambda: check(sys.argv[1:])))
