"""Chance in native games: a counter-based hash, so that a game is a function of its seed and its actions alone.

The mixer is SplitMix64's finalizer (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators") on
int64, whose arithmetic wraps the same on every device.
"""

from __future__ import annotations

import torch
from torch import Tensor

_GAMMA = -7046029254386353131  # 0x9E3779B97F4A7C15
_MIX_1 = -4658895280553007687  # 0xBF58476D1CE4E5B9
_MIX_2 = -7723592293110705685  # 0x94D049BB133111EB


def _shift_right(x: Tensor, bits: int) -> Tensor:
    """Logical shift; torch's own is arithmetic."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def mix(x: Tensor) -> Tensor:
    """int64 → int64, a bijection whose outputs look random."""
    x = (x ^ _shift_right(x, 30)) * _MIX_1
    x = (x ^ _shift_right(x, 27)) * _MIX_2
    return x ^ _shift_right(x, 31)


def draw(seeds: Tensor, ply: Tensor | int, index: Tensor | int = 0) -> Tensor:
    """[N] int64 in [0, 2**63): the `index`-th draw at `ply` of the games with these seeds [N].

    Several draws at once: seeds [N, 1], index [D] → [N, D].
    """
    if not isinstance(ply, Tensor):
        ply = torch.full((), ply, device=seeds.device)
    counter = ply * 1024 + index + 1
    return mix(mix(seeds) + counter * _GAMMA) & 0x7FFFFFFFFFFFFFFF


def below(seeds: Tensor, ply: Tensor | int, bound: Tensor | int, index: int = 0) -> Tensor:
    """[N] int64 uniform in [0, bound); the bias is below bound / 2**63."""
    return draw(seeds, ply, index) % bound


def next_seed(seeds: Tensor) -> Tensor:
    """[N]: the seed of the game that follows the one with this seed in the same slot."""
    return mix(seeds + _GAMMA) & 0x7FFFFFFFFFFFFFFF
