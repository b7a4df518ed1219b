"""Helpers for games observed as planes of cells."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def grid_cells(rows: int, columns: int) -> Tensor:
    """[rows · columns, 2] int64: (row, column) of each cell, in reading order."""
    return torch.cartesian_prod(torch.arange(rows), torch.arange(columns))


def within(positions: Tensor, cells: Tensor, radius: int) -> Tensor:
    """[F, T] bool: which of the cells [T, 2] lie at a Chebyshev distance of at most `radius` from each of the positions
    [F, 2]."""
    return (positions.unsqueeze(1) - cells).abs().amax(-1) <= radius


def places(board: Tensor, index: Tensor) -> Tensor:
    """[N · P] int64: where the entries `index` [N, P] of `board` [N, P, …] lie in its flat view, counted from the start
    of each [n, p]. Filling by one flat index is many times faster than scattering along a last dimension."""
    games, players = index.shape
    start = torch.arange(games * players, device=index.device) * math.prod(board.shape[2:])
    return start + index.flatten()
