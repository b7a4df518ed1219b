"""Turns and mirror images of boards: positions that mean the same, and what becomes of the actions there."""

from __future__ import annotations

import torch
from torch import Tensor

from envs.specs import GameSpec


class Symmetries:
    """The symmetries of a board game: all eight of a square board, the left-right one of connect four.

    Attributes:
        count: how many there are, the first of them the board as it is.
        squares: [count, H · W], where each square of the image comes from; actions: [count, A], the same of actions.
    """

    def __init__(self, spec: GameSpec) -> None:
        _, height, width = spec.observation_shape
        grid = torch.arange(height * width).view(height, width)
        images = [grid, grid.flip(1)]
        if height == width:
            images = [turned for image in images for turned in (image.rot90(k) for k in range(4))]
        self.squares = torch.stack([image.flatten() for image in images])
        self.count = len(images)
        if spec.num_actions == width:  # columns
            self.actions = torch.stack([image[0] for image in images])
            return
        squares = self.squares
        if spec.game == "tic_tac_toe":  # numbered down the columns
            order = grid.t().flatten()
            squares = torch.stack([grid.t().flatten()[image.flatten()][order] for image in images])
        rest = torch.arange(height * width, spec.num_actions or 0).expand(self.count, -1)  # passes
        self.actions = torch.cat([squares, rest], 1)

    def apply(self, which: Tensor, observation: Tensor, *by_action: Tensor) -> tuple[Tensor, ...]:
        """The images which [B] of observation [B, C, H, W] and of columns by action [B, A]."""
        squares = self.squares[which].unsqueeze(1).expand(-1, observation.shape[1], -1)
        image = observation.flatten(2).gather(2, squares).view(observation.shape)
        actions = self.actions[which]
        return image, *(values.gather(1, actions) for values in by_action)
