"""PettingZoo's games in character cells.

A drawer gets the environment, what each of the players that look sees, and the names of the actions; games of hidden
information are drawn from what those players see alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from envs.boards.go import Go
from envs.chess_positions import actions_of
from envs.pictures import half_blocks, text_lines
from envs.rendering import Box, Drawing, Span, draw_grid, grid_box

Views = Mapping[int, Any]
_MARKS = ("●", "○")
_CHESS = dict(zip("kqrbnpKQRBNP", "♚♛♜♝♞♟♔♕♖♗♘♙", strict=True))
_RANKS = ("J", "Q", "K")


def draw_any(env: Any, views: Views, names: Sequence[str]) -> Drawing:
    """The environment's own picture where it has one."""
    frame = env.render() if env.render_mode == "rgb_array" else None
    lines = half_blocks(frame) if isinstance(frame, np.ndarray) else _words(views)
    keys = {index: [str(index)] for index in range(min(len(names), 10))}
    for index, name in enumerate(names[:10]):
        if name in ("up", "down", "left", "right"):
            keys[index].append(name)
    return Drawing(lines, keys=keys)


def draw_seen(env: Any, views: Views, names: Sequence[str]) -> Drawing:
    """What the players that look see, as numbers."""
    return Drawing(_words(views), keys={index: [str(index)] for index in range(min(len(names), 10))})


def _words(views: Views) -> list[list[Span]]:
    text = []
    for player, view in sorted(views.items()):
        seen = view["observation"] if isinstance(view, Mapping) and "observation" in view else view
        text.append(f"player {player} sees {np.array2string(np.asarray(seen), max_line_width=76, threshold=400)}")
    return text_lines("\n".join(text))


def _to_move(env: Any, marks: Sequence[str]) -> str:
    if not env.agents or all(env.terminations.values()):
        return "over"
    return f"{marks[env.possible_agents.index(env.agent_selection)]} to move"


def _draw_line_game(env: Any, names: Sequence[str], cells: list[list[int]], numbers: list[list[int]]) -> Drawing:
    """A ruled board: cells hold 0, 1 or 2; numbers hold the action that plays on a cell."""
    legal = _legal(env)
    grid: list[list[Span]] = []
    targets: dict[int, list[tuple[int, int, int, int]]] = {}
    for row, (values, actions) in enumerate(zip(cells, numbers, strict=True)):
        line: list[Span] = []
        for column, (value, action) in enumerate(zip(values, actions, strict=True)):
            line.append((_MARKS[value - 1], f"player{value - 1}") if value else (" ", "plain"))
            if action in legal:
                targets.setdefault(action, []).append((4 * column, 2 * row, 4, 2))
        grid.append(line)
    keys = {action: [names[action]] for action in sorted(legal)}
    return Drawing(draw_grid(grid), targets, keys, _to_move(env, _MARKS))


def _legal(env: Any) -> set[int]:
    if not env.agents or all(env.terminations.values()):
        return set()
    return set(np.flatnonzero(env.observe(env.agent_selection)["action_mask"]).tolist())


def draw_tictactoe(env: Any, views: Views, names: Sequence[str]) -> Drawing:
    squares = env.unwrapped.board.squares
    cells = [[squares[row + 3 * column] for column in range(3)] for row in range(3)]
    return _draw_line_game(env, names, cells, [[row + 3 * column for column in range(3)] for row in range(3)])


def draw_connect_four(env: Any, views: Views, names: Sequence[str]) -> Drawing:
    board = env.unwrapped.board
    cells = [list(board[7 * row : 7 * row + 7]) for row in range(6)]
    drawing = _draw_line_game(env, names, cells, [list(range(7))] * 6)
    labels: list[Span] = [("".join(f"  {column} " for column in range(1, 8)), "dim")]
    return Drawing([*drawing.lines, labels], drawing.targets, drawing.keys, drawing.caption)


