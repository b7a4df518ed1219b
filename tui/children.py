"""The app's child processes; none outlives the app.

One spare session is kept warm, so that a game starts at once. Language models have one process, once somebody asks.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from arena.child import AsyncChild
    from arena.realtime_client import RealtimeSession
    from arena.session_client import AsyncSession
    from arena.text_client import TextSession

Child = TypeVar("Child", bound="AsyncChild[Any]")


class Children:
    """Hands out sessions, takes them back, ends them all."""

    def __init__(self) -> None:
        self._spare: AsyncSession | None = None
        self._text: TextSession | None = None
        self._all: set[AsyncChild[Any]] = set()
        self._starting = asyncio.Lock()

    async def warm(self) -> None:
        """Have a spare child: starting one takes seconds, which nobody should wait for."""
        async with self._starting:
            if self._spare is None or not self._spare.alive:
                self._spare = await self._start()

    async def take(self) -> AsyncSession:
        """The spare child, or a new one. It may still send events of an earlier game."""
        async with self._starting:
            session, self._spare = self._spare, None
            return session if session is not None and session.alive else await self._start()

    async def give_back(self, session: AsyncSession) -> None:
        """Keep a child as the spare one, or end it where there is one already."""
        if self._spare is None and session.alive:
            self._spare = session
        else:
            self._all.discard(session)
            await session.close()

    async def text(self) -> TextSession:
        """The process of the language models, which is started where there is none."""
        from arena.text_client import TextSession

        async with self._starting:
            if self._text is None or not self._text.alive:
                self._text = self._known(await TextSession.start())
            return self._text

    async def realtime(self) -> RealtimeSession:
        """A new process for a game that goes on by itself."""
        from arena.realtime_client import RealtimeSession

        return self._known(await RealtimeSession.start())

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

    async def _start(self) -> AsyncSession:
        from arena.session_client import AsyncSession

        return self._known(await AsyncSession.start())

    def _known(self, child: Child) -> Child:
        self._all = {other for other in self._all if other.alive} | {child}
        return child
