"""From names to agents that can play."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from agents import scripted
from agents.engine_config import EngineConfig, from_text
from agents.engines import EnginePolicy
from agents.plugins import PREFIX, load_plugin, plugin_names
from agents.policy import Policy
from agents.registry import load_policy
from agents.search import MAX_SECONDS, MAX_SIMULATIONS, SearchPolicy, searchable
from arena import starters
from arena.allowed import is_allowed
from arena.checkpoints import load_weights, unpack_policy
from arena.records import Agent
from envs.errors import UnknownNameError, UsageError
from envs.registry import make
from envs.specs import GameSpec, parse_variant

if TYPE_CHECKING:
    from agents.metrics import PolicyWeights
    from agents.openspiel import OpenSpielPolicy
    from arena.store import Store

CACHE_SIZE = 32
SOLVERS = ("minimax", "perfect", "value-iteration")
"""The scripts that play exactly."""


SEARCH = "+mcts:"
"""Between an agent's name and how long it searches before a move: so many simulations (ppo-1@4.0M+mcts:200), or
seconds (ppo-1@4.0M+mcts:5s), which are another agent: how strong it is depends on the machine that it thinks on."""


class Contender(NamedTuple):
    """An agent of the league and the policy that plays for it."""

    agent: Agent
    policy: Policy

    @property
    def name(self) -> str:
        return self.agent.name

    @property
    def samples(self) -> bool:
        """Whether it draws from its distribution even in greedy play: a script, a solver or an engine *is* it."""
        return self.agent.kind in ("scripted", "solver", "engine")

    @property
    def one_by_one(self) -> bool:
        """Whether every row costs a question of its own, so that it is shown those alone that it decides."""
        return bool(getattr(self.policy, "one_by_one", False))


@functools.lru_cache(maxsize=64)
def game_spec(game: str) -> GameSpec:
    """What is fixed about a variant. Raises UsageError for games that do not exist."""
    env = make(game)
    env.close()
    return env.spec


def resolve(store: Store, game: str, name: str, join: bool = True) -> Contender:
    """The agent `name` of a game, ready to play.

    `name` is an agent's ("ppo-1@20k", retired or not), a run's (its newest agent), or a script's that the game offers
    ("random", "tactician", …), one that an installed package brings, or a trained agent's with a search on top
    ("ppo-1@20k+mcts:200"), which join the league at their first mention. So does an agent of another variant of the
    game that sees and does the same things here (other mazes, another start): as the same checkpoint under the same
    name. With `join=False` nothing is written, and an agent that is no member yet has no id.

    Raises:
        UnknownNameError: nothing of this name, with the nearest ones.
        UsageError: an agent of another variant in which observations or actions are not as here.
        UsageError: a person's name: nobody can think for them.
        ArenaError: the agent's checkpoint is corrupt or does not fit the game.
    """
    game = str(parse_variant(game))
    agent = _find(store, game, name, join=False)
    if agent.policy.startswith(PREFIX):
        _policy(store, agent)  # what does not play this game joins nothing
    if join and not agent.id:
        agent = _join(store, agent)
    if agent.kind == "human":
        raise UsageError(
            f"{agent.name} is a person, who decides at the keyboard: `arena play {game} --as {agent.name}`"
        )
    return Contender(agent, _policy(store, agent))


def resolve_all(store: Store, game: str, names: Sequence[str]) -> list[Contender]:
    """All of them, in their order; where one of them cannot be had, nothing is written."""
    for name in names:
        resolve(store, game, name, join=False)
    return [resolve(store, game, name) for name in names]


def require_scripts(db: Path, game: str, names: Iterable[str]) -> None:
    """Before a league is made: only scripts can play in it. Raises UnknownNameError for any other name."""
    if not db.exists():
        offered = [*scripted.scripted_policies(game_spec(game)), *plugin_names(), *_starters(game)]
        for name in names:
            base = name.partition(SEARCH)[0]
            if name not in offered and base not in _starters(game):
                raise UnknownNameError(f"agent of {game}", name, offered)


def enlist(store: Store, game: str, name: str) -> Agent:
    """The agent `name` of a game as `resolve` finds it, a member from now on, without the policy that plays for it."""
    return _find(store, str(parse_variant(game)), name, join=True)


def known_names(store: Store, game: str) -> list[str]:
    """Who can play a game: its scripts, then its agents that are not retired, oldest first, people left out."""
    game = str(parse_variant(game))
    offered = [*scripted.scripted_policies(game_spec(game)), *plugin_names(), *_starters(game)]
    agents = [agent.name for agent in store.agents(game) if agent.kind != "human"]
    return offered + [name for name in agents if name not in offered]


def on_device(policy: Policy, device: str) -> Policy:
    """The policy where its observations lie: a copy with its network moved, or itself where there is none to move."""
    network = getattr(policy, "network", None)
    if network is None or torch.device(device).type == "cpu":
        return policy
    moved: Any = copy.copy(policy)
    moved.network = copy.deepcopy(network).to(device)
    return moved


def engine_policy(agent: Agent) -> EnginePolicy | OpenSpielPolicy:
    """The engine's policy, not started yet; UsageError where its command has not been allowed on this machine."""
    config = from_text(agent.policy)
    if config.is_program and not is_allowed(config.digest):
        raise UsageError(
            f"{agent.name} runs a program, and nobody has allowed that here: `arena agents show '{agent.game}' "
            f"{agent.name}` says which, `arena agents allow '{agent.game}' {agent.name}` lets it run"
        )
    return outside_policy(game_spec(agent.game), config)


