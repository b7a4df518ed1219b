"""The app killed (signal 9) wherever it is: what was finished is in the league, what it had started as a job goes on.

A game in turns, which is also gone on with afterwards, is killed in `test_terminal.py`; jobs are in `test_jobs.py` and
`test_training.py`.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from arena.jobs import Jobs
from arena.store import Store
from tests.tui.test_label import said, some_pairs
from tests.tui.test_terminal import Terminal

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]
START = Callable[..., Terminal]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[START]:
    """Start the app in a terminal of its own; it is closed in the end."""
    terminals: list[Terminal] = []

    def begin(*arguments: str) -> Terminal:
        terminals.append(Terminal(tmp_path, *arguments))
        return terminals[-1]

    yield begin
    for terminal in terminals:
        terminal.close()


def wait(true: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + 180
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def kill(terminal: Terminal) -> None:
    """Kill the app alone; its children see that and end."""
    children = terminal.children()
    os.kill(terminal.pid, signal.SIGKILL)
    assert terminal.end() == -signal.SIGKILL
    wait(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), "a child outlived the app")


def test_in_a_game_that_goes_on_by_itself(start: START, db: Path) -> None:
    terminal = start("play", "gridworld/tron", "--vs", "first-legal", "--as", "Ann")
    terminal.wait_for(b"a direction begins")
    terminal.press(b"s")  # and on into the wall
    terminal.wait_for(b"stored as replay 1")
    terminal.press(b"n")
    terminal.wait_for(b"a direction begins")
    kill(terminal)
    with Store(db, create=False) as store:
        assert store.check() == []
        assert [(episode.reason, episode.rated) for episode in store.episodes()] == [("terminated", True)]


def test_in_the_last_of_all_areas_with_a_training_under_way(start: START, db: Path) -> None:
    some_pairs(db, [(f"first {n}", f"second {n}") for n in range(5)])
    with Store(db) as store:
        store.set_setting("name", "Ann")
    terminal = start()
    terminal.wait_for(b"gridworld/tron")
    for key, text in (
        (b"\x1b[15~", b"No run yet"),  # F5
        (b"n", b"arena train"),
        (b"\x13", b"ppo-1"),  # Ctrl-S
        (b"\x1b[17~", b"Replays"),
        (b"\x1b[19~", b"next:"),
        (b"\x1b[20~", b"Bellman"),
        (b"\x1bOR", b"who plays whom"),
        (b"\x1bOS", b"Matches"),
        (b"\x1b[18~", b"prompt 0?"),
        (b"1", b"prompt 1?"),
        (b"2", b"prompt 2?"),
        (b"?", b"keys and rules"),
    ):
        terminal.press(key)
        terminal.wait_for(text)
    kill(terminal)
    assert said(db) == [(1, "left", 1), (2, "right", 1)]
    jobs = Jobs(db)
    [job] = jobs.all()
    assert job.state == "running"
    jobs.kill(job.id)
    wait(lambda: jobs.job(job.id).state != "running", "it goes on for ever")
    with Store(db, create=False) as store:
        assert store.check() == []


def test_among_rankings_and_scores_with_a_note_half_written(start: START, db: Path) -> None:
    some_pairs(db, [(f"first {n}", f"second {n}") for n in range(4)])
    terminal = start("label", "--as", "Ann")
    terminal.wait_for(b"prompt 0?")
    for key, text in (
        (b"v", b"the letters from best to worst"),
        (b"b", b"B > "),
        (b"a", b"prompt 1?"),
        (b"v", b"4 middling"),
        (b"6", b"6 \xc2\xb7 saved"),
        (b"n", b"Only you and reports"),
        (b"half a", b"half a"),
    ):
        terminal.press(key)
        terminal.wait_for(text)
    kill(terminal)
    with Store(db, create=False) as store:
        ranked = store.rank_task("Ann", 1)
        assert ranked.ranking is not None
        assert ranked.ranking.ranks == [2, 1]
        assert store.next_ranking("Ann", 0).prompt == 2
        assert [score.score for score in store.completion_scores("Ann")] == [6]
        assert not store.notes()
        assert store.check() == []


DIALOGS = {
    "a choice": ((b"\x1b[17~", b"Replays"), (b"g", b"Whose replays")),  # F6
    "an answer to be written": ((b"\x1b[18~", b"prompt 1?"), (b"w", b"should have been answered"), (b"so", b"so")),
    "a key to be bound": (
        (b"\x10", b"Search for commands"),
        (b"Rebind", b"Choose what to do"),
        (b"\r", b"Rebind which"),
    ),
    "yes or no": ((b"\x1bOQ", b"Seat 2"), (b"\x13", b"your move"), (b"r", b"stored as a loss")),  # F2
}


@pytest.mark.parametrize("keys", DIALOGS.values(), ids=DIALOGS)
def test_while_a_dialog_asks(keys: tuple[tuple[bytes, bytes], ...], start: START, db: Path) -> None:
    some_pairs(db, [(f"first {n}", f"second {n}") for n in range(3)])
    with Store(db) as store:
        store.set_setting("name", "Ann")
        store.add_label(1, "Ann", "a")
    terminal = start()
    terminal.wait_for(b"gridworld/tron")
    for key, text in keys:
        terminal.press(key)
        terminal.wait_for(text)
    kill(terminal)
    with Store(db, create=False) as store:
        assert [(label.pair, label.choice) for label in store.labels("Ann")] == [(1, "a")]
        assert store.demonstrations() == []
        assert store.episodes() == []
        assert store.check() == []
