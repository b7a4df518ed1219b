"""The planner: values that spread over a map, read where the walker stands."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from agents.configs import DQNConfig, VPGConfig
from agents.networks import build_trunk
from agents.planner import FIRST_PASSING, FIRST_REWARD, UNITS, Planner, neighbours, patches, propagate
from arena.strength import _distances
from envs.errors import UsageError
from envs.registry import make
from envs.specs import GameSpec

SPEC = GameSpec("test", 1, 1, 1, 4, (3, 5, 6), "uint8")


def test_neighbours_end_at_the_edge() -> None:
    #  0 1 2
    #  3 4 5
    assert neighbours(2, 3).tolist() == [
        [0, 3, 0, 1],
        [1, 4, 0, 2],
        [2, 5, 1, 2],
        [0, 3, 3, 4],
        [1, 4, 3, 5],
        [2, 5, 4, 5],
    ]


def test_values_are_discounted_distances_where_walls_let_nothing_pass() -> None:
    size, gamma = 7, 0.9
    env = make("gridworld/maze", 8)
    env.reset(torch.arange(8))
    walls, goal = env.state()["walls"], env.state()["goal"]
    reward = torch.zeros(8, size * size).scatter_(1, goal.unsqueeze(1), 1.0)
    values = propagate(reward.T, gamma * (~walls).float().T, neighbours(size, size), size * size).T
    expected = gamma ** _distances(walls, goal, size).float() * ~walls
    torch.testing.assert_close(values, expected)
    assert int((values > 0).sum()) == int((~walls).sum())  # every open cell is reached


@pytest.mark.usefixtures("bfloat16")
@pytest.mark.parametrize("config", [DQNConfig(network="planner"), VPGConfig(network="planner", bfloat16=True)])
def test_every_weight_learns(config: DQNConfig | VPGConfig) -> None:
    trunk, features = build_trunk(SPEC, config, torch.Generator().manual_seed(0))
    planes = torch.randint(0, 2, (16, 3, 5, 6), generator=torch.Generator().manual_seed(1)).float()
    output = trunk(planes)
    assert output.shape == (16, features)
    output.square().sum().backward()
    for name, weight in trunk.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name


def test_the_walker_sees_its_own_surroundings_and_values_from_afar() -> None:
    torch.manual_seed(0)
    planner = Planner((3, 5, 6)).requires_grad_(False)
    planner.see.weight.abs_()
    planner.judge.weight.abs_()
    assert planner.judge.bias is not None
    planner.judge.bias.fill_(10.0)  # what a mark is worth passes on almost whole
    planes = torch.zeros(3, 3, 5, 6)
    planes[0, 0, 1, 1] = planes[1:, 0, 4, 4] = 1.0
    planes[2, 1, 0, 0] = 5.0  # too far from the walker for the convolution
    together = planner(planes)
    alone = torch.cat([planner(planes[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone)
    assert planner(planes[:0]).shape == (0, planner.features)
    values, seen = together.split([planner.features - UNITS, UNITS], 1)
    assert not torch.equal(values[0], values[1])
    assert not torch.equal(values[1], values[2])
    torch.testing.assert_close(seen[1], seen[2])


def test_at_first_a_map_spreads_from_each_plane_through_open_cells() -> None:
    planes = torch.zeros(1, 2, 4, 5)
    planes[0, 0, 3, 4] = planes[0, 1, 0, 0] = 1.0  # the walker, and a mark seven steps away
    with torch.no_grad():
        values = Planner((2, 4, 5))(planes)[0, :10].view(5, 2)  # here, above, below, left, right
    passing = 1 / (1 + math.exp(-FIRST_PASSING))
    steps = torch.tensor([[0, 7], [1, 6], [0, 7], [1, 6], [0, 7]])
    torch.testing.assert_close(values, FIRST_REWARD * passing**steps)


def test_patches_are_the_cells_around_each_in_a_bordered_map() -> None:
    bordered = torch.arange(4 * 5)
    assert bordered[patches(2, 3)][0].tolist() == [0, 1, 2, 5, 6, 7, 10, 11, 12]
    assert bordered[patches(2, 3)][5].tolist() == [7, 8, 9, 12, 13, 14, 17, 18, 19]


def test_a_planner_needs_planes() -> None:
    with pytest.raises(UsageError, match=r"network=planner needs planes \[C, H, W\], and test shows \[30\]: use mlp"):
        build_trunk(replace(SPEC, observation_shape=(30,)), DQNConfig(network="planner"), torch.Generator())
