"""Reward shaping: what is loaded and refused, and what the shipped functions do to a learner."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from agents.configs import DQNConfig, PPOConfig, default_config
from agents.metrics import PolicyWeights
from agents.policy import act
from agents.registry import load_policy, load_train
from agents.shaping import Shaping, easy_cart, load_shaping, spin_cart
from envs.errors import UnknownNameError, UsageError
from envs.registry import make

STATE = torch.tensor([[0.0, 0.0, 0.0, 0.0], [1.2, 5.0, 0.0, 3.0], [0.0, 0.0, -0.3, -2.0]])


def call(function: Shaping) -> list[float]:
    return function(torch.zeros(3, 4), torch.zeros(3, dtype=torch.int64), torch.ones(3), STATE).tolist()


def test_shipped_functions_by_hand() -> None:
    assert call(easy_cart) == pytest.approx([1.0, 0.0, -1.0])
    assert call(spin_cart) == pytest.approx([0.0, 9.0, 4.0])
    assert call(load_shaping("agents.shaping:easy_cart")) == pytest.approx([1.0, 0.0, -1.0])


def test_functions_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_rewards.py").write_text(
        "def double(observation, action, reward, next_observation):\n    return 2 * reward\n"
        "def mean(observation, action, reward, next_observation):\n    return reward.mean()\n"
        "def number(observation, action, reward, next_observation):\n    return 1.0\n"
    )
    (tmp_path / "my_mistake.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    assert call(load_shaping("my_rewards:double")) == [2.0, 2.0, 2.0]
    for name, message in (("mean", r"returned a tensor of \[\].*\[3\]"), ("number", "returned float")):
        with pytest.raises(UsageError, match=message):
            call(load_shaping(f"my_rewards:{name}"))
    with pytest.raises(UsageError, match="ZeroDivisionError"):
        load_shaping("my_mistake:anything")
    with pytest.raises(UsageError, match="no module 'nowhere'"):
        load_shaping("nowhere:easy_cart")
    with pytest.raises(UnknownNameError, match="easy_cart"):
        load_shaping("agents.shaping:easy_card")
    for name in ("easy_cart", "agents.shaping:", ":easy_cart"):
        with pytest.raises(UsageError, match="module:function"):
            load_shaping(name)


def train_cart(algorithm: str, shaping: Shaping | None, seed: int, steps: int) -> PolicyWeights:
    config = default_config(algorithm, "cartpole")
    assert isinstance(config, DQNConfig | PPOConfig)
    env = make("cartpole", config.num_envs)
    *_, last = load_train(algorithm)(config, env, seed=seed, total_steps=steps, reward=shaping)
    assert last.policy is not None
    return last.policy


def watch(weights: PolicyWeights) -> tuple[float, float]:
    """Of 50 games played greedily: the mean length, and the mean turning speed of the pole."""
    env = make("cartpole", 50, autoreset=False)
    policy, turn = load_policy(env.spec, weights), env.reset(torch.arange(50))
    steps = speed = torch.zeros(())
    for _ in range(500):
        playing = turn.player[:, 0] >= 0
        turn = env.step(act(policy, turn, greedy=True)).turn
        steps = steps + playing.sum()
        speed = speed + (turn.observation[:, 0, 3].abs() * playing).sum()
    return steps.item() / 50, (speed / steps).item()


@pytest.mark.slow
def test_easy_cart_solves_cartpole_in_fewer_steps() -> None:
    steps, seeds = 3_000, range(16)  # of 24 seeds: 126 plies without it, 204 with it
    plain, shaped = ([watch(train_cart("dqn", each, seed, steps))[0] for seed in seeds] for each in (None, easy_cart))
    assert sum(shaped) > 1.1 * sum(plain), (plain, shaped)


@pytest.mark.slow
def test_spin_cart_learns_to_whip_the_pole_round() -> None:
    for seed in range(2):
        _, plain = watch(train_cart("ppo", None, seed, 15_000))
        length, spinning = watch(train_cart("ppo", spin_cart, seed, 15_000))
        assert spinning > 3 * plain, (plain, spinning)
        assert length < 15
