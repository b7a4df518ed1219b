"""The ball follower: what it makes of a picture, where it plays, and that it beats random moves from both sides."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from agents.ball_follower import GREY
from agents.policy import act
from agents.scripted import make_scripted, random_policy, scripted_policies
from envs.protocol import Turn
from envs.registry import make
from envs.specs import GameSpec

NAMES = ("noop", "fire", "right", "left", "rightfire", "leftfire")
PONG = GameSpec("pettingzoo/atari/pong_v3", 1, 2, 2, 6, (4, 84, 84), "uint8", NAMES, frames=4, scale=255.0)


def picture(paddle: int, ball: int | None = None, column: int = 40) -> Tensor:
    """[84, 84]: own paddle with its top at a row, partly out of the field perhaps, and a ball."""
    seen = torch.full((84, 84), GREY, dtype=torch.uint8)
    seen[max(paddle, 14) : min(paddle + 8, 77), 73:76] = 147
    seen[20:28, 8:11] = 147
    if ball is not None:
        seen[ball : ball + 2, column : column + 2] = 236
    seen[:14] = seen[77:] = 236
    return seen


@pytest.mark.parametrize(
    ("before", "now", "button"),
    [
        (picture(40), picture(40), "fire"),  # nothing to be seen: serve
        (picture(40), picture(40, 30), "right"),
        (picture(40), picture(40, 60), "left"),
        (picture(40, 43), picture(40, 43), "noop"),
        (picture(40, 35), picture(40, 43), "left"),  # the ball goes on down
        (picture(30, 43), picture(40, 43), "right"),  # the paddle would go on past it
        (picture(8, 18), picture(8, 18), "left"),  # mostly out of the field: its middle is above the ball
        (picture(8, 11), picture(8, 11), "fire"),  # the wall is no ball
        (picture(75, 72), picture(75, 72), "right"),
        (picture(40), picture(40, 60, 78), "fire"),  # behind the paddle
    ],
)
def test_it_goes_where_the_ball_will_be(before: Tensor, now: Tensor, button: str) -> None:
    seen = torch.stack([torch.zeros_like(now), torch.zeros_like(now), before, now])
    other = torch.stack([picture(40, 60)] * 4)
    decision = make_scripted("ball-follower", PONG)(torch.stack([seen, other]), torch.ones(2, 6, dtype=torch.bool))
    assert [NAMES[index] for index in decision.probabilities.argmax(-1)] == [button, "left"]


def test_it_plays_pong_alone() -> None:
    def offered(**changes: object) -> bool:
        return "ball-follower" in scripted_policies(dataclasses.replace(PONG, **changes))  # type: ignore[arg-type]

    assert offered()
    assert offered(game="ALE/Pong-v5?sticky=0", num_players=1, num_slots=1)
    assert not offered(game="ALE/Breakout-v5", num_players=1, num_slots=1)
    assert not offered(game="pettingzoo/atari/pong_v3?num_players=4", num_players=4, num_slots=4)
    assert not offered(game="pettingzoo/atari/pong_v3?game_version=hockey")
    assert not offered(game="pettingzoo/atari/pong_v3?stack=1", observation_shape=(1, 84, 84), frames=1)
    assert not offered(game="ALE/Pong-v5?color=true", num_players=1, num_slots=1, observation_shape=(12, 84, 84))


@pytest.mark.slow
def test_it_beats_random_moves_from_both_sides() -> None:
    env = make(PONG.game, 2)
    assert dataclasses.replace(env.spec, max_steps=None, backend="") == PONG
    policies = [make_scripted("ball-follower", env.spec), random_policy]
    turn = env.reset(torch.tensor([1, 2]))
    generator = torch.Generator().manual_seed(0)
    points = torch.zeros(2, 2)
    for _ in range(250):
        # in the first game the follower holds the first seat, in the second the other
        one, other = (act(policy, turn, False, generator) for policy in policies)
        action = torch.stack([torch.stack([one[0, 0], other[0, 1]]), torch.stack([other[1, 0], one[1, 1]])])
        step = env.step(action)
        points += step.rewards
        turn = step.turn
    env.close()
    own = points.diagonal()
    assert torch.equal(own, -points.flip(1).diagonal())
    assert own.min() >= 2, points
    assert own.sum() >= 6, points


def test_turns_of_many_games_are_read_at_once() -> None:
    seen = torch.stack([torch.stack([picture(40, ball)] * 4) for ball in (30, 43, 60)]).unsqueeze(1)
    turn = Turn(seen, torch.ones(3, 1, 6, dtype=torch.bool), torch.zeros(3, 1, dtype=torch.int64))
    assert act(make_scripted("ball-follower", PONG), turn, True).flatten().tolist() == [2, 0, 3]
