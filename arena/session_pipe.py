"""What the children that play games share: requests as lines on stdin, the Store that they name, events on stdout."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import secrets
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch

from arena.child import MAX_LINE
from arena.store import Store
from envs.errors import UsageError

EXIT_SECONDS = 5.0
"""How long a busy child outlives its front end."""

Request = Mapping[str, Any]


def field(request: Request, name: str, kind: type, default: Any = ...) -> Any:
    """A field of a request, of this type; raises UsageError where it is missing (without a default) or of another."""
    value = request.get(name)
    if value is None and default is not ...:
        return default
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UsageError(f"{name} must be of type {kind.__name__}, not {type(value).__name__}")
    if isinstance(value, str) and not value.isprintable():
        raise UsageError(f"{name} has characters that cannot be printed")
    return value


def db_of(request: Request) -> Path:
    """The league's file that a request names."""
    return Path(field(request, "db", str)).absolute()


def seed_of(request: Request) -> int:
    """The seed that a request gives, else a new one."""
    seed: int = field(request, "seed", int, secrets.randbits(62))
    if not 0 <= seed < 2**63:
        raise UsageError(f"seed {seed} is outside 0 … 2**63 − 1")
    return seed


class StoreServer:
    """What a server is that works on one league at a time: the Store stays open until a request names another."""

    def __init__(self) -> None:
        self._store: Store | None = None

    def store_at(self, request: Request, create: bool) -> Store:
        """The Store of this request; with `create` it is made where there is none."""
        path = db_of(request)
        if self._store is None or self._store.path != path:
            store = Store(path, create=create)
            self.close()
            self._store = store
        return self._store

    def close(self) -> None:
        if self._store:
            self._store.close()


def parse_request(line: bytes) -> dict[str, Any]:
    """A request with an integer (or no) `id`; raises UsageError."""
    if len(line) > MAX_LINE:
        raise UsageError(f"a request has at most {MAX_LINE} bytes")
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        raise UsageError("a request is one JSON object a line") from None
    if not isinstance(request, dict):
        raise UsageError("a request is one JSON object a line")
    number = request.setdefault("id", None)
    if isinstance(number, bool) or not isinstance(number, int | None):
        raise UsageError("a request's id is an integer")
    return request


def queue_lines(stream: BinaryIO, requests: queue.Queue[bytes | None]) -> None:
    """Queue every line (of an overlong one its beginning); at the end see to it that the process does end."""
    while line := stream.readline(MAX_LINE + 1):
        rest = line
        while len(rest) > MAX_LINE and not rest.endswith(b"\n"):
            rest = stream.readline(MAX_LINE + 1)
        if line.strip():
            requests.put(line)
    requests.put(None)
    requests.put(None)  # also for who asks after the end of a game: `arena.game_child`
    time.sleep(EXIT_SECONDS)
    os._exit(0)


def take_stdout() -> BinaryIO:
    """Where events go. What libraries print goes to stderr from now on, so that it is never taken for an event.

    Ctrl-C at the terminal is the front end's: it says what it wants.
    """
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return output


def open_pipes() -> tuple[queue.Queue[bytes | None], BinaryIO]:
    """The requests of stdin, read by a thread, so that the process ends soon after its front end; and the output."""
    torch.set_num_threads(1)  # one position at a time: more threads only keep each other, and a training, waiting
    output = take_stdout()
    requests: queue.Queue[bytes | None] = queue.Queue()
    threading.Thread(target=queue_lines, args=(sys.stdin.buffer, requests), daemon=True).start()
    return requests, output


def leave(status: int) -> None:
    """End the process at once: the reading thread may be blocked on stdin."""
    sys.stderr.flush()
    os._exit(status)
