"""The learners on small problems with known answers: thresholds that a broken learner does not reach."""

from __future__ import annotations

from typing import Any

import pytest

from agents.configs import LearnerConfig, default_config
from agents.policy import Policy
from agents.registry import load_policy, load_train
from arena.match import evaluate, play_match
from arena.records import Agent
from arena.roster import Contender
from arena.strength import check_strength
from envs import registry

pytestmark = pytest.mark.slow


def learn(algorithm: str, game: str, steps: int, seed: int = 0, **options: Any) -> Policy:
    """The policy of a whole run by the preset of its game."""
    config = default_config(algorithm, game)
    assert isinstance(config, LearnerConfig)
    env = registry.make(game, config.num_envs)
    for metrics in load_train(algorithm)(config, env, seed=seed, total_steps=steps, **options):
        last = metrics
    assert last.policy is not None
    return load_policy(env.spec, last.policy)


def contender(game: str, name: str, policy: Policy) -> Contender:
    return Contender(Agent(game, name, "checkpoint"), policy)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    ("algorithm", "game", "steps"),
    [
        ("ppo", "gridworld/recycling", 40_000),
        ("vpg", "gridworld/recycling?minutes=3", 40_000),
        ("dqn", "gridworld/trap", 3_000),
        ("vpg", "gridworld/tiny", 40_000),
        ("ppo", "gridworld/cliff", 150_000),
        ("vpg", "gridworld/maze?level=3", 100_000),
        ("dqn", "gridworld/maze?level=3", 10_000),
    ],
)
def test_greedy_play_earns_what_value_iteration_does(algorithm: str, game: str, steps: int, seed: int) -> None:
    strength = check_strength(game, learn(algorithm, game, steps, seed))
    assert strength.perfect, strength.fault


def test_ppo_stands_its_pole_up_within_a_hundred_thousand_steps() -> None:
    game = "gym/CartPole-v1"
    assert evaluate(None, game, contender(game, "ppo", learn("ppo", game, 100_000)), episodes=100).mean >= 475


def test_dqn_stands_its_pole_up_within_forty_thousand_steps() -> None:
    game = "cartpole"
    assert evaluate(None, game, contender(game, "dqn", learn("dqn", game, 40_000)), episodes=100).mean >= 475


def test_ppo_by_self_play_loses_no_line_of_tic_tac_toe() -> None:
    strength = check_strength("tic_tac_toe", learn("ppo", "tic_tac_toe", 1_000_000))
    assert strength.perfect, strength.fault


@pytest.mark.parametrize(
    ("algorithm", "game", "steps", "share"),
    [
        ("ppo", "connect_four", 400_000, 0.8),
        ("vpg", "connect_four", 400_000, 0.7),
        ("dqn", "connect_four", 100_000, 0.6),
        ("dqn", "gridworld/sumo", 60_000, 0.8),
        ("ppo", "gridworld/tron", 300_000, 0.8),
    ],
)
def test_self_play_beats_random(algorithm: str, game: str, steps: int, share: float) -> None:
    from agents.scripted import make_scripted

    env = registry.make(game)
    learner = contender(game, algorithm, learn(algorithm, game, steps))
    random = Contender(Agent(game, "random", "scripted", policy="random"), make_scripted("random", env.spec))
    assert play_match(None, game, learner, random, games=200, seed=5).total.score >= share
