"""Which button moves a paddle to where a pointer is, in the games where that suits, by a cell of the memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Paddle(NamedTuple):
    """Where a paddle is. Lines and columns are those of the picture, 210 × 160.

    Attributes:
        cell: of the memory; the paddle's middle is at the number there minus `offset`.
        vertical: whether it moves up and down.
        back, forth: the actions that move it to smaller and to larger numbers.
    """

    cell: int
    offset: int
    vertical: bool
    back: str
    forth: str


PADDLES: dict[str, tuple[Paddle, ...]] = {
    "ALE/Breakout-v5": (Paddle(72, 39, False, "left", "right"),),
    "ALE/Pong-v5": (Paddle(51, 6, True, "right", "left"),),
    "pettingzoo/atari/pong_v3": (Paddle(51, 6, True, "right", "left"), Paddle(50, 6, True, "right", "left")),
}
"""By game and seat. Pong's paddles turn by a knob: right is up."""
NEAR = 6
"""Lines or columns within which a paddle is there."""
GLIDE = 0.55
"""How far a paddle goes on without a button, in its way of the last step."""
LINES, COLUMNS = 210, 160


def is_knob(game: str) -> bool:
    """Whether the game's paddles go up and down by actions named right and left."""
    paddles = PADDLES.get(game.partition("?")[0], ())
    return any(paddle.vertical and paddle.back == "right" for paddle in paddles)


class Aim:
    """Follows pointers for the seats of one game, step by step.

    Args:
        game: its variant; options do not matter. names: of its actions.
    """

    def __init__(self, game: str, names: Sequence[str]) -> None:
        self._paddles = PADDLES.get(game.partition("?")[0], ())
        self._names = names
        self._last: dict[int, int] = {}

    def forget(self) -> None:
        """A game begins: its paddles do not glide on from where the last game's were."""
        self._last.clear()

    def __call__(self, memory: NDArray[np.uint8], seat: int, pointer: tuple[float, float]) -> int | None:
        """The action that moves `seat`'s paddle towards a pointer (x, y from 0 to 1); None: there is no paddle."""
        if seat >= len(self._paddles):
            return None
        paddle = self._paddles[seat]
        at = int(memory[paddle.cell]) - paddle.offset
        ahead = at + GLIDE * (at - self._last.get(seat, at))
        self._last[seat] = at
        away = pointer[paddle.vertical] * (LINES if paddle.vertical else COLUMNS) - ahead
        if abs(away) <= NEAR:
            return self._names.index("noop")
        return self._names.index(paddle.forth if away > 0 else paddle.back)
