"""Go engines that speak GTP (Farnebäck 2002, "GTP, the Go Text Protocol", version 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.engine_config import EngineConfig
from agents.engine_process import EngineFailure, EngineProcess
from agents.engine_talk import Choice, Legal, Talk
from envs.errors import UsageError
from envs.specs import GameSpec, parse_variant

NATIVE, PETTINGZOO = "go", "pettingzoo/classic/go_v5"
_COLOURS = ("black", "white")
Plane = NDArray[np.bool_]


class Position(NamedTuple):
    """A go position as the player to move (0 black, 1 white) sees it; planes [size, size].

    `last` is the point of the other's last stone, None at the start, "pass" after a pass.
    """

    own: Plane
    other: Plane
    player: int
    last: tuple[int, int] | str | None


class Gtp(Talk):
    """Every position is set up afresh, stone by stone, so that a move depends on the position alone."""

    def __init__(self, spec: GameSpec, config: EngineConfig) -> None:
        variant = parse_variant(spec.game)
        options = variant.all_options()
        if variant.id not in (NATIVE, PETTINGZOO):
            raise UsageError(f"a GTP engine plays go, {NATIVE} or {PETTINGZOO}, not {spec.game}")
        if options.get("superko"):
            raise UsageError("a GTP engine is shown one position, which does not tell what superko forbids")
        self._native = variant.id == NATIVE
        self._komi = float(options.get("komi", 7.5))
        self._names = [name.upper() for name in spec.action_names]
        self._size = int((len(self._names) - 1) ** 0.5)
        self._config = config

    def prepare(self, process: EngineProcess, deadline: float) -> str:
        settings = [f"boardsize {self._size}"]
        if self._config.level:
            settings.append(f"level {self._config.level}")
        if self._config.movetime:
            settings.append(f"time_settings 0 {max(1, round(self._config.movetime))} 1")
        name, *_ = self._ask(process, ["name", *settings], deadline)
        return name[:100]

    def choose(self, process: EngineProcess, observation: NDArray[Any], legal: Legal, deadline: float) -> Choice:
        position = seen(observation, self._native)
        own, other = _COLOURS[position.player], _COLOURS[1 - position.player]
        commands = ["clear_board", f"komi {self._komi:g}"]
        commands += [f"play {(own, other)[of]} {self._names[point]}" for of, point in stones(position, legal)]
        if position.last == "pass":
            commands.append(f"play {other} pass")
        word = self._ask(process, [*commands, f"genmove {own}"], deadline)[-1].upper()
        if word == "RESIGN":
            return Choice(-1)
        if word not in self._names:
            raise EngineFailure("illegal", f"it played {word[:20]!r}")
        return Choice(self._names.index(word))

    def _ask(self, process: EngineProcess, commands: Sequence[str], deadline: float) -> list[str]:
        """The answers' first lines, one a command."""
        process.ask(commands, deadline)
        answers = []
        for command in commands:
            while not (first := process.line(deadline)):
                pass
            while process.line(deadline):
                pass
            if not first.startswith("="):
                raise EngineFailure("nonsense", f"{command!r} was answered with {first[:100]!r}")
            answers.append(first[1:].lstrip("0123456789").strip())
        return answers


def seen(observation: NDArray[Any], native: bool) -> Position:
    """The position of an observation, of the native game [5, size, size] or of PettingZoo's [17, size, size]."""
    if native:
        own, other, _, last, black = observation.astype(bool)
        player = 0 if black.any() else 1
        passed = not last.any() and not (player == 0 and not own.any() and not other.any())
        point = np.argwhere(last)
        return Position(own, other, player, "pass" if passed else tuple(point[0].tolist()) if len(point) else None)
    if observation.shape[1] == observation.shape[0]:
        observation = observation.transpose(2, 0, 1)  # a board of 17 lines looks like 17 planes: they stay last
    # The planes of each position are its mover's first, so the newest are the other player's.
    other, own, _, before_other = observation[:4].astype(bool)
    player = int(observation[16].any())
    new = np.argwhere(other & ~before_other)
    if len(new):
        return Position(own, other, player, tuple(new[0].tolist()))
    return Position(own, other, player, None if player == 0 and not own.any() and not other.any() else "pass")


def stones(position: Position, legal: Legal) -> list[tuple[int, int]]:
    """(0 own or 1 other's, point) in an order in which they can be played one by one to make the position.

    The last stone comes last; where it has just taken a single stone in a ko, that one comes before it, so that the
    engine knows which point is forbidden: a point on which the last stone could be taken, if it were legal [A].
    """
    size = len(position.own)
    last = position.last if isinstance(position.last, tuple) else None
    order = [
        (of, row * size + column)
        for of, plane in ((0, position.own), (1, position.other))
        for row, column in np.argwhere(plane).tolist()
        if (row, column) != last
    ]
    if last is None:
        return order
    free = [at for at in _beside(last, size) if not position.own[at] and not position.other[at]]
    alone = not any(position.other[at] for at in _beside(last, size))
    if len(free) == 1 and alone:
        taken = free[0][0] * size + free[0][1]
        order += [] if legal[taken] else [(0, taken)]
    return [*order, (1, last[0] * size + last[1])]


def _beside(point: tuple[int, int], size: int) -> list[tuple[int, int]]:
    row, column = point
    around = ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1))
    return [(r, c) for r, c in around if 0 <= r < size and 0 <= c < size]
