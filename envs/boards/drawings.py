"""How the board games are drawn, from plain numbers. No torch: who shows a game need not be who plays it.

Boards of tic-tac-toe, connect four and othello are pairs of bit sets, the first player's and the second's, as their
rules number them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from envs.errors import ArenaError
from envs.rendering import Drawing, Span, draw_grid, grid_box
from envs.specs import parse_variant

MARKS = ("●", "○")
LETTERS = "ABCDEFGHJKLMNOPQRST"
"""Go's columns."""
TIC_TAC_TOE_NAMES = tuple(str(1 + 3 * (square % 3) + square // 3) for square in range(9))
TIC_TAC_TOE_LINES = tuple(
    sum(1 << square for square in squares)
    for squares in ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))
)
OTHELLO_START = ((3, 4), (4, 3)), ((3, 3), (4, 4))
"""(row, column) of the discs of black, who moves first, and of white."""
_OTHELLO_FIRST_MOVES = (2, 3), (3, 2), (4, 5), (5, 4)
_WIDTH = 5


def start_drawing(game: str) -> Drawing | None:
    """The position that every game of a variant begins with; None where that is not one of these boards."""
    try:
        variant = parse_variant(game)
    except ArenaError:
        return None
    match variant.id:
        case "tic_tac_toe":
            return draw_tic_tac_toe((0, 0), 0, -1)
        case "connect_four":
            return draw_connect_four((0, 0), 0, -1)
        case "othello":
            black, white = (sum(othello_square(*place) for place in places) for places in OTHELLO_START)
            return draw_othello(
                (black, white), sum(othello_square(*place) for place in _OTHELLO_FIRST_MOVES), False, 0, -1
            )
        case "go":
            options = variant.all_options()
            size, komi = int(options["size"]), float(options["komi"])
            points = size * size
            return draw_go([0] * points, range(points), False, 0, -1, go_score(0, 0, komi, False))
    return None


