"""A child process that is asked and answers in lines of JSON, from the side of an event loop. No torch.

The children of the app: `arena.game_child` (games), `arena.text_session` (language models).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic, Self, TypeVar

from envs.errors import ArenaError

MAX_LINE = 1 << 20
GRACE_SECONDS = 2.0

Message = TypeVar("Message")


class SessionDied(ArenaError):
    """The child process ended without being asked to; the message carries the last line of its stderr."""


def encode(message: Mapping[str, Any]) -> bytes:
    """One line of the protocol."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def death(what: str, returncode: int | None, stderr: Iterable[str]) -> SessionDied:
    """How a child that was there for `what` has ended."""
    how = (
        f"killed by signal {-returncode}" if returncode is not None and returncode < 0 else f"exit status {returncode}"
    )
    last = next((line for line in reversed(list(stderr)) if line.strip()), "")
    return SessionDied(f"the {what}'s process ended ({how}){': ' + last.strip() if last else ''}")


class AsyncChild(Generic[Message]):
    """`send` requests, iterate over what comes back; iterating raises SessionDied. Subclasses say what is run."""

    command: ClassVar[Sequence[str]]
    what: ClassVar[str]

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._next_id = 0
        self._stderr: deque[str] = deque(maxlen=20)
        self._stderr_task = asyncio.create_task(self._read_stderr())
        self._closing = False
        self._reading = asyncio.Lock()

    @classmethod
    async def start(cls) -> Self:
        """Start a child. It loads its libraries before the first request, so a spare one may be started early."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *cls.command, stdin=pipe, stdout=pipe, stderr=pipe, limit=2 * MAX_LINE
        )
        return cls(process)

    def decode(self, line: bytes) -> Message:
        """A line from the child. Raises SessionDied for what is none of its messages."""
        raise NotImplementedError

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    def send(self, request: Mapping[str, Any]) -> int:
        """Send a request; its answer repeats the number returned here. A dead child shows when iterating."""
        assert self._process.stdin is not None
        self._next_id += 1
        if not self._process.stdin.is_closing():
            self._process.stdin.write(encode({**request, "id": self._next_id}))
        return self._next_id

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        assert self._process.stdout is not None
        try:
            async with self._reading:  # who has been told to stop may not have let go yet
                line = await self._process.stdout.readline()
        except (ValueError, OSError) as error:
            raise SessionDied(f"the {self.what}'s answer could not be read: {error}") from error
        if line.endswith(b"\n"):
            return self.decode(line)
        await self._process.wait()
        await self._stderr_task
        if self._closing:
            raise StopAsyncIteration
        raise death(self.what, self._process.returncode, self._stderr)

    async def close(self) -> None:
        """End the child: politely first, then not. It is reaped when this returns."""
        self._closing = True
        if self.alive and self._process.stdin is not None:
            self.send({"do": "close"})
            self._process.stdin.close()
            try:
                await asyncio.wait_for(self._process.wait(), GRACE_SECONDS)
            except TimeoutError:
                self.kill()
                await self._process.wait()
        self._stderr_task.cancel()

    def kill(self) -> None:
        """End the child at once."""
        self._closing = True
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        with contextlib.suppress(OSError):
            while chunk := await self._process.stderr.read(1 << 16):
                self._stderr.extend(chunk.decode(errors="replace").splitlines())
