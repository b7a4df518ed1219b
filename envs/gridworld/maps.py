"""Gridworlds that are a map of cells: tiny, cliff, rooms, and maps of your own (`gridworld/custom?map=FILE`).

A map is text, one character a cell, all lines equally long:

    #  wall          .  floor          S  start (several: one of them by the game's seed)
    G  goal: worth 1, ends the game    1 … 9  goal of that worth
    X  danger: worth −1, ends the game

Moves go up, down, left and right; a wall or the map's edge keeps the walker in place. On a map of your own with F cells
that are not walls a game is cut off after L = max(20, 2 F) steps, and each step costs 1 / L: the return at a goal worth
1 is 1 − steps / L.

A map is read when the environment is made. What it says is part of what the variant means: `spec.version` is the first
eight hex digits of the SHA-256 of its lines, so that episodes recorded on another map under the same name are not taken
for this one's.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from envs.errors import UsageError
from envs.gridworld.drawing import DIRECTIONS
from envs.gridworld.table import Table, TableEnv, TableRules, table_spec
from envs.specs import Variant

MOVES = ("up", "down", "left", "right")
MAX_SIDE = 32
_MAX_BYTES = 1 << 16
_GOALS = {"G": 1.0} | {str(worth): float(worth) for worth in range(1, 10)}
_ENDS = {"X": -1.0} | _GOALS

TINY = (
    "SXG",
    "...",
)
CLIFF = (
    "............",
    "............",
    "............",
    "SXXXXXXXXXXG",
)
ROOMS = (  # Sutton, Precup, Singh 1999, figure 2, without the outer wall
    ".....#.....",
    ".....#.....",
    "...........",
    ".....#.....",
    ".....#.....",
    "#.####.....",
    ".....###.##",
    ".....#.....",
    ".....#..G..",
    "...........",
    ".....#.....",
)


def map_table(
    picture: Sequence[str],
    ends: Mapping[str, float],
    step_reward: float = 0.0,
    fall_reward: float | None = None,
    anywhere: bool = False,
) -> Table:
    """The table of a map.

    Args:
        ends: characters of the cells that end the game → what entering one is worth, `step_reward` apart.
        step_reward: of every step.
        fall_reward: where given, a step onto X is worth this alone and leads back to the start, and the game goes on.
        anywhere: start on any cell where the game goes on, else on S.
    """
    cells = {
        (row, column): character
        for row, line in enumerate(picture)
        for column, character in enumerate(line)
        if character != "#" and not (character == "X" and fall_reward is not None)
    }
    index = {cell: state for state, cell in enumerate(cells)}
    terminal = np.array([character in ends for character in cells.values()])
    starts = [state for state, character in enumerate(cells.values()) if character == "S"]
    next_state = np.repeat(np.arange(len(cells))[:, None], len(MOVES), axis=1)
    reward = np.zeros(next_state.shape)
    for (row, column), state in index.items():
        if terminal[state]:
            continue
        for action, name in enumerate(MOVES):
            down, right = DIRECTIONS[name]
            target = (row + down, column + right)
            reward[state, action] = step_reward
            if target in index:
                next_state[state, action] = index[target]
                reward[state, action] += ends.get(cells[target], 0.0)
            elif fall_reward is not None and _at(picture, target) == "X":
                next_state[state, action], reward[state, action] = starts[0], fall_reward
    return Table(
        next_state=next_state,
        reward=reward,
        terminal=terminal,
        starts=np.flatnonzero(~terminal) if anywhere else np.array(starts),
        cell=np.array(list(cells)),
        picture=tuple(picture),
        action_names=MOVES,
    )


def _at(picture: Sequence[str], cell: tuple[int, int]) -> str:
    """The character of a cell; outside the map all is wall."""
    row, column = cell
    return picture[row][column] if 0 <= row < len(picture) and 0 <= column < len(picture[0]) else "#"


def read_map(path: str) -> tuple[str, ...]:
    """The lines of the map in the file `path`; raises UsageError naming file, line and column where it is no map."""
    if not path:
        raise UsageError("gridworld/custom needs a map: gridworld/custom?map=FILE")
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            raise UsageError(f"map {path!r} is not a file; give a text file with a map")
        if found.st_size > _MAX_BYTES:
            raise UsageError(f"map {path!r} has {found.st_size} bytes; a map has at most {MAX_SIDE} × {MAX_SIDE} cells")
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"map {path!r} cannot be read: {reason}") from None
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line, column = data.count(b"\n", 0, error.start), error.start - data.rfind(b"\n", 0, error.start) - 1
        raise _wrong(path, line, column, "not UTF-8 text; a map is a text file") from None
    return parse_map(text, path)


def parse_map(text: str, path: str) -> tuple[str, ...]:
    """As `read_map`, of the text that `path` holds; line ends are \\n or \\r\\n, empty lines at the end do not
    count."""
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    width = len(lines[0])
    if width == 0:
        raise _wrong(path, 0, 0, "the map has no first line; write one character a cell")
    for row, line in enumerate(lines):
        if row >= MAX_SIDE or len(line) > MAX_SIDE:
            raise _wrong(
                path, row, 0 if row >= MAX_SIDE else MAX_SIDE, f"too large; at most {MAX_SIDE} × {MAX_SIDE} cells"
            )
        for column, character in enumerate(line):
            if character not in "#.S" and character not in _ENDS:
                raise _wrong(path, row, column, f"{character!r} is no cell; use # . S G X or 1 … 9")
        if len(line) != width:
            raise _wrong(
                path, row, min(len(line), width), f"the line has {len(line)} cells, the first {width}; make them equal"
            )
    _check_goals(lines, path)
    return tuple(lines)


def _check_goals(lines: Sequence[str], path: str) -> None:
    """There is a start, a goal, and a way from each start to a goal."""
    cells = {(row, column): character for row, line in enumerate(lines) for column, character in enumerate(line)}
    starts = [cell for cell, character in cells.items() if character == "S"]
    reached = [cell for cell, character in cells.items() if character in _GOALS]
    if not starts:
        raise _wrong(path, 0, 0, "no start in the whole map; mark one with S")
    if not reached:
        raise _wrong(path, 0, 0, "no goal in the whole map; mark one with G or 1 … 9")
    connected = set(reached)
    while reached:
        row, column = reached.pop()
        for down, right in (DIRECTIONS[name] for name in MOVES):
            cell = (row + down, column + right)
            if cell not in connected and cells.get(cell, "#") in ".S":
                connected.add(cell)
                reached.append(cell)
    for cell in starts:
        if cell not in connected:
            raise _wrong(path, *cell, "no goal can be reached from this start; open a way of . cells")


def _wrong(path: str, row: int, column: int, message: str) -> UsageError:
    return UsageError(f"map {path!r}, line {row + 1}, column {column + 1}: {message}")


def make(variant: Variant, num_envs: int, device: torch.device, autoreset: bool) -> TableEnv:
    anywhere = variant.all_options().get("start") == "any"
    version = None
    if variant.id == "gridworld/tiny":
        table, max_steps = map_table(TINY, _ENDS, anywhere=anywhere), 20
        caption = "to the ★, not onto the red square"
    elif variant.id == "gridworld/cliff":  # Sutton & Barto, example 6.6
        table, max_steps = map_table(CLIFF, {"G": 0.0}, -1.0, fall_reward=-100.0, anywhere=anywhere), 100
        caption = "−1 a step, −100 and back to the start for a fall"
    elif variant.id == "gridworld/rooms":
        max_steps = 50
        table = map_table(ROOMS, _ENDS, -1 / max_steps, anywhere=True)
        caption = f"+1 at the ★, −1/{max_steps} a step"
    else:
        picture = read_map(str(variant.options.get("map", "")))
        version = int(hashlib.sha256("\n".join(picture).encode()).hexdigest()[:8], 16)
        max_steps = max(20, 2 * sum(character != "#" for line in picture for character in line))
        table = map_table(picture, _ENDS, -1 / max_steps, anywhere=anywhere)
        caption = f"−1/{max_steps} a step"
    return TableEnv(
        TableRules(table, device, caption), table_spec(variant, table, max_steps, version), num_envs, device, autoreset
    )