def draw_tic_tac_toe(boards: Sequence[int], ply: int, last: int) -> Drawing:
    """`last`: the square just taken, -1 at first."""
    marks = ("✕", "○")
    lines = [line for board in boards for line in TIC_TAC_TOE_LINES if board & line == line]
    over = bool(lines) or boards[0] | boards[1] == 0b111111111

    def cell(square: int) -> Span:
        for player, board in enumerate(boards):
            if board >> square & 1:
                style = f"player{player}"
                if any(line >> square & 1 for line in lines):
                    return marks[player], f"{style} win"
                return marks[player], f"{style} last" if square == last else style
        return (" ", "plain") if over else (TIC_TAC_TOE_NAMES[square], "legal")

    legal = [] if over else [square for square in range(9) if not (boards[0] | boards[1]) >> square & 1]
    mover = ply % 2
    return Drawing(
        draw_grid([[cell(row + 3 * column) for column in range(3)] for row in range(3)], _WIDTH),
        targets={square: [grid_box(square % 3, square // 3, _WIDTH)] for square in legal},
        keys={square: [TIC_TAC_TOE_NAMES[square]] for square in legal},
        caption=f"{marks[1 - mover]} wins" if lines else "a draw" if over else f"{marks[mover]} to move",
    )


def draw_connect_four(boards: Sequence[int], ply: int, last: int) -> Drawing:
    """`last`: the column just played, -1 at first."""
    rows, columns = range(6), range(7)
    occupied = boards[0] | boards[1]
    lines = [line for board in boards for line in _FOURS if board & line == line]
    over = bool(lines) or all(occupied & _bit(rows[-1], column) for column in columns)
    top = max((height for height in rows if last >= 0 and _bit(height, last) & occupied), default=-1)

    def cell(height: int, column: int) -> Span:
        for player, board in enumerate(boards):
            if board & _bit(height, column):
                style = f"player{player}"
                if any(line & _bit(height, column) for line in lines):
                    return MARKS[player], f"{style} win"
                return MARKS[player], f"{style} last" if (height, column) == (top, last) else style
        lands = not over and (height == 0 or bool(occupied & _bit(height - 1, column)))
        return ("·", "legal") if lands else (" ", "plain")

    picture = draw_grid([[cell(height, column) for column in columns] for height in reversed(rows)])
    labels = " ".join(f" {column + 1} " for column in columns)
    legal = [] if over else [column for column in columns if not occupied & _bit(rows[-1], column)]
    mover = ply % 2
    return Drawing(
        [*picture, [(f" {labels} ", "dim")]],
        targets={column: [(grid_box(0, column)[0], 0, 4, 2 * len(rows) + 2)] for column in legal},
        keys={column: [str(column + 1)] for column in legal},
        caption=f"{MARKS[1 - mover]} wins" if lines else "a draw" if over else f"{MARKS[mover]} to move",
    )


def draw_othello(boards: Sequence[int], legal: int, over: bool, ply: int, last: int) -> Drawing:
    """`legal`: the squares that may be taken; `last`: the square just taken, 64 after a pass, -1 at first."""
    lines: list[list[Span]] = [[("   " + " ".join(f"{column} " for column in "abcdefgh"), "dim")]]
    for row in range(8):
        line: list[Span] = [(f"{row + 1} ", "dim")]
        for column in range(8):
            square = othello_square(row, column)
            owner = next((player for player in (0, 1) if boards[player] & square), None)
            style = "plain" if owner is None else f"player{owner}"
            text = "·" if legal & square else " " if owner is None else MARKS[owner]
            style = "legal" if legal & square else style
            line.append((f" {text} ", f"{style} last" if last == 8 * row + column else style))
        lines.append(line)
    black, white = (bin(board & (2**64 - 1)).count("1") for board in boards)
    passes = legal == 0 and not over
    squares = [square for square in range(64) if legal & othello_square(*divmod(square, 8))]
    moves = "" if over else f", {MARKS[ply % 2]} to move" + (" (must pass)" if passes else "")
    return Drawing(
        lines,
        targets={square: [(2 + 3 * (square % 8), 1 + square // 8, 3, 1)] for square in squares},
        keys={64: ["p"]} if passes else {},
        caption=f"{MARKS[0]} {black}  {MARKS[1]} {white}{moves}",
    )


def draw_go(stones: Sequence[int], legal: Collection[int], over: bool, ply: int, last: int, score: str) -> Drawing:
    """`stones` [size · size]: 1 black, -1 white. `last`: the point just played, size · size after a pass."""
    points, mover = len(stones), ply % 2
    size = round(points**0.5)
    lines: list[list[Span]] = [[("   " + " ".join(LETTERS[:size]), "dim")]]
    for row in range(size):
        line: list[Span] = [(f"{size - row:2d} ", "dim")]
        for column in range(size):
            stone, here = stones[row * size + column], row * size + column == last
            text, style = {1: (MARKS[0], "player0"), -1: (MARKS[1], "player1"), 0: ("·", "dim")}[stone]
            line += [(text, f"{style} last" if here else style), (" ", "plain")]
        lines.append(line)
    passed = f", {MARKS[1 - mover]} passed" if last == points else ""
    return Drawing(
        lines,
        targets={point: [(3 + 2 * (point % size), 1 + point // size, 2, 1)] for point in legal},
        keys={points: ["p"]},
        caption=score if over else f"{MARKS[mover]} to move{passed} · {score}",
    )


def go_score(black: int, white: int, komi: float, over: bool) -> str:
    """Both areas and komi in words, at the end who is ahead."""
    ahead = black - white - komi
    result = f": {MARKS[ahead < 0]} ahead by {abs(ahead):g}" if ahead else ": even"
    return f"area {MARKS[0]} {black}, {MARKS[1]} {white} + {komi:g}{result if over else ''}"


def _bit(height: int, column: int) -> int:
    """Connect four's: a byte a column, the lowest stone first."""
    return 1 << (8 * column + height)


def _fours() -> list[int]:
    inside = {(height, column) for height in range(6) for column in range(7)}
    lines = []
    for height, column in sorted(inside):
        for up, right in ((0, 1), (1, -1), (1, 0), (1, 1)):
            cells = [(height + i * up, column + i * right) for i in range(4)]
            if inside.issuperset(cells):
                lines.append(sum(_bit(*cell) for cell in cells))
    return lines


_FOURS = _fours()


def othello_square(row: int, column: int) -> int:
    """Othello's, as a signed 64-bit number."""
    value = 1 << (8 * row + column)
    return value - (1 << 64) if value >> 63 else value
