"""What the first screens of areas share, and their lines of text."""

from __future__ import annotations

from functools import partial

import pytest
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.widgets import Static

from tui.screens.area_screen import AreaScreen
from tui.widgets.note import Note


class One(AreaScreen):
    seen = 0
    done: list[str]

    def compose(self) -> ComposeResult:
        self.done = []
        yield Static("one")

    def on_seen(self) -> None:
        self.seen += 1


class Two(AreaScreen):
    CSS = "Note { height: auto; max-height: 3; } #all { height: 1fr; }"

    def compose(self) -> ComposeResult:
        yield Static("two", id="all")
        yield Note("a line")


class Areas(App[None]):
    MODES = {"one": One, "two": Two}  # noqa: RUF012
    DEFAULT_MODE = "one"


async def test_a_screen_is_told_once_that_it_is_seen() -> None:
    app = Areas()
    async with app.run_test() as pilot:
        await pilot.pause()
        one = app.screen
        assert isinstance(one, One)
        assert one.seen == 1
        await app.switch_mode("two")
        await pilot.pause()
        await app.switch_mode("one")
        await pilot.pause()
        assert one.seen == 2
        assert one.is_current


async def test_only_the_last_of_what_is_asked_for_is_done() -> None:
    app = Areas()
    async with app.run_test() as pilot:
        one = app.screen
        assert isinstance(one, One)
        for word in ("first", "second", "third"):
            one.when_at_rest(partial(one.done.append, word))
        assert one.done == []  # what is under the cursor is painted before
        while not one.done:
            await pilot.pause(0.02)
        assert one.done == ["third"]
        one.when_at_rest(partial(one.done.append, "never"))
        one.when_at_rest(None)
        one.when_at_rest(partial(one.done.append, "last"))
        while "last" not in one.done:
            await pilot.pause(0.02)
        assert one.done == ["third", "last"]


async def test_a_note_takes_as_many_lines_as_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Areas()
    async with app.run_test(size=(40, 12)) as pilot:
        await app.switch_mode("two")
        await pilot.pause()
        note, rest = app.screen.query_one(Note), app.screen.query_one("#all")
        refresh = note.refresh
        laid_out: list[bool] = []

        def noted(*regions: Region, layout: bool = False, **more: bool) -> None:
            laid_out.append(layout)
            refresh(*regions, layout=layout, **more)

        monkeypatch.setattr(note, "refresh", noted)
        note.update("another line")
        assert laid_out == [False]
        await pilot.pause()
        assert note.render_line(0).text.strip() == "another line"
        note.update("two\nlines")
        assert laid_out[-1]
        await pilot.pause()
        assert note.region == Region(0, 10, 40, 2)
        assert rest.size.height == 10
        note.update("many\nmany\nmany\nmany\nmany")
        await pilot.pause()
        assert note.size.height == 3
        note.update("one again")
        await pilot.pause()
        assert note.size.height == 1
        assert rest.size.height == 11
