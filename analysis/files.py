"""Files that come from anyone, or that must not be lost: read to a bound, written whole, kept in
numbered copies, one writer at a time. Every fault is an InputError that names the file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from analysis.errors import InputError

KEPT_BYTES = 10**8  # many times what a run may have


def read(path: Path, most: int) -> bytes:
    """The content of a file of at most `most` bytes. InputError for any other, and for devices and
    pipes, which never end or never begin."""
    with _told(path, "read"):
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise InputError(f"{path}: expected a regular file, found a device or a pipe")
        with path.open("rb") as file:
            content = file.read(most + 1)
    if len(content) > most:
        raise InputError(f"{path}: expected a file of at most {most} bytes")
    return content


def write(path: Path, content: bytes) -> None:
    """Replace the file as a whole or not at all; its folder is made."""
    with _told(path, "written"):
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.unlink(missing_ok=True)  # of a process that was killed
            with temporary.open("xb") as file:  # follows no link that somebody else laid there
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def keep(path: Path) -> Path | None:
    """Copy what is about to be replaced to NAME.json.previous-1, or the next number that is free;
    no list of runs takes it for one."""
    if not path.exists():
        return None
    content, number = read(path, KEPT_BYTES), 1
    while (copy := path.with_name(f"{path.name}.previous-{number}")).exists():
        number += 1
    write(copy, content)
    return copy


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Have a file to oneself; a process that has it may ask again. InputError where another has."""
    from filelock import FileLock, Timeout  # writers alone need it

    with _told(path, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=0, is_singleton=True)
        try:
            lock.acquire()
        except Timeout:
            raise InputError(f"{path}: another process is writing it; wait until it ends") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _told(path: Path, done: str) -> Iterator[None]:
    """An error of the system, or of a name that no file can have, told in one line."""
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be {done}: {why}") from None
