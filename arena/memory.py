"""How the C library keeps memory."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt's names for them in malloc.h
_LARGEST_KEPT = 32 * 2**20  # more, glibc does not take


def keep_freed_memory() -> None:
    """Let glibc keep what is freed for the next allocation, instead of giving it back to the system.

    Batches of games or texts allocate and free the same few megabytes at every step; fetched anew each time, zeroed
    page by page, they cost up to 40 % of it. Elsewhere than on glibc this does nothing.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT)
        mallopt(_TRIM_THRESHOLD, 2**30)
