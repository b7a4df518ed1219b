"""Helpers for games observed as planes of cells."""

from __future__ import annotations

import torch
from torch import Tensor


def grid_cells(rows: int, columns: int) -> Tensor:
    """[rows · columns, 2] int64: (row, column) of each cell, in reading order."""
    return torch.cartesian_prod(torch.arange(rows), torch.arange(columns))


def within(positions: Tensor, cells: Tensor, radius: int) -> Tensor:
    """[F, T] bool: which of the cells [T, 2] lie at a Chebyshev distance of at most `radius` from each of the positions
    [F, 2]."""
    return (positions.unsqueeze(1) - cells).abs().amax(-1) <= radius
