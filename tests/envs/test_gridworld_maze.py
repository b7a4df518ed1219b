"""Mazes: connected, disjoint sets, new ones each game, and what a game in one is worth."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from envs.errors import UsageError
from envs.gridworld.dynamics import exact_dynamics
from envs.gridworld.mazes import _spanning_tree, _walls_between, grow_mazes, parity
from envs.registry import make


def distances(walls: Tensor, goal: Tensor, size: int) -> Tensor:
    """[N, size²]: steps from every cell to the goal (-1: none lead there), by flooding all mazes at once."""
    reached = torch.zeros_like(walls).scatter_(1, goal.unsqueeze(1), True)
    distance = torch.where(reached, 0, -1)
    for step in range(1, size * size):
        grown = reached.view(-1, size, size).clone()
        last = reached.view(-1, size, size)
        grown[:, 1:] |= last[:, :-1]
        grown[:, :-1] |= last[:, 1:]
        grown[:, :, 1:] |= last[:, :, :-1]
        grown[:, :, :-1] |= last[:, :, 1:]
        new = grown.flatten(1) & ~walls & ~reached
        if not new.any():
            break
        distance[new] = step
        reached = reached | new
    return distance


@pytest.mark.parametrize(("size", "count"), [(5, 500), (7, 3000), (11, 500), (31, 50)])
@pytest.mark.parametrize("held_out", [False, True])
def test_mazes_are_walled_in_and_connected(size: int, count: int, held_out: bool) -> None:
    walls = grow_mazes(torch.arange(count), size, held_out)
    grid = walls.view(count, size, size)
    assert grid[:, [0, -1]].all()
    assert grid[:, :, [0, -1]].all()
    assert not grid[:, 1::2, 1::2].any()
    assert grid[:, ::2, ::2].all()
    reachable = distances(walls, torch.full((count,), size + 1), size) >= 0
    assert torch.equal(reachable, ~walls)
    rooms = (size // 2) ** 2
    loops = (~walls).sum(1) - (2 * rooms - 1)
    assert loops.min() >= 0
    assert 0 < loops.float().mean() < 0.35 * rooms + 1 or size == 5


def test_the_tree_is_the_lightest_one() -> None:
    """Kruskal's algorithm on the same weights, maze by maze."""
    rooms, count = 5, 40
    first, second, cell, _ = _walls_between(rooms, torch.device("cpu"))
    order = torch.rand(count, len(cell), generator=torch.Generator().manual_seed(1)).argsort(1)
    weight = (order.argsort(1) << 10) | torch.arange(len(cell))
    tree = _spanning_tree(weight, rooms)
    for game in range(count):
        label = list(range(rooms * rooms))
        expected = []
        for wall in order[game].tolist():
            a, b = label[first[wall]], label[second[wall]]
            if a != b:
                label = [a if other == b else other for other in label]
                expected.append(wall)
        assert tree[game].nonzero().squeeze(1).tolist() == sorted(expected)


@pytest.mark.parametrize("size", [5, 7, 9])
def test_held_out_mazes_are_never_met_while_learning(size: int) -> None:
    seeds = torch.arange(4000)
    learning, held_out = (grow_mazes(seeds, size, held) for held in (False, True))
    assert parity(learning, size).all()
    assert not parity(held_out, size).any()
    assert not {bytes(m) for m in learning.numpy()} & {bytes(m) for m in held_out.numpy()}
    if size > 5:
        open_cells = [(~walls).sum(1).float().mean() for walls in (learning, held_out)]
        assert abs(open_cells[0] - open_cells[1]) < 0.3  # one kind of maze, not two
        assert len({bytes(m) for m in held_out.numpy()}) > 200


def test_one_seed_one_maze_and_another_each_game() -> None:
    env = make("gridworld/maze", 500)
    first = env.reset(torch.arange(500)).observation.flatten(1)
    again = make("gridworld/maze", 1).reset(torch.tensor([123])).observation.flatten(1)
    assert torch.equal(first[123:124], again)
    assert len({bytes(maze) for maze in first.numpy()}) > 480
    level = make("gridworld/maze?level=3", 50).reset(torch.arange(50)).observation
    assert (level == level[0]).all()
    anywhere = make("gridworld/maze?level=3&start=any", 50).reset(torch.arange(50)).observation
    assert torch.equal(anywhere[:, :, 1:], level[:, :, 1:])
    assert len({bytes(maze) for maze in anywhere.flatten(1).numpy()}) > 8


@pytest.mark.parametrize("size", [7, 15])
def test_the_return_of_the_shortest_way(size: int) -> None:
    """Walk downhill on the distances: the return is 1 − steps / size², and well above 0."""
    count = 200
    env = make(f"gridworld/maze?size={size}&start=any", count, autoreset=False)
    env.reset(torch.arange(count))
    state = env.state()
    far = distances(state["walls"], state["goal"], size)
    steps = far.gather(1, state["walker"].unsqueeze(1)).squeeze(1)
    assert steps.min() >= 1
    total = torch.zeros(count)
    offset = torch.tensor([-size, size, -1, 1])
    for _ in range(int(steps.max())):
        around = env.state()["walker"].unsqueeze(1) + offset
        ahead = far.gather(1, around.clamp(0, size * size - 1))
        total += env.step(ahead.masked_fill(ahead < 0, 10**6).argmin(1, keepdim=True)).rewards[:, 0]
    np.testing.assert_allclose(total, 1 - steps / size**2, atol=1e-5)
    assert total.min() > 0.45


def test_a_wall_keeps_the_walker_in_place_and_the_limit_truncates() -> None:
    env = make("gridworld/maze?level=5", autoreset=False)
    env.reset(torch.zeros(1, dtype=torch.int64))
    state = env.state()
    walls, walker = state["walls"][0], int(state["walker"])
    action = next(a for a, offset in enumerate((-7, 7, -1, 1)) if walls[walker + offset])
    steps = [env.step(torch.tensor([[action]])) for _ in range(49)]
    assert int(env.state()["walker"]) == walker
    assert sum(float(step.rewards) for step in steps) == pytest.approx(-1)
    assert [bool(step.truncated) for step in steps] == [False] * 48 + [True]


def test_even_sizes_are_refused() -> None:
    with pytest.raises(UsageError, match="odd"):
        make("gridworld/maze?size=8")


def test_the_optimum_of_a_level_is_its_shortest_way() -> None:
    dynamics = exact_dynamics(make("gridworld/maze?level=2&start=any"))
    value = np.zeros(dynamics.num_states)
    for _ in range(60):
        value = np.where(dynamics.terminal, 0, (dynamics.transition * (dynamics.reward + value)).sum(-1).max(-1))
    state = make("gridworld/maze?level=2").reset(torch.zeros(1, dtype=torch.int64)).observation[0, 0].flatten(1)
    far = distances(state[2:].bool(), state[1].argmax().unsqueeze(0), 7)[0].numpy()
    walked = far > 0
    np.testing.assert_allclose(value[walked], 1 - far[walked] / 49, atol=1e-6)
    assert (walked == ~dynamics.terminal).all()
