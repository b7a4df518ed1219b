"""A network that plans: values spread from cell to cell, and the walker looks at those around it.

Value propagation (Nardelli et al. 2019, "Value Propagation Networks", after Tamar et al. 2016, "Value Iteration
Networks"): a convolution sees, for each cell i, a reward r_i and how much of its neighbours' value passes, p_i in
(0, 1); then, again and again, v_i ← max(v_i, r_i + p_i (max over neighbours j of v_j − r_i)), from v = r. With r = 1 on
the goal and 0 elsewhere, p = γ on open cells and 0 on walls, v is γ^distance. All cells share the weights, so that
what is learnt in one map holds in the next.

Deviations: two such maps side by side; four neighbours instead of eight; beyond the edge lies the cell itself; as many
rounds as height + width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

MAPS = 2
CHANNELS = 32


def neighbours(height: int, width: int) -> Tensor:
    """[height · width, 4] int64: the cells above, below, left and right of each; at the edge the cell itself."""
    cells = torch.arange(height * width).view(height, width)
    above, left = cells.roll(1, 0), cells.roll(1, 1)
    above[0], left[:, 0] = cells[0], cells[:, 0]
    below, right = cells.roll(-1, 0), cells.roll(-1, 1)
    below[-1], right[:, -1] = cells[-1], cells[:, -1]
    return torch.stack([above, below, left, right], -1).view(-1, 4)


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
    """Planes [B, C, H, W] → [B, `features`]: the values around the walker's cell, and what is seen there.

    The walker is where the first plane is greatest.
    """

    near: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        channels, height, width = shape
        self.rounds = height + width
        self.see = nn.Conv2d(channels, CHANNELS, 3, padding=1)
        self.judge = nn.Conv2d(CHANNELS, 2 * MAPS, 1)
        self.register_buffer("near", neighbours(height, width), persistent=False)
        self.features = 5 * MAPS + CHANNELS

    def forward(self, planes: Tensor) -> Tensor:
        batch = len(planes)
        seen = torch.relu(self.see(planes))
        reward, passing = self.judge(seen).flatten(2).permute(2, 1, 0).chunk(2, 1)  # [cells, MAPS, B] each
        value = propagate(reward.flatten(1), passing.sigmoid().flatten(1), self.near, self.rounds)
        walker = planes[:, 0].flatten(1).argmax(1)
        each = torch.arange(batch, device=planes.device)
        around = torch.cat([walker.unsqueeze(1), self.near[walker]], 1)
        values = value.view(len(self.near), MAPS, batch)[around, :, each.unsqueeze(1)]  # [B, 5, MAPS]
        return torch.cat([values.flatten(1), seen.flatten(2)[each, :, walker]], 1)
