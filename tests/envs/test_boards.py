"""Tic-tac-toe and connect four: equal to PettingZoo's move for move, and on positions made by hand."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pettingzoo
import pytest
import torch
from torch import Tensor

from envs.boards import connect_four, tic_tac_toe
from envs.boards.drawings import start_drawing
from envs.protocol import Step, Turn
from envs.registry import make
from envs.rendering import Drawing

NUM_GAMES = 1000


def random_games(game: str, seed: int) -> tuple[Turn, list[tuple[Tensor, Step]]]:
    """NUM_GAMES games of random legal moves, all to their end: the first turn, then (action, step)."""
    env = make(game, NUM_GAMES, autoreset=False)
    generator = torch.Generator().manual_seed(seed)
    first = turn = env.reset(torch.arange(NUM_GAMES))
    played = []
    while bool((turn.player >= 0).any()):
        action = torch.multinomial(turn.legal_action_mask.flatten(0, 1).float(), 1, generator=generator)
        step = env.step(action)
        played.append((action, step))
        turn = step.turn
    return first, played


@pytest.mark.parametrize(("game", "twin"), [("tic_tac_toe", "tictactoe-v3"), ("connect_four", "connect_four-v3")])
@pytest.mark.slow
def test_equal_to_pettingzoo(game: str, twin: str) -> None:
    first, played = random_games(game, seed=3)
    theirs = pettingzoo.make("aec", f"classic/{twin}").unwrapped
    lengths = set()
    for index in range(NUM_GAMES):
        theirs.reset()
        turn: Turn = first
        for ply, (action, step) in enumerate(played):
            assert theirs.possible_agents.index(theirs.agent_selection) == int(turn.player[index, 0])
            seen = theirs.observe(theirs.agent_selection)
            # theirs for tic-tac-toe is [column, row, plane], for connect four [row, column, plane]
            axes = (2, 1, 0) if game == "tic_tac_toe" else (2, 0, 1)
            assert np.array_equal(seen["observation"].transpose(axes), turn.observation[index, 0].numpy())
            assert np.array_equal(seen["action_mask"] == 1, turn.legal_action_mask[index, 0].numpy())
            theirs.step(int(action[index]))
            assert [theirs.rewards[agent] for agent in theirs.possible_agents] == step.rewards[index].tolist()
            assert all(theirs.terminations.values()) == bool(step.terminated[index])
            turn = step.turn
            if all(theirs.terminations.values()):
                lengths.add(ply + 1)
                break
        else:
            pytest.fail("their game goes on after ours has ended")
    assert len(lengths) > 4


def play(game: str, moves: str) -> Step:
    """The last step of a game of moves by name."""
    env = make(game, autoreset=False)
    turn = env.reset(torch.tensor([0]))
    step = None
    for name in moves:
        action = env.action(name)
        assert bool(turn.legal_action_mask[0, 0, action]), f"{name} is not legal"
        step = env.step(torch.tensor([[action]]))
        turn = step.turn
    assert step is not None
    return step


@pytest.mark.parametrize(
    ("game", "moves", "reward"),
    [
        pytest.param("connect_four", "1212121", 1, id="vertical"),
        pytest.param("connect_four", "1122334", 1, id="horizontal"),
        pytest.param("connect_four", "12234334744", 1, id="rising"),
        pytest.param("connect_four", "76654554144", 1, id="falling"),
        pytest.param("connect_four", "12123242", -1, id="second player"),
        pytest.param("connect_four", "124774337717136547433621166655563515422224", -1, id="last stone"),
        pytest.param("connect_four", "117453522375555176234237466647123167244163", 0, id="full board"),
        pytest.param("tic_tac_toe", "14253", 1, id="row"),
        pytest.param("tic_tac_toe", "12457", 1, id="column"),
        pytest.param("tic_tac_toe", "12539", 1, id="falling"),
        pytest.param("tic_tac_toe", "31527", 1, id="rising"),
        pytest.param("tic_tac_toe", "142579", None, id="open"),
        pytest.param("tic_tac_toe", "123546897", 1, id="last square"),
        pytest.param("tic_tac_toe", "123546879", 0, id="full"),
        pytest.param("connect_four", "21416117171", None, id="no line from a column's top to the next one's foot"),
        pytest.param("connect_four", "5165761", None, id="no line from a row's end to the next one's start"),
    ],
)
def test_ends(game: str, moves: str, reward: int | None) -> None:
    """reward: the first player's; None: the game goes on."""
    step = play(game, moves)
    assert step.terminated.item() is (reward is not None)
    assert step.rewards.tolist() == [[reward or 0, -(reward or 0)]]
    assert not step.truncated.item()


