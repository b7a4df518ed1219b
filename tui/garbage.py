"""Garbage is collected where nobody waits for it.

A full collection looks at all that the app holds and stops it for a tenth of a second or more: the interpreter would
begin one in the middle of a key's work. Here the youngest objects are looked at as ever, which takes a millisecond or
two, and all of them when no key has come for a while, or when much has gathered.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

from textual.cache import LRUCache

LOOK_SECONDS = 0.5
REST_SECONDS = 1.0
"""How long nobody has pressed or moved anything before a collection."""
LEAST, MOST = 5, 40
"""After how many collections of younger objects (of 7,000 new ones each) a full one is worth it, and is due anyway."""


def _clear(cache: LRUCache[Any, Any]) -> None:
    """Textual's cache is a ring of links: left as it is, all that was drawn would wait for a full collection."""
    for link in cache._cache.values():
        link.clear()
    _clear_ring(cache)


_clear_ring = LRUCache.clear
LRUCache.clear = _clear  # type: ignore[assignment, method-assign]


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
        waiting = gc.get_count()[2]
        due = waiting >= MOST or (waiting >= LEAST and self._clock() - self._touched >= REST_SECONDS)
        if due:
            gc.collect()
        return due
