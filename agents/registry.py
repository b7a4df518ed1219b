"""Every algorithm by name. Importing this imports no torch, so that lists and help stay fast."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from agents import configs
from envs.errors import UnknownNameError
from envs.specs import GameSpec

if TYPE_CHECKING:
    from agents.metrics import PolicyWeights
    from agents.policy import Policy


class Algorithm(NamedTuple):
    """Where an algorithm's parts are.

    Attributes:
        config: its settings.
        module: the module whose `train(config, env, *, seed, total_steps, …)` trains it.
        policy: "module:function" that makes a policy of (spec, PolicyWeights).
        summary: one line for lists.
    """

    config: type[configs.Config]
    module: str
    policy: str
    summary: str


ALGORITHMS: dict[str, Algorithm] = {
    "ppo": Algorithm(
        configs.PPOConfig,
        "agents.ppo",
        "agents.networks:load_actor_critic",
        "proximal policy optimisation: clipped policy gradient, GAE, several passes over each rollout",
    ),
    "vpg": Algorithm(
        configs.VPGConfig,
        "agents.vpg",
        "agents.networks:load_actor_critic",
        "vanilla policy gradient: rewards to go minus a learnt value, or bare REINFORCE",
    ),
    "dqn": Algorithm(
        configs.DQNConfig,
        "agents.dqn",
        "agents.dqn:load_dqn",
        "deep Q-learning: replay, target network, ε-greedy exploration, Double",
    ),
    "az": Algorithm(
        configs.AZConfig,
        "agents.az",
        "agents.networks:load_actor_critic",
        "AlphaZero: learns what a Gumbel search of every move found, on the board games that can be searched",
    ),
    "bc": Algorithm(
        configs.BCConfig,
        "agents.bc",
        "agents.networks:load_actor_critic",
        "behaviour cloning: chooses as in recorded games",
    ),
    "q_learning": Algorithm(
        configs.QLearningConfig, "agents.tabular", "agents.tabular:load_table", "Q-learning with a table, off-policy"
    ),
    "sarsa": Algorithm(
        configs.SarsaConfig, "agents.tabular", "agents.tabular:load_table", "SARSA with a table, on-policy"
    ),
    "monte_carlo": Algorithm(
        configs.MonteCarloConfig,
        "agents.tabular",
        "agents.tabular:load_table",
        "first-visit Monte-Carlo control with a table",
    ),
    "td0": Algorithm(
        configs.TD0Config,
        "agents.tabular",
        "agents.tabular:load_table",
        "TD(0) prediction of the random policy's values",
    ),
    "value_iteration": Algorithm(
        configs.ValueIterationConfig,
        "agents.planning",
        "agents.tabular:load_table",
        "value iteration on known dynamics",
    ),
    "policy_iteration": Algorithm(
        configs.PolicyIterationConfig,
        "agents.planning",
        "agents.tabular:load_table",
        "policy iteration on known dynamics",
    ),
}


IMPORTED = {"sb3": "agents.sb3:load_sb3"}
"""Weights of other libraries, which play here and are not trained: name → "module:function" as `Algorithm.policy`."""


def find_algorithm(name: str) -> Algorithm:
    """The algorithm of this name; raises UnknownNameError."""
    if name not in ALGORITHMS:
        raise UnknownNameError("algorithm", name, ALGORITHMS)
    return ALGORITHMS[name]


def load_train(name: str) -> Callable[..., Any]:
    """The algorithm's `train`. Imports torch."""
    return importlib.import_module(find_algorithm(name).module).train


def load_policy(spec: GameSpec, weights: PolicyWeights) -> Policy:
    """The frozen policy of these weights, ready to play `spec`'s game. Imports torch.

    Raises ArenaError where the weights do not fit the game.
    """
    place = IMPORTED.get(weights.algorithm) or find_algorithm(weights.algorithm).policy
    module, _, function = place.partition(":")
    return getattr(importlib.import_module(module), function)(spec, weights)
