"""What a terminal of another size costs: one layout and one painting, even where two sizes are on their way."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import pytest
from textual import events
from textual.app import App, ComposeResult
from textual.geometry import Size
from textual.pilot import Pilot
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

import tui.resizing  # noqa: F401

OLD, NEW = Size(100, 30), Size(160, 50)
MANY = 100


class Watched(Screen[None]):
    """Takes down with what size and classes it has heard of another size, and how often all of it is painted."""

    HORIZONTAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-narrow"), (120, "-wide")]

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[Size, bool]] = []
        self.painted = 0

    def compose(self) -> ComposeResult:
        yield Static()

    def on_resize(self) -> None:
        self.heard.append((self.size, self.has_class("-wide")))
        if len(self.heard) < MANY:
            self.call_later(lambda: None)  # as one that draws itself anew
        self.query_one(Static).update(f"{self.size}\n" * len(self.heard))

    def _compositor_refresh(self) -> None:
        self.painted += self.size.region in self._compositor._dirty_regions
        super()._compositor_refresh()


class Over(ModalScreen[None]):
    """A dialog."""


class Shown(App[None]):
    def get_default_screen(self) -> Watched:
        return Watched()


async def _shown(pilot: Pilot[None]) -> Watched:
    """The screen, at rest."""
    screen = pilot.app.screen
    assert isinstance(screen, Watched)
    await pilot.pause(0.1)
    screen.heard.clear()
    screen.painted = 0
    return screen


async def test_a_screen_hears_of_a_size_once_when_it_has_it_and_is_painted_once() -> None:
    async with Shown().run_test(size=(80, 24)) as pilot:
        screen = await _shown(pilot)
        await pilot.resize_terminal(*NEW)
        await pilot.pause(0.2)
        assert screen.painted == 1
        assert screen.heard == [(NEW, True)]


@pytest.mark.parametrize("sizes", [(NEW,), (OLD, NEW)])
async def test_a_screen_behind_a_dialog_takes_the_size(sizes: tuple[Size, ...]) -> None:
    async with Shown().run_test(size=(80, 24)) as pilot:
        screen = await _shown(pilot)
        await pilot.app.push_screen(Over())
        for size in sizes:
            await pilot.resize_terminal(*size)
        await pilot.pause(0.2)
        assert screen.heard[-1] == (NEW, True)
        assert screen.size == pilot.app.screen.size == NEW


async def test_two_sizes_do_not_take_turns() -> None:
    async with Shown().run_test(size=(80, 24)) as pilot:
        screen = await _shown(pilot)
        pilot.app._size = NEW
        for size in (OLD, NEW):
            screen.post_message(events.Resize(size, size))
            screen.call_later(lambda: None)
        await asyncio.sleep(0.5)
        assert len(screen.heard) <= 4
        assert screen.size == NEW
        assert screen.has_class("-wide")
