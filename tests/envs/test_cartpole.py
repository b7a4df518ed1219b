"""The native CartPole beside Gymnasium's own."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import torch

from envs import registry


def test_equals_gymnasium_step_for_step():
    num_games, steps = 64, 1000
    env = registry.make("cartpole", num_games)
    turn = env.reset(torch.arange(num_games))
    peers = [gym.make("CartPole-v1") for _ in range(num_games)]
    rng = np.random.default_rng(0)
    for game, peer in enumerate(peers):
        peer.reset(seed=game)
        peer.unwrapped.state = env.state()["physics"][game].numpy().copy()
    ended = truncations = 0
    for _ in range(steps):
        # Half the games follow a controller that stays up, so that the time limit is met.
        angles = turn.observation[:, 0, 2] + turn.observation[:, 0, 3]
        action = torch.where(torch.arange(num_games) % 4 < 2, angles > 0, torch.from_numpy(rng.random(num_games) < 0.5))
        step = env.step(action.long().unsqueeze(1))
        for game, peer in enumerate(peers):
            observation, reward, terminated, truncated, _ = peer.step(int(action[game]))
            assert np.array_equal(step.final.observation[game, 0].numpy(), observation)
            assert step.rewards[game, 0] == reward
            assert bool(step.terminated[game]) == terminated
            assert bool(step.truncated[game]) == truncated
            if terminated or truncated:
                ended, truncations = ended + 1, truncations + truncated
                peer.reset()
                peer.unwrapped.state = env.state()["physics"][game].numpy().copy()
        turn = step.turn
    assert ended > num_games
    assert truncations > 0


def test_starts_vary_within_the_bounds():
    env = registry.make("cartpole", 4096)
    start = env.reset(torch.arange(4096)).observation
    assert start.abs().max() <= 0.05
    assert start.std(0).min() > 0.02
