"""What Textual has done with is gone without a full collection of garbage."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.cache import LRUCache
from textual.widgets import DataTable

import tui.cycles  # noqa: F401
from tests.tui.conftest import until
from tui.app import ArenaApp


@pytest.fixture
def frozen() -> Iterator[None]:
    """Nothing that leads back to itself is found: full collections pass by all that there is."""
    gc.collect()
    yield
    gc.unfreeze()


@pytest.mark.slow
@pytest.mark.parametrize("key", ["question_mark", "f2", "f3", "f4", "f5", "f6", "f8", "f9"])
async def test_a_screen_is_gone_when_it_is_closed(key: str, tmp_path: Path, frozen: None) -> None:
    app = ArenaApp(tmp_path / "league.db", "Ann")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        home = app.screen
        await pilot.press(key)
        await until(pilot, lambda: app.screen is not home and not app.workers._workers)
        here = [weakref.ref(widget) for widget in (app.screen, *app.screen.walk_children())]
        assert len(here) >= 4
        gc.collect()
        gc.freeze()
        await pilot.press("escape")

        def gone() -> bool:
            gc.collect()  # what its last turns have left behind
            return not any(widget() for widget in here)

        await until(pilot, gone)


def test_what_a_cleared_cache_held_goes_at_once() -> None:
    class Held:
        gone = 0

        def __del__(self) -> None:
            Held.gone += 1

    cache: LRUCache[int, Held] = LRUCache(8)
    enabled = gc.isenabled()
    gc.disable()
    try:
        for key in range(5):
            cache[key] = Held()
        cache.get(2)
        cache.clear()
        assert Held.gone == 5
        cache[1] = Held()  # and it goes on working
        assert cache.get(1) is not None
    finally:
        if enabled:
            gc.enable()


class Table(App[None]):
    def compose(self) -> ComposeResult:
        yield DataTable()


async def test_a_widget_that_goes_takes_what_was_drawn_with_it() -> None:
    async with Table().run_test() as pilot:
        table = pilot.app.query_one(DataTable)
        table.add_columns("a", "b")
        table.add_rows([("1", "2"), ("3", "4")])
        await pilot.pause()
        assert len(table._cell_render_cache) > 0
        await table.remove()
        assert len(table._cell_render_cache) == len(table._line_cache) == 0
