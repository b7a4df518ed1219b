"""Who is at work: held by one alone, seen by all, and looking does not get in the way."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from arena.locks import hold, is_held
from envs.errors import ArenaError


def test_one_alone_holds_and_others_see_it(tmp_path: Path) -> None:
    db = tmp_path / "league.db"
    assert not is_held(db, "run-1")
    with hold(db, "run-1", "run x"):
        assert is_held(db, "run-1")
        assert not is_held(db, "run-2")
        with pytest.raises(ArenaError, match="run x is being worked on"), hold(db, "run-1", "run x"):
            pass
    assert not is_held(db, "run-1")


def test_looking_keeps_nobody_from_holding(tmp_path: Path) -> None:
    db = tmp_path / "league.db"
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            is_held(db, "run-1")
            time.sleep(0.001)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for _ in range(300):
            with hold(db, "run-1", "run x"):
                pass
    finally:
        done.set()
        watcher.join()