def draw_chess(env: Any, views: Views, names: Sequence[str]) -> Drawing:
    board = env.unwrapped.board
    last = board.peek().to_square if board.move_stack else None
    grid: list[list[Span]] = []
    for rank in range(7, -1, -1):
        line: list[Span] = []
        for file in range(8):
            piece = board.piece_at(8 * rank + file)
            style = "plain" if piece is None else "player0" if piece.color else "player1"
            symbol = " " if piece is None else _CHESS[piece.symbol()]
            line.append((symbol, f"{style} last" if 8 * rank + file == last else style))
        grid.append(line)
    lines = [
        [(str(8 - index // 2) if index % 2 else " ", "dim"), (" ", "plain"), *line]
        for index, line in enumerate(draw_grid(grid))
    ]
    files: list[Span] = [("  " + "".join(f"  {letter} " for letter in "abcdefgh"), "dim")]
    caption = _to_move(env, ("white", "black"))
    if caption == "over":
        return Drawing([*lines, files], caption=caption)
    # Of a promotion the queen is what a click stands for; other pieces are typed.
    words = {action: word for word, action in actions_of(board).items() if word[4:] in ("", "q")}
    origins, targets = ({a: _square(word[at : at + 2]) for a, word in words.items()} for at in (0, 2))
    check = ", check" if board.is_check() else ""
    return Drawing([*lines, files], {a: [box] for a, box in targets.items()}, {}, f"{caption}{check}", origins)


def _square(name: str) -> Box:
    """Where a square ("e4") is drawn."""
    x, y, width, height = grid_box(8 - int(name[1]), "abcdefgh".index(name[0]))
    return x + 2, y, width, height


def draw_go(env: Any, views: Views, names: Sequence[str]) -> Drawing:
    board = env.unwrapped._go.board
    size = len(board)
    legal = _legal(env)
    lines: list[list[Span]] = []
    for row in range(size):
        line: list[Span] = [(f"{size - row:2d} ", "dim")]
        for column in range(size):
            stone = int(board[row, column])
            point: Span = ("·", "dim") if stone == 0 else ("●", "player0") if stone > 0 else ("○", "player1")
            line += [point, (" ", "plain")]
        lines.append(line)
    letters = " ".join(name[0] for name in names[:size])
    lines.append([(f"   {letters}", "dim")])
    points = sorted(legal - {size * size})
    targets = {point: [(3 + 2 * (point % size), point // size, 2, 1)] for point in points}
    keys = {size * size: ["p"]} if size * size in legal else {}
    rules = Go(size, float(env.unwrapped._komi), False, 0, torch.device("cpu"))
    turn = _to_move(env, _MARKS)
    score = rules.score(torch.from_numpy(board.astype(np.int8)).view(1, -1), turn == "over")
    return Drawing(lines, targets, keys, score if turn == "over" else f"{turn} · {score}")


def draw_leduc(env: Any, views: Views, names: Sequence[str]) -> Drawing:
    """Observation [36]: the hand's rank, the public card's rank, the chips of both in one-hot form (RLCard)."""
    lines: list[list[Span]] = []
    for player, view in sorted(views.items()):
        seen = np.asarray(view["observation"])
        public = [_RANKS[rank] for rank in np.flatnonzero(seen[3:6])]
        lines += [
            [(f"player {player} holds ", "plain"), (_RANKS[int(seen[:3].argmax())], f"player{player}")],
            [("on the table: ", "plain"), (public[0] if public else "nothing yet", "last")],
            [(f"chips: own {int(seen[6:21].argmax())}, other's {int(seen[21:36].argmax())}", "plain")],
        ]
    keys = {action: [names[action][0]] for action in _legal(env)}  # call and check are never legal together
    return Drawing(lines, keys=keys, caption=_to_move(env, ("player 0", "player 1")))


def draw_rps(env: Any, views: Views, names: Sequence[str]) -> Drawing:
    lines: list[list[Span]] = []
    for player, view in sorted(views.items()):
        shown = names[int(view)] if int(view) < len(names) else "nothing yet"
        lines.append([(f"player {player}", f"player{player}"), (f": the other last showed {shown}", "plain")])
    return Drawing(lines, keys={action: [name[0]] for action, name in enumerate(names)})


DRAWERS: dict[str, Callable[[Any, Views, Sequence[str]], Drawing]] = {
    "classic/tictactoe_v3": draw_tictactoe,
    "classic/connect_four_v3": draw_connect_four,
    "classic/chess_v6": draw_chess,
    "classic/go_v5": draw_go,
    "classic/leduc_holdem_v4": draw_leduc,
    "classic/rps_v2": draw_rps,
    "classic/texas_holdem_v4": draw_seen,
    "classic/texas_holdem_no_limit_v6": draw_seen,
    "classic/hanabi_v5": draw_seen,
}
"""All others are drawn from the picture that they render."""
