"""What holds for every gridworld: a game is a function of its seed, and how it looks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from envs.gridworld.drawing import DIRECTIONS, draw_policy, tile
from envs.gridworld.dynamics import exact_dynamics
from envs.registry import make

GAMES = [
    "recycling",
    "tiny",
    "trap",
    "cliff",
    "rooms",
    "maze",
    "maze?size=9&start=any",
    "sumo",
    "sumo?fog=2",
    "tron?fog=3",
]


def actions(turn, ids: torch.Tensor, step: int) -> torch.Tensor:
    """Legal, and a function of who plays and when only."""
    taste = torch.sin(ids.view(-1, 1, 1) * 7.1 + step * 3.3 + torch.arange(turn.legal_action_mask.shape[-1]) * 5.7)
    taste = taste + 0.1 * torch.arange(turn.player.shape[1]).view(1, -1, 1)
    return taste.masked_fill(~turn.legal_action_mask, -9).argmax(-1)


@pytest.mark.parametrize("name", GAMES)
def test_a_game_is_the_same_alone_or_among_others(name: str) -> None:
    seeds, chosen = torch.arange(64) + 10, torch.tensor([41])
    many, alone = make(f"gridworld/{name}", 64), make(f"gridworld/{name}", 1)
    turns = many.reset(seeds), alone.reset(seeds[chosen])
    for step in range(120):
        assert torch.equal(turns[0].observation[chosen], turns[1].observation)
        a = many.step(actions(turns[0], seeds, step))
        b = alone.step(actions(turns[1], seeds[chosen], step))
        assert torch.equal(a.rewards[chosen], b.rewards)
        assert torch.equal(a.final.observation[chosen], b.final.observation)
        assert many.fingerprints()[41] == alone.fingerprints()[0]
        turns = a.turn, b.turn
    assert int(alone.seeds) != int(seeds[chosen])


@pytest.mark.parametrize("name", [*GAMES, "tron"])
def test_drawings_show_the_game(name: str) -> None:
    env = make(f"gridworld/{name}")
    env.reset(torch.tensor([3]))
    everything, mine = env.draw(), env.draw(seat=0)
    text = everything.text()
    symbols = "●○" if env.spec.num_players == 2 else "◆"
    assert all(text.count(symbol) == 1 for symbol in symbols)
    assert ("░" in mine.text()) == ("fog" in name)
    assert "░" not in text
    widths = {sum(len(part) for part, _ in line) for line in mine.lines}
    assert len(widths) == 1
    assert max(widths) <= 78
    words = ["space" if word == "stay" else word for word in env.spec.action_names]
    assert mine.keys == {action: [word] for action, word in enumerate(words)}
    own = next((x, y) for y, line in enumerate(mine.text().split("\n")) for x, c in enumerate(line) if c in "◆●")
    for action, boxes in mine.targets.items():
        down, right = DIRECTIONS[env.spec.action_names[action]]
        assert boxes == [(own[0] + 2 * right, own[1] + down, 2, 1)]
    assert mine.targets


def test_a_large_map_is_shown_around_the_walker() -> None:
    env = make("gridworld/maze?size=31&level=0&start=any", 40)
    env.reset(torch.arange(40))
    whole = env.dynamics().picture
    rows = {"".join(symbol for character in row for symbol, _ in [tile(character)]) for row in whole}
    seen = set()
    for index in range(40):
        drawing = env.draw(index)
        lines = drawing.text().split("\n")
        assert len(lines) == 20
        assert sum("◆" in line for line in lines) == 1
        row = next(y for y, line in enumerate(lines) if "◆" in line)
        assert drawing.targets[0] == [(2 * (lines[row].index("◆") // 2), row - 1, 2, 1)]
        others = {"".join(text for text, _ in line) for y, line in enumerate(drawing.lines) if y != row}
        assert others <= rows
        seen |= others
    assert seen == rows


def test_fog_hides_the_other_in_a_drawing() -> None:
    env = make("gridworld/tron?fog=1")
    env.reset(torch.tensor([3]))
    assert "○" not in env.draw(seat=0).text()
    assert "●" not in env.draw(seat=1).text()
    assert "○" in env.draw().text()


def test_the_minutes_are_drawn_below_one_row() -> None:
    env = make("gridworld/recycling?minutes=3", autoreset=False)
    env.reset(torch.zeros(1, dtype=torch.int64))
    env.step(torch.tensor([[1]]))
    assert env.draw().text().split("\n")[1] == "│★ · ◆ + ★ │"
    assert env.draw().caption == "minute 1 of 3"


def test_a_policy_is_drawn_as_arrows_and_values() -> None:
    dynamics = exact_dynamics(make("gridworld/recycling"))
    policy = np.array([[1, 0], [0.2, 0.8], [0, 1], [0.6, 0.4], [1, 0]])
    drawing = draw_policy(dynamics, [0, 9, 10, 9.5, 0], policy)
    assert drawing.text().split("\n")[1] == "│★ +2.00→  9.00→ 10.00←  9.50★ +10.0│"
    trap = draw_policy(exact_dynamics(make("gridworld/trap")), [1000, 0, 0, 0], np.eye(4, 3)[[2, 0, 0, 0]])
    assert trap.text().split("\n")[1:3] == ["│       ★ +1.00       │", "│★     0→  1000★ +1000│"]


@pytest.mark.parametrize("name", ["cliff", "rooms", "maze?level=1", "maze?level=1&size=31"])
def test_policies_fit_a_terminal(name: str) -> None:
    dynamics = exact_dynamics(make(f"gridworld/{name}"))
    uniform = np.full(dynamics.legal.shape, 0.25)
    drawing = draw_policy(dynamics, np.linspace(-123.456, 1, dynamics.num_states), uniform)
    widths = {sum(len(part) for part, _ in line) for line in drawing.lines}
    assert len(widths) == 1
    assert max(widths) <= 78
    assert drawing.text().count("↑") == (~dynamics.terminal).sum()