def outside_policy(spec: GameSpec, config: EngineConfig) -> EnginePolicy | OpenSpielPolicy:
    """What plays by this config. Raises UsageError where it does not know the game."""
    if config.is_program:
        return EnginePolicy(spec, config)
    from agents.openspiel import OpenSpielPolicy  # compiled rules come with it

    return OpenSpielPolicy(spec, config)


def _find(store: Store, game: str, name: str, join: bool) -> Agent:
    every = store.agents(game, retired=True)
    offered = scripted.scripted_policies(game_spec(game))
    found = next((agent for agent in every if agent.name == name), None)
    if found is None and name in offered:
        found = Agent(game=game, name=name, kind="solver" if name in SOLVERS else "scripted", policy=name)
    if found is None and name in plugin_names():
        found = Agent(game=game, name=name, kind="scripted", policy=PREFIX + name)
    if found is None and (starter := starters.find_starter(game, name)):
        found = starter.agent()
    if found is None and SEARCH in name:
        found = _searching(store, game, name)
    if found is None:
        found = _elsewhere(store, game, name)
    if found is None:
        more = [*plugin_names(), *_starters(game), *(agent.name for agent in every)]
        raise UnknownNameError(f"agent of {game}", name, {*offered, *more})
    return _join(store, found) if join and not found.id else found


def _searching(store: Store, game: str, name: str) -> Agent:
    """AGENT+mcts:N or AGENT+mcts:Ns, which searches: a member of its own with the same checkpoint, and of no run."""
    base_name, _, typed = name.partition(SEARCH)
    count, most = typed.removesuffix("s"), MAX_SECONDS if typed.endswith("s") else MAX_SIMULATIONS
    if not count.isascii() or not count.isdigit() or not 0 < int(count) <= most:
        raise UsageError(
            f"{name}: write AGENT{SEARCH}N, with 1 to {MAX_SIMULATIONS:,} simulations a move, or AGENT{SEARCH}Ns, "
            f"with 1 to {MAX_SECONDS} seconds"
        )
    base = _find(store, game, base_name, join=False)
    if base.checkpoint is None or SEARCH in base.name:
        raise UsageError(f"{name}: trained agents can search, {base.name} is none")
    searchable(game_spec(game))
    option = f"{SEARCH}{int(count)}{typed[len(count) :]}"
    agent = Agent(game, base.name + option, "checkpoint", policy=base.policy + option, checkpoint=base.checkpoint)
    every = {known.name: known for known in store.agents(game, retired=True)}
    return every.get(agent.name, agent)


