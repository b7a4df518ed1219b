"""Short turns of the event loop: who comes next waits for one piece of work, not for all that has gathered.

A widget of Textual's does all that it has been told before it lets go of the loop, and all widgets that have been told
something do so in one turn: with a hundred of them a key, or a byte that a child sends, waits for the sum. Here a turn
that has lasted for `LONGEST` is over before the next message is looked at. A part of Textual that may change: its
version is pinned.
"""

from __future__ import annotations

import asyncio
import time

from textual.message import Message
from textual.message_pump import MessagePump
from textual.timer import Timer

LONGEST = 0.02
"""Seconds after which nothing more is begun in a turn."""


class Turn:
    """The turn that a loop is in; it begins, as far as is known, when the one before was ended here."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._began = time.monotonic()
        self._next: asyncio.Handle | None = None

    def _begin(self) -> None:
        self._next = None
        self._began = time.monotonic()

    async def room(self) -> None:
        """Return when something may be begun: now, or in one of the next turns."""
        while time.monotonic() - self._began > LONGEST:
            if self._next is None:
                self._next = self.loop.call_soon(self.loop.call_soon, self._begin)  # others' timers come between
            await asyncio.sleep(0)


class _Turns:
    turn: Turn | None = None

    async def room(self) -> None:
        loop = asyncio.get_running_loop()
        if self.turn is None or self.turn.loop is not loop:
            self.turn = Turn(loop)
        await self.turn.room()


_turns = _Turns()


async def _get_message(pump: MessagePump) -> Message:
    message = await _get_at_once(pump)
    await _turns.room()
    return message


async def _tick(timer: Timer, *, next_timer: float, count: int) -> None:
    await _turns.room()
    await timer._active.wait()  # it may have been paused meanwhile
    await _tick_at_once(timer, next_timer=next_timer, count=count)


_get_at_once, _tick_at_once = MessagePump._get_message, Timer._tick
MessagePump._get_message = _get_message  # type: ignore[assignment, method-assign]
Timer._tick = _tick  # type: ignore[assignment, method-assign]
