"""Pictures made to fit a terminal: two pixels a cell, scaled so that small things stay visible. NumPy alone."""

from __future__ import annotations

from functools import lru_cache, reduce
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Picture: TypeAlias = NDArray[np.uint8]
"""[H, W, 3], red, green and blue."""
Packed: TypeAlias = NDArray[np.uint32]
"""[H, W]: luminance, red, green, blue from the highest byte to the lowest: the larger number is the brighter."""

ASPECT = 4 / 3
"""How wide a television's picture is against its height, whatever the number of its columns and lines."""
CLEARLY = 2
"""How many times as far from the surroundings one of two pixels must be to count as a thing of its own."""
NEIGHBOURS = 2
"""Pixels on each side that say what is usual around a pixel."""


def pack(picture: Picture) -> Packed:
    """Pixels with their luminance (weights 77, 150, 29 of 256)."""
    red, green, blue = (picture[..., channel].astype(np.uint32) for channel in range(3))
    luminance = (77 * red + 150 * green + 29 * blue) >> 8
    packed = (luminance << 24) | (red << 16) | (green << 8) | blue
    return packed.astype(np.uint32, copy=False)


def scale(packed: Packed, width: int, height: int) -> Packed:
    """A picture in another size; every pixel is one of those that it covers (or the nearest, where it grows).

    Of the darkest and the brightest one that a pixel covers, it shows the one that differs clearly more from the
    surroundings: a ball of a few pixels would vanish in a mean, and a dark one in a maximum. Along the edges of large
    things neither does; there it shows what covers more.
    """
    if height >= packed.shape[0] and width >= packed.shape[1]:
        rows, columns = (np.arange(new) * old // new for new, old in ((height, len(packed)), (width, packed.shape[1])))
        return packed[rows[:, None], columns]
    brightest = darkest = packed
    mean = (packed >> 24).astype(np.float32)
    for axis, size in ((0, height), (1, width)):
        taps = _taps(packed.shape[axis], size)
        brightest = reduce(np.maximum, (brightest.take(tap, axis) for tap in taps))
        darkest = reduce(np.minimum, (darkest.take(tap, axis) for tap in taps))
        mean = reduce(np.add, (mean.take(tap, axis) for tap in taps)) / np.float32(len(taps))
    if np.array_equal(brightest, darkest):
        return brightest
    high, low = (brightest >> 24).astype(np.int32), (darkest >> 24).astype(np.int32)
    usual = _mean_around(high + low)
    above, below = 2 * high - usual, usual - 2 * low
    more = np.where(2 * mean >= high + low, brightest, darkest)
    return np.where(above > CLEARLY * below, brightest, np.where(below > CLEARLY * above, darkest, more))


@lru_cache(maxsize=64)
def _taps(old: int, new: int) -> list[NDArray[np.intp]]:
    """Index arrays [new] that together name all `old` pixels which each new one covers, at least one."""
    edges = np.arange(new + 1) * old // new
    last = np.maximum(edges[1:] - 1, edges[:-1])
    return [np.minimum(edges[:-1] + tap, last) for tap in range(int((last - edges[:-1]).max()) + 1)]


def _mean_around(values: NDArray[np.int32]) -> NDArray[np.int32]:
    """The mean over each number [H, W] and its neighbours, those at the edges repeated."""
    size = 2 * NEIGHBOURS + 1
    padded = np.pad(values, NEIGHBOURS, mode="edge")
    total = np.pad(padded, ((1, 0), (1, 0))).cumsum(0, dtype=np.int32).cumsum(1, dtype=np.int32)
    box = total[size:, size:] - total[:-size, size:] - total[size:, :-size] + total[:-size, :-size]
    mean: NDArray[np.int32] = box // size**2
    return mean


def fitting(columns: int, lines: int, aspect: float = ASPECT) -> tuple[int, int]:
    """The largest (width, height) in pixels of this aspect within so many cells, each as wide as half its height."""
    width, height = max(1, columns), max(2, 2 * lines)
    if width > height * aspect:
        width = max(1, round(height * aspect))
    else:
        height = max(2, 2 * round(width / aspect / 2))
    return width, height


def covering(columns: int, lines: int, aspect: float = ASPECT) -> tuple[int, int]:
    """The smallest (width, height) in pixels of this aspect that leaves none of so many cells empty."""
    width, height = max(1, columns), max(2, 2 * lines)
    if width > height * aspect:
        height = 2 * round(width / aspect / 2)
    else:
        width = round(height * aspect)
    return width, height
