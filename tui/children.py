"""The app's child processes; none outlives the app.

One spare child is kept warm, so that a game of either kind starts at once. Language models have one process, once
somebody asks.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from arena.child import AsyncChild
    from arena.game_client import GameSession, Kind
    from arena.text_client import TextSession

Child = TypeVar("Child", bound="AsyncChild[Any]")


class Children:
    """Hands out sessions, takes them back, ends them all."""

    def __init__(self) -> None:
        self._spare: GameSession | None = None
        self._text: TextSession | None = None
        self._all: set[AsyncChild[Any]] = set()
        self._starting = asyncio.Lock()

    async def warm(self) -> None:
        """Have a spare child: starting one takes seconds, which nobody should wait for."""
        async with self._starting:
            if self._spare is None or not self._spare.alive:
                self._spare = await self._start()

    async def take(self, kind: Kind) -> GameSession:
        """The spare child, or a new one, for games of this kind. It may still send events of an earlier game."""
        async with self._starting:
            session, self._spare = self._spare, None
            if session is None or not session.alive:
                session = await self._start()
            session.begin(kind)
            return session

    async def give_back(self, session: GameSession) -> None:
        """End a child's game and keep it as the spare one, or end it where there is one already."""
        if session.alive and (self._spare is None or not self._spare.alive):
            session.rest()
            self._spare = session
        else:
            await self.end(session)

    async def text(self) -> TextSession:
        """The process of the language models, which is started where there is none."""
        from arena.text_client import TextSession

        async with self._starting:
            if self._text is None or not self._text.alive:
                self._text = self._known(await TextSession.start())
            return self._text

    async def end(self, child: AsyncChild[Any]) -> None:
        """End one of them, and wait for it."""
        self._all.discard(child)
        await child.close()

    async def close(self) -> None:
        """End all of them, and wait for it."""
        sessions, self._all, self._spare, self._text = self._all, set(), None, None
        await asyncio.gather(*(session.close() for session in sessions), return_exceptions=True)

    def kill(self) -> None:
        """End all of them at once, for when there is no event loop any more."""
        for session in self._all:
            session.kill()

    async def _start(self) -> GameSession:
        from arena.game_client import GameSession

        return self._known(await GameSession.start())

    def _known(self, child: Child) -> Child:
        self._all = {other for other in self._all if other.alive} | {child}
        return child
