"""Scripted players: what they must do in given positions, and minimax against an independent search and every reply."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import Tensor

from agents.policy import Policy, act
from agents.scripted import THINKERS, make_scripted, scripted_policies, tic_tac_toe_losses
from envs.errors import UnknownNameError
from envs.registry import make

LINES = [(0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6)]


def scripted(name: str, game: str) -> Policy:
    return make_scripted(name, make(game).spec)


def after(game: str, *moves: int) -> tuple[Tensor, Tensor]:
    """Observation and mask of the player to move after these actions."""
    env = make(game)
    turn = env.reset(torch.zeros(1, dtype=torch.int64))
    for move in moves:
        turn = env.step(torch.tensor([[move]])).turn
    assert turn.legal_action_mask is not None
    return turn.observation[:, 0], turn.legal_action_mask[:, 0]


@functools.cache
def search(board: tuple[int, ...]) -> int:
    """Negamax over boards of 1 (to move), −1 and 0: the value for the one to move."""
    if any(all(board[square] == -1 for square in line) for line in LINES):
        return -1
    if 0 not in board:
        return 0
    return max(-search(child(board, square)) for square in range(9) if board[square] == 0)


def child(board: tuple[int, ...], square: int) -> tuple[int, ...]:
    return tuple(-(1 if i == square else mark) for i, mark in enumerate(board))


MCTS = ("mcts-100", "mcts-1000", "mcts-10000")


def test_who_is_on_offer() -> None:
    names = {game: scripted_policies(make(game).spec) for game in ("tic_tac_toe", "connect_four", "gridworld/cliff")}
    assert names["tic_tac_toe"] == ("random", "first-legal", "tactician", "minimax", *MCTS)
    assert names["connect_four"] == ("random", "first-legal", "tactician", "perfect", *MCTS)
    assert names["gridworld/cliff"] == ("random", "first-legal", "value-iteration")
    assert "value-iteration" in scripted_policies(make("gridworld/maze?level=3").spec)
    assert scripted_policies(make("gridworld/maze").spec) == ("random", "first-legal")
    with pytest.raises(UnknownNameError, match="minimax"):
        scripted("minimaxx", "tic_tac_toe")


def test_random_is_uniform_and_first_legal_is_first() -> None:
    mask = torch.tensor([[False, True, False, True], [True, True, True, True]])
    observation = torch.zeros(2, 1)
    spec = make("gridworld/cliff").spec
    uniform = make_scripted("random", spec)(observation, mask).probabilities
    assert uniform.tolist() == [[0, 0.5, 0, 0.5], [0.25] * 4]
    assert make_scripted("first-legal", spec)(observation, mask).probabilities.argmax(-1).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("game", "moves", "expected"),
    [
        ("tic_tac_toe", (0, 3, 1, 4), {2}),  # wins rather than blocks
        ("tic_tac_toe", (0, 3, 1), {2}),  # blocks
        ("tic_tac_toe", (0, 4, 8, 3, 5), {2}),  # blocks the one open threat (2, 5, 8)
        ("tic_tac_toe", (0,), {1, 2, 3, 4, 5, 6, 7, 8}),
        ("connect_four", (0, 1, 0, 1, 0, 1), {0}),  # wins rather than blocks
        ("connect_four", (0, 1, 0, 1, 0), {0}),  # blocks
        ("connect_four", (3,), {0, 1, 2, 3, 4, 5, 6}),
    ],
)
def test_tactician(game: str, moves: tuple[int, ...], expected: set[int]) -> None:
    observation, mask = after(game, *moves)
    probabilities = scripted("tactician", game)(observation, mask).probabilities[0]
    assert set(probabilities.nonzero().flatten().tolist()) == expected
    torch.testing.assert_close(probabilities[list(expected)], torch.full((len(expected),), 1 / len(expected)))


def test_minimax_equals_an_independent_search_everywhere() -> None:
    policy = scripted("minimax", "tic_tac_toe")
    boards, frontier = [], {(0,) * 9}
    while frontier:
        live = [
            board
            for board in frontier
            if 0 in board and not any(all(board[square] == -1 for square in line) for line in LINES)
        ]
        boards += live
        frontier = {child(board, square) for board in live for square in range(9) if board[square] == 0}
    assert len(boards) == 4520  # positions that can arise in which the game goes on
    marks = torch.tensor(boards)
    squares = marks.view(-1, 3, 3).transpose(1, 2)  # square s lies in row s % 3, column s // 3
    observation = torch.stack([squares == 1, squares == -1], 1).to(torch.uint8)
    decision = policy(observation, marks == 0)
    assert decision.value is not None
    assert decision.q_values is not None
    assert decision.value.tolist() == [search(board) for board in boards]
    for i in range(0, len(boards), 7):
        values = {s: -search(child(boards[i], s)) for s in range(9) if boards[i][s] == 0}
        best = [s for s, value in values.items() if value == max(values.values())]
        assert decision.probabilities[i].nonzero().flatten().tolist() == best
        assert {s: decision.q_values[i, s].item() for s in values} == values


@pytest.mark.slow
def test_every_reply_to_minimax_and_to_first_legal() -> None:
    perfect = tic_tac_toe_losses(scripted("minimax", "tic_tac_toe"))
    assert perfect.losing_lines == ([], [])
    assert min(perfect.games) > 50
    naive = tic_tac_toe_losses(scripted("first-legal", "tic_tac_toe"))
    assert naive.losing_lines[0]
    assert naive.losing_lines[1]
    for seat in (0, 1):  # each is a lost game, and each of the policy's moves in it is its own
        for line in naive.losing_lines[seat]:
            env = make("tic_tac_toe", autoreset=False)
            turn = env.reset(torch.zeros(1, dtype=torch.int64))
            for ply, move in enumerate(line):
                if ply % 2 == seat:
                    assert act(scripted("first-legal", "tic_tac_toe"), turn, greedy=True).item() == move
                step = env.step(torch.tensor([[move]]))
                turn = step.turn
            assert step.rewards[0, seat] == -1


def test_value_iteration_player_walks_round_the_cliff() -> None:
    env = make("gridworld/cliff", autoreset=False)
    policy = make_scripted("value-iteration", env.spec)
    turn = env.reset(torch.zeros(1, dtype=torch.int64))
    total = 0.0
    for _ in range(13):
        step = env.step(act(policy, turn, greedy=True))
        total, turn = total + step.rewards.item(), step.turn
    assert step.terminated.item()
    assert total == -13


@pytest.mark.parametrize(
    ("game", "twin"),
    [
        ("tic_tac_toe", "pettingzoo/classic/tictactoe_v3"),
        ("connect_four", "pettingzoo/classic/connect_four_v3"),
    ],
)
def test_twins_are_played_alike(game: str, twin: str) -> None:
    envs = [make(game, 4), make(twin, 4)]
    names = scripted_policies(envs[0].spec)
    assert scripted_policies(envs[1].spec) == names
    names = tuple(name for name in names if name not in THINKERS or name == "mcts-100")
    turns = [env.reset(torch.arange(4)) for env in envs]
    generator = torch.Generator().manual_seed(0)
    for _ in range(30):
        masks = [turn.legal_action_mask for turn in turns]
        assert masks[0] is not None
        assert masks[1] is not None
        for name in names:
            decisions = [
                make_scripted(name, env.spec)(turn.observation[:, 0], mask[:, 0])
                for env, turn, mask in zip(envs, turns, masks, strict=True)
            ]
            assert torch.equal(decisions[0].probabilities, decisions[1].probabilities)
        action = torch.multinomial(masks[0][:, 0].float(), 1, generator=generator)
        turns = [env.step(action).turn for env in envs]
