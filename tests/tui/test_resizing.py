"""Two sizes on their way to a screen: the newer one stays, and the screen comes to rest."""

from __future__ import annotations

import asyncio

from textual import events
from textual.app import App
from textual.geometry import Size
from textual.screen import Screen

import tui.resizing  # noqa: F401

OLD, NEW = Size(100, 30), Size(160, 50)
MANY = 100


class Busy(Screen[None]):
    """Tells itself something whenever it gets another size, as a screen does that draws itself anew."""

    resized = 0

    def on_resize(self) -> None:
        self.resized += 1
        if self.resized < MANY:
            self.call_later(lambda: None)


async def test_two_sizes_do_not_take_turns() -> None:
    app: App[None] = App()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = Busy()
        await app.push_screen(screen)
        await pilot.pause(0.1)
        app._size = NEW
        before = screen.resized
        for size in (OLD, NEW):
            screen.post_message(events.Resize(size, size))
            screen.call_later(lambda: None)
        await asyncio.sleep(0.5)
        assert screen.resized - before <= 4
        assert screen.size == NEW
