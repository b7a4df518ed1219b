"""make(): the one way from a game's name to its environment."""

from __future__ import annotations

import importlib

import torch

from envs.protocol import VecEnv
from envs.specs import parse_variant


def make(game: str, num_envs: int = 1, device: torch.device | str = "cpu", autoreset: bool = True) -> VecEnv:
    """N games of the variant `game` (`id?option=value`), not yet reset.

    Raises UsageError for unknown games, options and values, MissingPackageError where a library is absent.
    """
    variant = parse_variant(game)
    return importlib.import_module(variant.game.module).make(variant, num_envs, torch.device(device), autoreset)
