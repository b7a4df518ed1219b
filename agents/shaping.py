"""Reward shaping: a user's function that replaces the rewards a learner of a one-player game sees.

What a run reports as `charts/episodic_return` stays the game's own. B steps.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from envs.errors import UnknownNameError, UsageError
from envs.specs import GameSpec

Shaping = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""(observation [B, *obs], action [B], reward [B], next_observation [B, *obs]) → reward [B]. What comes next is seen
before any reset."""


def load_function(name: str, what: str = "reward") -> Callable[..., Any]:
    """The function that `module:function` names, looked up in the working directory too.

    This runs the module's code: only for names that a person typed. Raises UsageError where there is no such function;
    `what` is what the message calls it.
    """
    module_name, colon, function_name = name.partition(":")
    if not (module_name and colon and function_name):
        raise UsageError(f"{what}={name!r} is not written module:function (agents.shaping:easy_cart)")
    sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UsageError(f"{what}={name}: there is no module {error.name!r} here or among the installed ones") from None
    except Exception as error:
        raise UsageError(f"{what}={name}: importing {module_name} failed: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(os.getcwd())
    function = getattr(module, function_name, None)
    if not callable(function):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise UnknownNameError(f"function of {module_name}", function_name, known)
    return function


def load_shaping(name: str) -> Shaping:
    """`load_function` as a shaping function whose results are checked."""
    function = load_function(name)

    def checked(observation: Tensor, action: Tensor, reward: Tensor, next_observation: Tensor) -> Tensor:
        shaped = function(observation, action, reward, next_observation)
        if not isinstance(shaped, Tensor) or shaped.shape != reward.shape:
            kind = f"a tensor of {list(shaped.shape)}" if isinstance(shaped, Tensor) else type(shaped).__name__
            raise UsageError(
                f"reward={name} returned {kind}; it must be a tensor of {list(reward.shape)}, one reward a step"
            )
        return shaped.to(reward.dtype)

    return checked


def one_player_only(shaping: Shaping | None, spec: GameSpec) -> None:
    """Raises UsageError where there is shaping for a game of several players."""
    if shaping is not None and spec.num_players > 1:
        raise UsageError(f"rewards are shaped in one-player games only, and {spec.game} has {spec.num_players} players")


# CartPole-v1: position (the track ends at ±2.4), speed, angle (the game ends at ±0.2095 rad), turning speed.
_TRACK, _LEANING = 2.4, 0.2095


def easy_cart(observation: Tensor, action: Tensor, reward: Tensor, next_observation: Tensor) -> Tensor:
    """CartPole told what matters: 1 in the middle with the pole upright, falling to −1 where the game is lost."""
    position, _, angle, _ = next_observation.unbind(-1)
    return 1 - 2 * torch.maximum((position / _TRACK).abs(), (angle / _LEANING).abs()).clamp(max=1)


def spin_cart(observation: Tensor, action: Tensor, reward: Tensor, next_observation: Tensor) -> Tensor:
    """CartPole as a whip: only the pole's turning speed pays, squared, so that a learner spins it as fast as the game
    lets it, which ends the game within a dozen steps."""
    return next_observation[..., 3].square()
