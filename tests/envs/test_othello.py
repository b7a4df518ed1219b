"""Othello against an independent reference that walks the board square by square."""

from __future__ import annotations

import random

import pytest
import torch

from envs import registry
from envs.boards.othello import PASS, count

START = {(3, 4): 0, (4, 3): 0, (3, 3): 1, (4, 4): 1}
DIRECTIONS = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0)]


def flipped(board: dict, player: int, row: int, column: int) -> list:
    """The reference: the discs that a disc of `player` on an empty square would flip."""
    found = []
    for down, right in DIRECTIONS:
        line, r, c = [], row + down, column + right
        while board.get((r, c)) == 1 - player:
            line.append((r, c))
            r, c = r + down, c + right
        if line and board.get((r, c)) == player:
            found += line
    return found


def moves(board: dict, player: int) -> list[int]:
    return [
        8 * r + c for r in range(8) for c in range(8) if (r, c) not in board and flipped(board, player, r, c)
    ]  # fmt: skip


def check_games(num_games: int, seed: int) -> tuple[int, int]:
    """Random games side by side, every position compared; returns (passes met, games ended on a board not full)."""
    env = registry.make("othello", num_games, autoreset=False)
    turn = env.reset(torch.arange(num_games))
    rng = random.Random(seed)
    boards = [dict(START) for _ in range(num_games)]
    over = [False] * num_games
    passes = early = 0
    for ply in range(200):
        player = ply % 2
        action = torch.zeros(num_games, 1, dtype=torch.int64)
        for game, board in enumerate(boards):
            if over[game]:
                assert turn.player[game, 0] == -1
                continue
            legal = moves(board, player) or [PASS]
            assert turn.legal_action_mask[game, 0].nonzero().flatten().tolist() == legal
            planes = turn.observation[game, 0]
            for seat, plane in ((player, planes[0]), (1 - player, planes[1])):
                assert {tuple(square) for square in plane.nonzero().tolist()} == {
                    s for s, p in board.items() if p == seat
                }
            action[game, 0] = rng.choice(legal)
        step = env.step(action)
        for game, board in enumerate(boards):
            if over[game]:
                continue
            move = int(action[game, 0])
            passes += move == PASS
            if move != PASS:
                row, column = divmod(move, 8)
                for square in flipped(board, player, row, column):
                    board[square] = player
                board[row, column] = player
            over[game] = not moves(board, 0) and not moves(board, 1)
            assert bool(step.terminated[game]) == over[game]
            discs = [sum(p == seat for p in board.values()) for seat in (0, 1)]
            score = (discs[0] > discs[1]) - (discs[0] < discs[1]) if over[game] else 0
            assert step.rewards[game].tolist() == [score, -score]
            early += over[game] and len(board) < 64
        turn = step.turn
        if all(over):
            return passes, early
    raise AssertionError("a game did not end")


def test_equals_the_reference():
    passes, early = check_games(40, seed=1)
    assert passes > 0
    assert early > 0


@pytest.mark.slow
def test_equals_the_reference_over_many_games():
    check_games(300, seed=2)


def test_count():
    boards = torch.tensor([0, 1, -1, -(2**63), 2**63 - 1, 0x5555])
    assert count(boards).tolist() == [0, 1, 64, 1, 63, 8]
