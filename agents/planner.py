"""A network that plans: values spread from cell to cell, and the walker looks at those around it.

Value propagation (Nardelli et al. 2019, "Value Propagation Networks", after Tamar et al. 2016, "Value Iteration
Networks"): a convolution sees, for each cell i, a reward r_i and how much of its neighbours' value passes, p_i in
(0, 1); then, again and again, v_i ← max(v_i, r_i + p_i (max over neighbours j of v_j − r_i)), from v = r. With r = 1 on
the goal and 0 elsewhere, p = γ on open cells and 0 on walls, v is γ^distance. All cells share the weights, so that
what is learnt in one map holds in the next.

Deviations: a map for each plane, and each begins as that plane (times `FIRST_REWARD`) with all cells open, so that one
of them spreads from the goal at once: with random first weights of two maps some seeds learnt five times as slowly as
others. Rewards and passing are linear in the planes of their cell. Four neighbours instead of eight; beyond the edge
lies the cell itself; as many rounds as height + width.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

UNITS = 32
"""What is made of the planes around the walker."""
FIRST_REWARD = 0.25
FIRST_PASSING = 2.0
"""As a logit."""


def neighbours(height: int, width: int) -> Tensor:
    """[height · width, 4] int64: the cells above, below, left and right of each; at the edge the cell itself."""
    cells = torch.arange(height * width).view(height, width)
    above, left = cells.roll(1, 0), cells.roll(1, 1)
    above[0], left[:, 0] = cells[0], cells[:, 0]
    below, right = cells.roll(-1, 0), cells.roll(-1, 1)
    below[-1], right[:, -1] = cells[-1], cells[:, -1]
    return torch.stack([above, below, left, right], -1).view(-1, 4)


def patches(height: int, width: int) -> Tensor:
    """[height · width, 9] int64: the cells of the 3×3 patch around each, in a map with a border of one cell."""
    cells = torch.arange((height + 2) * (width + 2)).view(height + 2, width + 2)
    return cells.unfold(0, 3, 1).unfold(1, 3, 1).reshape(-1, 9)


def propagate(reward: Tensor, passing: Tensor, near: Tensor, rounds: int) -> Tensor:
    """reward, passing [cells, M], near [cells, K] → values [cells, M] after so many rounds."""
    assert reward.ndim == passing.ndim == near.ndim == 2
    kept = reward - passing * reward
    value = reward
    for _ in range(rounds):
        best = functional.embedding(near, value).amax(1)  # value[near], whose gradient is much the faster one
        value = torch.maximum(value, torch.addcmul(kept, passing, best))
    return value


class Planner(nn.Module):
    """Planes [B, C, H, W] → [B, `features`]: the values of C maps around the walker's cell, and what is seen there.

    The walker is where the first plane is greatest.
    """

    near: Tensor
    patch: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        channels, height, width = shape
        self.rounds = height + width
        self.judge = nn.Conv2d(channels, 2 * channels, 1)
        self.see = nn.Linear(9 * channels, UNITS)
        self.register_buffer("near", neighbours(height, width), persistent=False)
        self.register_buffer("patch", patches(height, width), persistent=False)
        self.features = 5 * channels + UNITS
        with torch.no_grad():
            self.judge.weight.zero_()
            self.judge.weight[:channels, :, 0, 0].fill_diagonal_(FIRST_REWARD)
            cast(Tensor, self.judge.bias)[:channels] = 0.0
            cast(Tensor, self.judge.bias)[channels:] = FIRST_PASSING

    def forward(self, planes: Tensor) -> Tensor:
        batch, channels = planes.shape[:2]
        reward, passing = self.judge(planes).flatten(2).permute(2, 1, 0).chunk(2, 1)  # [cells, C, B] each
        value = propagate(reward.flatten(1), passing.sigmoid().flatten(1), self.near, self.rounds)
        walker = planes[:, 0].flatten(1).argmax(1)
        each = torch.arange(batch, device=planes.device)
        around = torch.cat([walker.unsqueeze(1), self.near[walker]], 1)
        values = value.view(len(self.near), channels, batch)[around, :, each.unsqueeze(1)]  # [B, 5, C]
        padded = functional.pad(planes, (1, 1, 1, 1)).flatten(2)
        seen = padded.gather(2, self.patch[walker].unsqueeze(1).expand(-1, channels, -1))  # [B, C, 9]
        return torch.cat([values.flatten(1), torch.relu(self.see(seen.flatten(1)))], 1)
