"""The games that an algorithm learns on, and whether it can, asked before a run is begun."""

from __future__ import annotations

from agents.configs import ActorCriticConfig, Config, LearnerConfig, PlanningConfig, TabularConfig, training_game
from agents.networks import check_network
from agents.planning import OWN_REWARDS
from agents.search import searchable
from agents.tabular import initial_values
from envs.errors import UsageError
from envs.gridworld.dynamics import exact_dynamics
from envs.protocol import VecEnv
from envs.registry import make


def training_env(game: str, config: Config, device: str = "cpu") -> VecEnv:
    """As many games as `config` learns on, in its groups, with its options."""
    groups = config.env_groups if isinstance(config, ActorCriticConfig) else 1
    return make(training_game(game, config), getattr(config, "num_envs", 1), device, groups=groups)


def check_fits(algorithm: str, config: Config, env: VecEnv, *, shaped: bool = False) -> None:
    """Raises UsageError where `env` is none that this algorithm can learn with these settings.

    Args:
        shaped: whether its rewards are shaped.
    """
    spec = env.spec
    if spec.num_actions is None and not isinstance(config, ActorCriticConfig):
        raise UsageError(f"{spec.game} has continuous actions: ppo and vpg learn them, {algorithm} does not")
    if spec.num_actions is None and spec.num_players > 1:
        raise UsageError(f"{spec.game} has continuous actions, which are learnt in one-player games only")
    if shaped and spec.num_players > 1:
        raise UsageError(f"{spec.game} has {spec.num_players} players: rewards are shaped in one-player games only")
    if isinstance(config, ActorCriticConfig) and config.env_groups > 1 and spec.num_players > 1:
        several = f"{spec.game} has {spec.num_players} players"
        raise UsageError(f"env_groups={config.env_groups} is for one-player games: {several}")
    if algorithm == "az":
        searchable(spec)
    if isinstance(config, PlanningConfig) and shaped:
        raise UsageError(OWN_REWARDS)
    if isinstance(config, TabularConfig | PlanningConfig):
        exact_dynamics(env)
    if isinstance(config, TabularConfig):
        initial_values(config, spec.num_actions or 0)
    if isinstance(config, LearnerConfig):
        check_network(spec, config.network)