@pytest.mark.parametrize(("game", "module"), [("tic_tac_toe", tic_tac_toe), ("connect_four", connect_four)])
def test_winning_moves(game: str, module: ModuleType) -> None:
    """Against trying every move."""
    env = make(game, 200, autoreset=False)
    turn = env.reset(torch.arange(200))
    generator = torch.Generator().manual_seed(1)
    found = 0
    for _ in range(30):
        state, playing = env.state(), turn.player[:, 0] >= 0
        winning = module.winning_moves(turn.observation[:, 0])
        for action in range(env.spec.num_actions):
            env.load(state)
            tried = env.step(torch.full((200, 1), action))
            expected = playing & turn.legal_action_mask[:, 0, action] & (tried.rewards.amax(1) == 1)
            assert torch.equal(winning[playing, action], expected[playing])
            found += int(expected.sum())
        turn = env.load(state)
        action = torch.multinomial(turn.legal_action_mask.flatten(0, 1).float(), 1, generator=generator)
        turn = env.step(action).turn
    assert found > 100


def drawn(game: str, moves: str) -> Drawing:
    env = make(game, autoreset=False)
    env.reset(torch.tensor([0]))
    for name in moves:
        env.step(torch.tensor([[env.action(name)]]))
    return env.draw()


def test_drawing_of_connect_four() -> None:
    drawing = drawn("connect_four", "44")
    lines = drawing.text().split("\n")
    assert lines[11] == "│ · │ · │ · │ ● │ · │ · │ · │"
    assert lines[9] == "│   │   │   │ ○ │   │   │   │"
    assert lines[7] == "│   │   │   │ · │   │   │   │"
    assert lines[13].split() == list("1234567")
    assert drawing.caption == "● to move"
    assert sorted(drawing.targets) == list(range(7))
    x, y, width, height = drawing.targets[3][0]
    assert x <= lines[11].index("●") < x + width
    assert (y, height) == (0, 14)
    assert [style for text, style in drawing.lines[9] if "○" in text] == ["player1 last"]


def test_drawing_of_a_win() -> None:
    drawing = drawn("connect_four", "1212121")
    styles = [style for line in drawing.lines for text, style in line if "●" in text]
    assert styles == ["player0 win"] * 4
    assert drawing.caption == "● wins"
    assert not drawing.targets
    assert not drawing.keys


def test_drawing_of_tic_tac_toe() -> None:
    drawing = drawn("tic_tac_toe", "15")
    lines = drawing.text().split("\n")
    assert [lines[row].replace("│", " ").split() for row in (1, 3, 5)] == [
        ["✕", "2", "3"],
        ["4", "○", "6"],
        ["7", "8", "9"],
    ]
    env = make("tic_tac_toe")
    for name in "2346789":
        action = env.action(name)
        x, y, width, height = drawing.targets[action][0]
        row = next(index for index, line in enumerate(lines) if name in line)
        assert x <= lines[row].index(name) < x + width
        assert y <= row < y + height
        assert drawing.keys[action] == [name]


@pytest.mark.parametrize("game", ["tic_tac_toe", "connect_four", "othello", "go", "go?komi=0.5&size=19"])
def test_the_start_is_drawn_without_the_game(game: str) -> None:
    env = make(game)
    env.reset(torch.zeros(1, dtype=torch.int64))
    assert start_drawing(game) == env.draw()


@pytest.mark.parametrize("game", ["gridworld/maze", "go?size=1", "no such game"])
def test_other_starts_are_not_known(game: str) -> None:
    assert start_drawing(game) is None
