"""Ctrl-C in long work: the first asks it to stop cleanly, the second ends it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from arena.cli.output import say


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Gives `should_stop()`, true once SIGINT or SIGTERM has come; another one raises KeyboardInterrupt."""
    asked = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        say("\nstopping; everything is kept (Ctrl-C again leaves at once)")

    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield asked.is_set
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
