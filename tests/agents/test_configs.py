"""Settings: every field explained and in range, presets that fit, bad values refused."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, fields

import pytest

from agents.configs import CONFIGS, PPOConfig, config_from, default_config, default_steps, training_game
from agents.presets import EVERY_ALGORITHM, PRESETS
from agents.registry import ALGORITHMS, find_algorithm
from envs.errors import UnknownNameError, UsageError


@pytest.mark.parametrize("name", CONFIGS)
def test_every_setting_is_explained_and_its_default_is_in_range(name: str) -> None:
    config = CONFIGS[name]()
    assert ALGORITHMS[name].config is CONFIGS[name]
    assert (config.__doc__ or "").strip()
    for f in fields(config):
        assert f.metadata["help"], f.name
        assert {"min", "max", "choices"} <= set(f.metadata), f.name
    assert config_from(name, json.loads(json.dumps(asdict(config)))) == config


@pytest.mark.parametrize(("name", "game"), [(name, game) for name in PRESETS for game in PRESETS[name]])
def test_every_preset_is_a_valid_config(name: str, game: str) -> None:
    values = PRESETS[name][game] | EVERY_ALGORITHM.get(game, {})
    config = default_config(name, game)
    assert values.items() <= asdict(config).items()


def test_a_longer_prefix_wins_and_other_games_keep_the_defaults() -> None:
    assert default_config("ppo", "gridworld/recycling").gamma == 0.9  # type: ignore[attr-defined]
    assert default_config("ppo", "gridworld/recycling?minutes=3").gamma == 1.0  # type: ignore[attr-defined]
    assert default_config("ppo", "some/other_game") == PPOConfig()


def test_steps_of_a_run_are_the_preset_s() -> None:
    assert default_steps("ppo", "gridworld/maze") > default_steps("ppo", "gridworld/maze?level=3")
    assert default_steps("monte_carlo", "gridworld/rooms") == default_steps("ppo", "some/other_game") == 200_000


def test_training_options_go_before_those_of_the_variant() -> None:
    config = default_config("ppo", "ALE/Breakout-v5")
    for game in ("ALE/Breakout-v5", "ALE/Breakout-v5?life_loss=true"):
        assert training_game(game, config) == "ALE/Breakout-v5?life_loss=true"
    assert training_game("ALE/Breakout-v5?sticky=0", config) == "ALE/Breakout-v5?life_loss=true&sticky=0.0"
    assert training_game("gym/CartPole-v1", default_config("ppo", "gym/CartPole-v1")) == "gym/CartPole-v1"


@pytest.mark.parametrize("algorithm", ["dqn", "vpg", "ppo"])
def test_pictures_of_two_players_are_learnt_from_like_those_of_one(algorithm: str) -> None:
    one, two = (asdict(default_config(algorithm, game)) for game in ("ALE/Pong-v5", "pettingzoo/atari/pong_v3"))
    differs = {name for name in one if one[name] != two[name]}
    assert {"training_options"} <= differs <= {"training_options", "buffer_size", "pool_share", "random_plies"}


def test_lunar_lander_has_the_course_s_recipe() -> None:
    """Simonini and Sanseviero, Hugging Face's course on deep reinforcement learning, unit 1."""
    config = default_config("ppo", "gym/LunarLander-v3")
    assert isinstance(config, PPOConfig)
    assert (config.num_envs, config.num_steps, config.num_epochs) == (16, 1024, 4)
    assert config.num_envs * config.num_steps // config.num_minibatches == 64
    assert (config.gamma, config.gae_lambda) == (0.999, 0.98)
    assert (config.entropy_coef, config.final_entropy_coef) == (0.01, 0.01)
    assert default_steps("ppo", "gym/LunarLander-v3") == 1_000_000


def test_continuous_mountain_car_is_another_game() -> None:
    assert default_config("ppo", "gym/MountainCarContinuous-v0") == PPOConfig()
    assert default_config("ppo", "gym/MountainCar-v0").normalise_rewards  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"gamma": 1.5}, "gamma=1.5 must be between 0.0 and 1.0"),
        ({"num_envs": 2, "env_groups": 3}, "env_groups=3 must be at most num_envs, 2"),
        ({"gamma": float("nan")}, "gamma=nan"),
        ({"num_envs": 0}, "num_envs=0"),
        ({"num_envs": 2.5}, "must be a whole number"),
        ({"network": "transformer"}, "none of auto, mlp, cnn, board, nature"),
        ({"pool_share": 0.7, "random_share": 0.7}, "at most 1"),
        ({"gama": 0.9}, "did you mean gamma"),
    ],
)
def test_bad_values_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        config_from("ppo", values)


def test_unknown_algorithms_are_refused_with_the_nearest() -> None:
    for call in (lambda: default_config("pp", "x"), lambda: config_from("pp", {}), lambda: find_algorithm("pp")):
        with pytest.raises(UnknownNameError, match="did you mean ppo"):
            call()


def test_whole_numbers_pass_for_real_ones() -> None:
    assert type(config_from("ppo", {"gamma": 1}).gamma) is float  # type: ignore[attr-defined]


def test_listing_algorithms_imports_no_torch() -> None:
    code = "import sys, agents.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
