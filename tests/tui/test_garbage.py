"""When the app collects garbage."""

from __future__ import annotations

import gc

import pytest

from tui.garbage import LEAST, MANY, MOST, REST_SECONDS, Garbage


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


def test_many_objects_are_taken_to_stay(waiting: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    left, calls = [0], []
    monkeypatch.setattr(gc, "get_objects", lambda: range(left[0]))
    monkeypatch.setattr(gc, "freeze", lambda: calls.append("freeze"))
    garbage = Garbage(Clock())
    for left[0], frozen in ((MANY, []), (MANY + 1, ["freeze"])):
        waiting[0] = MOST
        assert garbage.look()
        assert calls == frozen
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
