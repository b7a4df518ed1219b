"""How gridworlds look in a terminal: two characters a cell, so that cells are square. No torch."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import ArrayLike

from envs.gridworld.dynamics import Dynamics
from envs.rendering import Drawing, Span

DIRECTIONS: dict[str, tuple[int, int]] = {
    "stay": (0, 0),
    "up": (-1, 0),
    "down": (1, 0),
    "left": (0, -1),
    "right": (0, 1),
}
"""Action name → (rows, columns) that it moves."""

ARROWS = {"stay": "·", "up": "↑", "down": "↓", "left": "←", "right": "→"}
WALKER: Span = ("◆ ", "agent")
PLAYERS: tuple[Span, Span] = (("● ", "player0"), ("○ ", "player1"))
HIDDEN: Span = ("░░", "hidden")
FLOOR: Span = ("· ", "dim")

_TILES: dict[str, Span] = {
    " ": ("  ", "plain"),
    "#": ("██", "wall"),
    ".": FLOOR,
    "S": FLOOR,
    "G": ("★ ", "goal"),
    "X": ("××", "danger"),
    "+": ("+ ", "goal"),
}
_COLD, _GREY, _WARM = (12, 82, 148), (60, 60, 64), (168, 88, 0)
_SCREEN_WIDTH, _SCREEN_HEIGHT = 78, 20
"""Of a drawing, so that an 80×24 terminal has room for it and what is around it."""


def tile(character: str) -> Span:
    """One cell of a map (digits are goals of that worth)."""
    return _TILES.get(character, (f"{character} ", "goal"))


def draw_cells(
    cells: Sequence[Sequence[Span]],
    action_names: Sequence[str],
    at: tuple[int, int] | None = None,
    caption: str = "",
    framed: bool = True,
    legal: Collection[int] | None = None,
) -> Drawing:
    """A grid of two-character cells.

    A mover `at` (row, column) can click the cells around it, for its `legal` actions (None: all). Of a grid larger than
    the screen the part around the mover is shown.
    """
    top, rows = _window(len(cells), _SCREEN_HEIGHT - 2 * framed, at and at[0])
    left, columns = _window(len(cells[0]), _SCREEN_WIDTH // 2 - framed, at and at[1])
    targets: dict[int, list[tuple[int, int, int, int]]] = {}
    if at is not None:
        for action, name in enumerate(action_names):
            row, column = at[0] + DIRECTIONS[name][0] - top, at[1] + DIRECTIONS[name][1] - left
            if 0 <= row < rows and 0 <= column < columns and (legal is None or action in legal):
                targets[action] = [(2 * column + framed, row + framed, 2, 1)]
    keys = {action: ["space" if name == "stay" else name] for action, name in enumerate(action_names)}
    shown = [row[left : left + columns] for row in cells[top : top + rows]]
    return Drawing(_frame(shown, 2) if framed else shown, targets, keys, caption)


def draw_walker(picture: Sequence[str], at: tuple[int, int], action_names: Sequence[str], caption: str = "") -> Drawing:
    """A map with the walker on it, framed unless it is walled in."""
    cells = [[tile(character) for character in row] for row in picture]
    cells[at[0]][at[1]] = WALKER
    return draw_cells(cells, action_names, at, caption, framed=not _walled(picture))


def draw_policy(dynamics: Dynamics, values: ArrayLike, policy: ArrayLike) -> Drawing:
    """The values [S] over the map, and an arrow for the likeliest action of the policy [S, A].

    Ends show the reward of reaching them. Where the map is too wide for numbers the arrows stand alone.
    """
    values = np.asarray(values, dtype=np.float64)
    best = np.where(dynamics.legal, np.asarray(policy, dtype=np.float64), -np.inf).argmax(-1)
    width = next((width for width in (7, 6) if len(dynamics.picture[0]) * width + 2 <= _SCREEN_WIDTH), 2)
    cells = [[_widen(tile(character), width) for character in row] for row in dynamics.picture]
    for state, (row, column) in enumerate(dynamics.cell.tolist()):
        character = dynamics.picture[row][column]
        if not dynamics.terminal[state]:
            arrow = ARROWS[dynamics.action_names[best[state]]]
            number = f"{_number(values[state]):>{width - 1}}" if width > 2 else " "
            cells[row][column] = (arrow + number, "plain")
        elif character != "#" and width > 2:
            symbol, style = tile(character)
            entering = dynamics.reward[:, :, state][dynamics.transition[:, :, state] > 0]
            entering = entering[entering != 0]
            cells[row][column] = (
                f"{symbol[0]}{_number(entering[0], '+') if len(entering) else '0':>{width - 1}}",
                style,
            )
    return Drawing(_frame(cells, width) if not _walled(dynamics.picture) else cells)


def draw_policy_over(
    dynamics: Dynamics, values: ArrayLike, policy: ArrayLike, at: tuple[int, int], caption: str = ""
) -> Drawing:
    """The walker's map as the game draws it, and what a policy [S, A] and its values [S] say of every floor cell.

    An arrow is the likeliest action, the colour behind it the value: blue is the least, orange the most.
    """
    values = np.asarray(values, dtype=np.float64)
    best = np.where(dynamics.legal, np.asarray(policy, dtype=np.float64), -np.inf).argmax(-1)
    known = values[~dynamics.terminal]
    low, high = (known.min(), known.max()) if len(known) else (0.0, 0.0)
    cells = [[tile(character) for character in row] for row in dynamics.picture]
    for state, (row, column) in enumerate(dynamics.cell.tolist()):
        if not dynamics.terminal[state]:
            arrow = ARROWS[dynamics.action_names[best[state]]]
            cells[row][column] = (f"{arrow} ", _heat((values[state] - low) / (high - low) if high > low else 0.5))
    symbol, style = cells[at[0]][at[1]]
    behind = style.partition(" on ")[2]
    cells[at[0]][at[1]] = (WALKER[0][0] + symbol[0], f"bold #ffffff on {behind}" if behind else WALKER[1])
    return draw_cells(cells, dynamics.action_names, at, caption, framed=not _walled(dynamics.picture))


def _heat(share: float) -> str:
    """The style of a value between the least (0) and the most (1)."""
    ends = (_COLD, _GREY, _WARM)
    part, lower = (share - 0.5) * 2, ends[1]
    upper = ends[2] if part > 0 else ends[0]
    colour = [round(a + (b - a) * abs(part)) for a, b in zip(lower, upper, strict=True)]
    return "#ffffff on #{:02x}{:02x}{:02x}".format(*colour)


def _window(length: int, limit: int, middle: int | None) -> tuple[int, int]:
    """(first, count): up to `limit` of `length` cells, around the `middle` one where not all fit."""
    if length <= limit:
        return 0, length
    return max(0, min((middle or 0) - limit // 2, length - limit)), limit


def _walled(picture: Sequence[str]) -> bool:
    edge = picture[0] + picture[-1] + "".join(row[0] + row[-1] for row in picture)
    return set(edge) == {"#"}


def _widen(span: Span, width: int) -> Span:
    symbol, style = span
    return (symbol[0] * width if symbol[0] == symbol[1] else symbol.ljust(width), style)


def _number(value: float, sign: str = "-") -> str:
    """At most five characters and a sign."""
    for decimals in (2, 1, 0):
        text = f"{value:{sign}.{decimals}f}"
        if len(text) <= 5:
            return text
    return f"{value:{sign}.0e}"


def _frame(cells: Sequence[Sequence[Span]], width: int) -> list[list[Span]]:
    edge = "─" * (width * len(cells[0]))
    middle = [[("│", "dim"), *row, ("│", "dim")] for row in cells]
    return [[(f"┌{edge}┐", "dim")], *middle, [(f"└{edge}┘", "dim")]]
