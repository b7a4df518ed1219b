"""How observations lie in memory: pictures with their channels last, as convolutions on a CPU take them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

PICTURE = 36
"""Observations of this many rows and columns or more are pictures; smaller ones are planes of a board or a map."""


def is_picture(shape: Sequence[int]) -> bool:
    """Whether an observation [*shape] is a picture [C, H, W]."""
    return len(shape) == 3 and min(shape[1:]) >= PICTURE


def room_for(lead: Sequence[int], shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Zeros [*lead, *shape] for observations [*shape]."""
    if not is_picture(shape):
        return torch.zeros((*lead, *shape), dtype=dtype, device=device)
    channels, height, width = shape
    return torch.zeros(*lead, height, width, channels, dtype=dtype, device=device).movedim(-1, -3)


def rows(x: Tensor, index: Tensor) -> Tensor:
    """x[index] of x [B, …] and index [M], laid out like x; whole rows are copied, which `x[index]` does not."""
    if x.ndim == 4 and not x.is_contiguous():
        return x.movedim(1, -1).index_select(0, index).movedim(-1, 1)
    return x.index_select(0, index)
