"""Two-player Atari games that look alike from both sides: the second player sees, and acts, as if it were the first.

Where the two differ in colour, their colours are swapped. Where a stick moves them left and right, one's left is the
other's right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
"""Grey screens [F, 210, 160, 1]."""
BLACK, WHITE = 0, 214
"""The boxers' greys."""
_BORDER = 8
"""Columns at the left that the console always leaves black in Boxing."""


def as_they_are(screens: Frames) -> Frames:
    return screens


def swapped(one: int, other: int, screens: Frames) -> Frames:
    """With these two greys exchanged."""
    table = np.arange(256, dtype=np.uint8)
    table[[one, other]] = other, one
    return table[screens]


def as_boxing(screens: Frames) -> Frames:
    """With the boxers' colours swapped, and the border where it will be at the left once the picture is turned."""
    seen = swapped(BLACK, WHITE, screens)
    seen[:, :, :_BORDER], seen[:, :, -_BORDER:] = screens[:, :, -_BORDER:], screens[:, :, :_BORDER]
    return seen


class Side(NamedTuple):
    """How the second player's view comes about.

    Attributes:
        prepare: what is done to the screens before they are turned, left to right.
        stick: whether `left` and `right` are turned, too; a knob's move the paddle up and down.
        revision: added to the game's version where the meaning of recorded actions has changed.
    """

    prepare: Callable[[Frames], Frames]
    stick: bool
    revision: int


SIDES = {
    "pong_v3": Side(as_they_are, stick=False, revision=0),
    "boxing_v2": Side(as_boxing, stick=True, revision=1),
    "basketball_pong_v3": Side(partial(swapped, 147, 184), stick=True, revision=1),
    "combat_tank_v2": Side(partial(swapped, 149, 192), stick=True, revision=1),
}


def turned_actions(names: Sequence[str]) -> list[int]:
    """For each action that with `left` and `right` exchanged."""
    exchange = {"left": "right", "right": "left"}
    turned = ["".join(exchange.get(part, part) for part in _parts(name)) for name in names]
    return [names.index(name) for name in turned]


def _parts(name: str) -> list[str]:
    """`upleftfire` → up, left, fire."""
    for side in ("left", "right"):
        before, found, after = name.partition(side)
        if found:
            return [before, side, after]
    return [name]
