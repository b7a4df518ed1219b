"""The scripted boxer of Boxing: where it goes to by what it sees, which games it plays, and that it wins."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from agents.infighter import ASIDE, BOTTOM, REACH, RING, TOP
from agents.policy import act
from agents.scripted import make_scripted, random_policy, scripted_policies
from envs.registry import make
from envs.specs import GameSpec

CANVAS = 131
WHITE, BLACK = 214, 0


@pytest.fixture(scope="module")
def spec() -> GameSpec:
    env = make("pettingzoo/atari/boxing_v2")
    env.close()
    return env.spec


def picture(own: tuple[float, float], other: tuple[float, float]) -> Tensor:
    """A stack of one picture: a boxer is a square of 5×5 around its row and column within the ropes."""
    seen = torch.full((84, 84), CANVAS, dtype=torch.uint8)
    for grey, (row, column) in ((WHITE, own), (BLACK, other)):
        top, left = RING[0].start + round(row) - 2, RING[1].start + round(column) - 2
        seen[top : top + 5, left : left + 5] = grey
    seen[2:4, 20:24], seen[2:4, 60:64] = WHITE, BLACK  # the score is no boxer
    return seen.expand(4, 84, 84)


@pytest.mark.parametrize(
    ("own", "other", "action"),
    [
        ((20, 10), (20 + ASIDE, 10 + REACH), "fire"),  # beside the head, by a glove
        ((20, 30), (20 - ASIDE, 30 + REACH), "fire"),
        ((20, 30), (20 + ASIDE, 30 - REACH), "fire"),
        ((20, 10), (20 + ASIDE, 40), "right"),
        ((20, 40), (20 + ASIDE, 10), "left"),
        ((20, 30), (20 + ASIDE, 34), "left"),  # too near
        ((12, 10), (40, 10 + REACH), "down"),
        ((40, 10), (14, 40), "upright"),
        ((24, 30), (26, 30 + REACH), "up"),  # at one height the gloves miss
        ((TOP, 30), (TOP + 2, 30 + REACH), "down"),  # no room above
        ((BOTTOM, 30), (BOTTOM - 2, 30 + REACH), "up"),
    ],
)
def test_it_goes_to_where_a_punch_hits(
    spec: GameSpec, own: tuple[float, float], other: tuple[float, float], action: str
) -> None:
    seen = torch.stack([picture(own, other), picture((12, 10), (40, 40))])
    decision = make_scripted("infighter", spec)(seen, torch.ones(2, 18, dtype=torch.bool))
    assert [spec.action_names[index] for index in decision.probabilities.argmax(-1)] == [action, "downright"]


def test_it_plays_boxing_alone(spec: GameSpec) -> None:
    def offered(**changes: object) -> bool:
        return "infighter" in scripted_policies(dataclasses.replace(spec, **changes))  # type: ignore[arg-type]

    assert offered()
    assert offered(game="ALE/Boxing-v5?sticky=0", num_players=1, num_slots=1)
    assert not offered(game="pettingzoo/atari/pong_v3")
    assert not offered(game="ALE/Boxing-v5?color=true", num_players=1, num_slots=1, observation_shape=(12, 84, 84))
    assert "ball-follower" not in scripted_policies(spec)


@pytest.mark.slow
def test_it_beats_random_moves_from_both_sides(spec: GameSpec) -> None:
    env = make(spec.game, 2)
    policies = [make_scripted("infighter", spec), random_policy]
    turn = env.reset(torch.tensor([1, 2]))
    generator = torch.Generator().manual_seed(0)
    points = torch.zeros(2, 2)
    for _ in range(250):
        # in the first game the script holds the first seat, in the second the other
        one, other = (act(policy, turn, False, generator) for policy in policies)
        step = env.step(torch.stack([torch.stack([one[0, 0], other[0, 1]]), torch.stack([other[1, 0], one[1, 1]])]))
        points += step.rewards
        turn = step.turn
    env.close()
    assert points.diagonal().min() >= 5, points
