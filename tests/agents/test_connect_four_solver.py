"""The solver against a slow search that shares nothing with it, and against what is known of the game."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch

from agents.connect_four_solver import (
    PerfectPolicy,
    Solver,
    as_observation,
    columns,
    position_after,
    random_position,
    winning_columns,
)
from agents.scripted import make_scripted
from envs.registry import make

Board = tuple[str, ...]  # columns from the left, stones from below: "xo" is x under o


@functools.cache
def _lines() -> tuple[tuple[tuple[int, int], ...], ...]:
    lines = []
    for column in range(7):
        for row in range(6):
            for right, up in ((1, 0), (0, 1), (1, 1), (1, -1)):
                cells = tuple((column + i * right, row + i * up) for i in range(4))
                if all(0 <= c < 7 and 0 <= r < 6 for c, r in cells):
                    lines.append(cells)
    return tuple(lines)


def _wins(board: Board, mark: str) -> bool:
    padded = [column.ljust(6, ".") for column in board]
    return any(all(padded[c][r] == mark for c, r in line) for line in _lines())


@functools.cache
def _slow_score(board: Board) -> int:
    """The score for the side to move by plain minimax: 22 minus the winner's stones, negative where the other wins."""
    stones = sum(map(len, board))
    mark, other = "xo" if stones % 2 == 0 else "ox"
    if _wins(board, other):
        return -(22 - (stones + 1) // 2)
    replies = [(*board[:c], board[c] + mark, *board[c + 1 :]) for c in range(7) if len(board[c]) < 6]
    return max((-_slow_score(reply) for reply in replies), default=0)


def _as_text(own: int, other: int) -> Board:
    stones = (own | other).bit_count()
    mine, theirs = "xo" if stones % 2 == 0 else "ox"
    board = []
    for column in range(7):
        bits = [1 << (8 * column + row) for row in range(6)]
        board.append("".join(mine if own & bit else theirs for bit in bits if (own | other) & bit))
    return tuple(board)


@pytest.mark.parametrize("plies", [34, 36, 37, 39])
@pytest.mark.slow
def test_late_positions_have_the_score_and_the_best_moves_of_a_slow_search(plies: int) -> None:
    rng, solver = np.random.default_rng(plies), Solver()
    for _ in range(10):
        own, other = random_position(rng, plies)
        board = _as_text(own, other)
        expected = _slow_score(board)
        solution = solver.solve(own, other)
        assert solution.score == expected, board
        mark = "xo"[plies % 2]
        after = {c: -_slow_score((*board[:c], board[c] + mark, *board[c + 1 :])) for c in columns(own | other)}
        assert solver.move_scores(own, other) == after, board
        assert solution.best == tuple(c for c, score in after.items() if score == expected), board


def test_windows_clip_the_score() -> None:
    rng, solver = np.random.default_rng(5), Solver()
    for _ in range(20):
        own, other = random_position(rng, 20)
        score = solver.score(own, other)
        assert score is not None
        assert solver.score(own, other, -1, 1) == int(np.sign(score))
        solver.forget()
        assert solver.score(own, other, -1, 1) == int(np.sign(score))
        after = solver.move_scores(own, other)
        keeping = tuple(column for column, value in after.items() if np.sign(value) == np.sign(score))
        assert solver.solve(own, other, low=-1, high=1) == (np.sign(score), keeping)


def test_a_mirrored_position_has_the_mirrored_solution() -> None:
    rng, solver = np.random.default_rng(6), Solver()
    for plies in (12, 13, 16):
        own, other = random_position(rng, plies)
        solution = solver.solve(own, other)
        boards = [sum(((board >> (8 * c)) & 63) << (8 * (6 - c)) for c in range(7)) for board in (own, other)]
        solver.forget()
        mirrored = solver.solve(*boards)
        assert mirrored.score == solution.score
        assert mirrored.best == tuple(sorted(6 - c for c in solution.best))


def test_positions_that_are_over_or_won_at_once() -> None:
    solver = Solver()
    assert solver.score(*position_after("1212121")) == -18  # the first player has won with four stones: 22 − 4
    assert solver.score(*position_after("121212")) == 18
    assert winning_columns(*position_after("121212")) == [0]


def test_a_budget_that_runs_out_gives_no_score() -> None:
    solver = Solver()
    assert solver.score(0, 0, budget=1000) is None
    assert solver.visited <= 1002
    assert solver.solve(0, 0, budget=1000).best == ()


def test_the_policy_plays_the_solution_and_says_who_wins() -> None:
    rng, solver, policy = np.random.default_rng(7), Solver(), PerfectPolicy()
    positions = [random_position(rng, plies) for plies in (13, 16, 21, 30, 34)]
    observation = torch.from_numpy(as_observation(positions))
    legal = torch.ones(len(positions), 7, dtype=torch.bool)
    decision = policy(observation, legal)
    for row, (own, other) in enumerate(positions):
        solution = solver.solve(own, other)
        assert decision.probabilities[row].nonzero().flatten().tolist() == list(solution.best)
        assert decision.value is not None
        assert float(decision.value[row]) == np.sign(solution.score or 0)
    assert torch.equal(policy(observation[2:3], legal[2:3]).probabilities[0], decision.probabilities[2])


def test_early_decisions_do_not_depend_on_what_was_asked_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.connect_four_solver.BUDGET", 20_000)
    first, again = PerfectPolicy(), PerfectPolicy()
    rng = np.random.default_rng(8)
    positions = [(0, 0), *(random_position(rng, 7) for _ in range(6))]
    observation = torch.from_numpy(as_observation(positions))
    legal = torch.ones(len(positions), 7, dtype=torch.bool)
    one = first(observation, legal)
    other = [again(observation[i : i + 1], legal[i : i + 1]).probabilities[0] for i in reversed(range(len(positions)))]
    assert torch.equal(one.probabilities, torch.stack(other[::-1]))
    assert one.probabilities[0].argmax() == 3


def test_the_perfect_player_sees_what_the_game_shows() -> None:
    env = make("connect_four", 1, autoreset=False)
    turn = env.reset(torch.zeros(1, dtype=torch.int64))
    for column in (0, 1, 0, 1, 0, 1):
        turn = env.step(torch.tensor([[column]])).turn
    assert turn.legal_action_mask is not None
    decision = make_scripted("perfect", env.spec)(turn.observation[:, 0], turn.legal_action_mask[:, 0])
    assert decision.probabilities[0].tolist() == [1.0, 0, 0, 0, 0, 0, 0]
