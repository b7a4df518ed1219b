"""Chess positions between PettingZoo's `chess_v6` and the notations of the chess world (FEN, UCI), by python-chess.

An observation [111, 8, 8] is what the player to move sees, its own side at the bottom: four planes of castling rights,
the colour, the halfmove clock (halved), ones; then 13 planes for each of the last eight positions, newest first: own
pawns, knights, bishops, rooks, queens, king, the other's, and whether the position had been there before. A pawn that
has just moved two squares is shown on its side's first row. Before the first move all positions are empty.
"""

from __future__ import annotations

import chess
import numpy as np
from numpy.typing import NDArray
from pettingzoo.classic.chess import chess_utils

GAME = "pettingzoo/classic/chess_v6"
_BOARDS, _PLANES, _FIRST = 8, 13, 7
_PIECES = (chess.PAWN, chess.KNIGHT, chess.BISHOP, chess.ROOK, chess.QUEEN, chess.KING)
_CASTLING = (chess.BB_H1, chess.BB_A1, chess.BB_H8, chess.BB_A8)
Planes = NDArray[np.uint8]


def board_of(observation: Planes) -> chess.Board:
    """The position that an observation [111, 8, 8] shows, with as much of the game before it as can be told.

    The moves before it are on the board's stack where they can be told from the positions before it, at most eight, so
    that repetitions are known.
    """
    positions = [_position(observation, index) for index in range(_BOARDS)]
    known = [position for position in positions if position is not None]
    black = bool(observation[4].any())
    if not known:
        return chess.Board()
    now = known[0]
    now.castling_rights = sum(square for square, plane in zip(_CASTLING, observation[:4], strict=True) if plane.any())
    clock = observation[5].argmax() // 8, observation[5].argmax() % 8
    row = int(clock[0]) if black else 7 - int(clock[0])
    now.halfmove_clock = 2 * (8 * row + int(clock[1]))
    now = now.mirror() if black else now
    before = [position.mirror() if black else position for position in known[1:]]
    if len(known) < _BOARDS:
        before.append(chess.Board())
    return _with_moves(now, before)


def actions_of(board: chess.Board) -> dict[str, int]:
    """Every legal move of a position, as UCI says it → its action."""
    actions = {}
    own = board if board.turn == chess.WHITE else board.mirror()
    for move in own.legal_moves:
        word = move.uci()
        if word not in chess_utils.moves_to_actions:
            chess_utils.make_move_mapping(word)
        real = move if board.turn == chess.WHITE else chess_utils.mirror_move(move)
        actions[real.uci()] = chess_utils.moves_to_actions[word]
    return actions


def _position(observation: Planes, index: int) -> chess.Board | None:
    """The position `index` plies ago as the player to move now sees it (as White), without castling rights."""
    planes = observation[_FIRST + _PLANES * index :][: _PLANES - 1]
    if not planes.any():
        return None
    board = chess.Board(None)
    for plane, (colour, kind) in zip(planes, ((c, k) for c in (True, False) for k in _PIECES), strict=True):
        for row, column in np.argwhere(plane).tolist():
            square = chess.square(column, 7 - row)
            if kind == chess.PAWN and row in (0, 7):
                # It has just moved two squares: the square behind it can be captured on.
                board.ep_square = chess.square(column, 5 if row == 0 else 2)
                square = chess.square(column, 4 if row == 0 else 3)
            board.set_piece_at(square, chess.Piece(kind, colour))
    board.turn = index % 2 == 0
    return board


def _with_moves(now: chess.Board, before: list[chess.Board]) -> chess.Board:
    """`now` with the moves that lead to it through `before` (newest first) on its stack, where they can be told."""
    for count in range(len(before), 0, -1):
        board = before[count - 1].copy(stack=False)
        board.castling_rights = now.castling_rights
        if board.board_fen() == chess.STARTING_BOARD_FEN and board.turn == chess.WHITE:
            board.castling_rights = chess.BB_CORNERS
        board.halfmove_clock = max(0, now.halfmove_clock - count)
        if _play_through(board, [*reversed(before[: count - 1]), now]) and _same(board, now):
            return board
    return now


def _play_through(board: chess.Board, positions: list[chess.Board]) -> bool:
    """Whether legal moves lead through these positions; they are made on the board."""
    for position in positions:
        wanted = position.board_fen()
        for move in list(board.legal_moves):
            board.push(move)
            if board.board_fen() == wanted:
                break
            board.pop()
        else:
            return False
    return True


def _same(board: chess.Board, now: chess.Board) -> bool:
    return board.clean_castling_rights() == now.castling_rights and board.turn == now.turn
