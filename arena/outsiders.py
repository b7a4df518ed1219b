"""How outside engines and bots become agents of a league."""

from __future__ import annotations

import dataclasses

import torch

from agents.engine_config import EngineConfig, to_text
from arena.allowed import allow
from arena.records import Agent
from arena.roster import game_spec, outside_policy
from arena.store import Store
from arena.store_rows import valid_name
from envs.errors import ArenaError, UsageError
from envs.registry import make


def add_engine(store: Store, game: str, name: str, config: EngineConfig) -> tuple[Agent, str]:
    """Make an engine an agent, once it has answered in the game's first position; with the name it gives itself.

    Whoever calls this has typed the command, so that it is allowed to run here from now on.

    Raises:
        UsageError: a name that is taken, a game or options that the engine does not know.
        ArenaError: the engine does not start, or does not answer.
    """
    name = valid_name(name, "agent")
    if any(agent.name == name for agent in store.agents(game, retired=True)):
        raise UsageError(f"{game} already has an agent {name!r}; choose another name")
    policy = outside_policy(game_spec(game), dataclasses.replace(config, random=0.0))
    env = make(game, autoreset=False)
    try:
        says = policy.start()
        turn = env.reset(torch.tensor([0]))
        assert turn.legal_action_mask is not None
        decision = policy(turn.observation[:, 0], turn.legal_action_mask[:, 0])
    finally:
        policy.close()
        env.close()
    if decision.gave_up is not None:
        raise ArenaError(f"{config.command[0]} does not play: {decision.gave_up[0]}")
    if config.is_program:
        allow(config.digest)
    agent = Agent(game, name, "engine", policy=to_text(config))
    return store.agent_by_id(store.add_agent(agent)), says or config.command[0]
