"""Which agent a run starts from: `--init AGENT`, of this game or of another."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from agents.configs import Config, DQNConfig, default_config
from arena import starters
from arena.checkpoints import load_weights, unpack_policy
from arena.records import Agent
from envs.errors import UnknownNameError, UsageError
from envs.specs import parse_variant

if TYPE_CHECKING:
    from agents.warm_start import Start
    from arena.store import Store
    from envs.specs import GameSpec


def find_start(store: Store, game: str, text: str) -> Agent:
    """The trained agent that `text` names: AGENT or RUN (its newest agent), of any game, or GAME:AGENT.

    This game's own goes before those of others. Raises UnknownNameError, UsageError where several games have one.
    """
    only, name = _split(text)
    trained = [agent for agent in store.agents(only, retired=True) if agent.checkpoint]
    trained += [starter.agent() for starter in starters.starters(only)]
    found = [agent for agent in trained if agent.name == name] or _newest(store, trained, name)
    games = list(dict.fromkeys(agent.game for agent in found))
    if not games:
        raise UnknownNameError("trained agent", text, {agent.name for agent in trained})
    if game not in games and len(games) > 1:
        raise UsageError(f"{name} is an agent of several games: write {' or '.join(f'{g}:{name}' for g in games)}")
    chosen = game if game in games else games[0]
    return next(agent for agent in found if agent.game == chosen)


def _split(text: str) -> tuple[str | None, str]:
    """GAME:AGENT → its two parts; no game where none is named."""
    left, colon, right = text.partition(":")
    if not colon:
        return None, text
    try:
        return str(parse_variant(left)), right
    except UsageError:
        return None, text


def _newest(store: Store, agents: Iterable[Agent], name: str) -> list[Agent]:
    """The newest agent of the run of this name."""
    runs = {run.id for run in store.runs() if run.name == name.removesuffix("@latest")}
    made = [agent for agent in agents if agent.run in runs]
    return [max(made, key=lambda agent: agent.step or 0)] if made else []


def starting_config(store: Store, algorithm: str, game: str, init: str) -> Config:
    """What suits the game; where an agent `init` is named, with a network of its shape, and followed from the start."""
    config = default_config(algorithm, game)
    if not init:
        return config
    from agents.warm_start import shaped_alike

    agent = find_start(store, game, init)
    starter = starters.starter_of(agent.checkpoint)
    theirs = store.checkpoint(agent.checkpoint or "") if starter is None else starters.packed(starter)
    config = shaped_alike(config, theirs.config)
    if isinstance(config, DQNConfig):  # random moves would not follow the agent that it starts from
        config = dataclasses.replace(config, epsilon=config.final_epsilon)
    return config


def start_facts(store: Store, algorithm: str, config: Config, spec: GameSpec, init: str) -> dict[str, Any]:
    """What a new run keeps of the agent `init` that it starts from. Raises UsageError where it cannot."""
    from agents.registry import load_train
    from agents.warm_start import check_start

    agent = find_start(store, spec.game, init)
    if "start" not in inspect.signature(load_train(algorithm)).parameters:
        raise UsageError(f"{algorithm} starts from nothing else: --init is for ppo, vpg, dqn, az and bc")
    check_start(config, spec, load_start(store, agent))
    return {"init": {"game": agent.game, "agent": agent.name, "checkpoint": agent.checkpoint}}


def load_start(store: Store, agent: Agent) -> Start:
    """An agent's weights and game, to start from."""
    from agents.warm_start import Start
    from arena.roster import game_spec

    starter = starters.starter_of(agent.checkpoint)
    if starter is not None:
        weights = unpack_policy(starters.packed(starter).data, f"starter {starter.name}")
    else:
        weights = load_weights(store, agent.checkpoint or "")
    return Start(agent.name, weights, game_spec(agent.game))