def _elsewhere(store: Store, game: str, name: str) -> Agent | None:
    """The agent that is `name`, or the newest of the run of this name, among all variants of the game.

    One of another variant comes as the agent of this one that it would be. Raises UsageError where it cannot play here.
    """
    trained = [agent for agent in store.agents(retired=True) if agent.checkpoint and _id(agent.game) == _id(game)]
    named = [agent for agent in trained if agent.name == name]
    if not named:
        runs = {run.id for run in store.runs() if run.name == name.removesuffix("@latest")}
        named = [agent for agent in trained if agent.run in runs]
    if not named:
        return None
    agent = max(named, key=lambda agent: (agent.step or 0, agent.game == game))
    if agent.game == game:
        return agent
    here, there = game_spec(game), game_spec(agent.game)
    if (here.observation_shape, here.action_names) != (there.observation_shape, there.action_names):
        raise UsageError(f"{agent.name} has learnt {agent.game}, whose observations or actions are not those of {game}")
    return dataclasses.replace(agent, id=0, game=game, retired_at=None)


def _id(game: str) -> str:
    """A variant's game without its options."""
    return game.partition("?")[0]


def _starters(game: str) -> list[str]:
    return [starter.name for starter in starters.starters(str(parse_variant(game)))]


def _join(store: Store, agent: Agent) -> Agent:
    """Make a script or a guest an agent of the league; another process may do so at the same moment."""
    starter = starters.starter_of(agent.checkpoint)
    if starter is not None and (starter.game, starter.name) == (agent.game, agent.name):
        return starters.join(store, starter)
    with contextlib.suppress(UsageError):
        store.add_agent(agent, None if starter is None else starters.packed(starter))
    return store.agent(agent.game, agent.name)


_policies: OrderedDict[tuple[str, str], Policy] = OrderedDict()


def _policy(store: Store, agent: Agent) -> Policy:
    starter = starters.starter_of(agent.checkpoint)
    if starter is not None:
        return policy_of(agent, lambda: unpack_policy(starters.packed(starter).data, f"starter {starter.name}"))
    return policy_of(agent, lambda: load_weights(store, agent.checkpoint or ""))


def policy_of(agent: Agent, weights: Callable[[], PolicyWeights]) -> Policy:
    """The agent's policy, a checkpoint's from its `weights`.

    The `CACHE_SIZE` used last are kept, by what they are and not by their names.
    """
    searches = SEARCH in agent.policy
    key = (agent.game, f"{agent.checkpoint or ''}{agent.policy if searches or not agent.checkpoint else ''}")
    if key not in _policies:
        spec = game_spec(agent.game)
        if agent.kind == "engine":
            _policies[key] = engine_policy(agent)
        elif agent.policy.startswith(PREFIX):
            _policies[key] = load_plugin(agent.policy.removeprefix(PREFIX), spec)
        elif agent.checkpoint is None:
            _policies[key] = scripted.make_scripted(agent.policy, spec)
        else:
            policy = load_policy(spec, weights())
            _policies[key] = _with_search(spec, policy, agent.policy.partition(SEARCH)[2]) if searches else policy
        if len(_policies) > CACHE_SIZE:
            _policies.popitem(last=False)
    _policies.move_to_end(key)
    return _policies[key]


def _with_search(spec: GameSpec, policy: Policy, how_long: str) -> SearchPolicy:
    """`how_long`: what follows `SEARCH` in the agent's name."""
    if how_long.endswith("s"):
        return SearchPolicy(spec, policy, seconds=int(how_long[:-1]))
    return SearchPolicy(spec, policy, int(how_long))
