"""The app's end of `arena.game_child`: a child that games of either kind are played in, one after another. No torch."""

from __future__ import annotations

import asyncio
import sys
from typing import Literal, Self

from arena.child import MAX_LINE, AsyncChild
from arena.frames import FrameMemory
from arena.realtime_client import Done, SceneReader, decode_answer
from arena.session_client import Event

Kind = Literal["turns", "realtime"]


class GameSession(AsyncChild[Event | Done]):
    """`begin` a kind of game, `send` requests, iterate over their answers; `rest` before another kind.

    Attributes:
        scenes: what is to be seen of a game in real time, to be looked at as often as one likes.
    """

    command = (sys.executable, "-m", "arena.game_child")
    what = "game"
    scenes: SceneReader
    _memory: FrameMemory

    @classmethod
    async def start(cls) -> Self:
        pipe = asyncio.subprocess.PIPE
        memory = FrameMemory.create()
        process = await asyncio.create_subprocess_exec(
            *cls.command,
            str(memory.fileno()),
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            limit=2 * MAX_LINE,
            pass_fds=(memory.fileno(),),
        )
        session = cls(process)
        session._memory, session.scenes = memory, SceneReader(memory)
        return session

    def decode(self, line: bytes) -> Event | Done:
        return decode_answer(line)

    def begin(self, kind: Kind) -> None:
        """From now on games of this kind are opened."""
        self.send({"do": "begin", "kind": kind})

    def rest(self) -> None:
        """End the game, whatever it is. What it still has to say comes before any answer to a later request."""
        self.send({"do": "close"})

    async def close(self) -> None:
        await super().close()
        self._memory.close()
