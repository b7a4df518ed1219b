"""Demonstrations on pixels: a clone of a scripted player of Pong, beside the network that it started from."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from agents import bc
from agents.ball_follower import BallFollower
from agents.configs import BCConfig
from agents.networks import load_actor_critic
from agents.policy import Policy
from agents.warm_start import Start, shaped_alike
from arena import starters
from arena.checkpoints import unpack_policy
from envs.protocol import VecEnv
from envs.registry import make

GAMES = 8


class Played(NamedTuple):
    """What a policy saw and chose, and the points that it won and lost."""

    observation: Tensor
    action: Tensor
    won: int
    lost: int


def play(env: VecEnv, policy: Policy, steps: int, seed: int, noise: float = 0.0) -> Played:
    """So many steps of every game. `noise`: this share of the moves is played at random in place of what was chosen."""
    generator = torch.Generator().manual_seed(seed)
    turn = env.reset(torch.arange(GAMES) + 100 * seed)
    seen, chosen, points = [], [], []
    for _ in range(steps):
        assert turn.legal_action_mask is not None
        observation = turn.observation.flatten(0, 1)
        probabilities = policy(observation, turn.legal_action_mask.flatten(0, 1)).probabilities
        action = torch.multinomial(probabilities, 1, generator=generator).squeeze(1)
        seen.append(observation)
        chosen.append(action)
        other = torch.randint(probabilities.shape[1], (GAMES,), generator=generator)
        played = torch.where(torch.rand(GAMES, generator=generator) < noise, other, action)
        step = env.step(played.unsqueeze(1))
        points.append(step.rewards)
        turn = step.turn
    gained = torch.cat(points)
    return Played(torch.cat(seen), torch.cat(chosen), int((gained > 0).sum()), int((gained < 0).sum()))


@pytest.mark.slow
def test_a_clone_of_the_ball_follower_returns_the_ball() -> None:
    """Five minutes of demonstrations for a network that begins with the layers of the agent that comes with the game
    but without its last one, so that it plays at random: it then loses far fewer points in the same time.
    """
    env = make("ALE/Pong-v5?sticky=0", GAMES)
    shown = play(env, BallFollower(env.spec), 600, seed=1, noise=0.05)
    expert = unpack_policy(starters.packed(starters.starters("ALE/Pong-v5")[0]).data, "the expert")
    for name in ("policy_head.weight", "policy_head.bias"):
        expert.tensors[name].zero_()
    count = len(shown.action)
    everything, nothing = torch.ones(count, env.spec.num_actions or 0, dtype=torch.bool), torch.zeros(count)
    lessons = bc.Lessons(shown.observation, everything, shown.action, nothing, torch.arange(count) % 10 == 0)
    settings = BCConfig(
        learning_rate=2e-3, anneal_learning_rate=False, max_grad_norm=10.0, batch_size=32, bfloat16=True
    )
    config = shaped_alike(settings, expert.config)
    start = Start("bare", expert, env.spec)
    *_, last = bc.train(config, env, seed=1, total_steps=16_000, lessons=lessons, start=start)
    assert last.policy is not None
    clone, bare = (play(env, load_actor_critic(env.spec, weights), 250, seed=2) for weights in (last.policy, expert))
    env.close()
    assert last.values["charts/accuracy"] > 0.6  # always the same one of the four: a third
    assert clone.lost < 0.7 * bare.lost
