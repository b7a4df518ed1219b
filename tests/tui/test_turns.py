"""Turns of the event loop end before the next piece of work once they have lasted long."""

from __future__ import annotations

import asyncio
from collections import Counter
from types import SimpleNamespace

import pytest
from textual.app import App, ComposeResult
from textual.message import Message
from textual.widget import Widget

from tui import turns
from tui.turns import LONGEST, Turn


class Clock:
    now = 0.0

    def work(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(turns, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


class Turns:
    """Counts a loop's turns."""

    def __init__(self) -> None:
        self.count = 0
        self._loop = asyncio.get_running_loop()
        self._next = self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self.count += 1
        self._next = self._loop.call_soon(self._turn)

    def stop(self) -> None:
        self._next.cancel()


async def test_a_turn_begins_no_more_than_fits(clock: Clock) -> None:
    turn, counted = Turn(asyncio.get_running_loop()), Turns()
    done: Counter[int] = Counter()

    async def work() -> None:
        for _ in range(3):
            await turn.room()
            done[counted.count] += 1
            clock.work(0.6 * LONGEST)

    await asyncio.gather(*(work() for _ in range(5)))
    counted.stop()
    assert done.total() == 15
    assert max(done.values()) == 2
    assert len(done) == 8  # and none is wasted


class Told(Message):
    pass


class Worker(Widget):
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock, self.told = clock, 0

    def on_told(self, message: Told) -> None:
        message.stop()
        self.told += 1
        self.clock.work(2 * LONGEST)


class Workers(App[None]):
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    def compose(self) -> ComposeResult:
        for _ in range(4):
            yield Worker(self.clock)


async def test_what_widgets_are_told_is_spread_over_turns(clock: Clock) -> None:
    async with Workers(clock).run_test() as pilot:
        workers = list(pilot.app.query(Worker))
        counted = Turns()
        for worker in workers:
            for _ in range(10):
                worker.post_message(Told())
        while any(worker.told < 10 for worker in workers):
            await asyncio.sleep(0)
        counted.stop()
        assert counted.count >= 39


async def test_a_timer_waits_for_a_turn_with_room(clock: Clock) -> None:
    async with Workers(clock).run_test() as pilot:
        rung: list[int] = []
        counted = Turns()

        def ring() -> None:
            rung.append(counted.count)
            clock.work(2 * LONGEST)

        for _ in range(5):
            pilot.app.set_interval(0.01, ring)
        while len(rung) < 5:
            await asyncio.sleep(0.001)
        counted.stop()
        assert len(set(rung)) == len(rung)


async def test_what_is_due_comes_between_two_pieces_of_work(clock: Clock) -> None:
    loop = asyncio.get_running_loop()
    turn = Turn(loop)
    done: list[str] = []

    async def work() -> None:
        await turn.room()
        done.append("work")
        loop.call_later(0.0, done.append, "due")
        clock.work(2 * LONGEST)

    await asyncio.gather(work(), work())
    assert done[:3] == ["work", "due", "work"]
