"""Atari games that look alike from every player's place: the others see, and act, as if they were the first.

Where players differ in colour, their colours are swapped. Where a stick moves them left and right, one's left is the
other's right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
"""Grey screens [F, 210, 160, 1]."""
BLACK, WHITE = 0, 214
"""The boxers' greys."""
_BORDER = 8
"""Columns at the left that the console always leaves black in Boxing."""
_WARLORDS_LOWER = 12
"""Rows that the field of Warlords is nearer to the top than to the bottom."""


def as_they_are(screens: Frames) -> Frames:
    return screens


def swapped(*pairs: tuple[int, int]) -> Callable[[Frames], Frames]:
    """With the two greys of each pair exchanged."""
    table = np.arange(256, dtype=np.uint8)
    for one, other in pairs:
        table[[one, other]] = other, one
    return lambda screens: table[screens]


def as_boxing(screens: Frames) -> Frames:
    """With the boxers' colours swapped, and the border where it will be at the left once the picture is turned."""
    seen = swapped((BLACK, WHITE))(screens)
    seen[:, :, :_BORDER], seen[:, :, -_BORDER:] = screens[:, :, -_BORDER:], screens[:, :, :_BORDER]
    return seen


def lower(prepare: Callable[[Frames], Frames]) -> Callable[[Frames], Frames]:
    """Prepared, and so far down that the field of Warlords will be where it was once the picture is upside down."""
    return lambda screens: np.roll(prepare(screens), _WARLORDS_LOWER, axis=1)


class View(NamedTuple):
    """How a player sees the game.

    Attributes:
        prepare: what is done to the screens before they are turned.
        turned: the axes of a picture [F, 84, 84] that are: 2 left to right, 1 top to bottom.
    """

    prepare: Callable[[Frames], Frames]
    turned: tuple[int, ...] = (2,)


class Sides(NamedTuple):
    """How the players' views come about.

    Attributes:
        views: of the places but the first, which sees the screen as it is. Players take them in turn: of four players
            in two places the first and the third are mates.
        stick: whether `left` and `right` are turned, too; a knob's move the paddle up and down.
        revision: added to the game's version where the meaning of recorded actions or what is seen has changed.
    """

    views: tuple[View, ...]
    stick: bool
    revision: int


SIDES = {
    "pong_v3": Sides((View(as_they_are),), stick=False, revision=0),
    "boxing_v2": Sides((View(as_boxing),), stick=True, revision=1),
    "basketball_pong_v3": Sides((View(swapped((147, 184))),), stick=True, revision=1),
    "combat_tank_v2": Sides((View(swapped((149, 192))),), stick=True, revision=1),
    "foozpong_v3": Sides((View(swapped((96, 172))),), stick=False, revision=1),
    "volleyball_pong_v3": Sides((View(swapped((150, 184))),), stick=True, revision=1),
    "warlords_v3": Sides(
        (
            View(swapped((150, 95), (104, 63))),
            View(lower(swapped((150, 104), (95, 63))), (1,)),
            View(lower(swapped((150, 63), (95, 104))), (1, 2)),
        ),
        stick=True,
        revision=1,
    ),
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
