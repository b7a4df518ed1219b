"""What a policy's output says about actions, against torch.distributions; continuous actions from end to end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.envs.registration import EnvSpec

from agents import losses
from agents.configs import ActorCriticConfig, PPOConfig, VPGConfig
from agents.distributions import log_prob_and_entropy, mean_and_deviation, sample
from agents.networks import ActorCritic, NetworkPolicy
from agents.policy import act
from agents.registry import load_policy, load_train
from agents.resume import named_seeds
from agents.rollout import Games, advantages, collect_rollout
from envs.protocol import Turn
from envs.registry import make

NO_MASK = torch.empty(6, 0, dtype=torch.bool)


class Aim(gymnasium.Env[np.ndarray, np.ndarray]):
    """One step: shows a number between −1 and 1 and costs the squared distance of both actions from it."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Box(-2, 2, (2,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.target = self.np_random.uniform(-1, 1, 1).astype(np.float32)
        return self.target, {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action), action
        return self.target, -float(np.square(action - self.target).sum()), True, False, {}


@pytest.fixture
def aim(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(gymnasium.registry, "Aim-v0", EnvSpec("Aim-v0", Aim))
    return "gym/Aim-v0"


def test_normal_distributions_against_float64() -> None:
    generator = torch.Generator().manual_seed(0)
    output = torch.randn(6, 4, generator=generator).requires_grad_()
    action = torch.randn(6, 2, generator=generator)
    log_prob, entropy = log_prob_and_entropy(output, NO_MASK, action)
    mean, deviation = mean_and_deviation(output.detach().double())
    reference = torch.distributions.Normal(mean, deviation)
    torch.testing.assert_close(log_prob.double(), reference.log_prob(action.double()).sum(-1), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(entropy.double(), reference.entropy().sum(-1), atol=1e-5, rtol=1e-5)
    (gradient,) = torch.autograd.grad(entropy.sum(), output)
    assert torch.equal(gradient, torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(6, 4))  # the spread alone


def test_samples_have_their_mean_and_deviation() -> None:
    output = torch.tensor([1.0, -2.0, 0.5, -1.0]).expand(20_000, 4)
    drawn = sample(output, torch.empty(20_000, 0, dtype=torch.bool), torch.Generator().manual_seed(0))
    mean, deviation = mean_and_deviation(output[0])
    torch.testing.assert_close(drawn.mean(0), mean, atol=0.05, rtol=0.0)
    torch.testing.assert_close(drawn.std(0), deviation, atol=0.0, rtol=0.05)


def test_under_a_mask_it_is_the_masked_categorical_distribution() -> None:
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[True, False, True]]).expand(6, 3)
    action = torch.tensor([0, 2, 0, 2, 0, 2])
    log_prob, entropy = log_prob_and_entropy(logits, mask, action)
    log_probabilities = losses.masked_log_softmax(logits, mask)
    assert torch.equal(log_prob, losses.log_prob(log_probabilities, action))
    assert torch.equal(entropy, losses.entropy(log_probabilities))


def network(game: str, config: ActorCriticConfig) -> ActorCritic:
    return ActorCritic(make(game).spec, config, torch.Generator().manual_seed(0))


def test_the_env_gets_actions_within_bounds_and_the_learner_learns_from_those_it_drew(aim: str) -> None:
    config = PPOConfig(num_envs=50, num_steps=4, initial_deviation=3.0)
    games, net = Games(config, make(aim, 50), named_seeds(0), None, None), network(aim, config)
    rollout = collect_rollout(games, net)  # Aim refuses actions out of bounds
    assert (rollout.action.abs() > 2).float().mean() > 0.3
    samples = advantages(games, net, rollout)
    assert samples.action.shape == (200, 2)
    assert samples.mask.shape == (200, 0)
    mean, deviation = mean_and_deviation(net.policy(samples.observation))
    expected = torch.distributions.Normal(mean, deviation).log_prob(samples.action).sum(-1)
    torch.testing.assert_close(samples.log_prob, expected, atol=1e-4, rtol=1e-4)
    assert deviation.detach().allclose(torch.tensor(3.0))


def test_greedy_play_takes_the_mean_and_sampling_stays_within_bounds(aim: str) -> None:
    policy = NetworkPolicy(network(aim, PPOConfig(initial_deviation=5.0)))
    turn = make(aim, 200).reset(torch.arange(200))
    decision = policy(turn.observation[:, 0], torch.empty(200, 0, dtype=torch.bool))
    assert decision.probabilities.shape == (200, 0)
    assert decision.normal is not None
    assert torch.equal(act(policy, turn, greedy=True)[:, 0], decision.normal.mean)
    drawn = act(policy, turn, greedy=False, generator=torch.Generator().manual_seed(0))
    assert drawn.shape == (200, 1, 2)
    assert drawn.abs().max() == 2.0
    idle = Turn(turn.observation, None, torch.full_like(turn.player, -1))
    assert act(policy, idle, greedy=False).eq(0).all()


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["ppo", "vpg"])
def test_both_learn_to_aim(algorithm: str, aim: str) -> None:
    config: ActorCriticConfig = PPOConfig() if algorithm == "ppo" else VPGConfig(value_steps=4)
    config = replace(config, num_envs=32, num_steps=8, learning_rate=1e-2, gamma=0.0, entropy_coef=0.0)
    env = make(aim, 32)
    *_, last = load_train(algorithm)(config, env, seed=0, total_steps=12_000 if algorithm == "ppo" else 30_000)
    turn = make(aim, 100, autoreset=False).reset(torch.arange(100))
    action = act(load_policy(env.spec, last.policy), turn, greedy=True)
    assert (action - turn.observation).square().sum(-1).mean() < 0.02
