"""make(): the one way from a game's name to its environment."""

from __future__ import annotations

import importlib

import torch

from envs.groups import Groups
from envs.protocol import VecEnv
from envs.specs import parse_variant


def make(
    game: str, num_envs: int = 1, device: torch.device | str = "cpu", autoreset: bool = True, groups: int = 1
) -> VecEnv:
    """N games of the variant `game` (`id?option=value`), not yet reset, in groups that step on their own.

    Raises UsageError for unknown games, options and values, MissingPackageError where a library is absent.
    """
    variant = parse_variant(game)
    family = importlib.import_module(variant.game.module)
    sizes = [num_envs * (n + 1) // groups - num_envs * n // groups for n in range(groups)]
    envs = [family.make(variant, size, torch.device(device), autoreset) for size in sizes]
    return envs[0] if groups == 1 else Groups(envs)
