"""When the app collects garbage."""

from __future__ import annotations

import gc

import pytest
from textual.app import App, ComposeResult
from textual.cache import LRUCache
from textual.widgets import DataTable

from tui.garbage import LEAST, LONG_REST_SECONDS, MANY, MOST, OLD, REST_SECONDS, Garbage


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many young collections there have been; a full one, counted behind it, begins anew."""
    counts = [0, 0]
    monkeypatch.setattr(gc, "get_count", lambda: (0, 0, counts[0]))
    monkeypatch.setattr(gc, "collect", lambda: counts.__setitem__(slice(None), [0, counts[1] + 1]))
    monkeypatch.setattr(gc, "freeze", lambda: None)
    return counts


def test_nobody_waits_for_a_collection(waiting: list[int]) -> None:
    clock = Clock()
    garbage = Garbage(clock)
    waiting[0] = LEAST
    clock.now = REST_SECONDS / 2
    assert not garbage.look()  # somebody may still be at the keys
    clock.now = REST_SECONDS
    garbage.touch()
    clock.now = 1.5 * REST_SECONDS
    assert not garbage.look()
    clock.now = 2 * REST_SECONDS
    assert garbage.look()
    assert waiting == [0, 1]
    assert not garbage.look()  # nothing has gathered since


def test_much_garbage_is_not_waited_with(waiting: list[int]) -> None:
    garbage = Garbage(Clock())
    waiting[0] = MOST - 1
    assert not garbage.look()
    waiting[0] = MOST
    assert garbage.look()


def test_many_objects_are_taken_to_stay_until_somebody_rests(
    waiting: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    left, calls = [0], []
    monkeypatch.setattr(gc, "get_objects", lambda: range(left[0]))
    monkeypatch.setattr(gc, "freeze", lambda: calls.append("freeze"))
    monkeypatch.setattr(gc, "unfreeze", lambda: calls.append("unfreeze"))
    clock = Clock()
    garbage = Garbage(clock)
    for left[0], frozen in ((MANY, []), (MANY + 1, ["freeze"])):
        waiting[0] = MOST
        assert garbage.look()
        assert calls == frozen
    for _ in range(OLD - 1):
        assert not garbage.look()
        waiting[0] = MOST
        assert garbage.look()
    clock.now = LONG_REST_SECONDS
    calls.clear()
    assert garbage.look()
    assert calls == ["unfreeze", "freeze"]
    assert not garbage.look()


def test_no_full_collection_begins_by_itself() -> None:
    thresholds = gc.get_threshold()
    try:
        Garbage().begin()
        assert gc.isenabled()
        assert gc.get_threshold()[:2] == thresholds[:2]
        assert gc.get_threshold()[2] > 1 << 20
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


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
