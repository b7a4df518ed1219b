"""Warm starts: a learner begins with the weights of another agent, which may have learnt another game or otherwise.

What carries over is the network up to its last layer, and of the last layer the rows of the actions that both games
have, by name; an action that is new begins as in a fresh network. Values carry over too, except where they stood on
layers of their own and the new network shares them. Where a game's pictures have a plane more for each player, the new
planes say nothing at first. Between an actor-critic and a Q-network logits become values and
values logits: the likeliest action is the same (a clone of demonstrations so shows DQN where to look; compare Hester et
al. 2018, "Deep Q-learning from demonstrations"). Optimizers, schedules, games and chance begin anew.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from agents.board_network import acts_on_points
from agents.configs import CONFIGS, ActorCriticConfig, Config, DQNConfig, LearnerConfig, config_from
from agents.layout import is_picture
from agents.metrics import PolicyWeights
from agents.networks import ActorCritic, choose_network
from envs.errors import UsageError
from envs.specs import GameSpec

SHAPE = ("network", "hidden_size", "hidden_layers", "activation", "normalise_observations")
"""The settings in which both networks must agree."""
AnyConfig = TypeVar("AnyConfig", bound=Config)


class Start(NamedTuple):
    """What a run starts from: an agent's name and weights, and the game that it learnt."""

    name: str
    weights: PolicyWeights
    spec: GameSpec


def shaped_alike(config: AnyConfig, theirs: Mapping[str, Any]) -> AnyConfig:
    """The settings, with a network of the shape of those that another agent learnt with."""
    own = {field.name for field in dataclasses.fields(config)}
    shape = {name: theirs[name] for name in (*SHAPE, "shared_trunk") if name in own and name in theirs}
    return dataclasses.replace(config, **shape)


def check_start(config: Config, spec: GameSpec, start: Start) -> None:
    """Raises UsageError where a network with this config for this game cannot begin with these weights."""
    if not isinstance(config, LearnerConfig):
        raise UsageError("only networks start from another agent's weights: ppo, vpg, dqn, az and bc")
    generator = torch.Generator()
    network: nn.Module
    if isinstance(config, DQNConfig):
        from agents.dqn import QNetwork

        network = QNetwork(spec, config, generator)
    else:
        assert isinstance(config, ActorCriticConfig)
        network = ActorCritic(spec, config, generator)
    warm_start(network, config, spec, start)


@torch.no_grad()
def warm_start(network: nn.Module, config: LearnerConfig, spec: GameSpec, start: Start) -> None:
    """Give a fresh network the agent's weights. Raises UsageError, in one line, where they do not fit."""
    if not issubclass(CONFIGS.get(start.weights.algorithm, Config), LearnerConfig):
        raise UsageError(f"{start.name} has no network to start from: it is of {start.weights.algorithm}")
    _check_alike(config, config_from(start.weights.algorithm, start.weights.config), spec, start)
    learnt = {_common(name): tensor for name, tensor in start.weights.tensors.items()}
    own = {_common(name): tensor for name, tensor in network.state_dict().items()}
    joins_values = not _apart(own) and _apart(learnt)
    for name, tensor in own.items():
        source = learnt.get(name)
        if source is None and name.startswith("value_trunk."):
            source = learnt.get(name.replace("value_", "policy_", 1))
        if source is None or (name.startswith("value_head.") and joins_values):
            continue
        if _more_planes(start.spec, spec) and source.ndim >= 3:
            source = _widened(name, source, tensor)
        head = name in ("policy_head.weight", "policy_head.bias")
        if source.shape != ((_outputs(start.spec), *tensor.shape[1:]) if head else tensor.shape):
            shapes = f"{list(source.shape)}, here {list(tensor.shape)}"
            raise UsageError(f"{start.name} cannot be started from: its {name} is {shapes}")
        if head:
            ours, theirs = _rows(spec, start)
            tensor[ours] = source[theirs].to(tensor)
        else:
            tensor.copy_(source)


def _more_planes(seen: GameSpec, shown: GameSpec) -> bool:
    """Whether the pictures shown are those seen, and a plane for each player behind them."""
    planes, *size = shown.observation_shape
    as_seen = (planes - shown.num_players, *size)
    return seen.observation_shape == as_seen and is_picture(as_seen) and seen.observation_dtype == "uint8"


def _widened(name: str, source: Tensor, fresh: Tensor) -> Tensor:
    """The learnt tensor, wherever the fresh one has more planes: their weights are 0, their statistics begin anew."""
    known = source.shape[-3]
    if source.shape != fresh[..., :known, :, :].shape:
        return source
    widened = torch.zeros_like(fresh) if name.endswith(".weight") else fresh.clone()
    widened[..., :known, :, :] = source
    return widened


def _apart(names: Iterable[str]) -> bool:
    """Whether values stand on layers of their own."""
    return any(name.startswith("value_trunk.") for name in names)


def _outputs(spec: GameSpec) -> int:
    """Rows of the policy's last layer."""
    return spec.num_actions or math.prod(spec.action_shape)


def _check_alike(config: LearnerConfig, theirs: Config, spec: GameSpec, start: Start) -> None:
    seen, shown = ((s.observation_shape, s.observation_dtype, s.scale) for s in (start.spec, spec))
    any_size = config.network == "board" and all(acts_on_points(s) for s in (start.spec, spec))
    more_planes = _more_planes(start.spec, spec) and seen[1:] == shown[1:]
    if seen != shown and not more_planes and not (any_size and (seen[0][0], *seen[1:]) == (shown[0][0], *shown[1:])):
        raise UsageError(
            f"{start.name} cannot be started from: it sees {_words(seen)} in {start.spec.game}, and {spec.game} shows "
            f"{_words(shown)}"
        )
    if (start.spec.num_actions is None) != (spec.num_actions is None) or start.spec.action_shape != spec.action_shape:
        raise UsageError(f"{start.name} cannot be started from: {start.spec.game} and {spec.game} act in other ways")
    for name in SHAPE:
        ours, other = getattr(config, name), getattr(theirs, name)
        if name == "network":
            kinds = [choose_network(spec.observation_shape) if kind == "auto" else kind for kind in (ours, other)]
            ours, other = kinds
        if ours != other:
            typed = str(other).lower() if isinstance(other, bool) else other
            raise UsageError(
                f"{start.name} cannot be started from with {name}={ours}: it has {other}; --set {name}={typed}"
            )


def _words(seen: tuple[tuple[int, ...], str, float]) -> str:
    shape, dtype, scale = seen
    return f"{'×'.join(map(str, shape))} {dtype}" + (f" up to {scale:g}" if dtype == "uint8" else "")


def _rows(spec: GameSpec, start: Start) -> tuple[list[int], list[int]]:
    """Rows of the last layer and those of the agent's that they are filled with."""
    if spec.num_actions is None or start.spec.action_names == spec.action_names:
        return [*range(_outputs(spec))], [*range(_outputs(spec))]
    known = {name.lower(): row for row, name in enumerate(start.spec.action_names)}
    pairs = [(row, known[name.lower()]) for row, name in enumerate(spec.action_names) if name.lower() in known]
    if not pairs:
        raise UsageError(
            f"{start.name} cannot be started from: {start.spec.game} and {spec.game} have no action of the same name"
        )
    return [row for row, _ in pairs], [row for _, row in pairs]


def _common(name: str) -> str:
    """A Q-network's name for a tensor → the actor-critic's for the same part."""
    for ours, theirs in (("trunk.", "policy_trunk."), ("head.", "policy_head.")):
        if name.startswith(ours):
            return name.replace(ours, theirs, 1)
    return name
