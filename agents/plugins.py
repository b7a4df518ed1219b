"""Agents that other packages bring: entry points of the group `arena.agents`, found without importing any of them.

In the other package's pyproject.toml:

    [project.entry-points."arena.agents"]
    gambler = "gambling.policies:make"

`make(spec)` gets the game's `GameSpec` and returns a `Policy`, or None where it does not play that game. The name is
then one that every command takes for an agent.
"""

from __future__ import annotations

import importlib.metadata

import torch
from torch import Tensor

from agents.policy import Decision, Policy
from envs.errors import ArenaError, UsageError
from envs.specs import GameSpec

GROUP = "arena.agents"
PREFIX = f"{GROUP}:"
"""Begins the `policy` of such an agent; its name follows."""


def plugin_names() -> list[str]:
    """What other packages offer, by name."""
    return sorted({point.name for point in importlib.metadata.entry_points(group=GROUP)})


def load_plugin(name: str, spec: GameSpec) -> Policy:
    """The policy that an installed package offers under this name.

    Raises UsageError where no package does, several do, or it does not play this game; ArenaError where it fails.
    """
    points = list(importlib.metadata.entry_points(group=GROUP, name=name))
    if not points:
        raise UsageError(f"no installed package brings the agent {name!r} (entry point {GROUP}); install its package")
    if len({point.value for point in points}) > 1:
        raise UsageError(f"several packages bring an agent {name!r}: {', '.join(_origin(point) for point in points)}")
    point = points[0]
    where = f"the agent {name!r} of {_origin(point)}"
    try:
        policy = point.load()(spec)
    except UsageError:
        raise
    except Exception as error:
        raise ArenaError(f"{where} cannot be made: {_line(error)}") from error
    if policy is None:
        raise UsageError(f"{where} does not play {spec.game}")
    if not callable(policy):
        raise ArenaError(f"{where} is no policy but {type(policy).__name__}")
    return PluginPolicy(where, policy)


class PluginPolicy:
    """Another package's policy: what it raises, and answers that are no decisions, become one line each."""

    def __init__(self, where: str, policy: Policy) -> None:
        self._where, self._policy = where, policy
        self.one_by_one = bool(getattr(policy, "one_by_one", False))

    @torch.no_grad()
    def __call__(self, observation: Tensor, legal_action_mask: Tensor) -> Decision:
        try:
            decision = self._policy(observation, legal_action_mask)
        except ArenaError:
            raise
        except Exception as error:
            raise ArenaError(f"{self._where} failed: {_line(error)}") from error
        if not isinstance(decision, Decision):
            raise ArenaError(f"{self._where} gave no Decision but {type(decision).__name__}")
        wanted = tuple(legal_action_mask.shape)
        shape = tuple(getattr(decision.probabilities, "shape", ()))
        if shape != wanted:
            raise ArenaError(f"{self._where} gave probabilities of shape {list(shape)}, not {list(wanted)}")
        return decision


def _origin(point: importlib.metadata.EntryPoint) -> str:
    return f"{point.dist.name if point.dist else 'a package'} ({point.value})"


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
