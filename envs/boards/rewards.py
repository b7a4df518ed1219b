"""What the board games pay."""

from __future__ import annotations

import torch
from torch import Tensor


def to_the_mover(won: Tensor, ply: Tensor) -> Tensor:
    """Rewards [N, 2] float32: +1 to who made move number `ply` [N] (0 is player 0's) and −1 to the other where that
    move won [N] bool, else 0."""
    sign = won.view(torch.int8) * (1 - 2 * (ply.to(torch.int8) & 1))
    return torch.stack([sign, -sign], 1).float()
