"""The benchmarks' own parts: a biased or illegal player would play other games than its peers'."""

from __future__ import annotations

import math

import pytest
import torch
from typer.testing import CliRunner

from agents.configs import LearnerConfig, PPOConfig, default_config
from agents.networks import ActorCritic
from arena.bench import game_bytes, sample_legal, step_flops, training_rate
from arena.cli.app import app
from envs.errors import UsageError
from envs.registry import make


@pytest.mark.parametrize(("num_actions", "legal"), [(7, [1, 2, 6]), (2, [1]), (300, [0, 270, 299])])
def test_legal_actions_are_drawn_alike(num_actions: int, legal: list[int]) -> None:
    mask = torch.zeros(10_000, 3, num_actions, dtype=torch.bool)
    mask[..., legal] = True
    drawn = sample_legal(mask, torch.Generator().manual_seed(0))
    assert drawn.shape == (10_000, 3)
    counts = drawn.flatten().bincount(minlength=num_actions)
    assert counts[legal].sum() == 30_000
    assert (counts[legal] - 30_000 / len(legal)).abs().max() < 400  # five standard deviations


def test_every_slot_draws_from_its_own_mask() -> None:
    mask = torch.rand(64, 2, 9, generator=torch.Generator().manual_seed(1)) < 0.3
    mask[..., 4] = True
    generator = torch.Generator().manual_seed(2)
    seen = torch.zeros_like(mask)
    for _ in range(300):
        seen.scatter_(-1, sample_legal(mask, generator).unsqueeze(-1), True)
    assert torch.equal(seen, mask)


@pytest.mark.slow
def test_a_profile_adds_up_and_leaves_nothing_patched() -> None:
    forward, config = ActorCritic.forward, default_config("ppo", "tic_tac_toe")
    assert isinstance(config, LearnerConfig)
    result = training_rate("ppo", config, "tic_tac_toe", steps=3 * 4096, profile=True)
    shares = result["shares"]
    assert set(shares) == {"network forward", "network backward", "optimizer", "games", "the rest"}
    assert sum(shares.values()) == pytest.approx(1)
    assert all(0 < share < 1 for share in shares.values())
    assert ActorCritic.forward is forward
    assert result["peak_share"] == result["value"] * result["flops"] / result["peak"]
    assert result["peak_share"] > 0


@pytest.mark.slow
def test_a_profile_knows_games_that_step_by_themselves() -> None:
    config = PPOConfig(num_envs=2, num_steps=8, num_epochs=1, num_minibatches=1, network="dqn2013", env_groups=2)
    shares = training_rate("ppo", config, "ALE/Pong-v5", steps=64, profile=True)["shares"]
    assert shares["games"] > 0.02


def test_steps_too_few_to_be_timed_are_refused() -> None:
    config = PPOConfig(num_envs=8, num_steps=16, num_epochs=1, hidden_size=4)
    with pytest.raises(UsageError, match="steps=128 leave no update to be timed after the first half; 256 do"):
        training_rate("ppo", config, "tic_tac_toe", steps=128)
    assert training_rate("ppo", config, "tic_tac_toe", steps=256)["value"] > 0


def test_the_flops_of_a_step_are_those_of_its_matrices() -> None:
    config = PPOConfig(
        num_envs=8, num_steps=16, num_epochs=3, num_minibatches=2, hidden_size=10, hidden_layers=1, shared_trunk=True,
        pool_share=0.0,
    )  # fmt: skip
    spec = make("tic_tac_toe").spec
    assert spec.num_actions is not None
    trunk = math.prod(spec.observation_shape) * 10
    heads = 10 * (spec.num_actions + 1)
    played = trunk + heads + (trunk + 10) / 16  # the value of what comes after the last of 16 steps
    learnt = 3 * (2 * trunk + 3 * heads)  # forward, by weights, and by inputs, of which the trunk's are given
    assert step_flops("ppo", config, "tic_tac_toe") == 2 * (played + learnt)


def test_a_device_that_is_not_there_is_refused() -> None:
    result = CliRunner().invoke(app, ["bench", "train", "--device", "cuda:99"])
    assert result.exit_code == 2
    assert "cuda:99" in result.output


def test_a_game_weighs_what_its_tensors_take() -> None:
    env = make("cartpole", 10)
    turn = env.reset(torch.arange(10))
    # physics 4 × 8, ply 8, seed 8, over 1, observation 4 × 4; mask and player are the same for all games
    assert game_bytes(env, turn) == 32 + 8 + 8 + 1 + 16 + 1


@pytest.mark.parametrize("seconds", ["0", "nan", "inf"])
@pytest.mark.parametrize("command", ["games", "curve"])
def test_no_time_and_all_of_it_measure_nothing(command: str, seconds: str) -> None:
    result = CliRunner().invoke(app, ["bench", command, "--seconds", seconds])
    assert result.exit_code == 2
    assert "--seconds" in result.output
