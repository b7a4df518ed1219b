"""Who is at work on a run or a league: a file lock that its process holds, and that ends with it however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from envs.errors import ArenaError

TRIES = 10


@contextlib.contextmanager
def hold(database: Path, name: str, what: str) -> Iterator[None]:
    """Hold `name` ("run-3") of this league while the block runs.

    Raises ArenaError at once where another process (or another part of this one) holds it; `what` names it for people.
    """
    folder = database.with_name(database.name + ".runs")
    try:
        folder.mkdir(exist_ok=True)
        descriptor = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise ArenaError(f"{folder}: {error.strerror}") from error
    try:
        if not _take(descriptor):
            holder = os.read(descriptor, 32).decode(errors="replace").strip()
            raise ArenaError(f"{what} is being worked on by process {holder or 'unknown'}; stop that one first")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def is_held(database: Path, name: str) -> bool:
    """Whether somebody holds `name` of this league."""
    return holder(database, name) is not None


def holder(database: Path, name: str) -> int | None:
    """The process that holds `name` of this league (0: one that does not say); None: nobody does."""
    try:
        descriptor = os.open(database.with_name(database.name + ".runs") / f"{name}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        typed = os.read(descriptor, 32).strip()
        return int(typed) if typed.isdigit() else 0
    finally:
        os.close(descriptor)
    return None


def _take(descriptor: int) -> bool:
    """Lock a file if nobody holds it; who only looks (`holder`) lets go again within the tries."""
    for tries_left in range(TRIES - 1, -1, -1):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if tries_left:
                time.sleep(0.01)
    return False
