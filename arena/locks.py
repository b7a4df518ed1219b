"""Who is at work on a run or a league: a file lock that its process holds, and that ends with it however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from envs.errors import ArenaError


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
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode(errors="replace").strip()
            raise ArenaError(
                f"{what} is being worked on by process {holder or 'unknown'}; stop that one first"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
