"""Garbage is collected where nobody waits for it.

A full collection looks at all that the app holds and stops it for a tenth of a second or more: the interpreter would
begin one in the middle of a key's work. Here the youngest objects are looked at as ever, which takes a millisecond or
two, and all of them when no key has come for a while, or when some has gathered. The fewer there are the shorter that
takes: what can be known to go is let go of at once (`cycles.py`, and what is drawn in `strips.py`).
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

from tui import cycles, leaving, strips  # noqa: F401

LOOK_SECONDS = 0.25
REST_SECONDS = 0.4
"""How long nobody has pressed or moved anything before a collection."""
LEAST, MOST = 1, 3
"""After how many collections of younger objects (of 7,000 new ones each) a full one is worth it, and is due anyway."""
MANY = 50_000
"""Where so many objects are left after a full collection, they are taken to stay, and not looked at any more: what goes
of them later and leads back to itself is kept (all in all memory grows by 1.4 MiB in a thousand keys)."""


class Garbage:
    """The collections of one process, from the first `begin` on. `clock` tells seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._touched = clock()

    def begin(self) -> None:
        """What there is by now stays, and need not be looked at again; no full collection begins by itself."""
        gc.freeze()
        young, middle, _ = gc.get_threshold()
        gc.set_threshold(young, middle, 1 << 30)
        gc.enable()

    def touch(self) -> None:
        """Somebody has pressed or moved something."""
        self._touched = self._clock()

    def look(self) -> bool:
        """Whether a full collection was due, and is done; call it every `LOOK_SECONDS`."""
        waiting, rest = gc.get_count()[2], self._clock() - self._touched
        due = waiting >= MOST or (waiting >= LEAST and rest >= REST_SECONDS)
        if due:
            gc.collect()
            if len(gc.get_objects()) > MANY:
                gc.freeze()
        return due
